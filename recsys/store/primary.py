"""Where the primary is now: the one server that takes writes, by the word of sentinels or of a cluster's nodes."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import count
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from recsys.errors import CacheUnavailableError
from recsys.store.cache_names import SLOT
from recsys.store.redis_address import TLS, RedisAddress
from recsys.store.redis_members import Kind, Member, Members


class Primary:
    """Finds the primary; safe to share between threads.

    Every search begins with the next member, so that one who is cut off and tells an old tale is not asked for ever.
    """

    def __init__(self, address: RedisAddress, members: Members, *, timeout: float) -> None:
        """Ask these members, each of whom has its part of `timeout` seconds; nothing is sent yet."""
        self._members = members
        part = timeout / len(members.asked)
        files = {name: value for name, value in address.words.items() if name in TLS}
        entry = members.entry if members.kind is Kind.SENTINEL else _nodes_entry(address.words)
        self._words: dict[str, Any] = {**entry, **files, "ssl": address.secure, "retry": Retry(NoBackoff(), 0)}
        self._words |= {"socket_timeout": part, "socket_connect_timeout": part}
        self._searches = count()

    def find(self) -> Member:
        """Where the primary is.

        Raises:
            CacheUnavailableError: nobody who answers knows of one.
        """
        if self._members.kind is Kind.SENTINEL:
            return self._by_sentinels()
        return self._by_nodes()

    def _by_sentinels(self) -> Member:
        try:
            with Sentinel(list(self._in_turn()), sentinel_kwargs=self._words) as sentinels:  # type: ignore[no-untyped-call]
                return Member(*sentinels.discover_master(self._members.service))
        except RedisError as error:
            raise _unknown(expected="a sentinel to name the primary", got=type(error).__name__) from None

    def _by_nodes(self) -> Member:
        got = "none"
        for seed in self._in_turn():
            try:
                owner = self._owner(seed)
            except RedisError as error:
                got = type(error).__name__
                continue
            if owner is not None:
                return owner
        raise _unknown(expected="a node of the cluster to name the owner of the lists' slot", got=got)

    def _owner(self, seed: Member) -> Member | None:
        """Who has the slot, by the word of this node."""
        with closing(Redis(seed.host, seed.port, **self._words)) as node:
            ranges = cast("list[list[Any]]", node.execute_command("CLUSTER SLOTS"))  # type: ignore[no-untyped-call]
        for first, last, (host, port, *_), *_ in ranges:
            if first <= SLOT <= last:
                return Member(host.decode() if host else seed.host, port)
        return None

    def _in_turn(self) -> Iterator[Member]:
        asked = self._members.asked
        start = next(self._searches) % len(asked)
        return iter(asked[start:] + asked[:start])


def _nodes_entry(words: Mapping[str, Any]) -> dict[str, str]:
    return {name: words[name] for name in ("username", "password") if name in words}


def _unknown(*, expected: str, got: str) -> CacheUnavailableError:
    msg = f"expected {expected}, got {got}; check the servers and PRIVREC_REDIS_URL"
    return CacheUnavailableError(msg)
