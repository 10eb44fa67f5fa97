"""The columns of a file of attributes, by item.

This module imports pyarrow, which takes a quarter of a second: import it inside the function that needs it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from recsys.data.rows import UNMAPPED
from recsys.data.tables import Column, blank_to_null, check_columns, column_names, numbered, plain, read_table
from recsys.errors import InputError
from recsys.identifiers import check_item_id

Value: TypeAlias = str | float | None
"""Text, a finite number, or nothing."""
LARGEST_NUMBER = 1e38
"""A number beyond it, infinite or not one, is none: its square has to fit into a float64, over a whole catalogue."""
ITEM_FIELD = "attribute-item"
"""The item column is named by --attribute-item-column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AllColumns:
    """The item column and the others."""

    item: str
    others: tuple[str, ...] = ()

    def by_field(self) -> dict[str, str]:
        """The names of the columns to read, by field."""
        return {name: name for name in self.others} | {ITEM_FIELD: self.item}


def read_columns(path: Path, item_column: str) -> dict[str, dict[str, str | float]]:
    """By column, the value of each item that has one; a column has text or numbers.

    Raises:
        InputError: the file cannot be used; see `recsys.data.attributes.read_attributes`.
    """
    others = _other_columns(path, item_column)
    table = read_table(path, AllColumns(item=item_column, others=others))
    items, item_index = numbered(blank_to_null(plain(table.column(item_column))), "item", check_item_id)
    spelled = not path.name.lower().endswith(".parquet")
    columns = {name: _values(plain(table.column(name)), name, spelled=spelled) for name in others}
    first_rows = _first_rows(items, item_index.tolist(), columns)
    by_item = {
        name: {item: value for item, row in first_rows.items() if (value := values[row]) is not None}
        for name, values in columns.items()
    }
    found = {name: values for name, values in by_item.items() if values}
    if not found:
        msg = f"expected attributes in the columns of {path}, got no value in any of them; fill them in or leave it out"
        raise InputError(msg)
    return found


def _other_columns(path: Path, item_column: str) -> tuple[str, ...]:
    """The names of the attributes.

    Raises:
        InputError: there is none, or no item column, or two columns have one name.
    """
    names = column_names(path)
    check_columns(names, AllColumns(item=item_column))
    others = tuple(name for name in names if name != item_column)
    twice = next((name for name in others if others.count(name) > 1), None)
    if twice is not None:
        msg = f"expected columns of different names in {path}, got {twice!r} {others.count(twice)} times; rename one"
        raise InputError(msg)
    if not others:
        msg = f"expected attributes beside the column {item_column!r} in {path}, got no other column; add one"
        raise InputError(msg)
    return others


def _values(column: Column, name: str, *, spelled: bool) -> list[Value]:
    """(n_rows,): the column's values; `spelled` says that numbers come as text.

    Raises:
        InputError: it holds neither text nor numbers.
    """
    is_ = pa.types
    try:
        if is_.is_integer(column.type) or is_.is_floating(column.type) or is_.is_decimal(column.type):
            return [_finite(number) for number in column.cast(pa.float64()).to_pylist()]
        if is_.is_boolean(column.type) or is_.is_null(column.type):
            column = column.cast(pa.large_string())
        if is_.is_large_string(column.type):
            column.validate(full=True)
            texts = [(text and text.strip()) or None for text in column.to_pylist()]
            return _numbers(texts) if spelled else [*texts]
        found = str(column.type)
    except pa.ArrowInvalid:
        found = "text that is not UTF-8"
    msg = (
        f"expected text or numbers in the column {name!r}, got {found}; "
        "convert it (several labels of one item: text with | between them), or leave it out"
    )
    raise InputError(msg)


def _numbers(texts: Sequence[str | None]) -> list[Value]:
    """The texts as numbers if every one of them spells one, or else as they are."""
    try:
        return [None if text is None else _finite(float(text)) for text in texts]
    except ValueError:
        return [*texts]


def _finite(number: float | None) -> float | None:
    return number if number is not None and abs(number) < LARGEST_NUMBER else None


def _first_rows(
    items: Sequence[str], item_index: Sequence[int], columns: Mapping[str, Sequence[Value]]
) -> dict[str, int]:
    """Each item's first row, by item.

    Raises:
        InputError: a later row says something else about the item.
    """
    first: dict[int, int] = {}
    for row, index in enumerate(item_index):
        earlier = first.setdefault(index, row)
        if index != UNMAPPED and any(values[row] != values[earlier] for values in columns.values()):
            msg = (
                f"expected one row for each item, got rows {earlier + 1} and {row + 1} with different values for one; "
                "put several labels into one field with | between them"
            )
            raise InputError(msg)
    return {items[index]: row for index, row in first.items() if index != UNMAPPED}
