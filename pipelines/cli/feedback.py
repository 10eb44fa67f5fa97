"""Commands for feedback: what became of the lists of each version."""

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import options
from pipelines.console import console, print_json, print_table
from recsys.types import Json

if TYPE_CHECKING:
    from recsys.evaluation.proportions import Difference, Share
    from recsys.serving.feedback import Comparison, VersionRates

NOT_PRIVATE = "internal, not private: exact numbers of lists; do not publish them"

feedback = typer.Typer(help="Show what became of the lists that were shown, by model version.", no_args_is_help=True)

Since = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Only lists that were made on this day (UTC) or later.  [default: all]"),
]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="As in `privrec models`.")]


@feedback.command("rates")
def rates(*, since: Since = None, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """Of the lists that were shown, the shares that led to a click and to a purchase, with 95 % intervals.

    Exact, and so for the operator alone. The intervals take lists to be independent.
    """
    from recsys.serving.feedback import version_rates
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        found = version_rates(workspace.feedback, workspace.registry, **_days(since))
    if as_json:
        documents: list[Json] = [asdict(each) for each in found]
        print_json({"versions": documents, "note": NOT_PRIVATE})
        return
    columns = ["version", "shown", "clicked", "share", "95 %", "bought", "share", "95 %"]
    print_table("Lists", columns, [_cells(each) for each in found])
    console.print(f"[dim]These figures are {NOT_PRIVATE}.[/dim]")


@feedback.command("compare")
def compare(
    first: Version,
    second: Version,
    *,
    since: Since = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """By how much the second version's shares are above the first's, with 95 % intervals.

    It means something if chance alone decided whose list came from which version, and if the day of the comparison was
    fixed before.
    """
    from recsys.serving import feedback as serving
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        found = serving.compare(first, second, feedback=workspace.feedback, registry=workspace.registry, **_days(since))
    if as_json:
        print_json(_comparison_json(found))
        return
    rows = [("clicked", *_difference(found.clicked)), ("bought", *_difference(found.bought))]
    print_table("Second less first", ["share of lists", "difference", "95 %", "clear"], rows)
    console.print(f"[dim]These figures are {NOT_PRIVATE}.[/dim]")


def _days(since: datetime | None) -> dict[str, date]:
    return {} if since is None else {"since": since.date()}


def _comparison_json(found: "Comparison") -> dict[str, Json]:
    clear = {"clicked": found.clicked.clear, "bought": found.bought.clear}
    return {**asdict(found), "clear": dict[str, Json](clear), "note": NOT_PRIVATE}


def _cells(found: "VersionRates") -> tuple[object, ...]:
    totals = found.totals
    return (
        found.version,
        totals.lists_shown,
        totals.lists_clicked,
        *_share(found.clicked),
        totals.lists_bought,
        *_share(found.bought),
    )


def _share(found: "Share") -> tuple[str, str]:
    return _number(found.value), f"{found.low:.4f}-{found.high:.4f}"


def _difference(found: "Difference") -> tuple[str, str, str]:
    return _number(found.value), f"{found.low:+.4f} to {found.high:+.4f}", "yes" if found.clear else "no"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
