import copy
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import utc_now
from recsys.errors import BudgetExceededError, LedgerTamperedError, PrivacyParameterError, StateError
from recsys.evidence.chain import Entry, link, verify_chain
from recsys.privacy.accounting import Event, Loss, compose, epsilon_of, mu_of
from recsys.privacy.ledger import PrivacyLedger, leaves_on, years_epsilon
from recsys.privacy.plan import PrivacyPlan
from recsys.store.memory import MemoryLedgerLog
from recsys.types import Json, Period, PrivacyBudget, PrivacySpend

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


def test_what_is_released_of_a_sum_together_counts_as_one_release(ledger: PrivacyLedger) -> None:
    """Counts that come before it in the same training, and metrics that come after it, are not drawn anew."""
    ledger.set_budget(BUDGET)
    of_a_sum = [replace(spend_of(WHOLE * 4), statistic=name) for name in ("latent", "cross", "gram")]
    beside = [replace(spend_of(WHOLE * 4), statistic=name) for name in ("counts", "published metrics")]
    ledger.book([beside[0], *of_a_sum, beside[1]])
    assert ledger.summary().releases_left == (16 - 5) // 3
    ledger.book([replace(spend, purpose="erasure") for spend in of_a_sum])
    assert ledger.summary().releases_left == (16 - 5) // 3 - 1


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


def sampled_spend(noise_multiplier: float, sampling_probability: float, count: int) -> PrivacySpend:
    return replace(spend_of(noise_multiplier), sampling_probability=sampling_probability, count=count)


def test_so_many_releases_on_samples_are_one_entry_and_count_as_what_they_are(
    ledger: PrivacyLedger, log: MemoryLedgerLog
) -> None:
    ledger.set_budget(BUDGET)
    ledger.book([sampled_spend(1.0, 0.01, 500), spend_of(3 * WHOLE)])
    entry, summary = log.entries()[1], ledger.summary()
    assert (entry["mechanism"], entry["sampling_probability"], entry["count"]) == (
        "poisson_sampled_gaussian",
        0.01,
        500,
    )
    assert summary.spent == Loss.of([Event(1.0, 0.01, 500), Event(3 * WHOLE)])
    assert summary.epsilon_spent == summary.spent.epsilon(1e-6) > epsilon_of(1 / (3 * WHOLE), 1e-6)
    ledger.book([spend_of(1 / summary.mu_left)])
    with pytest.raises(BudgetExceededError):
        ledger.book([spend_of(4 * WHOLE)])


def test_a_count_costs_as_many_releases_as_it_says(ledger: PrivacyLedger) -> None:
    ledger.set_budget(BUDGET)
    with pytest.raises(BudgetExceededError):
        ledger.book([sampled_spend(3 * WHOLE, 1.0, 10)])
    ledger.book([sampled_spend(3 * WHOLE, 1.0, 9)])
    assert ledger.summary().mu_spent == pytest.approx(1 / WHOLE)
    assert ledger.summary().releases_left == 0


@pytest.mark.parametrize(("sampling_probability", "count"), [(0.0, 1), (-0.1, 1), (1.1, 1), (math.nan, 1), (1.0, 0)])
def test_a_spend_that_cannot_be_accounted_is_over_any_budget(
    ledger: PrivacyLedger, log: MemoryLedgerLog, sampling_probability: float, count: int
) -> None:
    ledger.set_budget(PrivacyBudget(epsilon=1e6, delta=1e-6))
    with pytest.raises(BudgetExceededError, match="epsilon=inf"):
        ledger.book([sampled_spend(100.0, sampling_probability, count)])
    assert len(log.entries()) == 1


def older(spend: PrivacySpend, **changed: Json) -> Entry:
    """The spend as it was written before there were samples, counts and periods."""
    body: Entry = {"type": "spend", "purpose": spend.purpose, "statistic": spend.statistic, "mechanism": "gaussian"}
    body |= {"noise_multiplier": spend.noise_multiplier, "sensitivity": spend.sensitivity, "sum_id": spend.sum_id}
    return {**body, "at": "2026-01-30T00:00:00.000Z", **changed}


def test_entries_of_older_versions_hold_and_count(log: MemoryLedgerLog, ledger: PrivacyLedger) -> None:
    budget: Entry = {"type": "budget", "epsilon": 4.0, "delta": 1e-6, "unit": "customer", "note": ""}
    for body in ({**budget, "neighboring_relation": "add_or_remove_one"}, older(spend_of(2 * WHOLE))):
        log.append(link(log.entries(), body))
    assert ledger.summary().budget == BUDGET
    assert ledger.summary().mu_spent == pytest.approx(0.5 / WHOLE)
    ledger.book([spend_of(2 * WHOLE)])
    assert ledger.summary().mu_spent == pytest.approx(math.sqrt(0.5) / WHOLE)
    verify_chain(log.entries())


def test_an_entry_of_a_kind_that_is_not_known_costs_everything(log: MemoryLedgerLog, ledger: PrivacyLedger) -> None:
    ledger.set_budget(BUDGET)
    log.append(link(log.entries(), older(spend_of(1e6), mechanism="laplace")))
    assert ledger.summary().epsilon_spent == math.inf
    with pytest.raises(BudgetExceededError):
        ledger.book([spend_of(1e6)])


class Wound:
    """A clock that a test winds on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def wind(self, days: float) -> None:
        self.now += timedelta(days=days)


YEARLY = replace(BUDGET, period=Period.YEAR)


@pytest.fixture
def clock() -> Wound:
    return Wound()


@pytest.fixture
def yearly(log: MemoryLedgerLog, clock: Wound) -> PrivacyLedger:
    ledger = PrivacyLedger(log, clock)
    ledger.set_budget(YEARLY)
    return ledger


def test_after_366_days_a_yearly_budget_is_whole_again_and_the_chain_keeps_everything(
    yearly: PrivacyLedger, clock: Wound
) -> None:
    yearly.book([spend_of(WHOLE)])
    clock.wind(365.999)
    with pytest.raises(BudgetExceededError, match=r"wait until 2027-02-01T00:00:00\.000Z, from when on it fits"):
        yearly.book([spend_of(WHOLE)])
    clock.now = datetime(2027, 2, 1, tzinfo=UTC)
    yearly.book([spend_of(WHOLE)])
    summary = yearly.summary()
    assert summary.epsilon_spent == pytest.approx(4.0)
    assert (
        summary.epsilon_in_all
        == pytest.approx(years_epsilon(YEARLY, 2))
        == pytest.approx(epsilon_of(math.sqrt(2) / WHOLE, 1e-6))
    )
    assert len(summary.entries) == 3


def test_the_summary_tells_when_the_oldest_spend_leaves_the_year(
    yearly: PrivacyLedger, clock: Wound, log: MemoryLedgerLog
) -> None:
    assert leaves_on(yearly.summary()) is None
    for _ in range(2):
        yearly.book([spend_of(2 * WHOLE)])
        clock.wind(100)
    assert leaves_on(yearly.summary()) == datetime(2027, 2, 1, tzinfo=UTC)
    clock.now = datetime(2027, 2, 1, tzinfo=UTC)
    assert leaves_on(yearly.summary()) == datetime(2027, 2, 1, tzinfo=UTC) + timedelta(days=100)
    yearly.set_budget(BUDGET)
    assert leaves_on(yearly.summary()) is None


def test_a_budget_for_the_lifetime_never_comes_back(log: MemoryLedgerLog, clock: Wound) -> None:
    ledger = PrivacyLedger(log, clock)
    ledger.set_budget(BUDGET)
    ledger.book([spend_of(WHOLE)])
    clock.wind(36600)
    with pytest.raises(BudgetExceededError) as refused:
        ledger.book([spend_of(100 * WHOLE)])
    assert "wait until" not in str(refused.value)


def test_the_turn_of_a_year_is_no_new_budget(yearly: PrivacyLedger, clock: Wound) -> None:
    clock.now = datetime(2026, 12, 31, tzinfo=UTC)
    yearly.book([spend_of(WHOLE)])
    clock.wind(1)
    with pytest.raises(BudgetExceededError):
        yearly.book([spend_of(10 * WHOLE)])


def test_the_refusal_names_the_first_moment_at_which_it_fits_and_what_fits_now(
    yearly: PrivacyLedger, clock: Wound, log: MemoryLedgerLog
) -> None:
    for _ in range(3):
        yearly.book([spend_of(2 * WHOLE)])
        clock.wind(10)
    with pytest.raises(BudgetExceededError) as refused:
        yearly.book([spend_of(WHOLE * math.sqrt(2))])
    assert "wait until 2027-02-01" in str(refused.value)
    needed = float(str(refused.value).partition("noise multiplier of at least ")[2].partition(",")[0])
    assert needed == pytest.approx(2 * WHOLE, rel=1e-3)
    clock.now = datetime(2027, 2, 1, tzinfo=UTC) - timedelta(milliseconds=1)
    with pytest.raises(BudgetExceededError):
        yearly.book([spend_of(WHOLE * math.sqrt(2))])
    clock.wind(1 / 86_400_000)
    yearly.book([spend_of(WHOLE * math.sqrt(2))])
    with pytest.raises(BudgetExceededError) as never:
        yearly.book([spend_of(0.9 * WHOLE)])
    assert "wait until" not in str(never.value)


def test_a_clock_that_was_set_back_frees_nothing(yearly: PrivacyLedger, clock: Wound) -> None:
    yearly.book([spend_of(WHOLE)])
    clock.wind(-1000)
    with pytest.raises(BudgetExceededError):
        yearly.book([spend_of(100 * WHOLE)])


def test_what_is_left_is_told_in_trainings_and_in_releases(ledger: PrivacyLedger) -> None:
    ledger.set_budget(BUDGET)
    assert ledger.summary().trainings_left is None
    first = [replace(spend_of(WHOLE * 4), statistic="counts"), spend_of(WHOLE * 4)]
    ledger.book([replace(spend, sum_id="older") for spend in [*first, spend_of(WHOLE * 8)]])
    ledger.book(first)
    assert ledger.summary().trainings_left == 5
    ledger.book([spend_of(WHOLE * 20, purpose="erasure")])
    assert ledger.summary().trainings_left == 5
    assert ledger.summary().releases_left == math.floor(400 * (1 - 4 / 16 - 1 / 64 - 1 / 400) + 1e-9)
    for _ in range(5):
        ledger.book(first)
    with pytest.raises(BudgetExceededError):
        ledger.book(first)


def test_so_many_years_are_so_many_budgets() -> None:
    assert years_epsilon(YEARLY, 1) == pytest.approx(4.0)
    assert years_epsilon(YEARLY, 3) == pytest.approx(epsilon_of(mu_of(4.0, 1e-6) * math.sqrt(3), 1e-6))
    assert years_epsilon(PrivacyBudget(epsilon=math.inf, delta=1e-6), 2) == math.inf


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
