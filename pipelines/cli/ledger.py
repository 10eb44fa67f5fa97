"""Commands about the privacy budget: what was spent, what is left, and what a schedule may spend."""

import math
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipelines.cli import options
from pipelines.console import console, print_json, print_table, status_console
from recsys.types import Json, Period, PrivacyBudget

if TYPE_CHECKING:
    from recsys.evidence.chain import Entry
    from recsys.privacy.ledger import LedgerSummary
    from recsys.privacy.schedule import Schedule

YEARS = (1, 2, 5, 10)
"""For how long somebody may be a customer: what a yearly budget comes to is printed for these."""
PATH_LENGTHS = (2.0, 3.0)
"""2: a customer's term comes, stays as it is, and goes. 3: on its way it moves as far as it is long."""
MOST_COMPARED = 1000
"""Releases of which the matrix mechanisms are computed: a second's work."""

Per = Annotated[
    Period, typer.Option("--per", help="lifetime: one budget for ever. year: one for any 366 days; N years, N budgets.")
]

ledger = typer.Typer(
    help="Show the privacy budget: what was spent on what, and what is left.", invoke_without_command=True
)


@ledger.callback()
def show(context: typer.Context, *, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """Show the privacy budget: what was spent on what, and what is left."""
    if context.invoked_subcommand is not None:
        return
    from recsys.privacy.accounting import epsilon_of

    summary = _summary(state_dir)
    if as_json:
        print_json(_as_json(summary))
        return
    if summary.budget is None:
        status_console.print(
            "no budget is set and nothing was released; the first training sets one: privrec train --epsilon 4"
        )
        return
    _print_releases(summary, summary.budget)
    left = epsilon_of(summary.mu_left, summary.budget.delta)
    console.print(
        f"budget epsilon={summary.budget.epsilon:g} at delta={summary.budget.delta:g}, per "
        f"{summary.budget.unit}, add or remove one{_within(summary.budget)}; "
        f"spent [bold]{summary.epsilon_spent:.3f}[/bold]; one more release of up to {left:.3f} fits "
        "(Gaussian releases compose by squares, so these do not add up)"
    )
    if summary.budget.period is not Period.LIFETIME:
        _print_years(summary, summary.budget)
    if summary.trainings_left is not None:
        console.print(f"trainings left like the last one, weekly ones say: {summary.trainings_left}")
    if summary.releases_left is not None:
        console.print(f"releases left like the last one, erasures say: {summary.releases_left}")


@ledger.command("verify")
def verify_ledger(
    *,
    head: Annotated[
        str, typer.Option("--head", help="A head that was printed before and kept elsewhere: a cut-off end is found.")
    ] = "",
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Check the hash chain of the ledger. Exit code 5 if an entry was changed, dropped or put between.

    A chain whose end was cut off is a chain. Keep the printed head elsewhere, and hand it in the next time.
    """
    from recsys.evidence import chain
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        entries = workspace.ledger_log.entries()
    chain.verify_chain(entries)
    since = chain.entries_since(entries, head.strip().lower()) if head else None
    if as_json:
        print_json({"valid": True, "entries": len(entries), "head": chain.head(entries), "entries_since_head": since})
        return
    console.print(f"[bold green]valid[/bold green]: {len(entries)} entries, head {chain.head(entries)}")
    if since is not None:
        console.print(f"nothing was cut off: {since} entries follow the head that you kept")


@ledger.command("budget")
def set_budget(
    *,
    epsilon: options.Epsilon,
    delta: options.Delta = 1e-6,
    per: Per = Period.LIFETIME,
    note: Annotated[str, typer.Option(help="Who decided, and why: it stays in the chain.")] = "",
    state_dir: options.StateDir = None,
) -> None:
    """Set the total that all releases may cost together, for ever or per year. The old one stays visible in the chain.

    A yearly budget bounds any 366 days on end. It is a weaker promise than a budget for the lifetime: over N years a
    customer is bounded by N budgets composed.
    """
    from recsys.privacy.ledger import PrivacyLedger
    from recsys.store.workspace import open_workspace

    budget = PrivacyBudget(epsilon=epsilon, delta=delta, period=per)
    with open_workspace(options.settings(state_dir), start_cache=False) as workspace:
        PrivacyLedger(workspace.ledger_log, workspace.clock).set_budget(budget, note=note)
    console.print(f"the budget is epsilon={epsilon:g} at delta={delta:g}{_within(budget)} now")
    if per is not Period.LIFETIME:
        console.print(_years(budget))


@ledger.command("plan")
def plan(
    *,
    every: Annotated[str, typer.Option(help="One training every so often: 1d, 1w, 2w, ...")] = "1w",
    during: Annotated[str, typer.Option("--for", help="For how long: 1y (366 days), 26w, ...")] = "1y",
    epsilon: Annotated[
        float | None,
        typer.Option(help="The budget to plan, as yet unspent.  [default: what the ledger has left]"),
    ] = None,
    delta: options.Delta = 1e-6,
    per: Per = Period.YEAR,
    extra: Annotated[
        int, typer.Option(min=0, help="Releases beside the trainings to keep room for, within a period: erasures.")
    ] = 0,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Plan a year of trainings: what each may cost, with the commands; and what other mechanisms would make of it.

    --delta and --per go with --epsilon; without it the ledger's own are taken. Nothing is booked. The noise is that
    of a training without --attributes: with them it costs the same epsilon, divided among more statistics.
    """
    from recsys.privacy.schedule import Schedule, days_of

    days = {"every_days": days_of(every), "for_days": days_of(during), "extra": extra}
    budget = _left(state_dir) if epsilon is None else PrivacyBudget(epsilon=epsilon, delta=delta, period=per)
    schedule = Schedule(budget=budget, **days)
    commands = [*([] if epsilon is None else [_budget_command(budget)]), _train_command(schedule)]
    if as_json:
        print_json({**_plan_json(schedule), "commands": list[Json](commands)})
    else:
        _print_plan(schedule, commands, whole=epsilon is not None)


def _summary(state_dir: options.StateDir) -> "LedgerSummary":
    from recsys.privacy.ledger import PrivacyLedger
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        return PrivacyLedger(workspace.ledger_log, workspace.clock).summary()


def _as_json(summary: "LedgerSummary") -> Json:
    from recsys.privacy.accounting import epsilon_of
    from recsys.privacy.ledger import epsilon_json, years_epsilon

    budget = summary.budget
    left = epsilon_of(summary.mu_left, budget.delta) if budget else 0
    yearly = budget if budget and budget.period is not Period.LIFETIME else None
    return {
        "budget": {**asdict(budget), "epsilon": epsilon_json(budget.epsilon)} if budget else None,
        "epsilon_spent": epsilon_json(summary.epsilon_spent) if budget else 0,
        "epsilon_left": epsilon_json(left),
        "epsilon_in_all": epsilon_json(summary.epsilon_in_all) if budget else 0,
        "epsilon_of_years": {str(n): epsilon_json(years_epsilon(yearly, n)) for n in YEARS} if yearly else {},
        "trainings_left": summary.trainings_left,
        "releases_left": summary.releases_left,
        "entries": list(summary.entries),
    }


def _print_releases(summary: "LedgerSummary", budget: PrivacyBudget) -> None:
    """Each release, and below what was spent on what."""
    spends = [entry for entry in summary.entries if entry["type"] == "spend"]
    rows = [
        (
            entry["at"],
            entry["purpose"],
            entry["statistic"],
            f"{entry['noise_multiplier']:.3f}",
            _times(entry),
            _epsilon([entry], budget.delta),
        )
        for entry in spends
    ]
    print_table(
        "Releases", ["when", "purpose", "statistic", "noise multiplier", "releases", "epsilon alone"], rows, left=3
    )
    kinds: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in spends:
        kinds[str(entry["purpose"]), str(entry["statistic"])].append(entry)
    running = {entry["index"] for entry in summary.running}
    yearly = budget.period is not Period.LIFETIME
    totals = []
    for kind, booked in kinds.items():
        of_the_year = [entry for entry in booked if entry["index"] in running]
        totals.append(
            (*kind, *(_epsilon(part, budget.delta) for part in ([of_the_year, booked] if yearly else [booked])))
        )
    columns = ["epsilon in the last 366 days", "epsilon in all"] if yearly else ["epsilon"]
    print_table("Spent on", ["purpose", "statistic", *columns], totals, left=2)


def _print_years(summary: "LedgerSummary", budget: PrivacyBudget) -> None:
    from recsys.clock import isoformat
    from recsys.privacy.ledger import leaves_on

    console.print(f"spent in all, since the first release: epsilon={_number(summary.epsilon_in_all)}")
    leaving = leaves_on(summary)
    if leaving is not None:
        console.print(f"the oldest release of the last 366 days leaves them at {isoformat(leaving)}")
    console.print(_years(budget))


def _years(budget: PrivacyBudget) -> str:
    """What a yearly budget promises over the years, in plain words."""
    from recsys.privacy.ledger import years_epsilon

    sums = ", ".join(f"{n} years {_number(years_epsilon(budget, n))}" for n in YEARS if n > 1)
    return (
        "that is a promise about any 366 days; who is a customer for longer is bounded by the budgets of all their "
        f"years composed: epsilon at delta={budget.delta:g} for {sums}"
    )


def _within(budget: PrivacyBudget) -> str:
    return "" if budget.period is Period.LIFETIME else ", within any 366 days"


def _times(entry: "Entry") -> str:
    """How many releases the entry is of, and on what share of the customers."""
    count, sampled = entry.get("count", 1), cast("float", entry.get("sampling_probability", 1.0))
    return f"{count}" if sampled == 1 else f"{count} of {sampled:.4g} each"


def _epsilon(entries: "list[Entry]", delta: float) -> str:
    from recsys.privacy.ledger import loss_of

    return _number(loss_of(entries).epsilon(delta))


def _number(epsilon: float) -> str:
    return "infinite" if math.isinf(epsilon) else f"{epsilon:.3f}"


def _left(state_dir: options.StateDir) -> PrivacyBudget:
    """What the ledger has left, as a budget to plan with."""
    from recsys.errors import BudgetExceededError
    from recsys.privacy.accounting import epsilon_of
    from recsys.privacy.schedule import rounded_down

    summary = _summary(state_dir)
    if summary.budget is None or not summary.mu_left:
        msg = (
            "expected a budget with something left to plan, got a ledger without; "
            "plan one that is not set yet: privrec ledger plan --epsilon 8"
        )
        raise BudgetExceededError(msg)
    if not summary.mu_spent:
        return summary.budget
    left = epsilon_of(summary.mu_left, summary.budget.delta)
    return PrivacyBudget(
        epsilon=rounded_down(left) if math.isfinite(left) else left,
        delta=summary.budget.delta,
        period=summary.budget.period,
    )


def _budget_command(budget: PrivacyBudget) -> str:
    return f"privrec ledger budget --epsilon {budget.epsilon:g} --delta {budget.delta:g} --per {budget.period.value}"


def _train_command(schedule: "Schedule") -> str:
    return f"privrec train --epsilon {schedule.epsilon:g} --delta {schedule.budget.delta:g}"


def _statistics(schedule: "Schedule") -> dict[str, float]:
    """The noise multiplier of each statistic that a planned training releases."""
    from recsys.training.terms import Terms, TrainConfig

    terms = Terms.under(TrainConfig(epsilon=schedule.epsilon, delta=schedule.budget.delta))
    return {spend.statistic: spend.noise_multiplier for spend in terms.first_spends("")}


def _noise(schedule: "Schedule") -> dict[str, dict[str, float]]:
    """Standard deviations of the noise in the released Gram, by mechanism: first, mean and largest of the releases."""
    from recsys.privacy.schedule import plain_standard_deviation, toeplitz, tree

    multiplier = _statistics(schedule)["gram"]
    if not multiplier or schedule.releases > MOST_COMPARED:
        return {}
    mu = math.sqrt(schedule.releases) / multiplier
    plain = plain_standard_deviation(schedule.releases, mu)
    found = {"plain": {"first": plain, "mean": plain, "largest": plain}}
    for name, strategy in (("tree", tree(schedule.releases)), ("toeplitz", toeplitz(schedule.releases))):
        for length in PATH_LENGTHS:
            deviations = strategy.standard_deviations(mu, length)
            found[f"{name}, path {length:g}"] = {
                "first": float(deviations[0]),
                "mean": float(deviations.mean()),
                "largest": float(deviations.max()),
            }
    return found


def _plan_json(schedule: "Schedule") -> dict[str, Json]:
    from recsys.privacy.ledger import epsilon_json

    return {
        "budget": {**asdict(schedule.budget), "epsilon": epsilon_json(schedule.budget.epsilon)},
        "every_days": schedule.every_days,
        "for_days": schedule.for_days,
        "trainings": schedule.trainings,
        "extra": schedule.extra,
        "epsilon_of_one": epsilon_json(schedule.epsilon),
        "noise_multipliers": dict[str, Json](_statistics(schedule)),
        "noise_in_the_gram": {name: dict[str, Json](found) for name, found in _noise(schedule).items()},
    }


def _print_plan(schedule: "Schedule", commands: list[str], *, whole: bool) -> None:
    budget, n = schedule.budget, schedule.releases
    left = "" if whole else " (what is left now)"
    console.print(
        f"{schedule.trainings} trainings, one every {schedule.every_days} days, and {schedule.extra} releases beside "
        f"them, under epsilon={budget.epsilon:g} at delta={budget.delta:g}{_within(budget)}{left}: "
        f"each may cost epsilon={schedule.epsilon:g}"
    )
    marks = sorted({1, *(math.ceil(n * share) for share in (0.25, 0.5, 0.75, 1))})
    spent = [(mark, _number(schedule.epsilon_after(mark))) for mark in marks]
    print_table("Spent by then", ["release", "epsilon"], spent)
    multipliers = [(name, f"{value:.3f}") for name, value in _statistics(schedule).items()]
    print_table("Each training", ["statistic", "noise multiplier"], multipliers)
    _print_noise(_noise(schedule))
    for command, when in zip(commands, ["once", f"every {schedule.every_days} days"][-len(commands) :], strict=True):
        console.out(f"{command}    # {when}", highlight=False)


def _print_noise(noise: dict[str, dict[str, float]]) -> None:
    """The mechanisms beside each other, and what each assumes."""
    if not noise:
        return
    rows = [(name, *(f"{value:.2f}" for value in found.values())) for name, found in noise.items()]
    print_table("Noise in the released Gram, in customers", ["mechanism", "first", "mean", "largest"], rows)
    console.print(
        "plain: every training measures the whole sum anew, and a customer's term may change in any way. This is what "
        "privrec train does.\n"
        "tree, toeplitz: only what is new is measured, so a customer's term may move no further than the path, coming "
        "and going counted (2: it stays as it came; 3: it moves as far as it is long). They are compared here; no "
        "command uses them (docs/decisions/0008)."
    )
