"""Where a Redis server is and how to enter, read from its URL: one reading for every connection that is made to it."""

import ssl
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import urlsplit

from redis.connection import SSLConnection, parse_url

from recsys.errors import InputError
from recsys.store.redis_members import SENTINEL_ENTRY, SERVER_PORT, URL_FORMS, Kind, Member, members_of

ENTRY = frozenset({"path", "host", "port", "db", "username", "password"})
TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""What a URL may say. TLS without a look at the certificate is not offered: it would hide a man in the middle."""


class RedisAddress:
    """A server or several, the user to be there, and the number of the database. Its text holds no password."""

    def __init__(self, url: str) -> None:
        """Read the URL; nothing is sent.

        Raises:
            InputError: the URL is of no form that is spoken, or asks for what is not supported. It is not repeated: it
                may hold a password.
        """
        plain, self.members = members_of(url)
        self.words = _parsed(plain)
        """As redis-py takes them."""
        self.secure = self.words.get("connection_class") is SSLConnection
        _refuse_unknown(self.words.keys() - {"connection_class"}, ENTRY | TLS if self.secure else ENTRY)
        _refuse_a_database(self)
        self.path: str | None = self.words.get("path")
        self.place = Member(self.words.get("host", "localhost"), self.words.get("port", SERVER_PORT))
        """Where the server listens, if it is one alone and has no path."""
        self.tls = _tls_context(self.words) if self.secure else None
        self._user: str | None = self.words.get("username")
        self._password: str | None = self.words.get("password")
        self._database: int = self.words.get("db", 0)

    def greeting(self) -> list[tuple[bytes | str, ...]]:
        """The requests that a new connection begins with: who is there, and which database is meant."""
        requests: list[tuple[bytes | str, ...]] = []
        if self._password is not None:
            requests.append(("AUTH", *([self._user] if self._user else []), self._password))
        if self._database:
            requests.append(("SELECT", str(self._database)))
        return requests


def _parsed(url: str) -> dict[str, Any]:
    try:
        words: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call] # redis-py leaves it bare
    except ValueError:
        msg = f"{URL_FORMS}, got another; correct PRIVREC_REDIS_URL"
        raise InputError(msg) from None
    if urlsplit(url).scheme == "unix" and "path" not in words:
        msg = f"{URL_FORMS}, got unix:// without a path; correct PRIVREC_REDIS_URL"
        raise InputError(msg)
    return words


def _refuse_a_database(address: RedisAddress) -> None:
    if address.members is not None and address.members.kind is Kind.CLUSTER and address.words.get("db"):
        msg = "expected no database in the URL of a cluster, which has one, got a number; correct PRIVREC_REDIS_URL"
        raise InputError(msg)


def _refuse_unknown(words: AbstractSet[str], known: frozenset[str]) -> None:
    if words <= known:
        return
    files = ", ".join(sorted(TLS))
    msg = (
        f"expected no option in PRIVREC_REDIS_URL but db, username, password, with TLS {files}, and with sentinels "
        f"{', '.join(SENTINEL_ENTRY)}; got another; remove it"
    )
    raise InputError(msg)


def _tls_context(words: Mapping[str, Any]) -> ssl.SSLContext:
    """TLS that checks the server's name and certificate, with a certificate of our own where one is given."""
    try:
        context = ssl.create_default_context(cafile=words.get("ssl_ca_certs"))
        if "ssl_certfile" in words:
            context.load_cert_chain(words["ssl_certfile"], words.get("ssl_keyfile"))
    except OSError:
        msg = "expected files of certificates and keys in PRIVREC_REDIS_URL, got some that do not open; correct it"
        raise InputError(msg) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
