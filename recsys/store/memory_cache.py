"""The cache in memory: the reference for the scripts of the real one. Import it from `recsys.store.memory`."""

import secrets
import threading
from collections.abc import Iterable, Sequence

from recsys.errors import CacheUnavailableError
from recsys.serving.sealed_lists import HEADER, TOMBSTONE, Kind
from recsys.types import Fence, Permit, UserKey


class MemoryCache:
    """Satisfies `ports.Cache`; `down = True` makes it answer as a server that is gone."""

    def __init__(self) -> None:
        """Begin empty, up, and certified by nobody."""
        self.down = False
        self._identity = secrets.token_hex(20)
        self._epoch: int | None = None
        self._stamp = 0
        self._values: tuple[dict[UserKey, bytes], dict[UserKey, bytes]] = ({}, {})
        self._writing = threading.RLock()

    def get(self, user_key: UserKey, slot: int = 0) -> bytes | None:
        """The value in this slot, or None."""
        self.ping()
        return self._values[slot].get(user_key)

    def headers(self, user_keys: Sequence[UserKey], slot: int = 0) -> list[bytes]:
        """The beginnings of the customers' values in this slot, in order; empty where there is none."""
        self.ping()
        return [self._values[slot].get(key, b"")[: HEADER.size] for key in user_keys]

    def permit(self) -> Permit | None:
        """What lists that are computed from now on are written under; None while the cache is not certified."""
        self.ping()
        return None if self._epoch is None else Permit(self._epoch, self._stamp)

    def put(self, permit: Permit, values: Iterable[tuple[UserKey, bytes]], slot: int = 0) -> int:
        """Keep the values that are still good, in this slot; returns how many."""
        self.ping()
        return sum(self._put(permit, key, value, slot) for key, value in values)

    def bury(self, user_key: UserKey) -> str:
        """Put a tombstone in the place of the customer's values; returns the identity of the cache."""
        self.ping()
        with self._writing:
            self._values[0][user_key] = TOMBSTONE
            self._values[1].pop(user_key, None)
        return self._identity

    def forget(self, user_keys: Iterable[UserKey]) -> str:
        """Declare the customers' lists out of date, and those that are being computed; tombstones stay."""
        self.ping()
        with self._writing:
            self._stamp += 1
            stale = HEADER.pack(Kind.STALE, self._epoch or 0, 0, self._stamp)
            for key in user_keys:
                if self._values[0].get(key) != TOMBSTONE:
                    self._values[0][key] = stale
                self._values[1].pop(key, None)
        return self._identity

    def unbury(self, user_key: UserKey) -> None:
        """Put a note that lists are out of date in the place of the customer's tombstone, if there is one."""
        self.ping()
        with self._writing:
            if self._values[0].get(user_key) == TOMBSTONE:
                self._stamp += 1
                self._values[0][user_key] = HEADER.pack(Kind.STALE, self._epoch or 0, 0, self._stamp)

    def identity(self) -> str:
        """The name of this run."""
        self.ping()
        return self._identity

    def certify(self, fence: Fence, buried: Iterable[UserKey]) -> None:
        """Write tombstones of these customers, then let lists of the fence's epoch in."""
        for user_key in buried:
            if self.bury(user_key) != fence.identity:
                raise _another()
        if self.identity() != fence.identity:
            raise _another()
        self._epoch = fence.epoch

    def ping(self) -> None:
        """Return if the cache is up; CacheUnavailableError if not."""
        if self.down:
            msg = "expected the cache to answer, got nothing: it is switched off; set `down` to False"
            raise CacheUnavailableError(msg)

    def _put(self, permit: Permit, user_key: UserKey, value: bytes, slot: int) -> bool:
        with self._writing:
            present = [values.get(user_key, b"") for values in self._values]
            kept = permit.epoch == self._epoch and not any(self._is_later(each, permit) for each in present)
            if kept:
                self._values[slot][user_key] = value
                if present[1 - slot][:1] == bytes([Kind.STALE]):
                    self._values[1 - slot].pop(user_key, None)
        return kept

    def _is_later(self, present: bytes, permit: Permit) -> bool:
        """Whether what is there must not be replaced under this permit."""
        if present == TOMBSTONE or len(present) < HEADER.size:
            return present == TOMBSTONE
        _, epoch, _, stamp = HEADER.unpack_from(present)
        return bool(epoch == permit.epoch and stamp > permit.stamp)


def _another() -> CacheUnavailableError:
    msg = "expected the cache that is being certified, got another run of it; try again in a moment"
    return CacheUnavailableError(msg)
