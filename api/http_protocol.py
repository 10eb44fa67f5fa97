"""The HTTP connection: uvicorn's own, which gives the answer that is asked for most without a task for it.

A server turns each request into a task that runs the application, and the application's answer into bytes. For a
finished answer both cost more than the answer does. So a request in the default form is looked for in the cache as soon
as its head is parsed, and what comes is written to the connection. Everything else, every miss and every doubt becomes
a task as ever. What may be served is decided in `api.hot_path`, for any server and for this connection alike.
"""

from time import perf_counter
from typing import Any, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.fast_path import FIXED_HEADERS, LINES, LOOKED_UP, new_request_id
from api.hot_path import HOT, Asked, HotPath
from recsys.errors import CacheUnavailableError


class FastProtocol(HttpToolsProtocol):
    """A connection of uvicorn. One request of it is at work at a time, as HTTP/1.1 has it: others wait their turn.

    Guarantees:
        - What it writes itself is what the server writes of the slow twin's answer: head, body, log line, end.

    Tested by: tests/api/test_http_protocol.py::test_both_ways_write_alike
    """

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Where uvicorn begins a request: look for the finished answer first, unless the server is full."""
        hot: HotPath | None = self.app_state.get(HOT)
        if hot is None or app is not self.app or not FastRequest(self, cycle, hot).begun():
            super()._start_asgi_task(cycle, app)

    def run_application(self, cycle: RequestResponseCycle) -> None:
        """Answer by the application."""
        super()._start_asgi_task(cycle, self.app)


class FastRequest:
    """A request that waits for its finished answer. It takes what comes as a future does, and at once."""

    __slots__ = ("_asked", "_cycle", "_hot", "_protocol", "_started", "_taken")

    def __init__(self, protocol: FastProtocol, cycle: RequestResponseCycle, hot: HotPath) -> None:
        """A request of the connection."""
        self._protocol, self._cycle, self._hot = protocol, cycle, hot
        self._started, self._taken = perf_counter(), False

    def begun(self) -> bool:
        """Whether the answer is looked for; if not, it never comes."""
        scope = cast("Any", self._cycle.scope)
        scope["state"][LOOKED_UP] = True
        try:
            asked = self._hot.ask(scope)
        except Exception:  # noqa: BLE001 - a doubt like any other; and a server would print the error with its values
            return False
        return asked is not None and self._sent(asked)

    def _sent(self, asked: Asked) -> bool:
        self._asked = asked
        try:
            self._hot.reader.bring(asked.name, self)
        except Exception:  # noqa: BLE001 - as above
            self._hot.missed()
            return False
        return True

    def done(self) -> bool:
        """Whether it was answered, or given up: what comes late is thrown away."""
        return self._taken

    def set_result(self, value: bytes | None) -> None:
        """Answer with what lay in the cache, if it may be served."""
        self._taken = True
        try:
            body = self._hot.finished(self._asked, value)
        except Exception:  # noqa: BLE001 - as above
            body = None
        if body is None or self._protocol.flow.write_paused:
            self._protocol.run_application(self._cycle)
        else:
            self._answer(body)

    def set_exception(self, _: CacheUnavailableError) -> None:
        """The cache did not answer."""
        self._taken = True
        self._hot.missed()
        self._protocol.run_application(self._cycle)

    def _answer(self, body: bytes) -> None:
        """Send the answer and end the request, as uvicorn's cycle does."""
        cycle, request_id = self._cycle, new_request_id()
        if not cycle.disconnected:
            cycle.transport.write(written(cycle, body, request_id))
            cycle.response_started = cycle.response_complete = True
            cycle.message_event.set()
            if not cycle.keep_alive:
                cycle.transport.close()
            cycle.on_response()
        LINES.add(request_id, perf_counter() - self._started)


HEAD = (
    b"content-length: %d\r\n"
    + b"".join(b"%b: %b\r\n" % header for header in FIXED_HEADERS)
    + b"x-request-id: %b\r\n%b\r\n%b"
)
"""The headers of an answer and the answer, as `headers_of` has them."""


def written(cycle: RequestResponseCycle, body: bytes, request_id: str) -> bytes:
    """Head and body as the server writes them."""
    first = b"".join([STATUS_LINE[200], *(b"%b: %b\r\n" % header for header in cycle.default_headers)])
    last = b"" if cycle.keep_alive else b"connection: close\r\n"
    return first + HEAD % (len(body), request_id.encode("ascii"), last, body)
