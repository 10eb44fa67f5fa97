"""Commands about one customer's rights."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import options
from pipelines.cli.privacy import erase
from pipelines.console import console, print_json, print_table

if TYPE_CHECKING:
    from recsys.rights.holding import Held

subject = typer.Typer(help="One customer's rights: one command each.", no_args_is_help=True)

COUNTED = ("account", "into", "together", "conflicts")
MERGES = {
    "acknowledged": "merged, as far as there is anything to take along; sums and models follow with `privrec worker`",
    "restricted": "nothing changed: one of the two is restricted; lift that first",
    "unsettled": "nothing changed: sums do not follow an earlier correction yet; run `privrec worker`, then try again",
}
"""What is said of each status."""

User = Annotated[str, typer.Argument(metavar="USER", help="The customer's id, as in the purchases.")]


@subject.command()
def show(user: User, *, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """Show how much of what is held of the customer, and what for (GDPR Art. 15); no purchase is shown."""
    from recsys.rights.holding import gather
    from recsys.rights.purposes import legal_basis
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        held = gather(workspace, workspace.keys, workspace.keys.user_key(user))
        basis = legal_basis(workspace.settings.legal_basis)
    summary = {**held.summary(), "legal_basis": basis}
    if as_json:
        print_json(summary)
        return
    for line in _in_words(held):
        console.print(line)
    console.print(f"legal basis: {basis}")


@subject.command()
def export(
    user: User,
    *,
    output: Annotated[Path, typer.Option("--output", help="Where to write the zip archive.")],
    state_dir: options.StateDir = None,
) -> None:
    """Write everything held of the customer into one file, as JSON and as CSV (GDPR Art. 15 and 20)."""
    from pipelines.subject_file import Controller, packed
    from recsys.rights.holding import gather
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        held = gather(workspace, workspace.keys, workspace.keys.user_key(user))
        controller = Controller.of(workspace.settings)
        content = packed(held, user, at=workspace.clock(), controller=controller)
    options.write(output, content, hint="check the directory and its permissions")
    console.print(f"wrote {len(content):,} bytes; hand it to the customer, and delete it here")


subject.command()(erase)


@subject.command("object")
def object_to_profiling(
    user: User,
    *,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the objection back.")] = False,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Stop profiling: popular items only, and no training with the customer; the history is kept (GDPR Art. 21)."""
    _limit(user, "objection", state_dir, take_back=withdraw, as_json=as_json)


@subject.command()
def restrict(
    user: User,
    *,
    lift: Annotated[bool, typer.Option("--lift", help="Lift the restriction.")] = False,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Keep what is held, and use it for nothing; purchases are neither taken in nor corrected (GDPR Art. 18)."""
    _limit(user, "restriction", state_dir, take_back=lift, as_json=as_json)


@subject.command()
def rectify(
    user: User,
    *,
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            help="A CSV file with the columns event_id, delete, item_id, timestamp, quantity; an empty cell leaves a "
            "field as it is.",
        ),
    ],
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Correct or delete single purchases, in the history and in every exact sum (GDPR Art. 16)."""
    from pipelines.corrections import read_corrections
    from pipelines.erase import subject_desk
    from recsys.store.workspace import open_workspace

    wanted = read_corrections(file)
    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        statuses = subject_desk(workspace).rectify(user, wanted)
    counts = Counter(status.value for status in statuses)
    if as_json:
        print_json({"statuses": [status.value for status in statuses]})
    else:
        print_table("Corrections", ["status", "rows"], sorted(counts.items()))
        console.print("sums and models follow with `privrec worker`")


@subject.command()
def merge(
    user: Annotated[str, typer.Argument(metavar="OLD", help="The account that goes: its id, as in the purchases.")],
    into: Annotated[str, typer.Argument(metavar="INTO", help="The account that stays.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many purchases each has; change nothing.")
    ] = False,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Make two accounts of one customer one: OLD's purchases are INTO's, and OLD is as if it never was."""
    from pipelines.erase import preview_merge, subject_desk
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        if dry_run:
            found = preview_merge(workspace, user, into)
        else:
            found = {"status": subject_desk(workspace).merge(user, into).value}
    if as_json:
        print_json(found)
    elif dry_run:
        print_table("Purchases (internal, not private)", ["of", "purchases"], [(n, found[n]) for n in COUNTED])
    else:
        console.print(MERGES[str(found["status"])])


def _in_words(held: "Held") -> list[str]:
    """One line for each place where something can be."""
    times = [purchase.at for purchase in held.purchases]
    span = f", from {min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}" if times else ""
    requests = ", ".join(f"{each.kind} of {each.received_at:%Y-%m-%d} ({each.state})" for each in held.requests)
    sums = (
        f"sum {term.sum_id}: {len(term.item_ids)} items, versions {', '.join(term.versions)}" for term in held.terms
    )
    lists = (f"list {each.task} of version {each.version}: {len(each.items)} items" for each in held.lists)
    return [f"purchases: {len(times)}{span}", *sums, *lists, f"requests: {requests or 'none'}"]


def _limit(user: str, kind: str, state_dir: Path | None, *, take_back: bool, as_json: bool) -> None:
    from pipelines.erase import subject_desk
    from recsys.data.subject_request import SubjectKind
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        desk = subject_desk(workspace)
        if take_back:
            desk.lift(user, SubjectKind(kind))
        else:
            desk.limit(user, SubjectKind(kind))
    if as_json:
        print_json({"kind": kind, "in_force": not take_back})
    elif take_back:
        console.print(f"{kind} taken back: served personally at once, in models from the next training on")
    else:
        console.print(f"{kind} in force; sums and models follow with `privrec worker`")


def register(
    *,
    output: Annotated[Path | None, typer.Option("--output", help="Write the page to this file, as Markdown.")] = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the record of processing activities (GDPR Art. 30), from what this installation is and does.

    Who is responsible, the legal basis and transfers come from PRIVREC_CONTROLLER_NAME, PRIVREC_CONTROLLER_CONTACT,
    PRIVREC_LEGAL_BASIS and PRIVREC_TRANSFERS.
    """
    from pipelines.register import as_markdown
    from pipelines.register import register as registered
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        document = registered(workspace)
    if output is not None:
        options.write(output, as_markdown(document).encode(), hint="check the directory and its permissions")
    if as_json:
        print_json(document)
    elif output is None:
        console.out(as_markdown(document), highlight=False)
