"""A customer's value in the cache: a header that can be read at once, and the sealed answer with both lists behind it.

    tombstone   0x00
    lists       0x01 | epoch 8 | generation 8 | stamp 8 | sealed: length 4 | answer | document
    stale       0x02 | epoch 8 | 0 x 8        | stamp 8

The epoch and the stamp say when the writer began (`ports.Permit`), the generation which model it used. All of them are
numbers of the installation: nothing in the header is about the customer. The seal binds header and customer, so that a
value that was moved, cut or given another header is no value.
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from recsys.clock import EPOCH, MILLISECOND, milliseconds
from recsys.errors import ArtifactError
from recsys.ports import Seals
from recsys.serving.lists import CachedLists, Row
from recsys.serving.recommendation_ids import SERIAL_BYTES
from recsys.types import Reason, Task, UserKey

TOMBSTONE = b"\x00"
"""Stands where a customer's lists stood: the customer asked to be forgotten, and nothing may be written here again."""

HEADER = struct.Struct(">BQQQ")
"""Kind, epoch, generation, stamp: what is in the clear."""
FORMAT = b"2/"
"""Of what is sealed: a value of another format has another generation, and so is none."""
STAMP_BYTES = 8
"""At the end of a header: writers compare stamps, readers do not."""
LENGTH = struct.Struct(">I")
ORIGIN = struct.Struct(f">Q{SERIAL_BYTES}sqB")
"""Revision, serial, milliseconds since 1970, length of the version's name."""
COUNT = struct.Struct(">H")
ROW = np.dtype([("item", ">u4"), ("score", ">f4"), ("reason", "u1")])
"""9 bytes a row: position in the catalogue, score, place of the reason among `REASONS`."""
REASONS = tuple(Reason)


class Kind(IntEnum):
    """What a value is."""

    TOMBSTONE = 0
    LISTS = 1
    STALE = 2
    """A purchase made the lists that were here out of date: a miss."""


@dataclass(frozen=True, slots=True)
class Header:
    """What can be said about a value without opening it. Only LISTS of the right epoch and generation are served."""

    kind: Kind
    epoch: int
    generation: int


def generation_of(version: str) -> int:
    """The number that stands for a version in a header: the first 8 bytes of the SHA-256 of format and name."""
    return int.from_bytes(sha256(FORMAT + version.encode()).digest()[:8], "big")


def beginning(epoch: int, version: str) -> bytes:
    """How every value begins that holds lists of this epoch and version: the header up to its stamp."""
    header = HEADER.pack(Kind.LISTS, epoch, generation_of(version), 0)
    return header[:-STAMP_BYTES]


def read_header(value: bytes) -> Header | None:
    """The header of a value; None if it has none."""
    if value == TOMBSTONE:
        return Header(Kind.TOMBSTONE, 0, 0)
    if len(value) < HEADER.size or value[0] not in {Kind.LISTS, Kind.STALE}:
        return None
    kind, epoch, generation, _ = HEADER.unpack_from(value)
    return Header(Kind(kind), epoch, generation)


def seal_lists(
    ring: Seals, user_key: UserKey, *, epoch: int, lists: CachedLists, answer: bytes, stamp: int = 0
) -> bytes:
    """The value of a customer: both lists, and the finished answer to the request that is made most.

    Guarantees:
        - It opens only as this customer's, with every byte as it is.

    Tested by: tests/recsys/serving/test_sealed_lists.py::test_a_value_with_a_byte_changed_is_no_value
    """
    header = HEADER.pack(Kind.LISTS, epoch, generation_of(lists.version), stamp)
    return seal_document(ring, user_key, header=header, document=to_document(lists), answer=answer)


def seal_document(ring: Seals, user_key: UserKey, *, header: bytes, document: bytes, answer: bytes) -> bytes:
    """The value with this header, of a document that is packed already."""
    return header + ring.seal_value(LENGTH.pack(len(answer)) + answer + document, user_key + header)


def open_answer(ring: Seals, user_key: UserKey, value: bytes) -> bytes | None:
    """The finished answer; None if the value is anything but this customer's lists."""
    opened = _opened(ring, user_key, value)
    return None if opened is None else opened[LENGTH.size : _end_of_answer(opened)]


def open_lists(ring: Seals, user_key: UserKey, value: bytes) -> CachedLists | None:
    """Both lists; None if the value is anything but this customer's lists, for a cache is never trusted."""
    opened = _opened(ring, user_key, value)
    return None if opened is None else from_document(opened[_end_of_answer(opened) :])


def to_document(lists: CachedLists) -> bytes:
    """The lists in a compact form."""
    rows = [pack_rows(lists.lists.get(task, ())) for task in Task]
    origin = pack_origin(lists.version, lists.revision, lists.serial, lists.generated_at)
    return origin + b"".join(map(counted, rows))


def pack_origin(version: str, revision: int, serial: bytes, generated_at: datetime) -> bytes:
    """The beginning of a document: what its lists were made from, and when."""
    name = version.encode()
    return ORIGIN.pack(revision, serial, milliseconds(generated_at), len(name)) + name


def counted(rows: bytes) -> bytes:
    """Packed rows, with their number in front."""
    return COUNT.pack(len(rows) // ROW.itemsize) + rows


def pack_rows(rows: tuple[Row, ...]) -> bytes:
    """The rows of one list."""
    return np.array([(item, score, REASONS.index(reason)) for item, score, reason in rows], dtype=ROW).tobytes()


def pack_columns(items: NDArray[np.integer], scores: NDArray[np.float32], reasons: NDArray[np.integer]) -> bytes:
    """The rows of one list or many of equal length; reasons by their place among `REASONS`."""
    rows = np.empty(items.shape, dtype=ROW)
    rows["item"], rows["score"], rows["reason"] = items, scores, reasons
    return rows.tobytes()


def from_document(document: bytes) -> CachedLists | None:
    """The lists that `to_document` packed; None if the bytes are anything else."""
    try:
        revision, serial, made_at, length = ORIGIN.unpack_from(document)
        position = ORIGIN.size + length
        version, lists = document[ORIGIN.size : position].decode(), {}
        for task in Task:
            lists[task], position = _unpack_rows(document, position)
        made = EPOCH + made_at * MILLISECOND
        return CachedLists(version=version, revision=revision, serial=serial, generated_at=made, lists=lists)
    except (struct.error, ValueError, IndexError, OverflowError):
        return None


def _unpack_rows(document: bytes, position: int) -> tuple[tuple[Row, ...], int]:
    """The list that begins here, and where the next one does."""
    (count,) = COUNT.unpack_from(document, position)
    begin, end = position + COUNT.size, position + COUNT.size + count * ROW.itemsize
    rows = np.frombuffer(document[begin:end], dtype=ROW, count=count)
    return tuple((item, score, REASONS[reason]) for item, score, reason in rows.tolist()), end


def _opened(ring: Seals, user_key: UserKey, value: bytes) -> bytes | None:
    if len(value) < HEADER.size or value[0] != Kind.LISTS:
        return None
    header, sealed = value[: HEADER.size], value[HEADER.size :]
    try:
        return ring.open_value(sealed, user_key + header)
    except ArtifactError:
        return None


def _end_of_answer(opened: bytes) -> int:
    return LENGTH.size + int.from_bytes(opened[: LENGTH.size], "big")
