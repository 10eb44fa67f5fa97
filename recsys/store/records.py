"""The sealed record of one customer: the history under a data key that exists nowhere but beside it, wrapped.

    data key   random, 32 bytes, sealed by the store's key, bound to the customer
    record     the history, compressed where that helps, sealed by the data key, bound to the customer and the revision

Destroying the row destroys the data key: copies of the record elsewhere stay sealed for good.
"""

import secrets
import zlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recsys.data.history import History
from recsys.store.keys import KEY_BYTES, KeyRing, Purpose, open_with, seal_with
from recsys.types import UserKey

PLAIN, COMPRESSED = b"\0", b"\1"
"""The first byte of what is sealed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A customer's row: nothing in it can be read without the store's key."""

    user_key: UserKey
    data_key: bytes
    record: bytes
    revision: int


def new_record(ring: KeyRing, user_key: UserKey, history: History) -> Record:
    """The first record of a customer, under a new data key."""
    data_key = ring.seal(Purpose.DATA_KEY, secrets.token_bytes(KEY_BYTES), user_key)
    return _sealed(ring, user_key, data_key, history, revision=1)


def next_record(ring: KeyRing, before: Record, history: History) -> Record:
    """The record that replaces the one before, one revision later."""
    return _sealed(ring, before.user_key, before.data_key, history, revision=before.revision + 1)


def open_record(ring: KeyRing, record: Record) -> History:
    """The customer's history.

    Raises:
        ArtifactError: the record or its data key was changed, or belongs to another customer, revision or installation.
    """
    cipher = _cipher(ring, record.user_key, record.data_key)
    return History.from_bytes(_unpack(open_with(cipher, record.record, _context(record.user_key, record.revision))))


def _sealed(ring: KeyRing, user_key: UserKey, data_key: bytes, history: History, *, revision: int) -> Record:
    cipher = _cipher(ring, user_key, data_key)
    record = seal_with(cipher, _pack(history.to_bytes()), _context(user_key, revision))
    return Record(user_key=user_key, data_key=data_key, record=record, revision=revision)


def _cipher(ring: KeyRing, user_key: UserKey, data_key: bytes) -> AESGCM:
    return AESGCM(ring.open(Purpose.DATA_KEY, data_key, user_key))


def _context(user_key: UserKey, revision: int) -> bytes:
    return user_key + revision.to_bytes(8, "big")


def _pack(data: bytes) -> bytes:
    compressed = zlib.compress(data, level=1)
    return COMPRESSED + compressed if len(compressed) < len(data) else PLAIN + data


def _unpack(packed: bytes) -> bytes:
    return zlib.decompress(packed[1:]) if packed[:1] == COMPRESSED else packed[1:]
