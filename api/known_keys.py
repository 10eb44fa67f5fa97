"""Keys that were looked up a moment ago: known without a read, and never for longer than a second."""

import asyncio
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from recsys.errors import PrivrecError
from recsys.ports import ApiKeys
from recsys.types import ApiKey

LIFETIME = 1.0
"""Seconds from the beginning of the read: a key that was revoked is known for no longer than this."""

RENEWAL = 0.5
"""At this age a key in use is read again, beside the requests: they never wait for it."""


class KnownKeys:
    """Keys by the keyed hash of their secret.

    Without the store's key a hash cannot be guessed, so that the time of a look-up says nothing about a secret. Only
    keys that exist are kept: wrong guesses cost no memory.

    Guarantees:
        - A key that was revoked is not found a second later.

    Tested by: tests/api/test_known_keys.py::test_a_revoked_key_is_known_for_a_second_at_most
    """

    def __init__(
        self, api_keys: ApiKeys, hash_of: Callable[[str], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keys of the store, by this hash."""
        self._api_keys, self._hash_of, self._clock = api_keys, hash_of, clock
        self._found: dict[bytes, tuple[float, ApiKey]] = {}
        self._renewals: dict[bytes, asyncio.Task[None]] = {}

    def find(self, secret: str) -> ApiKey | None:
        """The key, if it was looked up within the last second; in use, it is looked up again in time."""
        name = self._hash_of(secret)
        read, key = self._found.get(name, (0.0, None))
        if key is None:
            return None
        age = self._clock() - read
        if age >= RENEWAL and name not in self._renewals:
            self._renewals[name] = asyncio.create_task(self._renew(name, secret))
        return key if age < LIFETIME else None

    def look_up(self, secret: str) -> ApiKey | None:
        """The key in the store, which is remembered; None if there is none, or it is revoked."""
        name, begun = self._hash_of(secret), self._clock()
        key = self._api_keys.authenticate(secret)
        if key is None:
            self._found.pop(name, None)
        else:
            self._found[name] = (begun, key)
        return key

    async def _renew(self, name: bytes, secret: str) -> None:
        try:
            await run_in_threadpool(self.look_up, secret)
        except PrivrecError:
            return  # the store does not answer: what is known runs out by itself
        finally:
            del self._renewals[name]
