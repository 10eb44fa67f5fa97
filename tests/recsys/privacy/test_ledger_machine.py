"""Whatever happens in whatever order, the ledger never says less than what was drawn, and never goes over budget."""

import math
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recsys.errors import BudgetExceededError, StorageError
from recsys.evidence.chain import Entry, verify_chain
from recsys.privacy.accounting import mu_of
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.memory import MemoryLedgerLog
from recsys.types import PrivacyBudget, PrivacySpend

ROUNDING = 1e-8
epsilons = st.sampled_from([1.0, 4.0, 4.0, 8.0, 8.0, math.inf])
multipliers = st.lists(st.sampled_from([1.5, 2.0, 3.0, 3.0, 10.0, 0.7, 0.0]), min_size=1, max_size=2)


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
        self.restart()

    def restart(self) -> None:
        self.log.appends_left = None
        self.ledger = PrivacyLedger(self.log, lambda: datetime(2026, 1, 31, tzinfo=UTC))

    def booked(self) -> Counter[float]:
        return Counter(
            float(str(entry["noise_multiplier"])) for entry in self.log.entries() if entry["type"] == "spend"
        )

    def mu_booked(self) -> float:
        return math.sqrt(sum(count / z**2 if z else math.inf for z, count in self.booked().items()))

    def budget(self) -> float:
        epsilons = [entry["epsilon"] for entry in self.log.entries() if entry["type"] == "budget"]
        return mu_of(float(str(epsilons[-1])), 1e-6) if epsilons else 0.0

    @initialize(epsilon=epsilons)
    def first_budget(self, epsilon: float) -> None:
        self.set_budget(epsilon)

    @rule(epsilon=epsilons)
    def set_budget(self, epsilon: float) -> None:
        self.ledger.set_budget(PrivacyBudget(epsilon=epsilon, delta=1e-6))
        self.largest_budget = max(self.largest_budget, mu_of(epsilon, 1e-6))

    @rule(noise_multipliers=multipliers)
    def book(self, noise_multipliers: list[float]) -> None:
        before = self.log.entries()
        needed = self.mu_booked() ** 2 + sum(1 / z**2 if z else math.inf for z in noise_multipliers)
        try:
            self.ledger.book(spends_of(noise_multipliers))
        except BudgetExceededError:
            assert needed > self.budget() ** 2 * (1 - ROUNDING)
            assert self.log.entries() == before
        else:
            self.drawn.update(noise_multipliers)
            assert needed <= self.budget() ** 2 * (1 + ROUNDING)

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

    @rule(epsilon=epsilons, entry_kept=st.booleans())
    def crash_while_setting_the_budget(self, epsilon: float, entry_kept: bool) -> None:
        self.log.appends_left, self.log.entry_kept = 0, entry_kept
        with pytest.raises(StorageError):
            self.ledger.set_budget(PrivacyBudget(epsilon=epsilon, delta=1e-6))
        if entry_kept:
            self.largest_budget = max(self.largest_budget, mu_of(epsilon, 1e-6))
        self.restart()

    @invariant()
    def everything_drawn_is_booked(self) -> None:
        assert self.drawn <= self.booked()

    @invariant()
    def the_summary_is_what_the_entries_add_up_to(self) -> None:
        summary = self.ledger.summary()
        assert summary.mu_spent == pytest.approx(self.mu_booked())
        assert summary.mu_budget == pytest.approx(self.budget())

    @invariant()
    def no_more_is_spent_than_was_ever_allowed(self) -> None:
        assert self.mu_booked() <= self.largest_budget * (1 + ROUNDING)

    @invariant()
    def the_chain_holds(self) -> None:
        verify_chain(self.log.entries())


def spends_of(noise_multipliers: list[float]) -> list[PrivacySpend]:
    return [
        PrivacySpend(purpose="train", statistic="gram", sensitivity=1.0, noise_multiplier=z, sum_id="sum")
        for z in noise_multipliers
    ]


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=20, stateful_step_count=12)
