"""A customer's value in the cache: a header that can be read at once, and both lists sealed behind it.

    tombstone   0x00
    lists       0x01 | epoch 8 | generation 8 | stamp 8 | sealed: document (`packed_lists`)
    stale       0x02 | epoch 8 | 0 x 8        | stamp 8

The epoch and the stamp say when the writer began (`ports.Permit`), the generation which model it used. All of them are
numbers of the installation: nothing in the header is about the customer. The seal binds header and customer, so that a
value that was moved, cut or given another header is no value.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256

from recsys.errors import ArtifactError
from recsys.ports import Seals
from recsys.serving.lists import CachedLists
from recsys.serving.packed_lists import from_document, to_document
from recsys.types import UserKey

TOMBSTONE = b"\x00"
"""Stands where a customer's lists stood: the customer asked to be forgotten, and nothing may be written here again."""

HEADER = struct.Struct(">BQQQ")
"""Kind, epoch, generation, stamp: what is in the clear."""
FORMAT = b"3/"
"""Of what is sealed: a value of another format has another generation, and so is none."""
STAMP_BYTES = 8
"""At the end of a header: writers compare stamps, readers do not."""


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


@lru_cache(maxsize=1024)
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


def seal_lists(ring: Seals, user_key: UserKey, *, epoch: int, lists: CachedLists, stamp: int = 0) -> bytes:
    """The value of a customer: both lists.

    Guarantees:
        - It opens only as this customer's, with every byte as it is.

    Tested by: tests/recsys/serving/test_sealed_lists.py::test_a_value_with_a_byte_changed_is_no_value
    """
    header = HEADER.pack(Kind.LISTS, epoch, generation_of(lists.version), stamp)
    return seal_document(ring, user_key, header=header, document=to_document(lists))


def seal_document(ring: Seals, user_key: UserKey, *, header: bytes, document: bytes) -> bytes:
    """The value with this header, of a document that is packed already."""
    return header + ring.seal_value(document, user_key + header)


def open_document(ring: Seals, user_key: UserKey, value: bytes) -> bytes | None:
    """The document; None if the value is anything but this customer's lists, for a cache is never trusted."""
    if len(value) < HEADER.size or value[0] != Kind.LISTS:
        return None
    header, sealed = value[: HEADER.size], value[HEADER.size :]
    try:
        return ring.open_value(sealed, user_key + header)
    except ArtifactError:
        return None


def open_lists(ring: Seals, user_key: UserKey, value: bytes, version: str) -> CachedLists | None:
    """Both lists; None if the value is anything but this customer's lists of this version."""
    header = read_header(value)
    if header is None or header.generation != generation_of(version):
        return None
    document = open_document(ring, user_key, value)
    return None if document is None else from_document(document, version)
