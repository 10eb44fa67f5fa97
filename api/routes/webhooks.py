"""Whom to tell that an erasure is complete or a model is live; a worker sends the messages."""

from typing import Annotated, Any

from fastapi import Path

from api.auth import guarded_router
from api.errors import documented
from api.services import Serving
from api.webhook_schemas import DeadLetter, DeadLetterList, QueuedMessage, ShownWebhook, WebhookBody, WebhookList
from recsys.store.new_webhook import new_webhook
from recsys.store.rules import no_webhook
from recsys.types import Scope, Webhook

router = guarded_router(Scope.OPERATE, tag="webhooks")

ID = Path(max_length=100, pattern="^[A-Za-z0-9_-]+$", description="As it was answered with.")
WebhookId = Annotated[str, ID]
DeliveryId = Annotated[str, ID]
KNOWN: list[int] = [401, 403, 404, 422, 500, 503]
ERRORS: dict[int | str, dict[str, Any]] = documented(KNOWN)


@router.post(
    "/v1/webhooks",
    status_code=201,
    summary="Create a webhook",
    responses=documented([400, 401, 403, 413, 422, 500, 503]),
)
def create_webhook(serving: Serving, body: WebhookBody) -> ShownWebhook:
    """The webhook under its id; it is told of what happens from now on. The same URL and events again find the first.

    Messages are signed in the form of Standard Webhooks with Ed25519 (`v1a`); `privrec keys public` prints the key. A
    message may come more than once, always under the same `webhook-id`. None names a customer.
    """
    workspace = serving.workspace
    local = workspace.settings.webhooks_local
    webhook = new_webhook(body.url, body.events, workspace.clock(), local=local)
    return shown(workspace.webhooks.create(webhook))


@router.get("/v1/webhooks", summary="List the webhooks", responses=documented([401, 403, 500, 503]))
def list_webhooks(serving: Serving) -> WebhookList:
    """Every webhook, oldest first."""
    return WebhookList(webhooks=[shown(webhook) for webhook in serving.workspace.webhooks.list()])


@router.delete("/v1/webhooks/{webhook_id}", summary="Delete a webhook", responses=ERRORS)
def delete_webhook(serving: Serving, webhook_id: WebhookId) -> ShownWebhook:
    """The webhook as it was. It is told nothing more; messages that it did not take are gone."""
    webhooks = serving.workspace.webhooks
    found = next((webhook for webhook in webhooks.list() if webhook.webhook_id == webhook_id), None)
    if found is None:
        raise no_webhook()
    webhooks.delete(webhook_id)
    return shown(found)


@router.post("/v1/webhooks/{webhook_id}/test", status_code=202, summary="Send a test message", responses=ERRORS)
def send_test(serving: Serving, webhook_id: WebhookId) -> QueuedMessage:
    """The id of a message of the type `webhook.test`, which a worker sends within seconds."""
    return QueuedMessage(delivery_id=serving.workspace.webhooks.test(webhook_id))


@router.get(
    "/v1/dead-letters", summary="List the messages that were given up", responses=documented([401, 403, 500, 503])
)
def list_dead_letters(serving: Serving) -> DeadLetterList:
    """Every message that its receiver did not take in all attempts, oldest first."""
    dead = serving.workspace.webhooks.dead()
    return DeadLetterList(dead_letters=[DeadLetter.model_validate(delivery) for delivery in dead])


@router.post(
    "/v1/dead-letters/{delivery_id}/redeliver",
    status_code=202,
    summary="Send a message that was given up again",
    responses=ERRORS,
)
def redeliver(serving: Serving, delivery_id: DeliveryId) -> QueuedMessage:
    """The id of the message, which is tried again from the first attempt."""
    serving.workspace.webhooks.redeliver(delivery_id)
    return QueuedMessage(delivery_id=delivery_id)


def shown(webhook: Webhook) -> ShownWebhook:
    """The webhook as it is answered."""
    return ShownWebhook(
        webhook_id=webhook.webhook_id,
        url=webhook.url,
        events=sorted(webhook.events),
        created_at=webhook.created_at,
    )
