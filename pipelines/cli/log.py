"""Commands for the log of receipts."""

from typing import Annotated

import typer

from pipelines.cli import options
from pipelines.console import console, print_json

log = typer.Typer(
    help="The append-only log of erasure receipts: what to hand to an auditor.",
    no_args_is_help=True,
)


@log.command("checkpoint")
def checkpoint(*, state_dir: options.StateDir = None) -> None:
    """Print the latest signed checkpoint, for whoever keeps it: privrec verify compares the log with it later.

    Exit code 5 if the database was changed so that its hashes no longer lead to what was signed.
    """
    from recsys.erasure.receipt_log import latest_checkpoint
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        note = latest_checkpoint(workspace.receipt_log, workspace.signing_key)
    console.out(note, end="", highlight=False)


@log.command("consistency")
def consistency(
    *,
    old: Annotated[int, typer.Option("--from", min=0, help="The size of the older checkpoint, its second line.")],
    new: Annotated[
        int | None, typer.Option("--to", min=0, help="That of the newer one.  [default: of the latest]")
    ] = None,
    state_dir: options.StateDir = None,
) -> None:
    """Print the proof that the log of one size is the beginning of that of another, as JSON."""
    from recsys.erasure.receipt_log import consistency as proof
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        print_json(proof(workspace.receipt_log, old, new))
