"""One spelling for every JSON value, so that equal values have equal bytes, digests and signatures."""

import base64
import hashlib
import json

from recsys.errors import InputError
from recsys.types import Json


def canonical_json(value: Json) -> bytes:
    """The value as UTF-8 JSON with sorted keys, no white space and no escapes but the required ones.

    Numbers are written as Python writes them (the shortest text that reads back as the same number). This is RFC 8785
    but for exponents of floats and keys outside the Basic Multilingual Plane, neither of which the evidence uses.

    Raises:
        InputError: a number is NaN or infinite, or a text holds half a surrogate pair: neither has bytes.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        msg = "expected finite numbers and whole characters, got NaN, infinity or half a surrogate; write null"
        raise InputError(msg) from error


def digest(data: bytes) -> str:
    """The SHA-256 of the bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def json_digest(value: Json) -> str:
    """The SHA-256 of the value's canonical bytes, in hex."""
    return digest(canonical_json(value))


def to_base64(data: bytes) -> str:
    """The bytes in base64."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """The bytes that have this spelling in base64.

    Raises:
        ValueError: there are none. The last letter has spare bits: a careless reader takes several spellings for one.
    """
    data = base64.b64decode(text, validate=True)
    if to_base64(data) != text:
        msg = "expected base64 as it is written, got another spelling; use the text as it was"
        raise ValueError(msg)
    return data
