"""A URL of several servers, taken apart: whom to ask where the primary is, and what all of them have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from recsys.errors import InputError

URL_FORMS = (
    "expected a URL of the form redis://, rediss://, unix://, redis+sentinel://HOST:PORT,.../SERVICE or "
    "redis+cluster://HOST:PORT,... (rediss+... with TLS)"
)
SENTINEL_PORT, SERVER_PORT = 26379, 6379
SENTINEL_ENTRY = {"sentinel_username": "username", "sentinel_password": "password"}
"""Options of the URL, and what they are to the sentinels."""
MOST_MEMBERS = 16
"""Each of them has a part of the time-out to answer."""


class Kind(StrEnum):
    """What tells where the primary is."""

    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Member(NamedTuple):
    """Where one server, sentinel or node listens."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Members:
    """Whom to ask, and for what."""

    kind: Kind
    asked: tuple[Member, ...]
    service: str = ""
    """The name that the sentinels know the primary and its replicas by."""
    entry: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The user and the password to be there with the sentinels; nodes of a cluster take those of the cache."""


def members_of(url: str) -> tuple[str, Members | None]:
    """The URL as one of a single server, and the members if it is one of several.

    Raises:
        InputError: it names several servers in another form. It is not repeated: it may hold a password.
    """
    scheme, _, rest = url.partition("://")
    base, _, kind = scheme.lower().partition("+")
    authority = rest[: next((place for place, sign in enumerate(rest) if sign in "/?#"), len(rest))]
    user, at, hosts = authority.rpartition("@")
    if not kind and "," not in hosts:
        return url, None
    if base not in {"redis", "rediss"} or kind not in set(Kind):
        raise _malformed(got="several servers in another form" if "," in hosts else "another")
    path, _, query = rest[len(authority) :].partition("?")
    service, database = _places(Kind(kind), path)
    entry, options = _entry(Kind(kind), query)
    members = Members(kind=Kind(kind), asked=_members(Kind(kind), hosts), service=service, entry=entry)
    return f"{base}://{user}{at}of-several/{database}?{options}", members


def _places(kind: Kind, path: str) -> tuple[str, str]:
    """The service and the number of the database in a path."""
    words = [unquote(word) for word in path.strip("/").split("/")]
    service = words.pop(0) if kind is Kind.SENTINEL else ""
    database = "/".join(words) or "0"
    if kind is Kind.SENTINEL and not service:
        raise _malformed(got="redis+sentinel:// without a service")
    if not (database.isascii() and database.isdecimal()):
        raise _malformed(got="a database that is no number")
    return service, database


def _entry(kind: Kind, query: str) -> tuple[dict[str, str], str]:
    """Who we are to the sentinels, and the options that are left."""
    options = parse_qsl(query)
    ours = SENTINEL_ENTRY if kind is Kind.SENTINEL else {}
    entry = {ours[name]: value for name, value in options if name in ours}
    return entry, urlencode([(name, value) for name, value in options if name not in ours])


def _members(kind: Kind, hosts: str) -> tuple[Member, ...]:
    members = tuple(_member(kind, text) for text in hosts.split(","))
    if len(members) > MOST_MEMBERS:
        raise _malformed(got=f"more than {MOST_MEMBERS} servers")
    return members


def _member(kind: Kind, text: str) -> Member:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _malformed(got="a host or port that does not read as one") from None
    if not host:
        raise _malformed(got="a place without a host")
    return Member(host, port or (SENTINEL_PORT if kind is Kind.SENTINEL else SERVER_PORT))


def _malformed(*, got: str) -> InputError:
    return InputError(f"{URL_FORMS}, got {got}; correct PRIVREC_REDIS_URL")
