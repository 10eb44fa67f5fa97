"""From a row of an imported file to a purchase or an item, by the rules of the API; no message repeats a value."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import nan

from recsys.errors import InputError
from recsys.identifiers import check_event_id, check_item_id, check_user_id, is_line
from recsys.types import CatalogueItem, Purchase

MAX_NAME = 1000
MAX_LABEL = 256
"""Characters of a category, or of an attribute's name or value: they stand in filters."""
MAX_ATTRIBUTES = 50
MAX_PRICE = 1e12
MAX_STOCK = 2**53
"""The largest whole number that every reader of JSON keeps exactly."""
FIRST_YEAR, LAST_YEAR = 1970, 2099
"""A purchase outside these years is a unit or a column mixed up; inside them every calendar and clock can count."""
MAX_QUANTITY = 1_000_000.0
"""Far above any basket, and exact in the 32-bit float that a history keeps."""
LEAST_MILLISECONDS = 1e11
"""A number from here on is in milliseconds: as seconds it would be the year 5138, so it is 1973."""
COMPACT_DATES = (19_000_101, 21_001_231)
"""Numbers within these are taken for dates written YYYYMMDD: as seconds they would all be in the autumn of 1970."""
ATTRIBUTE = "attribute."
"""How the columns of a catalogue begin that hold attributes: the rest is the attribute's name."""
NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?")

Row = Mapping[str, str | None]
"""What a row says, by field; None, or no entry, where it says nothing."""


def purchase_of(row: Row, event_id: str) -> tuple[str, Purchase]:
    """The customer and the purchase in a row; `event_id` is for one that has none of its own.

    Raises:
        InputError: a field is missing or cannot be used.
    """
    return check_user_id(_needed(row, "user_id")), Purchase(
        item_id=check_item_id(_needed(row, "item_id")),
        timestamp=moment(_needed(row, "timestamp")),
        quantity=1.0 if not row.get("quantity") else _number(row, "quantity", -MAX_QUANTITY, MAX_QUANTITY),
        event_id=check_event_id(row.get("event_id") or event_id),
    )


def item_of(row: Row) -> CatalogueItem:
    """The item in a row: everything about it, so that what the row leaves out is empty.

    Raises:
        InputError: a field is missing or cannot be used.
    """
    return CatalogueItem(
        item_id=check_item_id(_needed(row, "item_id")),
        name=_line(row.get("name") or "", "name", MAX_NAME),
        category=_line(row.get("category") or "", "category", MAX_LABEL),
        price=None if not row.get("price") else _number(row, "price", 0, MAX_PRICE),
        stock=None if not row.get("stock") else _whole(row, "stock"),
        attributes=_attributes(row),
    )


def moment(text: str) -> datetime:
    """The time in a text: ISO 8601, or seconds or milliseconds since 1970. Without a zone it is in UTC.

    Raises:
        InputError: it is none, or lies outside 1970 to 2099.
    """
    try:
        found = _of_number(float(text)) if NUMBER.fullmatch(text) else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
        rule = f"expected a time as in 2026-01-31T12:00:00Z in the years {FIRST_YEAR} to {LAST_YEAR}"
        msg = f"{rule}, got another text; correct or leave out the row"
        raise InputError(msg)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _of_number(number: float) -> datetime | None:
    if COMPACT_DATES[0] <= number <= COMPACT_DATES[1]:
        return None
    return datetime.fromtimestamp(number / 1000 if number >= LEAST_MILLISECONDS else number, UTC)


def _needed(row: Row, field: str) -> str:
    value = row.get(field)
    if value is None or not value.strip():
        msg = f"expected a {field}, got none; correct or leave out the row"
        raise InputError(msg)
    return value


def _number(row: Row, field: str, least: float, most: float) -> float:
    text = row[field] or ""
    number = float(text) if NUMBER.fullmatch(text) else nan
    if not least <= number <= most:
        msg = f"expected a number from {least:g} to {most:g} as the {field}, got another text; correct the row"
        raise InputError(msg)
    return number


def _whole(row: Row, field: str) -> int:
    text = row[field] or ""
    if not (NUMBER.fullmatch(text) and float(text).is_integer() and 0 <= int(float(text)) <= MAX_STOCK):
        msg = f"expected a whole number from 0 to {MAX_STOCK} as the {field}, got another text; correct the row"
        raise InputError(msg)
    return int(float(text))


def _line(text: str, what: str, longest: int) -> str:
    if len(text) > longest or not is_line(text):
        msg = f"expected a {what} of one line, at most {longest} characters, got another text; correct the row"
        raise InputError(msg)
    return text


def _attributes(row: Row) -> tuple[tuple[str, str], ...]:
    said = {key.removeprefix(ATTRIBUTE): value for key, value in row.items() if key.startswith(ATTRIBUTE) and value}
    if len(said) > MAX_ATTRIBUTES or "" in said:
        msg = f"expected at most {MAX_ATTRIBUTES} attributes, each with a name, got others; leave some out"
        raise InputError(msg)
    return tuple(
        sorted(
            (_line(name, "name of an attribute", MAX_LABEL), _line(value, "value of an attribute", MAX_LABEL))
            for name, value in said.items()
        )
    )
