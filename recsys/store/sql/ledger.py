"""The privacy ledger's entries in SQL, in the order of their index."""

import json

from sqlalchemy import Engine, select

from recsys.evidence.canonical import canonical_json
from recsys.store.rules import not_next
from recsys.store.sql.engine import insert_all, next_sequence, writing
from recsys.store.sql.tables import ledger
from recsys.types import Json


class SqlLedgerLog:
    """Satisfies `ports.LedgerLog`."""

    def __init__(self, engine: Engine) -> None:
        """Use the database of the engine."""
        self._engine = engine

    def entries(self) -> list[dict[str, Json]]:
        """Every entry, oldest first."""
        with self._engine.connect() as connection:
            return [json.loads(entry) for entry in connection.scalars(select(ledger.c.entry).order_by(ledger.c.index))]

    def append(self, entry: dict[str, Json]) -> None:
        """Append the entry durably.

        Raises:
            StateError: the entry's index is not the next one, because another process appended first.
        """
        with writing(self._engine) as connection:
            expected = next_sequence(connection, ledger.c.index)
            if entry.get("index") != expected:
                raise not_next(entry.get("index"), expected)
            insert_all(connection, ledger, [{"index": expected, "entry": canonical_json(entry).decode()}])
