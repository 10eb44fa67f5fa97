"""The public catalogue in SQL."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, func, select

from recsys.serving.products import no_item
from recsys.store.chunks import chunks
from recsys.store.rules import merge_items, put_among
from recsys.store.sql.engine import insert_all, writing
from recsys.store.sql.tables import items as table
from recsys.types import CatalogueItem

PAGE = 500
"""Items asked for by name at once: below every driver's limit of parameters."""


class SqlCatalogue:
    """Satisfies `ports.Catalogue`."""

    def __init__(self, engine: Engine) -> None:
        """Use the database of the engine."""
        self._engine = engine

    def add_items(self, items: Sequence[CatalogueItem]) -> None:
        """Add the items that are new, in order; update name and category of the others where they are not empty."""
        if not items:
            return
        with writing(self._engine) as connection:
            before = {item.item_id: item for _, item in _read(connection, _SELECT)}
            after = merge_items(before, items)
            _insert(connection, [item for item_id, item in after.items() if item_id not in before], at=len(before))
            _update(connection, [item for item_id, item in after.items() if item != before.get(item_id, item)])

    def items(self) -> tuple[CatalogueItem, ...]:
        """Every item, by position."""
        with self._engine.connect() as connection:
            return tuple(item for _, item in _read(connection, _SELECT))

    def put_item(self, item: CatalogueItem) -> bool:
        """Put one item; whether it is new."""
        return self.put_items([item]) == [None]

    def put_items(self, items: Sequence[CatalogueItem]) -> list[CatalogueItem | None]:
        """Add each item, or replace the one with its id; what was there before each."""
        with writing(self._engine) as connection:
            known = _some(connection, {item.item_id for item in items})
            before, after = put_among(known, items)
            new = [item for item_id, item in after.items() if item_id not in known]
            _update(connection, [item for item_id, item in after.items() if item != known.get(item_id, item)])
            if new:
                _insert(connection, new, at=connection.scalar(_COUNT) or 0)
            return before

    def change_item(self, item_id: str, change: Callable[[CatalogueItem], CatalogueItem]) -> CatalogueItem:
        """The item after the change, or NotFoundError."""
        with writing(self._engine) as connection:
            before = _one(connection, item_id)
            if before is None or before.deleted:
                raise no_item()
            after = change(before)
            if after != before:
                _update(connection, [after])
            return after

    def changed_since(self, revision: int) -> tuple[int, tuple[tuple[int, CatalogueItem], ...]]:
        """The revision, and the items with positions that changed after the given one."""
        with self._engine.connect() as connection:
            rows = connection.execute(_CHANGED, {"since": revision}).mappings().all()
        latest = max((row["revision"] for row in rows), default=max(revision, 0))
        return latest, tuple(sorted(map(_item, rows), key=itemgetter(0)))


def _insert(connection: Connection, items: Iterable[CatalogueItem], *, at: int) -> None:
    following = _following(connection)
    insert_all(connection, table, [_row(item, following) | {"position": at + i} for i, item in enumerate(items)])


def _update(connection: Connection, items: Sequence[CatalogueItem]) -> None:
    if items:
        following = _following(connection)
        connection.execute(_UPDATE, [_row(item, following) | {"id": item.item_id} for item in items])


def _following(connection: Connection) -> int:
    """The revision of a change that is being written; it is nobody else's until the writer commits."""
    return int(connection.scalar(_REVISION) or 0) + 1


def _one(connection: Connection, item_id: str) -> CatalogueItem | None:
    return next((item for _, item in _read(connection, _SELECT.where(table.c.item_id == item_id))), None)


def _some(connection: Connection, item_ids: Collection[str]) -> dict[str, CatalogueItem]:
    pages = (_SELECT.where(table.c.item_id.in_(page)) for page in chunks(item_ids, PAGE))
    return {item.item_id: item for page in pages for _, item in _read(connection, page)}


def _read(connection: Connection, query: Select[Any]) -> Iterable[tuple[int, CatalogueItem]]:
    return map(_item, connection.execute(query).mappings())


def _row(item: CatalogueItem, revision: int) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "name": item.name,
        "category": item.category,
        "price": item.price,
        "stock": item.stock,
        "attributes": json.dumps(item.attributes),
        "deleted": item.deleted,
        "revision": revision,
    }


def _item(row: Any) -> tuple[int, CatalogueItem]:  # noqa: ANN401 - SQLAlchemy's row mapping has no public type
    fields = {name: row[name] for name in ("item_id", "name", "category", "price", "stock", "deleted")}
    attributes = tuple((name, value) for name, value in json.loads(row["attributes"]))
    return row["position"], CatalogueItem(**fields, attributes=attributes)


_SELECT = select(table).order_by(table.c.position)
# Not ordered by position: SQLite would then walk the whole table in that order instead of asking the revisions' index.
_CHANGED = select(table).where(table.c.revision > bindparam("since"))
_COUNT = select(func.count()).select_from(table)
_REVISION = select(func.max(table.c.revision))
_UPDATE = table.update().where(table.c.item_id == bindparam("id"))
