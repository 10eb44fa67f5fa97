"""Where a Redis server is and how to enter, read from its URL: one reading for every connection that is made to it."""

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from redis.connection import SSLConnection, parse_url

from recsys.errors import InputError

URL_FORM = "expected a URL of the form redis://, rediss:// or unix://"
DEFAULT_PORT = 6379

ENTRY = frozenset({"path", "host", "port", "db", "username", "password"})
TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""What a URL may say. TLS without a look at the certificate is not offered: it would hide a man in the middle."""


class RedisAddress:
    """A server, the user to be there, and the number of the database. Its text holds no password."""

    def __init__(self, url: str) -> None:
        """Read the URL; nothing is sent.

        Raises:
            InputError: the URL is not one of a single Redis server, or asks for what is not supported. It is not
                repeated: it may hold a password.
        """
        _refuse_many_servers(url)
        words = _parsed(url)
        secure = words.pop("connection_class", None) is SSLConnection
        _refuse_unknown(words, ENTRY | TLS if secure else ENTRY)
        self.path: str | None = words.get("path")
        self.host: str = words.get("host", "localhost")
        self.port: int = words.get("port", DEFAULT_PORT)
        self.tls = _tls_context(words) if secure else None
        self._user: str | None = words.get("username")
        self._password: str | None = words.get("password")
        self._database: int = words.get("db", 0)

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
        msg = f"{URL_FORM}, got another; correct PRIVREC_REDIS_URL"
        raise InputError(msg) from None
    if urlsplit(url).scheme == "unix" and "path" not in words:
        msg = f"{URL_FORM}, got unix:// without a path; correct PRIVREC_REDIS_URL"
        raise InputError(msg)
    return words


def _refuse_many_servers(url: str) -> None:
    """Sentinel and Cluster spread what the erasure fence needs in one place: see docs/decisions/0013."""
    scheme, _, rest = url.partition("://")
    kinds = [kind for kind in ("sentinel", "cluster") if kind in scheme.lower()]
    if kinds or "," in rest.partition("/")[0].rpartition("@")[2]:
        got = kinds[0].capitalize() if kinds else "several servers"
        msg = (
            f"expected the URL of one Redis server, got {got}, which privrec does not speak; "
            "set PRIVREC_REDIS_URL to the primary, or to a proxy in front of it"
        )
        raise InputError(msg)


def _refuse_unknown(words: Mapping[str, Any], known: frozenset[str]) -> None:
    if words.keys() <= known:
        return
    files = ", ".join(sorted(TLS))
    msg = (
        f"expected no option in PRIVREC_REDIS_URL but db, username, password and, with rediss://, {files}; "
        "got another; remove it"
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
