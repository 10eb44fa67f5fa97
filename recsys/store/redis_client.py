"""The blocking client of the cache's server, which follows the primary where there are several servers."""

from typing import Any

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.exceptions import AskError, ClusterDownError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from recsys.store.primary import Primary
from recsys.store.redis_address import RedisAddress

ELSEWHERE = (ReadOnlyError, AskError, ClusterDownError)
"""What a server answers that is not, or no longer, the one to be asked; AskError is the parent of MovedError."""


class PrimaryConnection(Connection):
    """Asks where the primary is whenever it connects, and ends when it is told that it is elsewhere."""

    def __init__(self, *, primary: Primary, **settings: Any) -> None:
        """A connection that is not made yet."""
        super().__init__(**settings)  # type: ignore[no-untyped-call] # redis-py leaves it bare
        self._primary = primary

    def _connect(self) -> Any:  # noqa: ANN401 - a socket, plain or wrapped
        self.host, self.port = self._primary.find()
        return super()._connect()  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **settings: Any) -> Any:  # noqa: ANN401 - as redis-py has it
        """The answer; that of a server that sends us elsewhere is a lost connection, which redis-py makes anew."""
        try:
            return super().read_response(*args, **settings)
        except ELSEWHERE as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            msg = f"expected the primary, got {type(error).__name__}"
            raise RedisConnectionError(msg) from None


class PrimarySSLConnection(PrimaryConnection, SSLConnection):
    """The same over TLS."""


def open_client(address: RedisAddress, *, timeout: float) -> Redis:
    """A client of the server at the address, or of the primary among several; nothing is sent yet."""
    # One retry, on a lost connection only: the server may have been restarted since the last request.
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    words = address.words
    if address.members is not None:
        kind = PrimarySSLConnection if address.secure else PrimaryConnection
        primary = Primary(address, address.members, timeout=timeout)
        words = {**words, "connection_class": kind, "primary": primary}
    pool = ConnectionPool(socket_timeout=timeout, socket_connect_timeout=timeout, retry=retry, **words)
    return Redis.from_pool(pool)  # which it closes


def same_settings(client: Redis) -> ConnectionPool:
    """A pool of one connection like those of the client, which is not made anew when it breaks."""
    settings = {**client.get_connection_kwargs(), "retry": Retry(NoBackoff(), 0)}
    return ConnectionPool(connection_class=client.connection_pool.connection_class, max_connections=1, **settings)
