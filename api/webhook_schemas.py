"""The forms of webhooks and of the messages that they did not take."""

from typing import Annotated

from pydantic import Field, Strict

from api.schemas import Incoming, Moment, Outgoing
from recsys.store.addresses import MAX_URL
from recsys.types import WebhookEvent

URL = "https://hooks.shop.example/privrec"


class WebhookBody(Incoming):
    """Whom to tell of what."""

    model_config = Incoming.model_config | {
        "json_schema_extra": {"example": {"url": URL, "events": ["erasure.completed"]}}
    }

    url: str = Field(max_length=MAX_URL, description="`https://`, on a public address, without credentials.")
    events: list[Annotated[WebhookEvent, Strict(strict=False)]] = Field(  # strict JSON has no enumerations
        min_length=1,
        max_length=10,
        description="`erasure.completed`, `erasure.due_soon`, `erasure.stuck` and `model.promoted`.",
    )


class ShownWebhook(Outgoing):
    """A webhook as it is kept."""

    webhook_id: str
    url: str
    events: list[WebhookEvent]
    created_at: Moment


class WebhookList(Outgoing):
    """Every webhook, oldest first."""

    webhooks: list[ShownWebhook]


class QueuedMessage(Outgoing):
    """A message that a worker sends next."""

    delivery_id: str = Field(description="The header `webhook-id` of the message.")


class DeadLetter(Outgoing):
    """A message that was given up."""

    delivery_id: str
    webhook_id: str
    event: WebhookEvent
    attempts: int
    problem: str = Field(description="Why the last attempt failed.")


class DeadLetterList(Outgoing):
    """Every message that was given up, oldest first."""

    dead_letters: list[DeadLetter]
