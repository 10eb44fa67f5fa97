"""The cache on any server that speaks the Redis protocol: sealed values, under names that say nothing."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from recsys.errors import CacheUnavailableError, StateError
from recsys.store.cache_names import ENDS, EPOCH, PREFIX, STAMP
from recsys.store.cache_scripts import BURY, FORGET, HEADERS, PUT, RUN, UNBURY
from recsys.store.chunks import chunks
from recsys.store.keys import KeyRing, Purpose
from recsys.store.redis_address import RedisAddress
from recsys.store.redis_client import open_client, same_settings
from recsys.types import Fence, Permit, UserKey

BATCH = 500
"""Values sent at once: a few MB, well below what a server buffers for one client."""
LIFE_SECONDS = 30 * 24 * 3600
"""Lists expire, so that a server short of memory drops lists first, and never a tombstone or the epoch."""
EVICTING = "allkeys-"
"""How the policies begin that may drop what does not expire."""
PRIMARY = "master"
"""What a server calls itself that takes writes."""


class RedisCache:
    """Satisfies `ports.Cache`."""

    def __init__(self, url: str, ring: KeyRing, timeout: float) -> None:
        """Use the server at the URL, waiting at most `timeout` seconds for it; nothing is sent yet.

        Raises:
            InputError: the URL is of no form that is spoken, or asks for what is not supported. It is not repeated: it
                may hold a password.
        """
        self._ring = ring
        self._redis = open_client(RedisAddress(url), timeout=timeout)
        register = self._redis.register_script  # sends the digest, and the text where the server does not know it
        self._put, self._bury, self._forget, self._headers = map(register, (PUT, BURY, FORGET, HEADERS))
        self._run, self._unbury = map(register, (RUN, UNBURY))

    def get(self, user_key: UserKey, slot: int = 0) -> bytes | None:
        """The value in this slot, or None."""
        with _cache_errors():
            return cast("bytes | None", self._redis.get(self.name(user_key, slot)))

    def headers(self, user_keys: Sequence[UserKey], slot: int = 0) -> list[bytes]:
        """The beginnings of the customers' values in this slot, in order; empty where there is none."""
        with _cache_errors():
            pages = [self._headers(keys=[self.name(key, slot) for key in page]) for page in chunks(user_keys, BATCH)]
        return [header for page in pages for header in page]

    def permit(self) -> Permit | None:
        """What lists that are computed from now on are written under; None while the server is not certified."""
        with _cache_errors():
            epoch, stamp = cast("list[bytes | None]", self._redis.mget(EPOCH, STAMP))
        return None if epoch is None else Permit(int(epoch), int(stamp or 0))

    def put(self, permit: Permit, values: Iterable[tuple[UserKey, bytes]], slot: int = 0) -> int:
        """Keep the values that are still good, in this slot; returns how many.

        Guarantees:
            - A tombstone, and what a later permit wrote, is never replaced, nor is a list kept beside it.

        Tested by: tests/contracts/test_cache_contract.py
        """
        return sum(self._put_batch(permit, batch, slot) for batch in chunks(values, BATCH))

    def bury(self, user_key: UserKey) -> str:
        """Put a tombstone in the place of the customer's values; returns the identity of the server that holds it."""
        with _cache_errors():
            return _text(self._bury(keys=self._names([user_key])))

    def forget(self, user_keys: Iterable[UserKey]) -> str:
        """Declare the customers' lists out of date, and those that are being computed; tombstones stay."""
        identities = set()
        with _cache_errors():
            for page in chunks(user_keys, BATCH):
                keys = [EPOCH, STAMP, *self._names(page)]
                identities.add(_text(self._forget(keys=keys, args=[LIFE_SECONDS])))
        return identities.pop() if len(identities) == 1 else ""

    def unbury(self, user_key: UserKey) -> None:
        """Put a note that lists are out of date in the place of the customer's tombstone, if there is one."""
        with _cache_errors():
            self._unbury(keys=[EPOCH, STAMP, *self._names([user_key])], args=[LIFE_SECONDS])

    def identity(self) -> str:
        """The name of this run of the server.

        Raises:
            StateError: the server is set up so that it may throw tombstones away.
        """
        with _cache_errors():
            return self._identity(self._redis)

    def certify(self, fence: Fence, buried: Iterable[UserKey]) -> None:
        """Write tombstones of these customers, then let lists of the fence's epoch in: on one run of the server.

        Raises:
            CacheUnavailableError: the server is not, or no longer, the one of the fence.
        """
        # One connection leads to one run of a server: if it breaks, all of this is off.
        pool = same_settings(self._redis)
        with closing(pool), _cache_errors(), Redis(connection_pool=pool, single_connection_client=True) as server:
            if self._identity(server) != fence.identity:
                msg = "expected the server that is being certified, got another run of it; try again in a moment"
                raise CacheUnavailableError(msg)
            for page in chunks(buried, BATCH):
                self._bury(keys=self._names(page), client=server)
            server.set(EPOCH, fence.epoch)

    def ping(self) -> None:
        """Return if the server answers."""
        with _cache_errors():
            self._redis.ping()

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def name(self, user_key: UserKey, slot: int = 0) -> str:
        """The name of the customer's value in this slot: a keyed hash, which says nothing without the key."""
        return PREFIX + self._ring.keyed_hash(Purpose.CACHE_NAME, user_key).hex() + ENDS[slot]

    def _names(self, user_keys: Iterable[UserKey], first: int = 0) -> list[str]:
        """The names of each customer's places, that of the slot `first` before the other."""
        names = map(self.name, user_keys)
        return [name + ENDS[slot] for name in names for slot in (first, 1 - first)]

    def _put_batch(self, permit: Permit, batch: list[tuple[UserKey, bytes]], slot: int) -> int:
        names, values = self._names((key for key, _ in batch), slot), [value for _, value in batch]
        with _cache_errors():
            kept = self._put(keys=[EPOCH, *names], args=[permit.epoch, permit.stamp, LIFE_SECONDS, *values])
        return int(cast("int", kept))

    def _identity(self, server: Redis) -> str:
        """The identity of the run that answers on this client."""
        said = cast("list[object]", self._run(keys=[EPOCH], client=server))
        identity, role, policy, memory = map(_text, said)
        if role != PRIMARY:
            server.connection_pool.disconnect(inuse_connections=False)  # whoever connects anew asks where it is
            msg = f"expected the primary, got a server whose role is {role}; check the servers and PRIVREC_REDIS_URL"
            raise CacheUnavailableError(msg)
        _refuse_eviction(policy, memory)
        return identity


class NoCache:
    """A cache that is always empty, for a process that starts none: every list is computed when it is asked for."""

    def get(self, user_key: UserKey, slot: int = 0) -> bytes | None:  # noqa: ARG002 - the port's signature
        """None."""
        return None

    def headers(self, user_keys: Sequence[UserKey], slot: int = 0) -> list[bytes]:  # noqa: ARG002 - the port's signature
        """No headers: there is nothing."""
        return [b""] * len(user_keys)

    def permit(self) -> Permit | None:
        """None: nothing may be written."""
        return None

    def put(
        self,
        permit: Permit,  # noqa: ARG002 - the port's signature
        values: Iterable[tuple[UserKey, bytes]],  # noqa: ARG002
        slot: int = 0,  # noqa: ARG002
    ) -> int:
        """0: nothing is kept."""
        return 0

    def bury(self, user_key: UserKey) -> str:  # noqa: ARG002 - the port's signature
        """Nobody: if another process has a cache, it was not told."""
        return ""

    def forget(self, user_keys: Iterable[UserKey]) -> str:  # noqa: ARG002 - the port's signature
        """Nobody: if another process has a cache, it was not told."""
        return ""

    def unbury(self, user_key: UserKey) -> None:
        """Nothing: there is no tombstone."""

    def identity(self) -> str:
        """Nobody."""
        return ""

    def certify(self, fence: Fence, buried: Iterable[UserKey]) -> None:
        """Nothing: there is nothing to certify."""

    def ping(self) -> None:
        """Nothing: an empty cache is never down."""


def _refuse_eviction(policy: str, memory: str) -> None:
    if policy.startswith(EVICTING) and memory != "0":
        msg = (
            f"expected a cache that keeps what does not expire, got maxmemory-policy {policy}; "
            "set it to volatile-lru or noeviction: a tombstone must not be thrown away"
        )
        raise StateError(msg)


def _text(reply: object) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


@contextmanager
def _cache_errors() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        msg = f"expected the cache to answer, got {type(error).__name__}; check the server and PRIVREC_REDIS_URL"
        # The server's own words can hold a name or a value, so they are left behind.
        raise CacheUnavailableError(msg) from None
