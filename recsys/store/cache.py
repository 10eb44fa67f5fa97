"""The cache on any server that speaks the Redis protocol: finished lists, sealed, under names that say nothing."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from recsys.errors import ArtifactError, CacheUnavailableError, InputError
from recsys.store.chunks import chunks
from recsys.store.keys import KeyRing, Purpose
from recsys.types import UserKey

PREFIX = "privrec:u:"
BATCH = 500
"""Values sent at once: a few MB, well below what a server buffers for one client."""


class RedisCache:
    """Satisfies `ports.Cache`."""

    def __init__(self, url: str, ring: KeyRing, timeout: float) -> None:
        """Use the server at the URL, waiting at most `timeout` seconds for it; nothing is sent yet.

        Raises:
            InputError: the URL is none of a Redis server. It is not repeated: it may hold a password.
        """
        # One retry, on a lost connection only: the server may have been restarted since the last request.
        retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        self._ring = ring
        try:
            self._redis = Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=retry)
        except ValueError as error:
            msg = "expected a URL of the form redis://, rediss:// or unix://, got another; correct PRIVREC_REDIS_URL"
            raise InputError(msg) from error

    def get(self, user_key: UserKey) -> bytes | None:
        """The value, or None; a value that does not open is none."""
        with _cache_errors():
            sealed = cast("bytes | None", self._redis.get(self._name(user_key)))
        try:
            return self._ring.open(Purpose.CACHE_VALUE, sealed, user_key) if sealed is not None else None
        except ArtifactError:
            return None

    def put(self, values: Iterable[tuple[UserKey, bytes]]) -> int:
        """Keep the values; returns how many."""
        return sum(self._put(batch) for batch in chunks(values, BATCH))

    def delete(self, user_key: UserKey) -> None:
        """Forget the customer's value."""
        with _cache_errors():
            self._redis.delete(self._name(user_key))

    def ping(self) -> None:
        """Return if the server answers."""
        with _cache_errors():
            self._redis.ping()

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def _put(self, batch: list[tuple[UserKey, bytes]]) -> int:
        sealed = {self._name(key): self._ring.seal(Purpose.CACHE_VALUE, value, key) for key, value in batch}
        with _cache_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for name, value in sealed.items():
                pipeline.set(name, value)
            pipeline.execute()
        return len(batch)

    def _name(self, user_key: UserKey) -> str:
        return PREFIX + self._ring.keyed_hash(Purpose.CACHE_NAME, user_key).hex()


class NoCache:
    """A cache that is always empty, for a process that starts none: every list is computed when it is asked for."""

    def get(self, user_key: UserKey) -> bytes | None:  # noqa: ARG002 - the port's signature
        """None."""
        return None

    def put(self, values: Iterable[tuple[UserKey, bytes]]) -> int:  # noqa: ARG002 - the port's signature
        """0: nothing is kept."""
        return 0

    def delete(self, user_key: UserKey) -> None:
        """Nothing: there is nothing to forget."""

    def ping(self) -> None:
        """Nothing: an empty cache is never down."""


@contextmanager
def _cache_errors() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        msg = f"expected the cache to answer, got {type(error).__name__}; check the server and PRIVREC_REDIS_URL"
        # The server's own words can hold a name or a value, so they are left behind.
        raise CacheUnavailableError(msg) from None
