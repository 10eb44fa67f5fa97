"""From the columns of a CSV, JSON Lines or Parquet file to checked arrays.

This module imports pyarrow, which takes a quarter of a second: import it inside the function that needs it. Arrow's own
messages repeat rows, and rows hold customer ids: every one of them is replaced, not chained.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from recsys.data.json_lines import json_rows
from recsys.data.readers import Columns, NamedColumns, option
from recsys.data.rows import UNMAPPED, Indices, Rows, event_digests
from recsys.data.timestamps import first_failure, first_row, milliseconds
from recsys.errors import InputError
from recsys.identifiers import check_event_id, check_item_id, check_user_id

Column: TypeAlias = pa.Array
Reader: TypeAlias = Callable[[Path, NamedColumns], pa.Table]

SHOWN_COLUMNS = 20
"""Column names that a message lists."""

SHOWN_LENGTH = 64
"""Characters of each of them."""


def read_rows(path: Path, columns: Columns) -> Rows:
    """The rows of the file, checked, with ids as positions in sorted lists.

    Raises:
        InputError: the file or a row cannot be used.
    """
    table = read_table(path, columns)
    arrays = {field: plain(table.column(name)) for field, name in columns.by_field().items()}
    users, user_index = numbered(arrays["user"], "customer", check_user_id)
    items, item_index = numbered(blank_to_null(arrays["item"]), "item", check_item_id)
    _refuse_missing(user_index, "a customer")
    return Rows(
        users=users,
        items=items,
        user_index=user_index,
        item_index=item_index,
        timestamp=milliseconds(arrays["timestamp"]),
        quantity=quantities(arrays["quantity"]) if "quantity" in arrays else np.ones(len(table), dtype=np.float32),
        event=_digests(arrays["event"]) if "event" in arrays else None,
    )


def read_table(path: Path, columns: NamedColumns) -> pa.Table:
    """The columns of the file, at least one row of them.

    Raises:
        InputError: the file is missing, empty, cut, of another format, or lacks a column.
    """
    with _as_input(path):
        table = _reader(path)(path, columns)
    if not len(table):
        msg = f"expected at least one row in {path}, got none; export it again"
        raise InputError(msg)
    return table


def column_names(path: Path) -> list[str]:
    """The names of the file's columns, in order.

    Raises:
        InputError: the file is missing, cut or of another format.
    """
    with _as_input(path):
        if _reader(path) is _read_csv:
            return _csv_header(path)
        if _reader(path) is _read_json_lines:
            return _keys(json_rows(path))
        with pa.parquet.ParquetFile(path) as file:
            return list(file.schema_arrow.names)


@contextmanager
def _as_input(path: Path) -> Iterator[None]:
    """Within it, what is wrong with the file is an InputError."""
    try:
        yield
    except FileNotFoundError:
        msg = f"expected a file at {path}, got nothing there; check the path"
        raise InputError(msg) from None
    except (pa.ArrowException, OSError, UnicodeError, csv.Error):
        kind = _KINDS[_reader(path)]
        msg = f"expected a whole {kind} at {path}, got bytes that do not read as one to the end; export it again"
        raise InputError(msg) from None


def _reader(path: Path) -> Reader:
    """The function that reads this format."""
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        return _read_csv
    if name.endswith(".parquet"):
        return _read_parquet
    if name.endswith((".jsonl", ".jsonl.gz")):
        return _read_json_lines
    endings = ".csv, .csv.gz, .jsonl, .jsonl.gz or .parquet"
    msg = f"expected a file whose name ends in {endings}, got {path.name!r}; convert it or rename it"
    raise InputError(msg)


def _read_parquet(path: Path, columns: NamedColumns) -> pa.Table:
    """The selected columns of a Parquet file."""
    with pa.parquet.ParquetFile(path) as file:
        names = list(columns.by_field().values())
        check_columns(file.schema_arrow.names, columns)
        return file.read(columns=names)


def _read_csv(path: Path, columns: NamedColumns) -> pa.Table:
    """The selected columns of a CSV file, all as text: an id keeps its leading zeros."""
    check_columns(_csv_header(path), columns)
    names = list(columns.by_field().values())
    refused: list[pa.csv.InvalidRow] = []
    convert_options = pa.csv.ConvertOptions(
        include_columns=names,
        column_types=dict.fromkeys(names, pa.large_string()),
        null_values=[""],
        strings_can_be_null=True,
    )
    try:
        return pa.csv.read_csv(path, _ONE_THREAD, _parse_options(refused), convert_options)
    except pa.ArrowInvalid:
        if refused:
            raise _wrong_fields(refused[0]) from None
        raise


def _read_json_lines(path: Path, columns: NamedColumns) -> pa.Table:
    """The selected columns of a JSON Lines file, all as text; a name that an object lacks is null there."""
    names = list(columns.by_field().values())
    seen: set[str] = set()
    cells: dict[str, list[str | None]] = {name: [] for name in names}
    for row in json_rows(path):
        seen.update(name for name in names if name in row)
        for name in names:
            cells[name].append(row.get(name) or None)
    if cells[names[0]]:
        _check_names(seen, columns)
    return pa.table({name: pa.array(column, pa.large_string()) for name, column in cells.items()})


def _check_names(seen: set[str], columns: NamedColumns) -> None:
    """Nothing, if each column was seen. No message shows the other names: in objects they may be customers' ids.

    Raises:
        InputError: a column is in no row.
    """
    for field, name in columns.by_field().items():
        if name not in seen:
            msg = f"expected the name {name!r} for the {field}, got no object that has it"
            msg = f"{msg}; name yours with {option(field)}"
            raise InputError(msg)


def _keys(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Every name that any of the rows has, in the order they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


_KINDS: Mapping[Reader, str] = {
    _read_csv: "CSV file in UTF-8",
    _read_json_lines: "JSON Lines file in UTF-8",
    _read_parquet: "Parquet file",
}
"""What a message calls the file that each of them reads."""


# With more threads Arrow cannot tell the number of a row that does not parse.
_ONE_THREAD = pa.csv.ReadOptions(use_threads=False)


def _parse_options(refused: list[pa.csv.InvalidRow]) -> pa.csv.ParseOptions:
    """Options under which a row with too few or too many fields ends the reading and is left in `refused`."""

    def refuse(row: pa.csv.InvalidRow) -> str:
        refused.append(row)
        return "error"

    return pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse)


def _wrong_fields(row: pa.csv.InvalidRow) -> InputError:
    """The error about a row with too few or too many fields."""
    msg = f"expected {row.expected_columns} fields in row {row.number - 1}, got {row.actual_columns}"
    return InputError(f"{msg}; the file was cut there, or a field with a comma or a quote is not in quotes")


def _csv_header(path: Path) -> list[str]:
    """The names in the first line."""
    with pa.input_stream(path) as file, TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        return next(csv.reader(text), [])


def check_columns(names: list[str], columns: NamedColumns) -> None:
    """Nothing, if each column is there exactly once.

    Raises:
        InputError: one is not, or the names are none. A first line of data is not repeated.
    """
    for field, name in columns.by_field().items():
        if names.count(name) != 1:
            found = f"it {names.count(name)} times" if name in names else _shown(names)
            msg = f"expected one column {name!r} for the {field}, got {found}; name yours with {option(field)}"
            raise InputError(msg)


def _shown(names: list[str]) -> str:
    """The names for a message, unless they look like data: names of columns have letters and no leading digit."""
    if not names:
        return "an empty file"
    if any(name[:1].isdigit() or not any(map(str.isalpha, name)) for name in names):
        return "a first line that is data or blank (put a header above it)"
    more = f" and {len(names) - SHOWN_COLUMNS} more" if len(names) > SHOWN_COLUMNS else ""
    return f"the columns {', '.join(name[:SHOWN_LENGTH] for name in names[:SHOWN_COLUMNS])}{more}"


def plain(column: pa.ChunkedArray) -> Column:
    """The column as one array: text as large_string, dictionaries written out."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    return column.combine_chunks()


def blank_to_null(column: Column) -> Column:
    """The column with null for text that is empty or white space."""
    if not pa.types.is_large_string(column.type):
        return column
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0)
    return pc.if_else(blank, pa.scalar(None, column.type), column)


def numbered(column: Column, what: str, check: Callable[[str], str]) -> tuple[tuple[str, ...], Indices]:
    """The sorted distinct ids of a column, checked, and (n_rows,) the position of each row's id; -1 where it is null.

    Raises:
        InputError: an id breaks the rule of `check`, or the column holds neither text nor whole numbers.
    """
    encoded = _id_text(column, what).dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(UNMAPPED)).astype(np.int64)
    checked = [_checked(text, code, codes, check) for code, text in enumerate(encoded.dictionary.to_pylist())]
    ids = tuple(sorted(set(checked)))
    position = {text: index for index, text in enumerate(ids)}
    # The last entry is what code -1 finds.
    lookup = np.array([*(position[text] for text in checked), UNMAPPED], dtype=np.int64)
    return ids, lookup[codes]


def _checked(text: str, code: int, codes: Indices, check: Callable[[str], str]) -> str:
    """The id in normal form."""
    try:
        return check(text)
    except InputError as error:
        msg = f"row {first_row(codes == code)}: {error}"
        raise InputError(msg) from None


def _id_text(column: Column, what: str) -> Column:
    """Ids as text. Floats that hold whole numbers are what pandas makes of whole numbers with gaps."""
    try:
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column).cast(pa.int64())
        if pa.types.is_integer(column.type) or pa.types.is_null(column.type):
            column = column.cast(pa.large_string())
        if pa.types.is_large_string(column.type):
            column.validate(full=True)
            return column
        found = str(column.type)
    except pa.ArrowInvalid:
        found = "numbers with a fraction" if pa.types.is_floating(column.type) else "text that is not UTF-8"
    msg = f"expected text or whole numbers as {what} ids, got {found}; convert the column"
    raise InputError(msg)


def _refuse_missing(codes: Indices, what: str) -> None:
    """Nothing, if no code is -1."""
    if (codes == UNMAPPED).any():
        row = first_row(codes == UNMAPPED)
        msg = f"expected {what} in every row, got none in row {row}; correct or leave out the row"
        raise InputError(msg)


def quantities(column: Column) -> NDArray[np.float32]:
    """(n_rows,) float32: the quantities, each of them finite.

    Raises:
        InputError: a quantity is missing, no number, NaN or infinite; the message names the row.
    """
    if not _is_number(column.type):
        msg = f"expected numbers as quantities, got {column.type}; convert the quantity column"
        raise InputError(msg)
    text = pc.utf8_trim_whitespace(column) if pa.types.is_large_string(column.type) else column
    row = first_failure(text, lambda part: part.cast(pa.float64()))
    if row is None:
        with np.errstate(over="ignore"):
            numbers: NDArray[np.float32] = text.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float32)
        if np.isfinite(numbers).all():
            return numbers
        row = first_row(~np.isfinite(numbers))
    msg = f"expected a finite number as the quantity in row {row}, got none; correct or leave out the row"
    raise InputError(msg)


def _is_number(kind: pa.DataType) -> bool:
    """Whether values of this type are numbers or may spell them."""
    is_ = pa.types
    kinds = (is_.is_integer, is_.is_floating, is_.is_decimal, is_.is_large_string, is_.is_null)
    return any(is_kind(kind) for is_kind in kinds)


def _digests(column: Column) -> NDArray[np.uint64]:
    """(n_rows,) uint64: the digests of the event ids."""
    ids, codes = numbered(column, "event", check_event_id)
    _refuse_missing(codes, "an event id")
    return event_digests(ids)[codes]
