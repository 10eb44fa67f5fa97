"""Commands for webhooks."""

from typing import Annotated

import typer

from pipelines.cli import options
from pipelines.console import console, print_json, print_records
from recsys.types import WebhookEvent

webhooks = typer.Typer(
    help="Whom to tell that an erasure is complete or a model is live; a worker sends the messages.",
    no_args_is_help=True,
)

WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK_ID", help="As in `privrec webhooks list`.")]


@webhooks.command("create")
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://, on a public address, without credentials.")],
    *,
    event: Annotated[list[WebhookEvent], typer.Option(help="What to tell of; repeat for several.")],
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Tell the receiver at URL of what happens from now on. The same URL and events again find the first.

    Messages are signed in the form of Standard Webhooks with Ed25519 (v1a): privrec keys public prints the key.
    """
    from recsys.store.new_webhook import new_webhook
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        wanted = new_webhook(url, event, workspace.clock(), local=workspace.settings.webhooks_local)
        webhook = workspace.webhooks.create(wanted)
    if as_json:
        print_json({"webhook_id": webhook.webhook_id, "events": [each.value for each in sorted(webhook.events)]})
    else:
        console.print(f"webhook {webhook.webhook_id} is told of {', '.join(sorted(webhook.events))}")


@webhooks.command("list")
def list_webhooks(*, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """List the webhooks."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        found = workspace.webhooks.list()
    rows = [(each.webhook_id, ", ".join(sorted(each.events)), each.url) for each in found]
    columns = {"webhook_id": "id", "events": "events", "url": "url"}
    print_records("Webhooks", columns, rows, as_json=as_json)


@webhooks.command("delete")
def delete(webhook_id: WebhookId, *, state_dir: options.StateDir = None) -> None:
    """Tell a webhook nothing more; messages that it did not take are gone."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        workspace.webhooks.delete(webhook_id)
    console.print(f"webhook {webhook_id} is deleted")


@webhooks.command("test")
def send_test(webhook_id: WebhookId, *, state_dir: options.StateDir = None) -> None:
    """Queue a test message, which a worker sends within seconds."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        delivery_id = workspace.webhooks.test(webhook_id)
    console.print(f"message {delivery_id} is queued")


@webhooks.command("dead-letters")
def dead_letters(*, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """List the messages that were given up, and why."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        dead = workspace.webhooks.dead()
    rows = [(each.delivery_id, each.webhook_id, each.event.value, each.problem) for each in dead]
    columns = {"delivery_id": "id", "webhook_id": "webhook", "event": "event", "problem": "problem"}
    print_records("Dead letters", columns, rows, as_json=as_json)


@webhooks.command("redeliver")
def redeliver(
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="As in `privrec webhooks dead-letters`.")],
    *,
    state_dir: options.StateDir = None,
) -> None:
    """Try a message that was given up again, from the first attempt."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        workspace.webhooks.redeliver(delivery_id)
    console.print(f"message {delivery_id} is queued")
