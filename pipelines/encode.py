"""Rows as the bytes of a file that others open."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO, StringIO
from typing import TypeAlias

from recsys.types import FileFormat

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""

Row: TypeAlias = dict[str, str | float | int | None]


def encoded(format: FileFormat, columns: Sequence[str], rows: Sequence[Row]) -> bytes:  # noqa: A002 - the field's name
    """The rows as a file of this format."""
    return _ENCODERS[format](columns, rows)


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
    import pyarrow as pa  # noqa: PLC0415 - a quarter of a second: a server must not start with it
    import pyarrow.parquet  # noqa: PLC0415

    kinds = {"price": pa.float64(), "stock": pa.int64(), "rank": pa.int64(), "score": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    file = BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), file)
    return file.getvalue()


_ENCODERS: Mapping[FileFormat, Callable[[Sequence[str], Sequence[Row]], bytes]] = {
    FileFormat.CSV: _csv,
    FileFormat.JSONL: _json_lines,
    FileFormat.PARQUET: _parquet,
}
