"""The id of an answer, by which a shop says what became of it, and which this installation alone can make.

    serial 8 | days since 1970 2 | model 8 | tag 12        in base64url: 40 characters

The serial is random and drawn for each list: nothing in an id is about the customer, and two ids of one customer have
no more in common than those of two. It says the day and not the moment, because a list is made anew after a purchase:
whoever knows when somebody bought would know the list that came next.
"""

import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest

from recsys.clock import EPOCH
from recsys.ports import Seals

SERIAL_BYTES = 8
TAG_BYTES = 12
BODY = struct.Struct(f">{SERIAL_BYTES}sH8s")
ID_LENGTH = (BODY.size + TAG_BYTES) * 4 // 3
"""Characters of an id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Issued:
    """What an id says."""

    serial: bytes
    day: datetime
    """The beginning of the day on which the list was made (UTC)."""
    model: bytes
    """The mark of the version that made it."""


def new_serial() -> bytes:
    """The random number of a new list."""
    return secrets.token_bytes(SERIAL_BYTES)


@lru_cache(maxsize=1024)
def model_mark(version: str) -> bytes:
    """8 bytes that stand for a version in an id."""
    return sha256(version.encode()).digest()[:8]


def make_id(seals: Seals, serial: bytes, *, version: str, made: datetime) -> str:
    """The id of the list with this serial.

    Guarantees:
        - Only this installation can make one, and one with a character changed is none.

    Tested by: tests/recsys/serving/test_recommendation_ids.py::test_an_id_with_a_character_changed_is_none
    """
    body = BODY.pack(serial, (made - EPOCH).days, model_mark(version))
    return urlsafe_b64encode(body + seals.tag(body)[:TAG_BYTES]).decode("ascii")


def read_id(seals: Seals, text: str) -> Issued | None:
    """What the id says; None if it is none of this installation."""
    if len(text) != ID_LENGTH or not text.isascii():
        return None
    try:
        content = urlsafe_b64decode(text)
    except ValueError:
        return None
    # Decoding passes over characters that it does not know; only the one spelling is an id.
    body, tag = content[: BODY.size], content[BODY.size :]
    if urlsafe_b64encode(content).decode("ascii") != text or not compare_digest(tag, seals.tag(body)[:TAG_BYTES]):
        return None
    serial, days, model = BODY.unpack(body)
    return Issued(serial=serial, day=EPOCH + timedelta(days=days), model=model)
