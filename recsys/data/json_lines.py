"""Rows of a JSON Lines file: one object a line, UTF-8.

Values become text, as in a CSV file, so that an id keeps its leading zeros and one column may mix `7` and `"7"`.
"""

import json
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

import pyarrow as pa

from recsys.errors import InputError

MAX_LINE_BYTES = 1 << 20
"""A row is some hundred bytes; a file without line ends must not be read whole as one."""

Row = dict[str, str | None]


def json_rows(path: Path) -> Iterator[Row]:
    """The rows of the file in order; blank lines are none. The names are the objects' keys.

    Raises:
        InputError: a line is too long, or no object of text, numbers and null; its row is named, and not repeated.
        UnicodeError: the file is not UTF-8.
    """
    with pa.input_stream(path) as stream, BufferedReader(stream) as file:
        for number, line in enumerate(filled_lines(file), start=1):
            yield json_row(line, number)


def filled_lines(file: BufferedReader) -> Iterator[str]:
    """The lines that are not blank; raises as `text_lines`."""
    return (line for line in text_lines(file) if line.strip())


def text_lines(file: BufferedReader) -> Iterator[str]:
    """The lines of a file in UTF-8 with their ends, without the mark that some programs begin a file with.

    Raises:
        InputError: a line is too long.
        UnicodeError: the file is not UTF-8.
    """
    encoding = "utf-8-sig"
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            msg = f"expected lines of at most {MAX_LINE_BYTES} bytes, got a longer one; write one row a line"
            raise InputError(msg)
        yield line.decode(encoding)
        encoding = "utf-8"


def json_row(line: str, number: int) -> Row:
    """The row in a line; raises as `json_rows`."""
    try:
        found = json.loads(line, parse_int=str, parse_float=str, parse_constant=_refuse, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and all(value is None or isinstance(value, str) for value in found.values()):
        return found
    found_there = "got something else; correct or leave out the row, or the file was cut there"
    msg = f"expected an object of text, numbers and null in row {number}, {found_there}"
    raise InputError(msg)


def _refuse(_: str) -> NoReturn:
    """NaN and Infinity are no JSON."""
    raise ValueError


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object, unless a name comes twice: which of two values was meant nobody can say."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found
