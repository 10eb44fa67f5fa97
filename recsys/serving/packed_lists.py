"""Both lists of a customer in few bytes: what a value of the cache seals.

    revision 8 | made 8 | id of the lists 40 | for each task: count 2, rows

A row has 8 bytes: the position in the catalogue, and one number for score and reason. Scores are told in
ten-thousandths, so nothing of an answer is lost. A list with a score that no such number holds has long rows, with the
score as it is; the highest bit of its count says so.
"""

import struct
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.clock import EPOCH, MILLISECOND, milliseconds
from recsys.models.list_order import EMPTY
from recsys.serving.lists import PARTS, CachedLists, Row
from recsys.serving.recommendation_ids import ID_LENGTH
from recsys.types import Reason, Task

ORIGIN = struct.Struct(f">Qq{ID_LENGTH}s")
"""Revision, milliseconds since 1970, id."""
COUNT = struct.Struct(">H")
FIRST = struct.Struct(f"{ORIGIN.format}H")
"""The beginning of a document, with the length of its first list."""
LONG = 0x8000
"""In the count of a list with long rows."""
ROW = np.dtype([("item", ">u4"), ("said", ">i4")])
LONG_ROW = np.dtype([("item", ">u4"), ("score", ">f4"), ("reason", "u1")])
REASONS = tuple(Reason)
"""A reason is kept by its place among these."""
LARGEST = 2**31 // len(REASONS) - 1
"""Ten-thousandths of the highest score in a row of 8 bytes, or of the lowest: about 53,687."""


class FirstList(NamedTuple):
    """What the finished answer is made of."""

    made: int
    """Milliseconds since 1970."""
    recommendation_id: bytes
    rows: tuple[int, ...]
    """Position and number of each row, one after the other."""


def to_document(lists: CachedLists) -> bytes:
    """The lists in a compact form."""
    origin = pack_origin(lists.revision, lists.generated_at, lists.recommendation_id)
    return origin + b"".join(_pack_rows(lists.lists.get(task, ())) for task in Task)


def pack_origin(revision: int, made: datetime, recommendation_id: str) -> bytes:
    """The beginning of a document: what its lists were made from, when, and what they are called."""
    return ORIGIN.pack(revision, milliseconds(made), recommendation_id.encode("ascii"))


def pack_lists(
    items: NDArray[np.integer], scores: NDArray[np.floating], reasons: NDArray[np.integer]
) -> Sequence[bytes]:
    """The rows of each list, with their number in front.

    Args:
        items: (n_lists, length) positions in the catalogue; EMPTY where a list is shorter
        scores: (n_lists, length)
        reasons: (n_lists, length) by their place among `REASONS`
    """
    there = items != EMPTY
    parts = np.rint(np.where(there, scores, 0).astype(np.float64) * PARTS)
    highest = np.abs(parts).max(axis=1, initial=0)
    said = np.where(highest[:, None] <= LARGEST, parts, 0).astype(np.int64) * len(REASONS) + reasons
    counts = np.count_nonzero(there, axis=1)
    short = _cut(_table(ROW, item=items, said=said), counts)
    if highest.max(initial=0) <= LARGEST:
        return short
    long = _cut(_table(LONG_ROW, item=items, score=scores, reason=reasons), counts, LONG)
    return [one if most <= LARGEST else other for most, one, other in zip(highest.tolist(), short, long, strict=True)]


def from_document(document: bytes, version: str) -> CachedLists | None:
    """The version's lists that `to_document` packed, with scores as they are told; None if the bytes are others."""
    try:
        revision, made, name = ORIGIN.unpack_from(document)
        position, lists = ORIGIN.size, {}
        for task in Task:
            lists[task], position = _unpack_rows(document, position)
        return CachedLists(
            version=version,
            revision=revision,
            recommendation_id=name.decode("ascii"),
            generated_at=EPOCH + made * MILLISECOND,
            lists=lists,
        )
    except (struct.error, ValueError, IndexError, OverflowError):
        return None


def first_list(document: bytes) -> FirstList | None:
    """The first list of a document, a few microseconds sooner than all of it; None if it has long rows."""
    _, made, name, count = FIRST.unpack_from(document)
    return None if count & LONG else FirstList(made, name, _rows_of(count).unpack_from(document, FIRST.size))


@cache
def _rows_of(count: int) -> struct.Struct:
    """So many rows of 8 bytes."""
    return struct.Struct(">" + count * "Ii")


def _pack_rows(rows: tuple[Row, ...]) -> bytes:
    """The rows of one list, with their number in front."""
    items = np.array([[item for item, _, _ in rows]], dtype=np.int64)
    scores = np.array([[score for _, score, _ in rows]], dtype=np.float64)
    reasons = np.array([[REASONS.index(reason) for _, _, reason in rows]], dtype=np.int64)
    return pack_lists(items, scores, reasons)[0]


def _table(dtype: np.dtype[np.void], **columns: NDArray[np.generic]) -> NDArray[np.void]:
    """(n_lists, length) rows of these columns."""
    rows = np.empty(columns["item"].shape, dtype=dtype)
    for name, column in columns.items():
        rows[name] = column
    return rows


def _cut(rows: NDArray[np.void], counts: NDArray[np.integer], mark: int = 0) -> list[bytes]:
    """The first rows of each list, as many as it has, with their number and the mark in front."""
    data, size = rows.tobytes(), rows.dtype.itemsize
    begins = (place * rows.shape[1] * size for place in range(len(rows)))
    return [
        COUNT.pack(count | mark) + data[begin : begin + count * size]
        for begin, count in zip(begins, counts.tolist(), strict=True)
    ]


def _unpack_rows(document: bytes, position: int) -> tuple[tuple[Row, ...], int]:
    """The list that begins here, and where the next one does."""
    (mark,) = COUNT.unpack_from(document, position)
    count, dtype = mark & ~LONG, LONG_ROW if mark & LONG else ROW
    begin, end = position + COUNT.size, position + COUNT.size + count * dtype.itemsize
    rows = np.frombuffer(document[begin:end], dtype=dtype, count=count).tolist()
    return tuple(map(_long_row if mark & LONG else _row, rows)), end


def _row(row: tuple[int, int]) -> Row:
    parts, reason = divmod(row[1], len(REASONS))
    return row[0], parts / PARTS, REASONS[reason]


def _long_row(row: tuple[int, float, int]) -> Row:
    return row[0], row[1], REASONS[row[2]]
