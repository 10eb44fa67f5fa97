"""Webhooks and their messages in memory."""

import json
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from recsys.clock import Clock, utc_now
from recsys.data.opendsr import DsrRequest
from recsys.store.rules import CALLBACK, message, no_dead_letter, no_webhook, promoted
from recsys.types import Delivery, Json, Webhook, WebhookEvent


@dataclass
class Outbox:
    """What webhooks share with what they are told of, as they share a database elsewhere."""

    webhooks: dict[str, Webhook] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    dsr_requests: dict[str, DsrRequest] = field(default_factory=dict)
    announced: str | None = None

    def write(self, event: WebhookEvent, data: Mapping[str, Json], now: datetime) -> None:
        """Write a message to every webhook that is told of the event."""
        for webhook in self.webhooks.values():
            if event in webhook.events:
                self.write_to(webhook, event, data, now)

    def write_to(self, webhook: Webhook, event: WebhookEvent, data: Mapping[str, Json], now: datetime) -> str:
        """The id of a message to this webhook."""
        return self._add(webhook, event, message(event, now, data), now)

    def write_callback(self, url: str, body: bytes, now: datetime) -> None:
        """Write a message to this URL, which need not be a webhook that somebody made."""
        webhook = Webhook(webhook_id=str(uuid.uuid4()), url=url, events=CALLBACK, created_at=now)
        self._add(self.kept(webhook), WebhookEvent.OPENDSR_STATUS, body, now)

    def kept(self, webhook: Webhook) -> Webhook:
        """The webhook, kept; the earlier one of this URL and these events if there is one."""
        equal = (each for each in self.webhooks.values() if (each.url, each.events) == (webhook.url, webhook.events))
        first = next(equal, webhook)
        return self.webhooks.setdefault(first.webhook_id, first)

    def forget_callback(self, webhook_id: str) -> None:
        """Delete this webhook if it is a callback's, and nothing more is told there."""
        webhook = self.webhooks.get(webhook_id)
        waits = any(each.webhook_id == webhook_id for each in self.deliveries.values())
        if webhook is None or webhook.events != CALLBACK or waits:
            return
        if not any(webhook.url in request.callbacks for request in self.dsr_requests.values()):
            del self.webhooks[webhook_id]

    def _add(self, webhook: Webhook, event: WebhookEvent, body: bytes, now: datetime) -> str:
        delivery = Delivery(
            delivery_id=str(uuid.uuid4()),
            webhook_id=webhook.webhook_id,
            url=webhook.url,
            event=event,
            body=body,
            attempts=0,
            next_at=now,
            dead=False,
            problem="",
        )
        self.deliveries[delivery.delivery_id] = delivery
        return delivery.delivery_id


class MemoryWebhooks:
    """Satisfies `ports.Webhooks`."""

    def __init__(self, outbox: Outbox | None = None, clock: Clock = utc_now) -> None:
        """Work on this outbox."""
        self._outbox, self._clock = outbox or Outbox(), clock

    def create(self, webhook: Webhook) -> Webhook:
        """The webhook, which is told from now on; the earlier one of this URL and these events if there is one."""
        return self._outbox.kept(webhook)

    def list(self) -> tuple[Webhook, ...]:
        """Every webhook, oldest first."""
        return tuple(self._outbox.webhooks.values())

    def delete(self, webhook_id: str) -> None:
        """Tell it nothing more; NotFoundError if there is none."""
        self._webhook(webhook_id)
        del self._outbox.webhooks[webhook_id]
        kept = {name: each for name, each in self._outbox.deliveries.items() if each.webhook_id != webhook_id}
        self._outbox.deliveries = kept

    def test(self, webhook_id: str) -> str:
        """The id of a message that tells of nothing; NotFoundError if there is no such webhook."""
        return self._outbox.write_to(self._webhook(webhook_id), WebhookEvent.TEST, {}, self._clock())

    def announce(self, version: str) -> bool:
        """Whether the live version is another than the one announced before; if so it is told of."""
        if self._outbox.announced == version:
            return False
        self._outbox.announced = version
        self._outbox.write(WebhookEvent.MODEL_PROMOTED, promoted(version), self._clock())
        return True

    def due(self, now: datetime, share: int) -> tuple[Delivery, ...]:
        """Messages whose time has come, each webhook's in turn."""
        found = [each for each in self._outbox.deliveries.values() if not each.dead and each.next_at <= now]
        turns: Counter[str] = Counter()
        in_turn = []
        for each in sorted(found, key=lambda each: each.next_at):
            turns[each.webhook_id] += 1
            in_turn.append((turns[each.webhook_id], each))
        return tuple(each for turn, each in sorted(in_turn, key=lambda pair: pair[0]) if turn <= share)

    def delivered(self, delivery_id: str) -> None:
        """Forget a message that was taken, and a callback's URL with the last that was to go there."""
        taken = self._outbox.deliveries.pop(delivery_id, None)
        if taken is not None:
            self._outbox.forget_callback(taken.webhook_id)

    def failed(self, delivery_id: str, problem: str, next_at: datetime | None) -> None:
        """Note an attempt, and when the next one is."""
        before = self._outbox.deliveries.get(delivery_id)
        if before is not None:
            self._outbox.deliveries[delivery_id] = replace(
                before,
                attempts=before.attempts + 1,
                problem=problem,
                dead=next_at is None,
                next_at=next_at or before.next_at,
            )

    def waiting(self) -> tuple[int, int]:
        """How many messages are to be sent, and how many were given up."""
        given_up = len(self.dead())
        return len(self._outbox.deliveries) - given_up, given_up

    def about(self, request_id: str) -> tuple[int, int]:
        """How many messages about the erasure are to be sent, and how many were given up."""
        messages = self._outbox.deliveries.values()
        named = [each for each in messages if json.loads(each.body).get("data", {}).get("request_id") == request_id]
        return sum(not each.dead for each in named), sum(each.dead for each in named)

    def dead(self) -> tuple[Delivery, ...]:
        """Messages that were given up, oldest first."""
        return tuple(each for each in self._outbox.deliveries.values() if each.dead)

    def redeliver(self, delivery_id: str) -> None:
        """Try a message that was given up again; NotFoundError if it was not given up."""
        found = self._outbox.deliveries.get(delivery_id)
        if found is None or not found.dead:
            raise no_dead_letter()
        self._outbox.deliveries[delivery_id] = replace(found, attempts=0, dead=False, next_at=self._clock())

    def _webhook(self, webhook_id: str) -> Webhook:
        if webhook_id not in self._outbox.webhooks:
            raise no_webhook()
        return self._outbox.webhooks[webhook_id]
