"""The command that looks for planted profiles."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import options
from pipelines.console import NOT_PRIVATE, console, print_json, print_table, status_console

if TYPE_CHECKING:
    from recsys.types import Json


def influence(
    items: Annotated[list[str], typer.Argument(metavar="ITEM...", help="Items that are shown oddly often.")],
    *,
    top: Annotated[int, typer.Option(min=1, help="How many customers to name.")] = 20,
    output: Annotated[Path | None, typer.Option(help="Write them to this .csv file.")] = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Name the customers whose purchases raise the mean score of these items most: planted profiles, or loyal buyers.

    Look before you erase: privrec erase --handles FILE --reason poisoning. A handle names a customer to this
    installation alone. The figures are exact: for the operator, not to be published.
    """
    from pipelines.influence import most_influential
    from recsys.store.workspace import open_workspace

    with (
        open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace,
        status_console.status("weighing every customer"),
    ):
        found = most_influential(workspace, items, top)
    if output is not None:
        lines = ["handle,influence,items", *(f"{each.handle},{each.influence:.6g},{each.items}" for each in found)]
        options.write(output, ("\n".join(lines) + "\n").encode(), hint="check the directory and its permissions")
    if as_json:
        customers: list[Json] = [asdict(each) for each in found]
        print_json({"customers": customers, "counted": NOT_PRIVATE})
        return
    rows = [(each.handle, f"{each.influence:.3%}", str(each.items)) for each in found]
    print_table("Whose purchases raise these items most", ["handle", "of all influence", "items bought"], rows)
    console.print(f"[dim]These figures are {NOT_PRIVATE}.[/dim]")
