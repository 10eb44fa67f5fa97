"""Corrections from a file of `event_id,delete,item_id,timestamp,quantity`; an empty cell leaves a field as it is."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from recsys.errors import InputError
from recsys.rights.desk import Wanted

COLUMNS = {"event_id", "delete", "item_id", "timestamp", "quantity"}
YES, NO = {"1", "true", "yes"}, {"", "0", "false", "no"}


def read_corrections(path: Path) -> list[Wanted]:
    """The rows of the file, in order.

    Raises:
        InputError: there is no such file, it has other columns, or a row cannot be read; the message names its number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_rows(csv.DictReader(file)))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"expected a readable CSV file in UTF-8, got {type(error).__name__}; check the path and the encoding"
        raise InputError(msg) from None


def _rows(reader: "csv.DictReader[str]") -> Iterator[Wanted]:
    _check_columns(reader.fieldnames or ())
    for number, row in enumerate(reader, start=1):
        try:
            yield _wanted({name: (value or "").strip() for name, value in row.items() if name})
        except ValueError:
            msg = (
                f"expected row {number} with an event_id, a time in ISO 8601 with its timezone, a number as quantity "
                "and true or false as delete, got another; correct it and run it again"
            )
            raise InputError(msg) from None


def _wanted(row: dict[str, str]) -> Wanted:
    """The correction of a row; ValueError if it is none."""
    delete = row.get("delete", "").lower()
    moment = datetime.fromisoformat(row["timestamp"]) if row.get("timestamp") else None
    if not row["event_id"] or delete not in YES | NO or (moment is not None and moment.tzinfo is None):
        raise ValueError
    return Wanted(
        event_id=row["event_id"],
        delete=delete in YES,
        item_id=row.get("item_id") or None,
        timestamp=moment,
        quantity=float(row["quantity"]) if row.get("quantity") else None,
    )


def _check_columns(names: Iterable[str]) -> None:
    found = set(names)
    if "event_id" not in found or not found <= COLUMNS:
        msg = f"expected a column event_id and others of {', '.join(sorted(COLUMNS))}, got others; rename them"
        raise InputError(msg)
