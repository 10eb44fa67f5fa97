"""Whatever happens in whatever order, the ledger never says less than what was drawn, and never goes over budget."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from recsys.errors import BudgetExceededError, StorageError
from recsys.evidence.chain import Entry, verify_chain
from recsys.privacy import ledger
from recsys.privacy.accounting import Event, Loss, mu_of
from recsys.privacy.ledger import PERIOD_DAYS, PrivacyLedger
from recsys.store.memory import MemoryLedgerLog
from recsys.types import Period, PrivacyBudget, PrivacySpend

ROUNDING = 1e-8
epsilons = st.sampled_from([1.0, 4.0, 4.0, 8.0, 8.0, math.inf])
multipliers = st.lists(st.sampled_from([1.5, 2.0, 3.0, 3.0, 10.0, 0.7, 0.0]), min_size=1, max_size=2)
periods = st.sampled_from([Period.LIFETIME, Period.YEAR])
YEAR = timedelta(days=366)
COUNT = 2
"""Every spend that is booked is of two releases."""


class DiskThatFills(MemoryLedgerLog):
    """A log whose next appends may fail: `None` never, else after that many; with the entry kept or not."""

    def __init__(self) -> None:
        super().__init__()
        self.appends_left: int | None = None
        self.entry_kept = False

    def append(self, entry: Entry) -> None:
        if self.appends_left == 0 and not self.entry_kept:
            raise StorageError
        super().append(entry)
        if self.appends_left == 0:
            raise StorageError
        if self.appends_left is not None:
            self.appends_left -= 1


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = DiskThatFills()
        self.drawn: Counter[float] = Counter()
        self.largest_budget = 0.0
        self.ever_yearly = False
        self.now = datetime(2026, 1, 31, tzinfo=UTC)
        self.restart()

    def restart(self) -> None:
        self.log.appends_left = None
        self.ledger = PrivacyLedger(self.log, lambda: self.now)

    def spends(self) -> list[tuple[datetime, float]]:
        return [
            (datetime.fromisoformat(str(entry["at"])), float(str(entry["noise_multiplier"])))
            for entry in self.log.entries()
            if entry["type"] == "spend"
        ]

    def booked(self) -> Counter[float]:
        return Counter(z for _, z in self.spends())

    def squares(self, *, until: datetime | None = None, within: timedelta | None = None) -> float:
        """The sum of mu² that is booked, in all or within the time that ends then."""
        until = until or self.now
        return squares_of(z for at, z in self.spends() if at <= until and (within is None or at > until - within))

    def budget(self) -> tuple[float, timedelta | None]:
        """The budget's mu, and its period."""
        budgets = [entry for entry in self.log.entries() if entry["type"] == "budget"]
        if not budgets:
            return 0.0, None
        period = YEAR if budgets[-1]["period"] == "year" else None
        return mu_of(float(str(budgets[-1]["epsilon"])), 1e-6), period

    @initialize(epsilon=epsilons, period=periods)
    def first_budget(self, epsilon: float, period: Period) -> None:
        self.set_budget(epsilon, period)

    @rule(epsilon=epsilons, period=periods)
    def set_budget(self, epsilon: float, period: Period) -> None:
        self.ledger.set_budget(PrivacyBudget(epsilon=epsilon, delta=1e-6, period=period))
        self.is_budget(epsilon, period)

    def is_budget(self, epsilon: float, period: Period) -> None:
        self.largest_budget = max(self.largest_budget, mu_of(epsilon, 1e-6))
        self.ever_yearly |= period is Period.YEAR

    @rule(days=st.sampled_from([0.5, 100, 365.5, 366, 1000]))
    def time_goes_by(self, days: float) -> None:
        self.now += timedelta(days=days)

    @rule(noise_multipliers=multipliers)
    def book(self, noise_multipliers: list[float]) -> None:
        before = self.log.entries()
        budget, period = self.budget()
        needed = self.squares(within=period) + squares_of(noise_multipliers)
        refusal = ""
        try:
            self.ledger.book(spends_of(noise_multipliers))
        except BudgetExceededError as refused:
            refusal = str(refused)
        if refusal:
            assert needed > budget**2 * (1 - ROUNDING)
            assert self.log.entries() == before
            fits_alone = squares_of(noise_multipliers) <= budget**2 * (1 + ROUNDING)
            assert ("wait until" in refusal) == (period is not None and fits_alone)
        else:
            self.drawn.update(noise_multipliers)
            assert needed <= budget**2 * (1 + ROUNDING)

    @rule(noise_multipliers=multipliers, appends_left=st.integers(0, 2), entry_kept=st.booleans())
    def crash_while_booking(self, noise_multipliers: list[float], appends_left: int, entry_kept: bool) -> None:
        self.log.appends_left, self.log.entry_kept = appends_left, entry_kept
        try:
            self.ledger.book(spends_of(noise_multipliers))
        except (BudgetExceededError, StorageError):
            pass  # nothing is drawn after a failure
        else:
            self.drawn.update(noise_multipliers)
        self.restart()

    @rule(epsilon=epsilons, period=periods, entry_kept=st.booleans())
    def crash_while_setting_the_budget(self, epsilon: float, period: Period, entry_kept: bool) -> None:
        self.log.appends_left, self.log.entry_kept = 0, entry_kept
        with pytest.raises(StorageError):
            self.ledger.set_budget(PrivacyBudget(epsilon=epsilon, delta=1e-6, period=period))
        if entry_kept:
            self.is_budget(epsilon, period)
        self.restart()

    @invariant()
    def everything_drawn_is_booked(self) -> None:
        assert self.drawn <= self.booked()

    @invariant()
    def the_summary_is_what_the_entries_add_up_to(self) -> None:
        summary = self.ledger.summary()
        budget, period = self.budget()
        assert summary.mu_budget == pytest.approx(budget)
        assert summary.mu_spent**2 == pytest.approx(self.squares(within=period))
        assert summary.spent_in_all.mu**2 == pytest.approx(self.squares())

    @invariant()
    def no_more_is_spent_within_any_year_than_was_ever_allowed(self) -> None:
        for until, _ in self.spends():
            assert self.squares(until=until, within=YEAR) <= self.largest_budget**2 * (1 + ROUNDING)

    @invariant()
    def under_a_budget_for_the_lifetime_no_more_is_spent_in_all(self) -> None:
        if not self.ever_yearly:
            assert self.squares() <= self.largest_budget**2 * (1 + ROUNDING)

    @invariant()
    def the_chain_holds(self) -> None:
        verify_chain(self.log.entries())


def squares_of(noise_multipliers: Iterable[float]) -> float:
    return sum(COUNT / z**2 if z else math.inf for z in noise_multipliers)


def spends_of(noise_multipliers: list[float]) -> list[PrivacySpend]:
    return [
        PrivacySpend(purpose="train", statistic="gram", sensitivity=1.0, noise_multiplier=z, sum_id="sum", count=COUNT)
        for z in noise_multipliers
    ]


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=30, stateful_step_count=15)


class ForgetsToBook(PrivacyLedger):
    """A broken twin: the last spend is checked and not booked."""

    def book(self, spends: Sequence[PrivacySpend]) -> None:
        self.require(spends)
        super().book(spends[:-1])


def short_year(broken: pytest.MonkeyPatch) -> None:
    broken.setitem(PERIOD_DAYS, Period.YEAR, 365)


def one_of_each(broken: pytest.MonkeyPatch) -> None:
    broken.setattr(ledger, "Event", lambda z, q, _: Event(z, q, 1))


def forgetful(broken: pytest.MonkeyPatch) -> None:
    broken.setattr(f"{__name__}.PrivacyLedger", ForgetsToBook)


def boundless(broken: pytest.MonkeyPatch) -> None:
    broken.setattr(Loss, "fits", lambda *_: True)


@pytest.mark.parametrize("twin", [short_year, one_of_each, forgetful, boundless])
def test_a_broken_twin_of_the_ledger_is_found(
    monkeypatch: pytest.MonkeyPatch, twin: Callable[[pytest.MonkeyPatch], None]
) -> None:
    # It ends with the first that is found; which one that is depends on the modules that happen to be imported.
    generated = settings(max_examples=2000, stateful_step_count=15, derandomize=True, database=None)
    with monkeypatch.context() as broken:
        twin(broken)
        with pytest.raises(AssertionError):
            run_state_machine_as_test(LedgerMachine, settings=settings(generated, phases=[Phase.generate]))
