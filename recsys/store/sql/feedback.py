"""Feedback in SQL: digests for as long as they are needed, and totals. No column names a customer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime

from sqlalchemy import Connection, Engine, bindparam, func, select

from recsys.store.chunks import chunks
from recsys.store.sql.engine import insert_all, writing
from recsys.store.sql.tables import feedback_events, feedback_lists, feedback_totals
from recsys.store.tally import tally
from recsys.types import FeedbackEntry, FeedbackStatus, FeedbackTotals

COUNTS = tuple(field.name for field in fields(FeedbackTotals))
PAGE = 500
"""Rows asked for at once: below every driver's limit of parameters."""


class SqlFeedback:
    """Satisfies `ports.Feedback`."""

    def __init__(self, engine: Engine) -> None:
        """Use the database of the engine."""
        self._engine = engine

    def count(self, entries: Sequence[FeedbackEntry], now: datetime) -> list[FeedbackStatus]:
        """Whether each entry is counted now, was before, or came before with other content: in one transaction.

        Raises:
            StorageError: the database refused; nothing was counted.
        """
        with writing(self._engine) as connection:
            _expire(connection, int(now.timestamp()))
            seen = _lists(connection, [entry.list_id for entry in entries])
            done = tally(entries, _events(connection, [entry.event for entry in entries]), seen)
            insert_all(connection, feedback_events, [_event(entry) for entry in done.events.values()])
            _write_lists(connection, done.lists, seen)
            _add(connection, done.added)
        return done.statuses

    def totals(self, since: int = 0) -> dict[bytes, FeedbackTotals]:
        """The totals by mark of a version, of lists that were made on this day or later."""
        with self._engine.connect() as connection:
            rows = connection.execute(_SUMS, {"since": since}).all()
        return {bytes(model): FeedbackTotals(**dict(zip(COUNTS, map(int, sums), strict=True))) for model, *sums in rows}


def _expire(connection: Connection, now: int) -> None:
    for table in (feedback_events, feedback_lists):
        connection.execute(table.delete().where(table.c.expires_at < now))


def _events(connection: Connection, events: list[bytes]) -> dict[bytes, bytes]:
    """The contents of those events that were counted."""
    table = feedback_events
    pages = (select(table.c.event, table.c.content).where(table.c.event.in_(page)) for page in chunks(events, PAGE))
    return {bytes(row.event): bytes(row.content) for page in pages for row in connection.execute(page)}


def _lists(connection: Connection, list_ids: list[bytes]) -> dict[bytes, int]:
    """What was seen of those lists."""
    table = feedback_lists
    pages = (select(table.c.list_id, table.c.seen).where(table.c.list_id.in_(page)) for page in chunks(list_ids, PAGE))
    return {bytes(row.list_id): row.seen for page in pages for row in connection.execute(page)}


def _before(connection: Connection, days: set[int]) -> dict[tuple[bytes, int], FeedbackTotals]:
    """The totals of the lists of these days."""
    table = feedback_totals
    rows = (dict(row) for row in connection.execute(select(table).where(table.c.day.in_(days))).mappings())
    return {(bytes(row.pop("model")), row.pop("day")): FeedbackTotals(**row) for row in rows}


def _event(entry: FeedbackEntry) -> dict[str, bytes | int]:
    return {"event": entry.event, "content": entry.content, "expires_at": entry.expires_at}


def _write_lists(connection: Connection, lists: Mapping[bytes, tuple[int, int]], before: Mapping[bytes, int]) -> None:
    rows = [
        {"list_id": list_id, "seen": seen, "expires_at": expires_at} for list_id, (seen, expires_at) in lists.items()
    ]
    insert_all(connection, feedback_lists, [row for row in rows if row["list_id"] not in before])
    later = [{"key": row["list_id"], "seen": row["seen"]} for row in rows if row["list_id"] in before]
    if later:
        connection.execute(_SEEN, later)


def _add(connection: Connection, added: Mapping[tuple[bytes, int], FeedbackTotals]) -> None:
    """Add to the totals; the transaction is the one writer's, so that nothing comes between."""
    before = _before(connection, {day for _, day in added})
    first = [{"model": key[0], "day": key[1], **asdict(new)} for key, new in added.items() if key not in before]
    insert_all(connection, feedback_totals, first)
    later = [{"of": key[0], "on": key[1], **asdict(before[key] + new)} for key, new in added.items() if key in before]
    if later:
        connection.execute(_TOTALS, later)


_SEEN = feedback_lists.update().where(feedback_lists.c.list_id == bindparam("key"))
_TOTALS = feedback_totals.update().where(
    feedback_totals.c.model == bindparam("of"), feedback_totals.c.day == bindparam("on")
)
_SUMS = (
    select(feedback_totals.c.model, *(func.sum(feedback_totals.c[name]) for name in COUNTS))
    .where(feedback_totals.c.day >= bindparam("since"))
    .group_by(feedback_totals.c.model)
)
