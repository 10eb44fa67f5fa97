"""Around every request: an id, a log line without personal data, and a bound on the body."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, TypeAlias
from uuid import uuid4

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response, internal_error
from recsys.store.logs import Logger

Observer: TypeAlias = Callable[[dict[str, Any], float, str], None]
"""Is told the fields of a log line, the seconds that the request took, and its header `traceparent`."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are logged by name: any other is the sender's own text."""


class Answer:
    """The sending side of one request: adds the request's id, and remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        """Wrap the server's `send`."""
        self._send, self._request_id = send, request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass the message on; the first one gets the header."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self._request_id
        await self._send(message)


class RequestLog:
    """The outermost layer: gives every request an id, answers what nobody else did, and logs one line.

    The line has the method, the template of the route, the status, the time it took and the id. It has neither path nor
    query nor text of an error, because customers' ids travel in them. For the same reason no exception leaves this
    layer: a server would print it with its values.
    """

    def __init__(self, app: ASGIApp, *, logger: Logger, observers: Sequence[Observer] = ()) -> None:
        """Wrap the application; observers are told what the log is told, and which trace it is in."""
        self._app, self._logger, self._observers = app, logger, observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, started = uuid4().hex, perf_counter()
        scope.setdefault("state", {})["request_id"] = request_id
        answer = Answer(send, request_id)
        try:
            await self._serve(scope, receive, answer)
        finally:
            self._tell(scope, answer.status, perf_counter() - started)

    def _tell(self, scope: Scope, status: int | None, seconds: float) -> None:
        fields, traceparent = log_fields(scope, status, seconds), Headers(scope=scope).get("traceparent", "")
        self._logger.info("request", **fields)
        for observe in self._observers:
            observe(fields, seconds, traceparent)

    async def _serve(self, scope: Scope, receive: Receive, answer: Answer) -> None:
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the last one who can keep an error's values out of the server's log
            response = internal_error(Request(scope), error)
            if answer.status is None:
                await response(scope, receive, answer.send)


def log_fields(scope: Scope, status: int | None, seconds: float) -> dict[str, Any]:
    """What is logged of a request; a status of None says that the client left before it was answered."""
    state = scope["state"]
    return {
        "method": scope["method"] if scope["method"] in METHODS else "other",
        "route": getattr(scope.get("route"), "path_format", "other"),
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "request_id": state["request_id"],
        **({"code": state["error_code"]} if "error_code" in state else {}),
        **state.get("failure", {}),
    }


class BodyLimit:
    """Refuses a body above the limit: by its declared length at once, by what arrives otherwise."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        """Wrap the application; `limit` is in bytes."""
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and declared_length(scope) > self._limit:
            response = error_response(Request(scope), 413, too_large(self._limit))
            await response(scope, receive, send)
            return
        await self._app(scope, bounded(receive, self._limit), send)


def bounded(receive: Receive, limit: int) -> Receive:
    """The receiving side, which raises HTTPException 413 once more than `limit` bytes have come."""
    left = limit

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, too_large(limit))
        return message

    return receive_bounded


def declared_length(scope: Scope) -> int:
    """The length that the header declares; 0 where it declares none."""
    text = Headers(scope=scope).get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def too_large(limit: int) -> str:
    """The message for a body above the limit."""
    return f"expected a body of at most {limit} bytes, got more; send smaller batches"
