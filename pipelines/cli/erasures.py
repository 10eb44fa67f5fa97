"""Commands that follow erasures: the clock, what is stuck, and what can still be changed."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import options
from pipelines.console import console, print_records

if TYPE_CHECKING:
    from datetime import datetime

    from recsys.types import ErasureRequest

erasures = typer.Typer(
    help="Follow the erasures: how long each may take, what is in its way, and what can still be changed.",
    invoke_without_command=True,
)

RequestId = Annotated[str, typer.Argument(metavar="REQUEST_ID", help="As in `privrec erasures`.")]
COLUMNS = {
    "request_id": "request",
    "state": "state",
    "received_at": "received",
    "due_at": "due",
    "days_left": "days left",
    "clock": "clock",
    "attempts": "failed",
    "problem": "problem",
}


@erasures.callback()
def list_erasures(
    context: typer.Context,
    *,
    everything: Annotated[bool, typer.Option("--all", help="The finished and the cancelled ones, too.")] = False,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """List the erasures that are open with their statutory clocks, those that are stuck or overdue among them.

    Internal, not private: how many there are is exact, for the operator alone.
    """
    if context.invoked_subcommand is not None:
        return
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        queue, now = workspace.erasures, workspace.clock()
        found = queue.requests() if everything else [request for request, _ in queue.pending()]
    print_records("Erasures", COLUMNS, [_row(request, now) for request in found], as_json=as_json)


@erasures.command("cancel")
def cancel(request_id: RequestId, *, state_dir: options.StateDir = None) -> None:
    """Take an erasure back while nothing was destroyed; PRIVREC_ERASURE_GRACE_HOURS leaves time for that."""
    from pipelines.erase import desk
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        desk(workspace).cancel(request_id)
    console.print(f"erasure {request_id} is cancelled: the customer is served as before")


@erasures.command("retry")
def retry(request_id: RequestId, *, state_dir: options.StateDir = None) -> None:
    """Let a worker try an erasure again at once that failed, or is stuck."""
    from pipelines.erase import desk
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        desk(workspace).retry(request_id)
    console.print(f"erasure {request_id} is tried again by the next worker: privrec serve, or privrec worker --once")


@erasures.command("consent")
def consent(
    user: Annotated[str, typer.Argument(metavar="USER", help="The customer's id, as in the purchases.")],
    *,
    state_dir: options.StateDir = None,
) -> None:
    """Take a customer in anew who was erased and comes back: new purchases are taken, what was destroyed stays so."""
    from pipelines.erase import desk
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        lifted = desk(workspace).consent(user)
    console.print(
        f"erasure {lifted.request_id} keeps the customer out no longer" if lifted else "nothing kept them out"
    )


@erasures.command("extend")
def extend(
    request_id: RequestId,
    *,
    reason: Annotated[str, typer.Option(help="Why it is complex; for the record, no personal data here.")],
    state_dir: options.StateDir = None,
) -> None:
    """Take two months more for a complex erasure (GDPR Art. 12(3)); tell the customer why within the first month."""
    from pipelines.erase import desk
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        request = desk(workspace).extend(request_id, reason)
    console.print(f"erasure {request_id} is due on {request.due_at:%Y-%m-%d}")


def _row(request: "ErasureRequest", now: "datetime") -> tuple[str, ...]:
    late = request.is_open and request.due_at < now
    clock = "stuck" if request.stuck else "overdue" if late else "extended" if request.extension else ""
    return (
        request.request_id,
        request.state.value,
        f"{request.received_at:%Y-%m-%d %H:%M}",
        f"{request.due_at:%Y-%m-%d}",
        str((request.due_at - now) // timedelta(days=1)),
        clock,
        str(request.attempts),
        request.problem,
    )
