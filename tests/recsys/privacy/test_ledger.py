import copy
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import utc_now
from recsys.errors import BudgetExceededError, LedgerTamperedError, PrivacyParameterError, StateError
from recsys.evidence.chain import Entry, verify_chain
from recsys.privacy.accounting import compose, epsilon_of, mu_of
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.plan import PrivacyPlan
from recsys.store.memory import MemoryLedgerLog
from recsys.types import PrivacyBudget, PrivacySpend

BUDGET = PrivacyBudget(epsilon=4.0, delta=1e-6)
WHOLE = 1 / mu_of(4.0, 1e-6)
"""The noise multiplier of the one release that uses up the budget."""


def spend_of(noise_multiplier: float, purpose: str = "train") -> PrivacySpend:
    return PrivacySpend(
        purpose=purpose, statistic="gram", sensitivity=1.0, noise_multiplier=noise_multiplier, sum_id="sum"
    )


def test_a_spend_is_in_the_log_before_book_returns(ledger: PrivacyLedger, log: MemoryLedgerLog) -> None:
    ledger.set_budget(BUDGET, note="first")
    ledger.book([spend_of(5.0), spend_of(WHOLE * 2, purpose="erasure")])
    budget, first, second = log.entries()
    assert (budget["type"], budget["epsilon"], budget["delta"], budget["note"]) == ("budget", 4.0, 1e-6, "first")
    assert (first["type"], first["noise_multiplier"], first["mechanism"]) == ("spend", 5.0, "gaussian")
    assert (second["purpose"], second["sum_id"]) == ("erasure", "sum")
    assert first["at"] == "2026-01-31T00:00:00.000Z"
    verify_chain(log.entries())


def test_the_summary_says_what_is_spent_and_left(ledger: PrivacyLedger) -> None:
    ledger.set_budget(BUDGET)
    ledger.book([spend_of(2 * WHOLE)])
    summary = ledger.summary()
    assert summary.budget == BUDGET
    assert summary.mu_budget == pytest.approx(1 / WHOLE)
    assert summary.mu_spent == pytest.approx(0.5 / WHOLE)
    assert summary.epsilon_spent == pytest.approx(epsilon_of(0.5 / WHOLE, 1e-6))
    assert summary.mu_left == pytest.approx(math.sqrt(0.75) / WHOLE)
    ledger.book([spend_of(1 / summary.mu_left)])
    assert ledger.summary().epsilon_spent == pytest.approx(4.0)


@given(releases=st.integers(1, 60), booked=st.integers(1, 60))
def test_the_releases_left_are_those_that_the_ledger_still_takes(releases: int, booked: int) -> None:
    ledger = PrivacyLedger(MemoryLedgerLog(), utc_now)
    ledger.set_budget(BUDGET)
    assert ledger.summary().releases_left is None
    spend = spend_of(WHOLE * math.sqrt(releases))
    ledger.book([spend] * min(booked, releases))
    left = ledger.summary().releases_left
    assert left == releases - min(booked, releases)
    ledger.book([spend] * left)
    with pytest.raises(BudgetExceededError):
        ledger.book([spend])


def test_without_a_budget_nothing_is_booked(ledger: PrivacyLedger, log: MemoryLedgerLog) -> None:
    with pytest.raises(BudgetExceededError, match="expected a privacy budget, the ledger has none"):
        ledger.book([spend_of(1e6)])
    assert log.entries() == []
    summary = ledger.summary()
    assert (summary.budget, summary.mu_budget, summary.mu_left) == (None, 0.0, 0.0)


@pytest.mark.parametrize("too_much", [[0.999 * WHOLE], [WHOLE, 1e4 * WHOLE], [1.41 * WHOLE] * 2, [0.0], [1e-300]])
def test_a_spend_over_budget_is_refused_whole(
    ledger: PrivacyLedger, log: MemoryLedgerLog, too_much: list[float]
) -> None:
    ledger.set_budget(BUDGET)
    before = log.entries()
    with pytest.raises(BudgetExceededError, match=r"nothing was drawn.*privrec ledger"):
        ledger.book([spend_of(noise_multiplier) for noise_multiplier in too_much])
    assert log.entries() == before


def test_the_whole_budget_can_be_booked_and_not_a_bit_more(ledger: PrivacyLedger) -> None:
    ledger.set_budget(BUDGET)
    ledger.book([spend_of(WHOLE)])
    ledger.book([])
    with pytest.raises(BudgetExceededError, match="epsilon=0 is left of 4"):
        ledger.book([spend_of(1000 * WHOLE)])


@given(epsilon=st.floats(0.05, 30), releases=st.integers(1, 8))
@settings(max_examples=10)
def test_every_spend_of_a_plan_fits_its_budget_one_after_the_other(epsilon: float, releases: int) -> None:
    plan = PrivacyPlan(budget=PrivacyBudget(epsilon=epsilon, delta=1e-6), gram_releases=releases)
    ledger = PrivacyLedger(MemoryLedgerLog(), lambda: datetime(2026, 1, 31, tzinfo=UTC))
    ledger.set_budget(plan.budget)
    ledger.book([spend_of(plan.customers_noise_multiplier), spend_of(plan.counts_noise_multiplier)])
    ledger.book([spend_of(plan.gram_noise_multiplier)])
    for _ in range(releases - 1):
        ledger.book([spend_of(plan.gram_noise_multiplier)])
    with pytest.raises(BudgetExceededError):
        ledger.book([spend_of(plan.gram_noise_multiplier)])
    assert ledger.summary().epsilon_spent == pytest.approx(epsilon, rel=1e-6)


def test_a_spend_without_noise_costs_everything(ledger: PrivacyLedger, log: MemoryLedgerLog) -> None:
    ledger.set_budget(PrivacyBudget(epsilon=math.inf, delta=1e-6))
    ledger.book([spend_of(0.0)])
    ledger.book([spend_of(0.0), spend_of(1.0)])
    summary = ledger.summary()
    assert summary.epsilon_spent == summary.mu_spent == summary.mu_left == math.inf
    assert log.entries()[0]["epsilon"] == "infinity"
    assert log.entries()[1]["mechanism"] == "none"
    ledger.set_budget(BUDGET)
    with pytest.raises(BudgetExceededError):
        ledger.book([spend_of(1e6)])


def test_a_budget_that_is_raised_later_stays_in_the_chain(ledger: PrivacyLedger, log: MemoryLedgerLog) -> None:
    ledger.set_budget(BUDGET)
    ledger.book([spend_of(WHOLE)])
    ledger.set_budget(PrivacyBudget(epsilon=8.0, delta=1e-6), note="decided by the privacy officer")
    ledger.book([spend_of(WHOLE)])
    assert [entry["type"] for entry in log.entries()] == ["budget", "spend", "budget", "spend"]
    assert [log.entries()[index]["epsilon"] for index in (0, 2)] == [4.0, 8.0]
    assert ledger.summary().epsilon_spent == pytest.approx(epsilon_of(compose([WHOLE, WHOLE]), 1e-6))


def test_a_budget_below_what_is_spent_leaves_nothing(ledger: PrivacyLedger) -> None:
    ledger.set_budget(BUDGET)
    ledger.book([spend_of(WHOLE)])
    ledger.set_budget(PrivacyBudget(epsilon=1.0, delta=1e-6))
    assert ledger.summary().mu_left == 0
    with pytest.raises(BudgetExceededError):
        ledger.book([spend_of(1e6)])


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 1e-6), (math.nan, 1e-6), (4.0, 0.0), (4.0, 1.0)])
def test_a_budget_without_a_promise_is_refused(
    ledger: PrivacyLedger, log: MemoryLedgerLog, epsilon: float, delta: float
) -> None:
    with pytest.raises(PrivacyParameterError):
        ledger.set_budget(PrivacyBudget(epsilon=epsilon, delta=delta))
    assert log.entries() == []


class BusyLog(MemoryLedgerLog):
    """A log that another process appends to right after it was read."""

    def __init__(self, *, meanwhile: PrivacySpend) -> None:
        super().__init__()
        self.meanwhile: PrivacySpend | None = meanwhile

    def entries(self) -> list[Entry]:
        before = super().entries()
        if before and self.meanwhile:
            spend, self.meanwhile = self.meanwhile, None
            PrivacyLedger(self, lambda: datetime(2026, 1, 31, tzinfo=UTC)).book([spend])
        return before


def test_what_another_process_books_meanwhile_is_not_overlooked() -> None:
    log = BusyLog(meanwhile=spend_of(1.2 * WHOLE, purpose="the other process"))
    ledger = PrivacyLedger(log, lambda: datetime(2026, 1, 31, tzinfo=UTC))
    ledger.set_budget(BUDGET)
    with pytest.raises(StateError):
        ledger.book([spend_of(1.2 * WHOLE)])
    assert [entry.get("purpose") for entry in log.entries()] == [None, "the other process"]
    with pytest.raises(BudgetExceededError):
        ledger.book([spend_of(1.2 * WHOLE)])


def chain_of_five() -> MemoryLedgerLog:
    log = MemoryLedgerLog()
    ledger = PrivacyLedger(log, lambda: datetime(2026, 1, 31, tzinfo=UTC))
    ledger.set_budget(BUDGET)
    ledger.book([spend_of(4 * WHOLE), spend_of(5 * WHOLE), spend_of(6 * WHOLE)])
    ledger.set_budget(PrivacyBudget(epsilon=5.0, delta=1e-6))
    return log


def tamper(entries: list[Entry], how: str, index: int, field: str) -> list[Entry]:
    changed = copy.deepcopy(entries)
    if how == "change":
        changed[index][field] = 7 if changed[index][field] != 7 else 8
    elif how == "drop a field":
        del changed[index][field]
    elif how == "add a field":
        changed[index]["waived"] = True
    elif how == "drop":
        del changed[index]
    elif how == "repeat":
        changed.insert(index, changed[index])
    else:
        changed[index], changed[index + 1] = changed[index + 1], changed[index]
    return changed


@given(data=st.data())
def test_whatever_is_done_to_an_entry_is_found(data: st.DataObject) -> None:
    log = chain_of_five()
    how = data.draw(st.sampled_from(["change", "drop a field", "add a field", "drop", "repeat", "swap"]))
    # a chain that lost its end is a chain: that is for a copy of its head kept elsewhere to find
    index = data.draw(st.integers(0, 3 if how in {"drop", "swap"} else 4))
    field = data.draw(st.sampled_from(sorted(log.entries()[index])))
    log._entries = tamper(log.entries(), how, index, field)
    ledger = PrivacyLedger(log, lambda: datetime(2026, 1, 31, tzinfo=UTC))
    for act in (
        ledger.summary,
        lambda: ledger.book([spend_of(1e6)]),
        lambda: ledger.set_budget(BUDGET),
    ):
        before = log.entries()
        with pytest.raises(LedgerTamperedError, match="expected entry"):
            act()
        assert log.entries() == before
