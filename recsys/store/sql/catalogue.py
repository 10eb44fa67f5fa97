"""The public catalogue in SQL."""

from collections.abc import Sequence

from sqlalchemy import Engine, bindparam, select

from recsys.store.rules import merge_items
from recsys.store.sql.engine import insert_all, writing
from recsys.store.sql.tables import items as table
from recsys.types import CatalogueItem


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
            before = {row["item_id"]: CatalogueItem(**row) for row in connection.execute(_SELECT).mappings()}
            after = merge_items(before, items)
            new = [item for item_id, item in after.items() if item_id not in before]
            insert_all(connection, table, [_row(item) | {"position": at} for at, item in enumerate(new, len(before))])
            changed = [item for item_id, item in after.items() if item != before.get(item_id, item)]
            if changed:
                connection.execute(_UPDATE, [_row(item) | {"id": item.item_id} for item in changed])

    def items(self) -> tuple[CatalogueItem, ...]:
        """Every item, by position."""
        with self._engine.connect() as connection:
            return tuple(CatalogueItem(**row) for row in connection.execute(_SELECT).mappings())


def _row(item: CatalogueItem) -> dict[str, str | int]:
    return {"item_id": item.item_id, "name": item.name, "category": item.category}


_SELECT = select(table.c.item_id, table.c.name, table.c.category).order_by(table.c.position)
_UPDATE = table.update().where(table.c.item_id == bindparam("id"))
