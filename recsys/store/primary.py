"""Where the primary is now: the one server that takes writes, by the word of sentinels or of a cluster's nodes."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import count
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

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
        reasons: list[str] = []
        for member in self._in_turn():
            try:
                found = self._told_by(member)
            except RedisError as error:
                reasons.append(type(error).__name__)
                continue
            if found is not None:
                return found
            reasons.append("none known")
        raise _unknown(self._members, ", ".join(dict.fromkeys(reasons)))

    def _told_by(self, member: Member) -> Member | None:
        with closing(Redis(member.host, member.port, **self._words)) as client:
            if self._members.kind is Kind.CLUSTER:
                return _owner(client, member)
            found: Any = client.sentinel_get_master_addr_by_name(self._members.service)
            return Member(_text(found[0]), int(found[1])) if found else None

    def _in_turn(self) -> Iterator[Member]:
        asked = self._members.asked
        start = next(self._searches) % len(asked)
        return iter(asked[start:] + asked[:start])


def _nodes_entry(words: Mapping[str, Any]) -> dict[str, str]:
    return {name: words[name] for name in ("username", "password") if name in words}


def _owner(client: Redis, asked: Member) -> Member | None:
    """Who has the slot of the lists, by the word of this node."""
    ranges = cast("list[list[Any]]", client.execute_command("CLUSTER SLOTS"))  # type: ignore[no-untyped-call]
    for first, last, (host, port, *_), *_ in ranges:
        if first <= SLOT <= last:
            return Member(_text(host) if host else asked.host, port)
    return None


def _text(host: bytes | str) -> str:
    return host.decode() if isinstance(host, bytes) else host


def _unknown(members: Members, got: str) -> CacheUnavailableError:
    primary = "the primary of the service" if members.kind is Kind.SENTINEL else "the owner of the lists' slot"
    msg = f"expected one of {len(members.asked)} servers to name {primary}, got {got}; check them and PRIVREC_REDIS_URL"
    return CacheUnavailableError(msg)
