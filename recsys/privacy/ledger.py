"""The privacy ledger: what was promised, what was spent, chained by hashes, booked before any noise is drawn.

Rules:
    1. The first entry sets the total budget. A later budget entry replaces the total, and stays visible in the chain.
    2. A spend is appended before its noise is drawn, and is never taken back: a crash in between leaves it booked.
    3. A spend that would take the running period over the budget is refused and nothing is appended.
    4. A spend without noise, or of a kind that cannot be accounted, costs an infinite epsilon.

The running period of a yearly budget is the 366 days that end now. No calendar year, and no year that starts at any
other day, ever holds more than the budget, so N years hold at most N budgets, composed. (Years that begin anew on a
fixed day would promise less: what is spent in December and in January would be two budgets within a month.)

This makes the ledger a privacy filter. Where all releases are Gaussian it holds against noise that is chosen after
seeing earlier releases (Feldman and Zrnic 2021; Koskela, Tobaben and Honkela 2023). A release on samples is accounted
for as planned: its noise, its sampling and whether it happens must not be chosen by what was released before.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, cast

from recsys.clock import Clock, isoformat
from recsys.errors import BudgetExceededError
from recsys.evidence.chain import Entry, link, verify_chain
from recsys.privacy.accounting import WITHOUT_BOUND, Event, Loss, check_parameters, epsilon_of, mu_beside, mu_of
from recsys.privacy.accounting import times_left as times_left_of
from recsys.types import Json, Period, PrivacyBudget, PrivacySpend

PERIOD_DAYS = {Period.LIFETIME: None, Period.YEAR: 366}
"""366: the longest calendar year is within one period."""
MECHANISMS = frozenset({"gaussian", "poisson_sampled_gaussian"})
"""Of the entries whose loss is known; any other counts as unbounded."""

OF_A_SUM = frozenset({"latent", "cross", "gram"})
"""Statistics that are released again, together, when a customer has been taken out of a sum."""


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
    running: tuple[Entry, ...]
    """The spends of the running period."""
    spent: Loss
    """Their loss: what counts against the budget."""
    spent_in_all: Loss
    """The loss of every release that was ever booked."""
    entries: tuple[Entry, ...]

    @property
    def mu_budget(self) -> float:
        """The mu of the one Gaussian release that uses up the whole budget."""
        return mu_of(self.budget.epsilon, self.budget.delta) if self.budget else 0.0

    @property
    def mu_spent(self) -> float:
        """The mu of the running period; an upper bound if a release was on a sample."""
        return self.spent.mu_unsampled

    @property
    def epsilon_spent(self) -> float:
        """Of the running period."""
        return self.spent.epsilon(self.budget.delta) if self.budget else 0.0

    @property
    def epsilon_in_all(self) -> float:
        """Of every release that was ever booked."""
        return self.spent_in_all.epsilon(self.budget.delta) if self.budget else 0.0

    @property
    def mu_left(self) -> float:
        """The mu of the one Gaussian release that would use up the budget."""
        return mu_beside(self.spent, self.budget.epsilon, self.budget.delta) if self.budget else 0.0

    @property
    def releases_left(self) -> int | None:
        """How many more times what was last released of a sum fits now; None before the first, and without an end."""
        spends = _spends(self.entries)
        last = [entry for entry in spends if _cause(entry) == _cause(spends[-1])]
        of_a_sum = {entry["statistic"]: entry for entry in last if entry["statistic"] in OF_A_SUM}
        return self.times_left(loss_of([*of_a_sum.values()] or spends[-1:])) if spends else None

    @property
    def trainings_left(self) -> int | None:
        """How many more trainings like the last one, with all it released, fit now; None as for `releases_left`."""
        trained = [entry for entry in _spends(self.entries) if entry["purpose"] == "train"]
        whole = [entry for entry in trained if entry["sum_id"] == trained[-1]["sum_id"]]
        return self.times_left(loss_of(whole)) if whole else None

    def times_left(self, loss: Loss) -> int | None:
        """How many times the loss fits into what is left now; None: as often as you like, or no budget."""
        if self.budget is None:
            return None
        return times_left_of(self.spent, loss, self.budget.epsilon, self.budget.delta)

    def fits_from(self, needed: Loss) -> datetime | None:
        """When enough of the running period will have gone by for the loss to fit; None: never."""
        days = PERIOD_DAYS[self.budget.period] if self.budget else None
        if self.budget is None or days is None:
            return None
        epsilon, delta = self.budget.epsilon, self.budget.delta
        spends = sorted(self.running, key=lambda entry: str(entry["at"]))

        def too_much(gone: int) -> bool:
            return not (loss_of(spends[gone:]) + needed).fits(epsilon, delta)

        # What fits beside the later spends fits beside fewer of them.
        gone = bisect_left(range(len(spends)), 1, key=lambda n: not too_much(n))
        if gone == 0 or too_much(gone):
            return None
        return datetime.fromisoformat(str(spends[gone - 1]["at"])) + timedelta(days=days)


def leaves_on(summary: LedgerSummary) -> datetime | None:
    """When the oldest spend of the running period leaves it; None: never, or there is none."""
    days = PERIOD_DAYS[summary.budget.period] if summary.budget else None
    if days is None or not summary.running:
        return None
    return datetime.fromisoformat(min(str(entry["at"]) for entry in summary.running)) + timedelta(days=days)


def epsilon_json(epsilon: float) -> Json:
    """The number, or the word `infinity`, which JSON has no number for."""
    return "infinity" if math.isinf(epsilon) else epsilon


def loss_of(spends: Iterable[Entry]) -> Loss:
    """The loss of these entries. Those of older versions have no sample and no count: one release, of everybody."""
    return Loss.of(
        Event(
            cast("float", entry["noise_multiplier"]),
            cast("float", entry.get("sampling_probability", 1.0)),
            cast("int", entry.get("count", 1)),
        )
        if entry["mechanism"] in MECHANISMS
        else WITHOUT_BOUND
        for entry in spends
    )


def years_epsilon(budget: PrivacyBudget, years: int) -> float:
    """The epsilon, at the budget's delta, of so many budgets in a row: what a yearly budget bounds over the years."""
    return Loss(mu=mu_of(budget.epsilon, budget.delta)).times(years).epsilon(budget.delta)


class PrivacyLedger:
    """The budget of one installation, kept in a log.

    Guarantees:
        - What is booked within any 366 days of a yearly budget, or ever under one for the lifetime, keeps the budget.

    Tested by: tests/recsys/privacy/test_ledger_machine.py
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        """A ledger over this log."""
        self._log = log
        self._clock = clock

    def set_budget(self, budget: PrivacyBudget, *, note: str = "") -> None:
        """Set the total that all releases of a period may cost together.

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
                "period": budget.period.value,
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
            entries = self._append(entries, _body(spend))

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
        needed = loss_of(map(_body, spends))
        if not (summary.spent + needed).fits(summary.budget.epsilon, summary.budget.delta):
            raise BudgetExceededError(_refusal(summary, summary.budget, needed))
        return summary

    def summary(self) -> LedgerSummary:
        """Where the budget stands, from a chain that was verified.

        Raises:
            LedgerTamperedError: the chain does not hold.
        """
        entries = self._log.entries()
        verify_chain(entries)
        budget = next((_budget(entry) for entry in reversed(entries) if entry["type"] == "budget"), None)
        spends = _spends(entries)
        days = PERIOD_DAYS[budget.period] if budget else None
        # One spelling of times sorts as the times do. A time that lies ahead, by whatever clock, counts.
        begin = isoformat(self._clock() - timedelta(days=days)) if days else ""
        running = tuple(entry for entry in spends if str(entry["at"]) > begin)
        return LedgerSummary(
            budget=budget,
            running=running,
            spent=loss_of(running),
            spent_in_all=loss_of(spends),
            entries=tuple(entries),
        )

    def _append(self, entries: tuple[Entry, ...], body: dict[str, Json]) -> tuple[Entry, ...]:
        entry = link(entries, {**body, "at": isoformat(self._clock())})
        self._log.append(entry)
        return (*entries, entry)


def _spends(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry["type"] == "spend"]


def _cause(entry: Entry) -> tuple[Json, Json]:
    """What the spends of one release have in common."""
    return entry["sum_id"], entry["purpose"]


def _body(spend: PrivacySpend) -> Entry:
    """The spend as an entry, before it is linked."""
    return {
        "type": "spend",
        "purpose": spend.purpose,
        "statistic": spend.statistic,
        "mechanism": _mechanism(spend),
        "noise_multiplier": spend.noise_multiplier,
        "sensitivity": spend.sensitivity,
        "sum_id": spend.sum_id,
        "sampling_probability": spend.sampling_probability,
        "count": spend.count,
    }


def _mechanism(spend: PrivacySpend) -> str:
    if not spend.noise_multiplier:
        return "none"
    return "gaussian" if spend.sampling_probability == 1 else "poisson_sampled_gaussian"


def _refusal(summary: LedgerSummary, budget: PrivacyBudget, needed: Loss) -> str:
    """What was asked for, what is left, and the ways out."""
    delta, left = budget.delta, summary.mu_left
    fits_from = summary.fits_from(needed)
    within = "" if budget.period is Period.LIFETIME else f" in any {PERIOD_DAYS[budget.period]} days"
    ways = [
        *([f"wait until {isoformat(fits_from)}, from when on it fits"] if fits_from else []),
        *([f"release with a noise multiplier of at least {1 / left:.4g}"] if left else []),
        "plan more releases from the start (privrec ledger plan)",
        "serve the present model on",
        "or raise the budget by a recorded decision: privrec ledger budget",
    ]
    return (
        f"expected a release that fits the budget, got one of epsilon={needed.epsilon(delta):.3g} where "
        f"epsilon={epsilon_of(left, delta):.3g} is left of {budget.epsilon:g}{within} (delta={delta:g}); "
        f"nothing was drawn: {', '.join(ways)}"
    )


def _budget(entry: Entry) -> PrivacyBudget:
    return PrivacyBudget(
        epsilon=float(cast("str", entry["epsilon"])),
        delta=cast("float", entry["delta"]),
        unit=str(entry["unit"]),
        period=Period(str(entry.get("period", Period.LIFETIME))),
    )
