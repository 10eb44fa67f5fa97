"""Connections to the API that are kept, and opened again when they were lost."""

import http.client
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import urlsplit

from recsys.errors import InputError, StateError

Transport: TypeAlias = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]
"""Takes method, path with query, headers and body; gives status and body."""


class HttpTransport:
    """Sends requests over HTTP or HTTPS. Safe to share between threads."""

    def __init__(self, url: str, *, timeout: float) -> None:
        """Send to the API at this base URL; what takes longer than `timeout` seconds is given up.

        Raises:
            InputError: the URL is not one of HTTP or HTTPS with a host.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = "expected a URL as in https://shop.example:8000, got another; give the API's base URL"
            raise InputError(msg)
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._timeout = timeout
        self._idle: deque[http.client.HTTPConnection] = deque()

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """Status and body of the answer.

        A connection that was kept may have been closed by the other side: a request that finds it so is sent once more.
        Every request of this API is safe to repeat: at worst a webhook, an import or an export is there twice.

        Raises:
            StateError: the API does not answer.
        """
        try:
            return self._answer(method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            msg = f"expected the API to answer, got {type(error).__name__}; check its URL and that it runs"
            raise StateError(msg) from error

    def close(self) -> None:
        """Close the connections that are kept; a request that follows opens another."""
        while self._idle:
            self._idle.pop().close()

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        if self._idle:
            with suppress(ConnectionError, IndexError):  # another thread may have taken the last one
                return self._exchange(self._idle.pop(), method, path, headers, body)
        fresh = self._kind(self._host, self._port, timeout=self._timeout)
        return self._exchange(fresh, method, path, headers, body)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> tuple[int, bytes]:
        try:
            connection.request(method, self._prefix + path, body=body, headers=dict(headers))
            response = connection.getresponse()
            answer = response.status, response.read()
        except BaseException:  # half an answer must not be taken for the next one's
            connection.close()
            raise
        self._idle.append(connection)
        return answer
