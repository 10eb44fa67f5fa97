"""Webhooks in SQL, and the outbox: a message is written by the transaction of what it tells of."""

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, exists, func, select, true

from recsys.clock import Clock, isoformat, utc_now
from recsys.store.rules import CALLBACK, message, no_dead_letter, no_webhook, promoted
from recsys.store.sql.engine import insert_all, next_sequence, writing
from recsys.store.sql.tables import deliveries, installation, opendsr_requests, webhooks
from recsys.types import Delivery, Json, Webhook, WebhookEvent

ANNOUNCED = "announced_version"
"""Under this name the installation keeps which live version was told of last."""

NO_URLS = "[]"
"""Of a request in the form of OpenDSR whose callbacks are told nothing more."""


class SqlWebhooks:
    """Satisfies `ports.Webhooks`."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Use the database of the engine."""
        self._engine, self._clock = engine, clock

    def create(self, webhook: Webhook) -> Webhook:
        """The webhook, which is told from now on; the earlier one of this URL and these events if there is one."""
        with writing(self._engine) as connection:
            return _kept(connection, webhook)

    def list(self) -> tuple[Webhook, ...]:
        """Every webhook, oldest first."""
        with self._engine.connect() as connection:
            return tuple(map(_webhook, connection.execute(select(webhooks).order_by(webhooks.c.sequence))))

    def delete(self, webhook_id: str) -> None:
        """Tell it nothing more; NotFoundError if there is none."""
        with writing(self._engine) as connection:
            connection.execute(deliveries.delete().where(deliveries.c.webhook_id == webhook_id))
            if connection.execute(webhooks.delete().where(webhooks.c.webhook_id == webhook_id)).rowcount != 1:
                raise no_webhook()

    def test(self, webhook_id: str) -> str:
        """The id of a message that tells of nothing; NotFoundError if there is no such webhook."""
        with writing(self._engine) as connection:
            if connection.execute(select(webhooks).where(webhooks.c.webhook_id == webhook_id)).first() is None:
                raise no_webhook()
            [delivery_id] = _write(connection, [webhook_id], WebhookEvent.TEST, {}, self._clock())
        return delivery_id

    def announce(self, version: str) -> bool:
        """Whether the live version is another than the one announced before; if so it is told of."""
        stored = installation.c.name == ANNOUNCED
        with self._engine.connect() as connection:
            if connection.scalar(select(installation.c.value).where(stored)) == version:
                return False
        with writing(self._engine) as connection:
            connection.execute(installation.delete().where(stored))
            connection.execute(installation.insert().values(name=ANNOUNCED, value=version))
            enqueue(connection, WebhookEvent.MODEL_PROMOTED, promoted(version), self._clock())
        return True

    def due(self, now: datetime, share: int) -> tuple[Delivery, ...]:
        """Messages whose time has come, each webhook's in turn; times sort as they are spelled."""
        is_due = (~deliveries.c.dead, deliveries.c.next_at <= isoformat(now))
        waiting = (deliveries.c.next_at, deliveries.c.sequence)
        turn = func.row_number().over(partition_by=deliveries.c.webhook_id, order_by=waiting).label("turn")
        turns = select(deliveries.c.sequence, turn).where(*is_due).subquery()
        query = _messages().join(turns, turns.c.sequence == deliveries.c.sequence).where(turns.c.turn <= share)
        with self._engine.connect() as connection:
            return tuple(map(_delivery, connection.execute(query.order_by(turns.c.turn, *waiting))))

    def delivered(self, delivery_id: str) -> None:
        """Forget a message that was taken, and a callback's URL with the last that was to go there."""
        own = deliveries.c.delivery_id == delivery_id
        with writing(self._engine) as connection:
            webhook_id = connection.scalar(select(deliveries.c.webhook_id).where(own))
            connection.execute(deliveries.delete().where(own))
            _forget_callback(connection, webhook_id)

    def failed(self, delivery_id: str, problem: str, next_at: datetime | None) -> None:
        """Note an attempt, and when the next one is."""
        values = {"attempts": deliveries.c.attempts + 1, "problem": problem, "dead": next_at is None}
        later = {"next_at": isoformat(next_at)} if next_at else {}
        with writing(self._engine) as connection:
            found = deliveries.c.delivery_id == delivery_id
            connection.execute(deliveries.update().where(found).values(values | later))

    def waiting(self) -> tuple[int, int]:
        """How many messages are to be sent, and how many were given up."""
        return self._count(true())

    def _count(self, which: ColumnElement[bool]) -> tuple[int, int]:
        query = select(deliveries.c.dead, func.count()).where(which).group_by(deliveries.c.dead)
        with self._engine.connect() as connection:
            counts = {bool(dead): int(count) for dead, count in connection.execute(query)}
        return counts.get(False, 0), counts.get(True, 0)

    def about(self, request_id: str) -> tuple[int, int]:
        """How many messages about the erasure are to be sent, and how many were given up."""
        return self._count(deliveries.c.about == request_id)

    def dead(self) -> tuple[Delivery, ...]:
        """Messages that were given up, oldest first."""
        query = _messages().where(deliveries.c.dead).order_by(deliveries.c.sequence)
        with self._engine.connect() as connection:
            return tuple(map(_delivery, connection.execute(query)))

    def redeliver(self, delivery_id: str) -> None:
        """Try a message that was given up again; NotFoundError if it was not given up."""
        found = (deliveries.c.delivery_id == delivery_id) & deliveries.c.dead
        values = {"attempts": 0, "dead": False, "next_at": isoformat(self._clock())}
        with writing(self._engine) as connection:
            if connection.execute(deliveries.update().where(found).values(values)).rowcount != 1:
                raise no_dead_letter()


def enqueue(connection: Connection, event: WebhookEvent, data: Mapping[str, Json], now: datetime) -> None:
    """Write a message to every webhook that is told of the event, in this transaction."""
    rows = connection.execute(select(webhooks).order_by(webhooks.c.sequence))
    told = [webhook.webhook_id for webhook in map(_webhook, rows) if event in webhook.events]
    _write(connection, told, event, data, now)


def enqueue_callback(connection: Connection, url: str, body: bytes, now: datetime) -> None:
    """Write a message to this URL, which need not be a webhook that somebody made, in this transaction."""
    webhook = Webhook(webhook_id=str(uuid.uuid4()), url=url, events=CALLBACK, created_at=now)
    _insert(connection, [_kept(connection, webhook).webhook_id], WebhookEvent.OPENDSR_STATUS, body, now)


def _kept(connection: Connection, webhook: Webhook) -> Webhook:
    """The webhook, kept; the earlier one of this URL and these events if there is one."""
    row = _row(webhook)
    equal = (webhooks.c.url == row["url"], webhooks.c.events == row["events"])
    first = connection.execute(select(webhooks).where(*equal).order_by(webhooks.c.sequence).limit(1)).one_or_none()
    if first is not None:
        return _webhook(first)
    insert_all(connection, webhooks, [row | {"sequence": next_sequence(connection, webhooks.c.sequence)}])
    return webhook


def _forget_callback(connection: Connection, webhook_id: str | None) -> None:
    """Delete this webhook if it is a callback's, and nothing more is told there: its URL may hold a secret."""
    row = connection.execute(select(webhooks).where(webhooks.c.webhook_id == webhook_id)).one_or_none()
    if row is None or _webhook(row).events != CALLBACK:
        return
    waits = connection.scalar(select(exists().where(deliveries.c.webhook_id == webhook_id)))
    followed = connection.scalars(select(opendsr_requests.c.callbacks).where(opendsr_requests.c.callbacks != NO_URLS))
    if not waits and not any(row.url in json.loads(urls) for urls in followed):
        connection.execute(webhooks.delete().where(webhooks.c.webhook_id == webhook_id))


def _write(
    connection: Connection, told: Iterable[str], event: WebhookEvent, data: Mapping[str, Json], now: datetime
) -> list[str]:
    """The ids of the messages."""
    about = str(data.get("request_id", ""))
    return _insert(connection, told, event, message(event, now, data), now, about=about)


def _insert(
    connection: Connection, told: Iterable[str], event: WebhookEvent, body: bytes, now: datetime, *, about: str = ""
) -> list[str]:
    first = next_sequence(connection, deliveries.c.sequence)
    rows: list[dict[str, Any]] = [
        {
            "sequence": sequence,
            "delivery_id": str(uuid.uuid4()),
            "webhook_id": webhook_id,
            "event": event.value,
            "body": body,
            "attempts": 0,
            "next_at": isoformat(now),
            "dead": False,
            "problem": "",
            "about": about,
        }
        for sequence, webhook_id in enumerate(told, first)
    ]
    insert_all(connection, deliveries, rows)
    return [row["delivery_id"] for row in rows]


def _messages() -> Select[Any]:
    return select(deliveries, webhooks.c.url).join(webhooks, webhooks.c.webhook_id == deliveries.c.webhook_id)


def _row(webhook: Webhook) -> dict[str, Any]:
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "events": json.dumps(sorted(webhook.events)),
        "created_at": isoformat(webhook.created_at),
    }


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        events=frozenset(map(WebhookEvent, json.loads(row.events))),
        created_at=datetime.fromisoformat(row.created_at),
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        webhook_id=row.webhook_id,
        url=row.url,
        event=WebhookEvent(row.event),
        body=bytes(row.body),
        attempts=row.attempts,
        next_at=datetime.fromisoformat(row.next_at),
        dead=row.dead,
        problem=row.problem,
    )
