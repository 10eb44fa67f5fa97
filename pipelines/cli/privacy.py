"""The command that erases a customer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import typer

from pipelines.cli import options
from pipelines.console import bar, console, print_json, print_records
from recsys.types import Json


def erase(
    user: Annotated[str, typer.Argument(metavar="USER", help="The customer's id, as in the purchases.")],
    *,
    reason: Annotated[str, typer.Option(help="Stands in the receipt; no personal data here.")] = "customer request",
    release: Annotated[
        bool,
        typer.Option(
            "--release",
            help="Spend planned budget now, on releasing the live model again from the sum without the customer.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show where the customer is and what would be done; change nothing.")
    ] = False,
    receipt: Annotated[Path | None, typer.Option(help="Write the signed receipt to this file.")] = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Forget a customer: history, key, cached lists and their part in every sum; then sign a receipt.

    Without --release the live model stays until the next training, bounded by its (epsilon, delta): the receipt says
    so. The salt that is printed shows that the receipt is this customer's. Hand it to them; it is kept nowhere.
    """
    if dry_run:
        _preview(user, state_dir, as_json=as_json)
        return
    from pipelines.erase import desk, finish
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir)) as workspace:
        request, salt = desk(workspace).request(user, reason=reason, release=release)
        # Before the work: the salt is kept nowhere, and the work may be refused.
        _acknowledge(request.request_id, salt, receipt, as_json=as_json)
        if request.next_at is not None and not request.attempts:
            if not as_json:
                until = f"{request.next_at:%Y-%m-%d %H:%M} UTC"
                console.print(f"destroyed from {until} on; until then `privrec erasures cancel` takes it back")
            return
        with bar("publishing", 0) as advance:
            signed = finish(workspace, request.request_id, advance)
    if receipt is not None:
        options.write(receipt, signed, hint="the store keeps the receipt: run it again to write it")
    if not as_json:
        _show_receipt(signed, receipt)


def _preview(user: str, state_dir: Path | None, *, as_json: bool) -> None:
    from pipelines.erase import preview
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        found = preview(workspace, user)
    if as_json:
        print_json(found)
        return
    versions = cast("list[dict[str, Json]]", found.pop("versions"))
    print_records(
        "What an erasure would go through", {"name": "place", "found": "what is there"}, _places(found), as_json=False
    )
    if versions:
        columns = {name: name.replace("_", " ") for name in versions[0]}
        print_records("Versions with the customer", columns, [_shown(each) for each in versions], as_json=False)


def _places(found: Mapping[str, Json]) -> list[tuple[str, ...]]:
    return [(name.replace("_", " "), json.dumps(value).strip('"')) for name, value in found.items()]


def _shown(version: Mapping[str, Json]) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in version.values())


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
