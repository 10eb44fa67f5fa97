"""The rows of a file that came in parts, one after the other, as text by field.

This module imports pyarrow, which takes a quarter of a second: import it inside the function that needs it.

A file is refused as a whole where it cannot be read on; a row that can be told from its neighbours costs only itself.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet

from recsys.data.import_job import REQUIRED, ImportJob, ImportKind, fields_of
from recsys.data.imported import ATTRIBUTE, Row
from recsys.data.json_lines import filled_lines, json_row, text_lines
from recsys.errors import InputError
from recsys.types import FileFormat

Check: TypeAlias = Callable[[Collection[str]], None]
"""Told the names of the columns, where a file has them."""

PARQUET_ROWS = 10_000
"""Rows that are in memory as Python objects at one time."""
MAX_GROUP_BYTES = 1 << 30
"""What a group of rows may unfold to: a small file may claim to hold more than any memory does."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that does not read as one, and why."""

    reason: str


def import_rows(job: ImportJob, content: Iterable[bytes]) -> Iterator[Row | Unreadable]:
    """The rows of the file in order.

    Raises:
        InputError: the file is cut, of another format or encoding, or lacks a column.
    """
    names = {job.columns.get(field, field): field for field in fields_of(job.kind)}
    for row in _READERS[job.format](content, lambda columns: _check_columns(job, columns)):
        if isinstance(row, Unreadable):
            yield row
        else:
            yield _by_field(row, names, attributes=job.kind is ImportKind.CATALOGUE)


def _by_field(row: Row, names: Mapping[str, str], *, attributes: bool) -> Row:
    """The row with its columns under the names of the fields; attributes keep theirs."""
    said = {names[name]: value for name, value in row.items() if name in names}
    if attributes:
        said |= {name: value for name, value in row.items() if name.startswith(ATTRIBUTE)}
    return said


def _check_columns(job: ImportJob, columns: Collection[str]) -> None:
    """Nothing, if each column that is needed is there. Names in the file are not repeated: they may be data.

    Raises:
        InputError: one is not.
    """
    for field in fields_of(job.kind):
        name = job.columns.get(field, field)
        needed = field in REQUIRED[job.kind] or field in job.columns
        if list(columns).count(name) not in ({1} if needed else {0, 1}):
            named = f"one column for the field {field}"
            msg = f"expected {named}, got none of the name it should have, or several; name it in `columns`"
            raise InputError(msg)


class _Parts(io.RawIOBase):
    """A file to read from, over its parts."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._left = iter(parts), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what io.BufferedReader hands in
        self._left = self._left or next(self._parts, b"")
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def _buffered(content: Iterable[bytes]) -> io.BufferedReader:
    return io.BufferedReader(_Parts(content), 1 << 16)


@contextmanager
def _readable(kind: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Within it, what is wrong with the file is an InputError; the messages of libraries repeat rows."""
    try:
        yield
    except errors:
        msg = f"expected a whole {kind} file, got bytes that do not read as one to the end; export it again"
        raise InputError(msg) from None


def _read_csv(content: Iterable[bytes], check: Check) -> Iterator[Row | Unreadable]:
    """Rows of CSV with a header; blank lines are none."""
    with _readable("CSV (UTF-8)", (csv.Error, UnicodeError)):
        rows = csv.reader(text_lines(_buffered(content)), strict=True)
        columns = next(rows, [])
        check(columns)
        for row in filter(None, rows):
            if len(row) == len(columns):
                yield {name: value or None for name, value in zip(columns, row, strict=True)}
            else:
                reason = f"expected {len(columns)} fields, got {len(row)}; put fields with commas in quotes"
                yield Unreadable(reason)


def _read_json_lines(content: Iterable[bytes], _: Check) -> Iterator[Row | Unreadable]:
    """Rows of JSON Lines; blank lines are none, and each object may have other names."""
    with _readable("JSON Lines (UTF-8)", (UnicodeError,)):
        for number, line in enumerate(filled_lines(_buffered(content)), start=1):
            try:
                yield json_row(line, number)
            except InputError as error:
                yield Unreadable(str(error))


def _read_parquet(content: Iterable[bytes], check: Check) -> Iterator[Row | Unreadable]:
    """Rows of Parquet, whose directory stands at the end: the file is read whole into memory."""
    with (
        _readable("Parquet", (pa.ArrowException, OSError, ValueError, ArithmeticError, LookupError)),
        pa.parquet.ParquetFile(io.BytesIO(b"".join(content))) as file,
    ):
        check(file.schema_arrow.names)
        _check_room(file.metadata)
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, use_threads=False):
            columns = {name: _texts(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
            for row in zip(*columns.values(), strict=True):
                yield dict(zip(columns, row, strict=True))


def _check_room(metadata: pa.parquet.FileMetaData) -> None:
    """Nothing, if the file does not unfold to more than fits.

    Raises:
        InputError: it does.
    """
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    if any(group.total_byte_size > MAX_GROUP_BYTES for group in groups):
        msg = f"expected row groups of at most {MAX_GROUP_BYTES} bytes, got a larger one; write smaller row groups"
        raise InputError(msg)


def _texts(column: pa.Array) -> list[str | None]:
    """The values of a column as text.

    Raises:
        InputError: they are neither text nor numbers nor times.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("ms", kind.tz), safe=False)
    elif not any(is_kind(kind) for is_kind in _TEXTUAL):
        named = str(kind).partition("<")[0]  # what it is made of has names, which may be data
        msg = f"expected columns of text, numbers and times, got {named}; convert the column, or leave it out"
        raise InputError(msg)
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str | None:
    """Floats that hold whole numbers are what pandas makes of whole numbers with gaps."""
    if isinstance(value, float):
        return None if value != value else str(int(value)) if value.is_integer() else repr(value)  # noqa: PLR0124 - NaN
    return value.isoformat() if isinstance(value, date) else str(value) if value not in (None, "") else None


_TEXTUAL = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_date,
    pa.types.is_null,
)
_READERS: Mapping[FileFormat, Callable[[Iterable[bytes], Check], Iterator[Row | Unreadable]]] = {
    FileFormat.CSV: _read_csv,
    FileFormat.JSONL: _read_json_lines,
    FileFormat.PARQUET: _read_parquet,
}
