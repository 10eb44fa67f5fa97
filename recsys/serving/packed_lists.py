"""Both lists of a customer in few bytes: what a value of the cache seals.

    revision 8 | made 8 | id of the lists 40 | list that is asked for most | the other list

    asked for most:  count 2 | length of text 2 | position 4 each | text: each score as told, a mark for its reason
    other:           count 2 | position 4, score 4, reason 1 each

An answer is made of the first as it lies there, for to write a score as text takes longer than all else. Positions are
those of the catalogue, and numbers begin with their lowest byte: most machines read them so.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recsys.clock import EPOCH, MILLISECOND, milliseconds
from recsys.models.list_order import EMPTY
from recsys.serving.lists import DEFAULT_TASK, PARTS, CachedLists, Row
from recsys.serving.recommendation_ids import ID_LENGTH
from recsys.types import Reason, Task

ORIGIN = struct.Struct(f"<Qq{ID_LENGTH}s")
"""Revision, milliseconds since 1970, id."""
FIRST = struct.Struct(f"{ORIGIN.format}HH")
"""The same, and how many rows and bytes of text the first list has."""
SIZES = struct.Struct("<HH")
COUNT = struct.Struct("<H")
ROW = np.dtype([("item", "<u4"), ("score", "<f4"), ("reason", "u1")])
REASONS = tuple(Reason)
"""A reason is kept by its place among these."""
MARKS = [chr(place + 1) for place in range(len(REASONS))]
"""What stands in the text for each reason: nothing that is in a number."""
TOLD = re.compile(f"([^{MARKS[0]}-{MARKS[-1]}]+)([{MARKS[0]}-{MARKS[-1]}])")
"""A score and its mark in the text."""
[OTHER_TASK] = set(Task) - {DEFAULT_TASK}


class Columns(NamedTuple):
    """Lists of many customers, (n_customers, length) each."""

    items: NDArray[np.integer]
    """Positions in the catalogue; EMPTY where a list is shorter."""
    scores: NDArray[np.floating]
    reasons: NDArray[np.integer]
    """By their place among `REASONS`."""

    @property
    def counts(self) -> list[int]:
        """How long each list is."""
        counts: list[int] = np.count_nonzero(self.items != EMPTY, axis=1).tolist()
        return counts


FirstList: TypeAlias = tuple[int, bytes, tuple[int, ...], bytes]
"""What an answer is made of: milliseconds since 1970, id, and of all rows the positions and the text. A plain tuple:
one with names takes a twentieth of the answer's time."""


def to_document(lists: CachedLists) -> bytes:
    """The lists in a compact form."""
    [packed] = pack_lists({task: _columns(lists.lists.get(task, ())) for task in Task})
    return pack_origin(lists.revision, lists.generated_at, lists.recommendation_id) + packed


def pack_origin(revision: int, made: datetime, recommendation_id: str) -> bytes:
    """The beginning of a document: what its lists were made from, when, and what they are called."""
    return ORIGIN.pack(revision, milliseconds(made), recommendation_id.encode("ascii"))


def pack_lists(lists: Mapping[Task, Columns]) -> Iterable[bytes]:
    """Both lists of each customer: the rest of a document."""
    return map(bytes.__add__, _told(lists[DEFAULT_TASK]), _packed(lists[OTHER_TASK]))


def from_document(document: bytes, version: str) -> CachedLists | None:
    """The version's lists that `to_document` packed; None if the bytes are others."""
    try:
        revision, made, name = ORIGIN.unpack_from(document)
        first, end = _first_rows(document)
        return CachedLists(
            version=version,
            revision=revision,
            recommendation_id=name.decode("ascii"),
            generated_at=EPOCH + made * MILLISECOND,
            lists={DEFAULT_TASK: first, OTHER_TASK: _other_rows(document, end)},
        )
    except (struct.error, ValueError, IndexError, OverflowError):
        return None


def first_list(document: bytes) -> FirstList:
    """The first list of a document that was packed here, in a microsecond."""
    _, made, name, count, size = FIRST.unpack_from(document)
    text = FIRST.size + 4 * count
    return made, name, _positions(count).unpack_from(document, FIRST.size), document[text : text + size]


@cache
def _positions(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}I")


def _columns(rows: tuple[Row, ...]) -> Columns:
    """One list."""
    return Columns(
        np.array([[item for item, _, _ in rows]], dtype=np.int64),
        np.array([[score for _, score, _ in rows]], dtype=np.float64),
        np.array([[REASONS.index(reason) for _, _, reason in rows]], dtype=np.int64),
    )


def _told(lists: Columns) -> Iterable[bytes]:
    """Each list as answers tell it."""
    told = np.rint(np.where(lists.items == EMPTY, 0, lists.scores).astype(np.float64) * PARTS) / PARTS + 0.0  # no -0
    items, rows = lists.items.astype("<u4"), zip(lists.counts, told.tolist(), lists.reasons.tolist(), strict=True)
    for its_items, (count, scores, reasons) in zip(items, rows, strict=True):
        pairs = zip(scores[:count], reasons[:count], strict=True)
        text = "".join([f"{score!r}{MARKS[reason]}" for score, reason in pairs]).encode("ascii")
        yield SIZES.pack(count, len(text)) + its_items[:count].tobytes() + text


def _packed(lists: Columns) -> Iterable[bytes]:
    """Each list as numbers."""
    rows = np.empty(lists.items.shape, dtype=ROW)
    rows["item"], rows["score"], rows["reason"] = lists
    for count, its_rows in zip(lists.counts, rows, strict=True):
        yield COUNT.pack(count) + its_rows[:count].tobytes()


def _first_rows(document: bytes) -> tuple[tuple[Row, ...], int]:
    """The first list, and where it ends."""
    count, size = SIZES.unpack_from(document, ORIGIN.size)
    _, _, items, text = first_list(document)
    said = [(float(score), REASONS[MARKS.index(mark)]) for score, mark in TOLD.findall(text.decode("ascii"))]
    rows = tuple((item, *score_and_reason) for item, score_and_reason in zip(items, said, strict=True))
    return rows, FIRST.size + 4 * count + size


def _other_rows(document: bytes, position: int) -> tuple[Row, ...]:
    """The list that begins here."""
    (count,) = COUNT.unpack_from(document, position)
    begin, end = position + COUNT.size, position + COUNT.size + count * ROW.itemsize
    rows = np.frombuffer(document[begin:end], dtype=ROW, count=count)
    return tuple((item, score, REASONS[reason]) for item, score, reason in rows.tolist())
