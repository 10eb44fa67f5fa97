"""The catalogue as a file. It holds what the shop says of its items, and nothing of a customer."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.encode import Row, encoded
from recsys.errors import InputError
from recsys.store.files import file_errors, replace_file
from recsys.types import CatalogueItem, FileFormat


def export_catalogue(items: Iterable[CatalogueItem], path: Path) -> int:
    """How many items were written: all that are in the shop, in the file whole or not at all.

    Raises:
        InputError: the name of the file ends in no format that is written.
        StorageError: the file cannot be written.
    """
    chosen = _format_of(path)
    rows = item_rows(items)
    with file_errors(str(path)):
        replace_file(path, encoded(chosen, columns_of(rows), rows))
    return len(rows)


def item_rows(items: Iterable[CatalogueItem]) -> list[Row]:
    """A row for each item that is in the shop."""
    return [_row(item) for item in items if not item.deleted]


def _row(item: CatalogueItem) -> Row:
    said = {f"attribute.{name}": value for name, value in item.attributes}
    named: Row = {"item": item.item_id, "name": item.name, "category": item.category}
    return named | {"price": item.price, "stock": item.stock} | said


def columns_of(rows: Iterable[Row]) -> list[str]:
    """The names of all rows; an empty catalogue has those that every item has."""
    first = _row(CatalogueItem(item_id=""))
    return list(first) + sorted({name for row in rows for name in row if name not in first})


def _format_of(path: Path) -> FileFormat:
    try:
        return FileFormat(path.suffix.lower().removeprefix("."))
    except ValueError:
        msg = f"expected a file whose name ends in .csv, .jsonl or .parquet, got {path.name!r}; rename it"
        raise InputError(msg) from None
