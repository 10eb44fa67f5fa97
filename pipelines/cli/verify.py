"""The command that a stranger runs: what it imports needs neither store nor server, nor numpy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import options
from pipelines.console import console, print_json
from recsys.errors import InputError

if TYPE_CHECKING:
    from recsys.evidence.verdict import Verdict
    from recsys.types import Json


def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A receipt, a privacy report, or a checkpoint of the log.")
    ],
    *,
    public_key: Annotated[Path, typer.Option(help="The installation's public key, a PEM file.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint that you kept: the log must be the same one, only longer.")
    ] = None,
    consistency: Annotated[
        Path | None, typer.Option(help="The proof between the two, from `privrec log consistency` or the API.")
    ] = None,
    request: Annotated[str | None, typer.Option(help="The request that the receipt must be of.")] = None,
    user: Annotated[
        str | None, typer.Option(help="The customer that the receipt must be of; with the salt they were given.")
    ] = None,
    salt: Annotated[str | None, typer.Option(help="The salt, in hex.")] = None,
    details: Annotated[
        Path | None, typer.Option(help="The answer of GET /v1/erasures/REQUEST: are these the steps that were signed?")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Check an erasure receipt, a privacy report or a checkpoint with the public key alone: no store, no server.

    Exit code 6 if a single byte was changed, the receipt is not in the log, or the log is not the one you knew.
    """
    from recsys.evidence import verdict as found
    from recsys.evidence.signing import read_public_key

    if (user is None) != (salt is None):
        msg = "expected --user and --salt together, got one of them; give both, or none"
        raise InputError(msg)
    key = read_public_key(_bytes(public_key))
    verdict = found.judge(_bytes(file), key)
    if checkpoint is not None:
        kept = found.checkpoint_in(_bytes(checkpoint), key)
        verdict = found.with_kept(verdict, kept, None if consistency is None else _bytes(consistency))
    if request is not None:
        verdict = found.of_request(verdict, request)
    if user is not None and salt is not None:
        verdict = found.of_subject(verdict, user, salt)
    if details is not None:
        verdict = found.of_details(verdict, _bytes(details))
    _show(verdict, as_json=as_json)


def _show(verdict: "Verdict", *, as_json: bool) -> None:
    if as_json:
        checks: list[Json] = list(verdict.checks)
        print_json({"valid": True, "checks": checks, verdict.kind: _facts(verdict)})
        return
    console.print(f"[bold green]valid[/bold green]: {_summary(verdict)}")
    console.print(f"[dim]checked: {', '.join(verdict.checks)}[/dim]")
    if verdict.body:
        console.print(f"[dim]{verdict.body['statement']}[/dim]")


def _facts(verdict: "Verdict") -> "Json":
    if verdict.body or verdict.checkpoint is None:
        return verdict.body
    return {"size": verdict.checkpoint.size, "root": verdict.checkpoint.root.hex()}


def _summary(verdict: "Verdict") -> str:
    if verdict.kind == "report":
        return f"privacy report of version {verdict.body['version']}, registered {verdict.body['created_at']}"
    if verdict.kind == "checkpoint" and verdict.checkpoint is not None:
        return f"checkpoint of a log of {verdict.checkpoint.size} receipts"
    place = (
        f"entry {verdict.logged.index} of a log of {verdict.logged.checkpoint.size}"
        if verdict.logged
        else "from before there was a log"
    )
    return f"request {verdict.body['request_id']}, completed {verdict.body['completed_at']}, {place}"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"expected to read {path}, got: {error.strerror}; check the path"
        raise InputError(msg) from error
