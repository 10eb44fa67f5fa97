"""The command that erases a customer."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli import options
from pipelines.console import bar, console, print_json


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
    receipt: Annotated[Path | None, typer.Option(help="Write the signed receipt to this file.")] = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Forget a customer: history, key, cached lists and their part in every sum; then sign a receipt.

    Without --release the live model stays until the next training, bounded by its (epsilon, delta): the receipt says
    so. The salt that is printed shows that the receipt is this customer's. Hand it to them; it is kept nowhere.
    """
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
