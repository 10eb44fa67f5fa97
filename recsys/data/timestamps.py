"""Times in every spelling that shops export, as milliseconds since 1970 (UTC).

This module imports pyarrow, which takes a quarter of a second: import it inside the function that needs it.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recsys.errors import InputError

Milliseconds: TypeAlias = NDArray[np.int64]

FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999 in milliseconds: what ISO 8601 and Python's datetime can say."""

LEAST_MILLISECONDS = 1e11
"""A column of numbers that reaches this is in milliseconds: as seconds it would be the year 5138, so it is 1973."""

LEAST_MICROSECONDS = 1e14
"""A column of numbers that reaches this is in no unit that is read here: as milliseconds it would be the year 5138."""

COMPACT_DATES = (19_000_101, 21_001_231)
"""Numbers within these are taken for dates written YYYYMMDD: as seconds they would all be in the autumn of 1970."""

NUMBER = r"^[+-]?[0-9]+(\.[0-9]*)?$"
ZONE = r":[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$|[T ][0-9]{2}Z$"
TICKS_A_MILLISECOND = {"ms": 1, "us": 1_000, "ns": 1_000_000}
SHAPE_LENGTH = 32


def milliseconds(column: pa.Array) -> Milliseconds:
    """(n_rows,): the times of a column, in milliseconds since 1970 (UTC).

    Timestamps of any unit and zone, dates, ISO 8601 text, and numbers: seconds since 1970, or milliseconds if any
    number of the column is 1e11 or more. A time without a zone is in UTC. What is finer than a millisecond is cut off.

    Raises:
        InputError: a time is missing, does not parse, or is outside the years 1 to 9999; the message names the row, and
            the shape of the value, not the value.
    """
    if column.null_count:
        raise _unusable(first_row(column.is_null().to_numpy(zero_copy_only=False)), "nothing")
    if pa.types.is_timestamp(column.type):
        return _of_timestamps(column)
    if pa.types.is_date(column.type):
        return _of_timestamps(column.cast(pa.timestamp("s")))
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _of_numbers(column.to_numpy(zero_copy_only=False).astype(np.float64))
    if pa.types.is_large_string(column.type):
        return _of_text(pc.utf8_trim_whitespace(column))
    msg = f"expected timestamps, dates, ISO 8601 text or numbers as times, got {column.type}; convert the column"
    raise InputError(msg)


def first_row(mask: NDArray[np.bool_]) -> int:
    """The number of the first marked row: rows are counted from 1, without a header."""
    return int(np.argmax(mask)) + 1


def first_failure(column: pa.Array, convert: Callable[[pa.Array], object]) -> int | None:
    """The number of the first row that `convert` refuses, counted from 1; None if it takes the whole column."""

    def fails(size: int) -> bool:
        try:
            convert(column.slice(0, size))
        except pa.ArrowInvalid:
            return True
        return False

    return bisect_left(range(len(column) + 1), x=True, key=fails) if fails(len(column)) else None


def shape(text: str) -> str:
    """The text with every digit as 9 and every letter as a: enough to see what is wrong, too little to see whose."""
    masked = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text))
    return masked if len(masked) <= SHAPE_LENGTH else masked[:SHAPE_LENGTH] + "..."


def _unusable(row: int, got: str) -> InputError:
    """The error about the time in a row."""
    msg = f"expected a time such as 2026-01-31T23:59:59Z in row {row}, got {got}; correct or leave out the row"
    return InputError(msg)


def _of_timestamps(column: pa.Array) -> Milliseconds:
    """Timestamps of any unit; one with a zone is kept in UTC by Arrow."""
    ticks = np.asarray(column.cast(pa.int64()))
    if column.type.unit == "s":
        _check_range(ticks * 1000.0)
        return np.asarray(ticks * 1000)
    times = np.asarray(ticks // TICKS_A_MILLISECOND[column.type.unit])
    _check_range(times)
    return times


def _check_range(times: NDArray[np.int64] | NDArray[np.float64]) -> None:
    """Nothing, if every time is within the years 1 to 9999."""
    wrong = ~((times >= FIRST) & (times <= LAST))
    if wrong.any():
        raise _unusable(first_row(wrong), "a time outside the years 1 to 9999")


def _of_numbers(numbers: NDArray[np.float64]) -> Milliseconds:
    """Seconds or milliseconds since 1970, as the largest number tells."""
    if not np.isfinite(numbers).all():
        raise _unusable(first_row(~np.isfinite(numbers)), "a number that is not finite")
    largest = np.abs(numbers).max()
    if largest >= LEAST_MICROSECONDS or ((numbers >= COMPACT_DATES[0]) & (numbers <= COMPACT_DATES[1])).all():
        found = "finer units" if largest >= LEAST_MICROSECONDS else "eight-digit numbers that read as dates YYYYMMDD"
        msg = f"expected seconds or milliseconds since 1970 as times, got {found}; write the times as 2026-01-31"
        raise InputError(msg)
    times = np.floor(np.round(numbers * (1 if largest >= LEAST_MILLISECONDS else 1000), 3))
    _check_range(times)
    return times.astype(np.int64)


def _of_text(column: pa.Array) -> Milliseconds:
    """ISO 8601 text, each with or without a zone; or numbers, if every value is one."""
    if pc.all(pc.match_substring_regex(column, NUMBER)).as_py():
        return _of_numbers(np.asarray(column.cast(pa.float64())))
    to_millisecond = pc.replace_substring_regex(column, r"(\.[0-9]{3})[0-9]+", r"\1")
    if (row := first_failure(to_millisecond, _parsed)) is not None:
        raise _unusable(row, shape(column[row - 1].as_py()))
    times = _parsed(to_millisecond)
    _check_range(times)
    return times


def _parsed(column: pa.Array) -> Milliseconds:
    """ISO 8601 text as milliseconds; raises ArrowInvalid where a value does not parse."""
    zoned = np.asarray(pc.match_substring_regex(column, ZONE))
    times = np.empty(len(column), dtype=np.int64)
    for mask, kind in ((zoned, pa.timestamp("ms", "UTC")), (~zoned, pa.timestamp("ms"))):
        times[mask] = np.asarray(column.filter(pa.array(mask)).cast(kind).cast(pa.int64()))
    return times
