"""In front of the framework: the answer that is asked for most, from the cache, without waking the rest.

It answers a customer's recommendations in their default form if the list lies in the cache and may be
served. Everything else, every miss and every doubt goes to the route in `api.routes.recommendations`, the slow twin,
whose answers are the same to the byte.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from time import perf_counter

from fastapi import FastAPI
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from api.hot_path import HotPath

ROUTE = "/v1/users/{user_id}/recommendations"
"""The path of the slow twin, as the request log names it."""
LOOKED_UP = "looked_up"
"""In a request's state: a connection that looks in the cache by itself (`api.http_protocol`) has done so."""


class FastApplication(FastAPI):
    """An application whose most frequent answer passes the framework by.

    Guarantees:
        - An answer that passes the framework by is the slow twin's: status, headers in their order, body, log line.

    Tested by: tests/api/test_fast_path.py::test_both_ways_answer_alike
    """

    hot: HotPath | None = None
    """Where finished answers come from; None while there is nothing to read them from."""

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if self.hot is None or not looks(scope) or not await served(self.hot, scope, send):
            await super().__call__(scope, receive, send)


def looks(scope: Connection) -> bool:
    """Whether the finished answer to this request was not looked for yet."""
    return scope["type"] == "http" and LOOKED_UP not in scope.get("state", ())


async def served(hot: HotPath, scope: Connection, send: Send) -> bool:
    """Whether the request was answered: the answer was in the cache, and is sent and logged."""
    started = perf_counter()
    body = await answer_of(hot, scope)
    if body is None:
        return False
    request_id = new_request_id()
    try:
        await send_list(send, body, request_id)
    finally:
        LINES.add(request_id, perf_counter() - started)
    return True


async def answer_of(hot: HotPath, scope: Connection) -> bytes | None:
    """The finished answer; None if there is none, or if anything at all went wrong while it was looked for."""
    try:
        return await hot.answer(scope)
    except Exception:  # noqa: BLE001 - a doubt like any other; and a server would print the error with its values
        return None


async def send_list(send: Send, body: bytes, request_id: str) -> None:
    """Send the answer with the headers of the slow twin."""
    await send({"type": "http.response.start", "status": 200, "headers": headers_of(body, request_id)})
    await send({"type": "http.response.body", "body": body})


def headers_of(body: bytes, request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of the slow twin, in its order."""
    return [
        (b"content-length", b"%d" % len(body)),
        *FIXED_HEADERS,
        (b"x-request-id", request_id.encode("ascii")),
    ]


FIXED_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"private, no-store"))


def new_request_id() -> str:
    """The id of a request, as `RequestLog` would give one."""
    if not IDS:  # many at once: the call to the system costs more than all the rest of it
        drawn = os.urandom(16 * 128).hex()
        IDS.extend(drawn[begin : begin + 32] for begin in range(0, len(drawn), 32))
    return IDS.pop()


IDS: list[str] = []
"""Random ids that no request has yet."""


BEGINNING = f'{{"method": "GET", "route": {json.dumps(ROUTE)}, "status": 200, "duration_ms": '


class Lines:
    """The lines that `RequestLog` would write, by hand: structlog takes as long for one as all else takes together.

    Those of one turn of the event loop are written together at its end: a process that is killed loses no others.
    """

    def __init__(self) -> None:
        """No lines."""
        self._waiting: list[tuple[str, float]] = []

    def add(self, request_id: str, seconds: float) -> None:
        """Write the line of an answer that took so long, in a moment."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append((request_id, seconds))

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        end = f'", "event": "request", "level": "info", "timestamp": "{now}"}}\n'
        lines = [f'{BEGINNING}{seconds * 1000:.1f}, "request_id": "{name}{end}' for name, seconds in waiting]
        sys.stderr.write("".join(lines))
        sys.stderr.flush()


LINES = Lines()
