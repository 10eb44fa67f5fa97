"""Feedback in SQL: digests for as long as they are needed, and totals. No column names a customer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, Engine, bindparam, select

from recsys.store.chunks import chunks
from recsys.store.sql.engine import insert_all, writing
from recsys.store.sql.tables import feedback_events, feedback_lists, feedback_totals
from recsys.store.tally import tally
from recsys.types import FeedbackEntry, FeedbackStatus, FeedbackTotals

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

    def totals(self) -> dict[bytes, FeedbackTotals]:
        """The totals by mark of a version."""
        with self._engine.connect() as connection:
            return _totals(connection)


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


def _totals(connection: Connection) -> dict[bytes, FeedbackTotals]:
    rows = (dict(row) for row in connection.execute(select(feedback_totals)).mappings())
    return {bytes(row.pop("model")): FeedbackTotals(**row) for row in rows}


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


def _add(connection: Connection, added: Mapping[bytes, FeedbackTotals]) -> None:
    """Add to the totals; the transaction is the one writer's, so that nothing comes between."""
    before = _totals(connection)
    first = [{"model": model, **asdict(totals)} for model, totals in added.items() if model not in before]
    insert_all(connection, feedback_totals, first)
    later = [{"key": model, **asdict(before[model] + added[model])} for model in added if model in before]
    if later:
        connection.execute(_TOTALS, later)


_SEEN = feedback_lists.update().where(feedback_lists.c.list_id == bindparam("key"))
_TOTALS = feedback_totals.update().where(feedback_totals.c.model == bindparam("key"))
