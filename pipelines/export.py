"""The catalogue as a file. It holds what the shop says of its items, and nothing of a customer."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from recsys.errors import InputError
from recsys.store.files import file_errors, replace_file
from recsys.types import CatalogueItem, FileFormat

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""

Row = dict[str, str | float | int | None]


def export_catalogue(items: Iterable[CatalogueItem], path: Path) -> int:
    """How many items were written: all that are in the shop, in the file whole or not at all.

    Raises:
        InputError: the name of the file ends in no format that is written.
        StorageError: the file cannot be written.
    """
    encode = _encoder(path)
    rows = item_rows(items)
    with file_errors(str(path)):
        replace_file(path, encode(columns_of(rows), rows))
    return len(rows)


def item_rows(items: Iterable[CatalogueItem]) -> list[Row]:
    """A row for each item that is in the shop."""
    return [_row(item) for item in items if not item.deleted]


def encoded(format: FileFormat, columns: Sequence[str], rows: Sequence[Row]) -> bytes:  # noqa: A002 - the field's name
    """The rows as a file of this format."""
    return _ENCODERS[f".{format}"](columns, rows)


def _row(item: CatalogueItem) -> Row:
    said = {f"attribute.{name}": value for name, value in item.attributes}
    named: Row = {"item": item.item_id, "name": item.name, "category": item.category}
    return named | {"price": item.price, "stock": item.stock} | said


def columns_of(rows: Iterable[Row]) -> list[str]:
    """The names of all rows; an empty catalogue has those that every item has."""
    first = _row(CatalogueItem(item_id=""))
    return list(first) + sorted({name for row in rows for name in row if name not in first})


def _encoder(path: Path) -> Callable[[Sequence[str], Sequence[Row]], bytes]:
    encoder = _ENCODERS.get(path.suffix.lower())
    if encoder is None:
        msg = f"expected a file whose name ends in .csv, .jsonl or .parquet, got {path.name!r}; rename it"
        raise InputError(msg)
    return encoder


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    text = StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _inert(value: str | float | None) -> str | float | None:
    """The cell, with an apostrophe before text that a spreadsheet would calculate."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _json_lines(_: Sequence[str], rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    kinds = {"price": pa.float64(), "stock": pa.int64(), "rank": pa.int64(), "score": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    file = BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), file)
    return file.getvalue()


_ENCODERS: Mapping[str, Callable[[Sequence[str], Sequence[Row]], bytes]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
