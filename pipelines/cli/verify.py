"""The command that a stranger runs: what it imports needs neither store nor server, nor numpy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import options
from pipelines.console import console, print_json, status_console
from recsys.errors import InputError

if TYPE_CHECKING:
    from pipelines.retrain import Repeated
    from pipelines.served import Served
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
    roster: Annotated[
        Path | None,
        typer.Option(
            metavar="PROOF",
            help="From `privrec models roster VERSION --customer ID --output PROOF`: is the customer in the roster of "
            "that version, which the file names?",
        ),
    ] = None,
    retrain: Annotated[
        Path | None,
        typer.Option(
            metavar="EXPORT",
            help="Train once more, on the data in the directory that `privrec audit export` made, and compare the "
            "model with the one that the receipt, or the report, names.",
        ),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(help="What an erased customer bought, an item a line: counts who in the EXPORT bought just that."),
    ] = None,
    served: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A server that should answer with the model in the EXPORT: it is asked."),
    ] = None,
    api_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For --served: a file with the secret of a key for `recommend`.")
    ] = None,
    customers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='For --served: made-up or consenting customers, a line each: {"user_id": "...", "items": ["..."]}, '
            "with everything they bought.",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Check an erasure receipt, a privacy report or a checkpoint with the public key alone: no store, no server.

    Exit code 6 if a single byte was changed, the receipt is not in the log, or the log is not the one you knew. With
    --retrain, also if the model is not the one that comes of the data: that needs what trains, and minutes.
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
    if roster is not None:
        verdict = found.of_roster(verdict, _bytes(roster))
    if (retrain is None and (history or served)) or (served is None and (api_key or customers)):
        msg = (
            "expected --history and --served together with --retrain, and --api-key and --customers together with "
            "--served, got one alone; give the other, too"
        )
        raise InputError(msg)
    model = None if retrain is None else _retrained(verdict, retrain, details, history)
    answers = None if retrain is None or served is None else _served(retrain, served, api_key, customers)
    _show(verdict, model, answers, as_json=as_json)


def _served(directory: Path, url: str, api_key: Path | None, customers: Path | None) -> "Served":
    """What a sample of the server's answers shows."""
    from pipelines.retrain import exported
    from pipelines.served import check_served, read_known
    from privrec.client import Client

    if api_key is None:
        msg = "expected --api-key beside --served, got none; make one on the server: privrec keys create"
        raise InputError(msg)
    known = [] if customers is None else read_known(_bytes(customers))
    version, model = exported(directory)
    with (
        Client(url, _bytes(api_key).decode("ascii", errors="ignore").strip()) as client,
        status_console.status("asking for samples"),
    ):
        return check_served(client, version.version, model, known)


def _retrained(verdict: "Verdict", directory: Path, details: Path | None, history: Path | None) -> "Repeated":
    """What a training on the export shows."""
    from pipelines.retrain import repeated

    with status_console.status("training on the export"):
        return repeated(
            verdict,
            directory,
            details=None if details is None else _bytes(details),
            history=None if history is None else _bytes(history),
        )


def _show(verdict: "Verdict", model: "Repeated | None", answers: "Served | None", *, as_json: bool) -> None:
    if as_json:
        checks: list[Json] = list(verdict.checks)
        more = {"retrain": model, "served": answers}
        found = {name: each.to_json() for name, each in more.items() if each}
        print_json({"valid": True, "checks": checks, verdict.kind: _facts(verdict), **found})
        return
    console.print(f"[bold green]valid[/bold green]: {_summary(verdict)}")
    console.print(f"[dim]checked: {', '.join(verdict.checks)}[/dim]")
    if verdict.body:
        console.print(f"[dim]{verdict.body['statement']}[/dim]")
    if model:
        _show_model(model)
    if answers:
        console.print(
            f"[bold green]holds[/bold green]: {answers.baskets} baskets that were made up and the lists of "
            f"{answers.customers} customers are answered with this model"
        )


def _show_model(model: "Repeated") -> None:
    console.print(
        f"[bold green]holds[/bold green]: version {model.version}, {model.customers:,} customers in the export"
    )
    console.print(f"[dim]checked: {', '.join(model.checks)}[/dim]")
    if model.same_history is not None:
        console.print(f"customers in the export with exactly this history: {model.same_history}")
    for what in model.not_checked:
        console.print(f"[dim]not checked: {what}[/dim]")


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
