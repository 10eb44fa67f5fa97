"""Secrets of API keys: made once, shown once, kept as a keyed hash."""

import secrets
from datetime import datetime

from recsys.store.keys import KeyRing, Purpose
from recsys.types import ApiKey, Scope

PREFIX = "privrec_"
"""Marks a secret, so that scanners find one that was committed by accident."""


def new_api_key(name: str, scopes: frozenset[Scope], created_at: datetime) -> tuple[ApiKey, str]:
    """A new key and its secret of 256 random bits."""
    key = ApiKey(key_id=secrets.token_hex(8), name=name, scopes=scopes, created_at=created_at)
    return key, PREFIX + secrets.token_urlsafe(32)


def hash_secret(ring: KeyRing, secret: str) -> bytes:
    """What is kept of a secret: without the store's key it cannot be compared with a guess."""
    return ring.keyed_hash(Purpose.API_KEY, secret.encode(errors="replace"))
