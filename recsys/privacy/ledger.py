"""The privacy ledger: what was promised, what was spent, chained by hashes, booked before any noise is drawn.

Rules:
    1. The first entry sets the total budget. A later budget entry replaces the total, and stays visible in the chain.
    2. A spend is appended before its noise is drawn, and is never taken back: a crash in between leaves it booked.
    3. A spend that would take the total over budget is refused and nothing is appended.
    4. A spend without noise costs an infinite epsilon.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from recsys.clock import Clock, isoformat
from recsys.errors import BudgetExceededError
from recsys.evidence.chain import Entry, link, verify_chain
from recsys.privacy.accounting import check_parameters, compose, epsilon_of, mu_of
from recsys.types import Json, PrivacyBudget, PrivacySpend

ROUNDING = 1e-9
"""Relative slack on mu, for the rounding of floats alone."""


class Log(Protocol):
    """Where the entries are kept; `recsys.ports.LedgerLog` tells more."""

    def entries(self) -> list[Entry]:
        """Every entry, oldest first."""

    def append(self, entry: Entry) -> None:
        """Append the entry durably."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerSummary:
    """Where the budget stands. Epsilons are at the budget's delta."""

    budget: PrivacyBudget | None
    mu_budget: float
    mu_spent: float
    epsilon_spent: float
    mu_left: float
    """The mu of the one release that would use up the budget."""
    entries: tuple[Entry, ...]

    @property
    def releases_left(self) -> int | None:
        """How many more releases with the noise of the last one fit, weekly ones say; None before the first."""
        last = next((entry for entry in reversed(self.entries) if entry["type"] == "spend"), None)
        if last is None or math.isinf(self.mu_left):
            return None
        return math.floor((self.mu_left * cast("float", last["noise_multiplier"])) ** 2 * (1 + ROUNDING) + ROUNDING)


def epsilon_json(epsilon: float) -> Json:
    """The number, or the word `infinity`, which JSON has no number for."""
    return "infinity" if math.isinf(epsilon) else epsilon


class PrivacyLedger:
    """The budget of one installation, kept in a log."""

    def __init__(self, log: Log, clock: Clock) -> None:
        """A ledger over this log."""
        self._log = log
        self._clock = clock

    def set_budget(self, budget: PrivacyBudget, *, note: str = "") -> None:
        """Set the total that all releases together may cost.

        Raises:
            PrivacyParameterError: the budget makes no promise.
        """
        check_parameters(budget.epsilon, budget.delta)
        self._append(
            self.summary().entries,
            {
                "type": "budget",
                "epsilon": epsilon_json(budget.epsilon),
                "delta": budget.delta,
                "unit": budget.unit,
                "neighboring_relation": budget.neighboring_relation,
                "note": note,
            },
        )

    def book(self, spends: Sequence[PrivacySpend]) -> None:
        """Append the spends, all or (over budget) none. Draw the noise after this returns.

        Every spend is linked to the entries that it was checked against, so what another process books meanwhile is not
        overlooked: the log refuses the spend.

        Raises:
            BudgetExceededError: no budget is set, or too little is left of it.
            LedgerTamperedError: the chain does not hold.
            StateError: another process appended meanwhile; book again. What was appended before that stays booked.
        """
        entries = self.require(spends).entries
        for spend in spends:
            entries = self._append(
                entries,
                {
                    "type": "spend",
                    "purpose": spend.purpose,
                    "statistic": spend.statistic,
                    "mechanism": "gaussian" if spend.noise_multiplier else "none",
                    "noise_multiplier": spend.noise_multiplier,
                    "sensitivity": spend.sensitivity,
                    "sum_id": spend.sum_id,
                },
            )

    def require(self, spends: Sequence[PrivacySpend]) -> LedgerSummary:
        """Where the budget stands before the spends, if they fit into what is left.

        Raises:
            BudgetExceededError: no budget is set, or too little is left of it.
            LedgerTamperedError: the chain does not hold.
        """
        summary = self.summary()
        if summary.budget is None:
            msg = "expected a privacy budget, the ledger has none; set one: privrec ledger budget --epsilon 4"
            raise BudgetExceededError(msg)
        needed = compose(spend.noise_multiplier for spend in spends)
        if math.hypot(needed, summary.mu_spent) > summary.mu_budget * (1 + ROUNDING):
            delta = summary.budget.delta
            msg = (
                f"expected a release that fits the budget, got one of epsilon={epsilon_of(needed, delta):.3g} where "
                f"epsilon={epsilon_of(summary.mu_left, delta):.3g} is left of {summary.budget.epsilon:g} "
                f"(delta={delta:g}); nothing was drawn: plan more releases from the start (--releases), serve the "
                "present model on, or raise the budget by a recorded decision: privrec ledger budget"
            )
            raise BudgetExceededError(msg)
        return summary

    def summary(self) -> LedgerSummary:
        """Where the budget stands, from a chain that was verified.

        Raises:
            LedgerTamperedError: the chain does not hold.
        """
        entries = self._log.entries()
        verify_chain(entries)
        budget = next((_budget(entry) for entry in reversed(entries) if entry["type"] == "budget"), None)
        spent = compose(cast("float", entry["noise_multiplier"]) for entry in entries if entry["type"] == "spend")
        total = mu_of(budget.epsilon, budget.delta) if budget else 0.0
        return LedgerSummary(
            budget=budget,
            mu_budget=total,
            mu_spent=spent,
            epsilon_spent=epsilon_of(spent, budget.delta) if budget else 0.0,
            mu_left=math.inf if math.isinf(total) else math.sqrt(max(0.0, total**2 - spent**2)),
            entries=tuple(entries),
        )

    def _append(self, entries: tuple[Entry, ...], body: dict[str, Json]) -> tuple[Entry, ...]:
        entry = link(entries, {**body, "at": isoformat(self._clock())})
        self._log.append(entry)
        return (*entries, entry)


def _budget(entry: Entry) -> PrivacyBudget:
    return PrivacyBudget(
        epsilon=float(cast("str", entry["epsilon"])), delta=cast("float", entry["delta"]), unit=str(entry["unit"])
    )
