"""One connection to a Redis server: requests go out in order, and answers come back in the same order."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeAlias, cast

import hiredis

from recsys.errors import CacheUnavailableError

Word: TypeAlias = bytes | str
Answer: TypeAlias = asyncio.Future[bytes | None]


class Taker(Protocol):
    """Takes what comes of a request, within the turn of the loop in which it comes. A future is one.

    It must not raise, nor ask again while it is told of an error, for other requests are told after it. It is done
    once it took something.
    """

    def done(self) -> bool:
        """Whether nothing is to be brought any more."""

    def set_result(self, result: bytes | None, /) -> None:
        """Take the answer."""

    def set_exception(self, error: CacheUnavailableError, /) -> None:
        """Take the reason why there is none."""


STALL_TIMEOUTS = 4
"""A connection whose oldest request waits this many time-outs is given up: the server hangs, or nobody is there."""


def unavailable(*, got: str) -> CacheUnavailableError:
    """The error of a request that got no answer; a server's own words can hold a name or a value, so they stay out."""
    msg = f"expected the cache to answer, got {got}; check the server and PRIVREC_REDIS_URL"
    return CacheUnavailableError(msg)


def encode(words: Sequence[Word]) -> bytes:
    """The request as the protocol has it (RESP): every word with its length, so that no word can begin another."""
    parts = [word if isinstance(word, bytes) else word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


class Wire(asyncio.Protocol):
    """The requests that wait on one connection, in the order of their answers.

    A request that timed out or was cancelled keeps its place, and its late answer is thrown away. Every connection has
    a queue of its own, and a queue ends with its connection.

    Guarantees:
        - No answer reaches a request other than the one it belongs to.

    Tested by: tests/recsys/store/test_pipelined.py::test_no_answer_reaches_another_request
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, timeout: float, max_waiting: int) -> None:
        """A wire of the loop: a request waits at most `timeout` seconds, and at most `max_waiting` of them wait."""
        self._loop, self._timeout, self._max_waiting = loop, timeout, max_waiting
        self._waiting: deque[tuple[float, Taker]] = deque()
        self._outgoing: list[bytes] = []
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done once the connection is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)  # a stream's; uvloop has classes of its own

    def send(self, request: bytes) -> Answer:
        """The answer to the request, later; raises as `put`."""
        answer: Answer = self._loop.create_future()
        self.put(request, answer)
        return answer

    def put(self, request: bytes, taker: Taker) -> None:
        """Bring the taker the answer to the request; requests of one turn of the loop travel together.

        Raises:
            CacheUnavailableError: the connection is gone, or too many requests wait already.
        """
        if self._transport is None:
            raise unavailable(got="no connection")
        if len(self._waiting) >= self._max_waiting:
            raise unavailable(got=f"{self._max_waiting} requests that wait already")
        deadline = self._loop.time() + self._timeout
        self._waiting.append((deadline, taker))
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(request)
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look_at_clock)

    def data_received(self, data: bytes) -> None:
        """Give every complete answer to the request at the head of the queue."""
        try:
            self._reader.feed(data)
            while self._transport is not None and (reply := self._reader.gets()) is not False:
                self._settle(reply)
        except hiredis.ProtocolError:
            self.drop("bytes that are not of the protocol")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """The connection is gone, and with it every answer."""
        self.drop("a connection that broke")

    def drop(self, got: str) -> None:
        """Give the connection up: whatever waits fails, and what still arrives is not read."""
        if self._transport is not None:
            self._transport.abort()
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._outgoing.clear()
        while self._waiting:
            _fail(self._waiting.popleft()[1], got)
        if not self.lost.done():
            self.lost.set_result(None)

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _settle(self, reply: object) -> None:
        if not self._waiting:
            self.drop("an answer that nobody asked for")
            return
        _, taker = self._waiting.popleft()
        if taker.done():
            return
        if reply is None or isinstance(reply, bytes):
            taker.set_result(reply)
        elif isinstance(reply, hiredis.ReplyError):
            self._refused(reply, taker)
        else:
            _fail(taker, "an answer of another kind")

    def _refused(self, reply: hiredis.ReplyError, taker: Taker) -> None:  # noqa: ARG002 - for those who know more of it
        _fail(taker, "an error")

    def _look_at_clock(self) -> None:
        """Fail what waited too long. The time-out is one for all, so that the deadlines stand in order."""
        self._timer, now = None, self._loop.time()
        if self._waiting and self._waiting[0][0] + (STALL_TIMEOUTS - 1) * self._timeout <= now:
            self.drop("a server that hangs")
            return
        following = self._fail_overdue(now)
        if following is not None:
            self._timer = self._loop.call_at(following, self._look_at_clock)

    def _fail_overdue(self, now: float) -> float | None:
        """When to look again; None if nothing waits."""
        for deadline, taker in self._waiting:
            if deadline > now:
                return deadline
            _fail(taker, "a time-out")
        return now + self._timeout if self._waiting else None


def _fail(taker: Taker, got: str) -> None:
    if not taker.done():
        taker.set_exception(unavailable(got=got))
