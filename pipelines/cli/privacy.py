"""The command that erases customers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipelines.cli import options
from pipelines.console import bar, console, print_json, print_records
from recsys.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.erase_many import Acknowledged
    from recsys.store.workspace import Workspace


def erase(
    user: Annotated[
        str | None, typer.Argument(metavar="[USER]", help="The customer's id, as in the purchases.")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(help="Instead of USER: a .csv file with a column of ids; one model serves them all.")
    ] = None,
    user_column: options.UserColumn = "user",
    handles: Annotated[
        Path | None, typer.Option(help="Instead of USER: a .csv file that `privrec influence --output` wrote.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Stands in the receipt; no personal data here.")] = "customer request",
    release: Annotated[
        bool,
        typer.Option(
            "--release",
            help="Spend planned budget now, on releasing the live model again from the sum without the customer.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show where USER is and what would be done; change nothing.")
    ] = False,
    receipt: Annotated[
        Path | None, typer.Option(help="Write the signed receipt to this file; for many, each into this directory.")
    ] = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Forget a customer: history, key, cached lists and their part in every sum; then sign a receipt.

    Without --release the live model stays until the next training, bounded by its (epsilon, delta): the receipt says
    so. The salt that is printed shows that the receipt is this customer's. Hand it to them; it is kept nowhere.
    """
    if user is None or file is not None or handles is not None:
        _check_named_once(user, file, handles, dry_run=dry_run)
        whom = Whom(file=file, user_column=user_column, handles=handles, reason=reason, release=release)
        _erase_many(whom, receipt, state_dir, as_json=as_json)
        return
    if dry_run:
        from pipelines.cli.preview import show_preview

        show_preview(user, state_dir, as_json=as_json)
        return
    from pipelines.erase import desk, finish
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir)) as workspace:
        request, salt = desk(workspace).request(user, reason=reason, release=release)
        # Before the work: the salt is kept nowhere, and the work may be refused.
        _acknowledge(request.request_id, salt, receipt, as_json=as_json)
        if request.next_at is not None and not request.attempts and request.next_at > workspace.clock():
            if not as_json:
                _tell_grace(f"{request.next_at:%Y-%m-%d %H:%M} UTC")
            return
        with bar("publishing", 0) as advance:
            signed = finish(workspace, request.request_id, advance)
    if receipt is not None:
        options.write(receipt, signed, hint="the store keeps the receipt: run it again to write it")
    if not as_json:
        _show_receipt(signed, receipt)


def _tell_grace(until: str) -> None:
    console.print(f"destroyed from {until} on; until then `privrec erasures cancel` takes it back")


def _check_named_once(user: str | None, file: Path | None, handles: Path | None, *, dry_run: bool) -> None:
    if dry_run:
        msg = "expected USER alone with --dry-run, got a file or nobody; name one customer"
        raise InputError(msg)
    named = [each for each in (user, file, handles) if each is not None]
    if len(named) != 1:
        msg = f"expected one of USER, --file and --handles, got {len(named)}; say once whom to erase"
        raise InputError(msg)


@dataclass(frozen=True, kw_only=True, slots=True)
class Whom:
    """Customers in a file, and why they are erased."""

    file: Path | None
    user_column: str
    handles: Path | None
    reason: str
    release: bool

    def requests(self, workspace: "Workspace") -> "Iterator[Acknowledged]":
        """Each one's request, acknowledged."""
        from pipelines.erase_many import read_column, request_handles, request_users

        if self.handles is not None:
            named = read_column(self.handles, "handle")
            return request_handles(workspace, named, reason=self.reason, release=self.release)
        ids = read_column(cast("Path", self.file), self.user_column)
        return request_users(workspace, ids, reason=self.reason, release=self.release)


def _erase_many(whom: Whom, receipts: Path | None, state_dir: Path | None, *, as_json: bool) -> None:
    from pipelines.erase_many import finish_all
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir)) as workspace:
        asked: list[Acknowledged] = []
        try:
            for acknowledged in whom.requests(workspace):
                asked.append(acknowledged)  # noqa: PERF402 - those before one that fails must be told, too
        finally:
            # Before the work: the salts are kept nowhere, and the work may be refused.
            if asked:
                _acknowledge_many(asked, as_json=as_json)
        if workspace.settings.erasure_grace_hours:
            _tell_grace(f"{workspace.settings.erasure_grace_hours:g} hours from now")
            return
        with bar("erasing", len(asked)) as advance:
            finish_all(workspace, advance)
        if receipts is not None:
            _write_receipts(workspace, asked, receipts)
    if not as_json:
        console.print(f"erased {len(asked):,} customers")


def _acknowledge_many(asked: "Sequence[Acknowledged]", *, as_json: bool) -> None:
    columns = {"request_id": "request", "subject_salt": "salt for the customer"}
    print_records("Acknowledged", columns, [(each.request_id, each.subject_salt) for each in asked], as_json=as_json)


def _write_receipts(workspace: "Workspace", asked: "Sequence[Acknowledged]", directory: Path) -> None:
    from recsys.store.files import file_errors

    with file_errors(str(directory)):
        directory.mkdir(exist_ok=True)
    for each in asked:
        signed = workspace.erasures.receipt(each.request_id)
        options.write(directory / f"{each.request_id}.json", signed, hint="the store keeps the receipts")


def _acknowledge(request_id: str, salt: str, receipt: Path | None, *, as_json: bool) -> None:
    if as_json:
        path = str(receipt) if receipt else None
        print_json({"request_id": request_id, "subject_salt": salt, "receipt": path})
        return
    console.print(f"acknowledged; request {request_id}")
    console.print(
        f"salt for the customer: {salt}"
        if salt
        else "this customer had asked before: the receipt is the one of that request"
    )


def _show_receipt(signed: bytes, receipt: Path | None) -> None:
    if receipt is None:
        console.out(signed.decode(), highlight=False)
        return
    console.print("erased", end="; ")
    check = f"privrec verify {receipt} --public-key KEY"
    console.out(f"check it anywhere: {check}  (the key: privrec keys public)", highlight=False)
