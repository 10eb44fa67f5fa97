"""The cache as the event loop reads it: every request of the process over one connection that mends itself."""

import asyncio
from contextlib import suppress
from secrets import SystemRandom
from typing import Self

from recsys.errors import CacheUnavailableError, StateError
from recsys.store.cache_names import EPOCH
from recsys.store.checked_wire import ANOTHER, HISTORY, CheckedWire
from recsys.store.primary import Primary
from recsys.store.redis_address import RedisAddress
from recsys.store.redis_members import Kind, Member
from recsys.store.server_run import Run, run_of
from recsys.store.wire import Answer, Taker, Wire, encode, unavailable

MAX_WAITING = 10_000
"""Requests that may wait at once: a second of what one process can answer, and a bound on what a stall can pile up."""

FIRST_DELAY, LONGEST_DELAY = 0.02, 2.0
"""Seconds between attempts to connect: doubled each time, and shortened by chance so that processes do not march."""

SETTLED_SECONDS = 1.0
"""A connection that lived this long was a good one: the next attempt comes at once again."""

CONNECT_SECONDS = 2.0

LOOK_SECONDS = 0.5
"""Between two looks whether the server is still the one to be asked, and the same: unasked it does not say."""


class PipelinedRedis:
    """A context that keeps one connection to the server open, and asks over it.

    It belongs to the event loop that enters it. Whatever goes wrong is a CacheUnavailableError, without the server's
    words.

    Guarantees:
        - No answer reaches a request other than the one it belongs to.

    Tested by: tests/recsys/store/test_pipelined.py::test_no_answer_reaches_another_request
    """

    def __init__(self, address: RedisAddress, *, timeout: float, max_waiting: int = MAX_WAITING) -> None:
        """Use the server at the address; a request waits at most `timeout` seconds for its answer."""
        self._address, self._timeout, self._max_waiting = address, timeout, max_waiting
        self._primary = Primary(address, address.members, timeout=timeout) if address.members else None
        self._mode = "cluster" if address.members and address.members.kind is Kind.CLUSTER else "standalone"
        self._random = SystemRandom()
        self._wire: Wire | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.server_id: str | None = None
        """The identity of the server that answers now (`server_run.Run`); None without a connection."""

    async def __aenter__(self) -> Self:
        """Begin to connect; requests fail until the connection stands."""
        self._keeper = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the connection."""
        assert self._keeper is not None  # noqa: S101 - entered before it is left
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper

    def get(self, name: bytes) -> Answer:
        """The value at the name, later, or None.

        Raises:
            CacheUnavailableError: as `bring`. The future raises it too.
        """
        return self._connected().send(_get(name))

    def bring(self, name: bytes, taker: Taker) -> None:
        """Bring the taker the value at the name, or the error: it was one, came too late, or the connection broke.

        Raises:
            CacheUnavailableError: there is no connection, or too many requests wait; the taker is told nothing.
        """
        self._connected().put(_get(name), taker)

    def _connected(self) -> Wire:
        if self._wire is None:
            raise unavailable(got="no connection")
        return self._wire

    async def _keep_connected(self) -> None:
        loop, attempt = asyncio.get_running_loop(), 0
        while True:
            begun = loop.time()
            with suppress(OSError, ValueError, StateError):
                await self._live_once(loop)
            attempt = 0 if loop.time() - begun > SETTLED_SECONDS else attempt + 1
            await asyncio.sleep(self._delay(attempt))

    async def _live_once(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect, greet, and serve until the connection is gone."""
        kind = Wire if self._address.path else CheckedWire
        wire = kind(loop, timeout=self._timeout, max_waiting=self._max_waiting)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connect(loop, wire)
                run = await self._greet(wire)
            self.server_id, self._wire = run.identity, wire
            await self._stay(wire, run)
        finally:
            self._wire, self.server_id = None, None
            wire.drop("a connection that was closed")

    async def _stay(self, wire: Wire, run: Run) -> None:
        """Return once the connection is gone; a server may have to be left, or greeted anew, though it answers."""
        while not wire.lost.done():
            await asyncio.wait([wire.lost], timeout=LOOK_SECONDS)
            with suppress(CacheUnavailableError):
                await wire.send(_get(EPOCH.encode()))  # an error, if it lies elsewhere by now
                if run.line not in (await wire.send(HISTORY) or b"").splitlines():
                    wire.drop(ANOTHER)

    async def _connect(self, loop: asyncio.AbstractEventLoop, wire: Wire) -> None:
        address = self._address
        if address.path is not None:
            await loop.create_unix_connection(lambda: wire, address.path)
        else:
            host, port = await self._place()
            await loop.create_connection(lambda: wire, host, port, ssl=address.tls)

    async def _place(self) -> Member:
        """Where the server is; those who are asked for it may keep a thread waiting, not the loop."""
        return await asyncio.to_thread(self._primary.find) if self._primary else self._address.place

    async def _greet(self, wire: Wire) -> Run:
        """Which run of which server it is, once it has let us in."""
        for request in self._address.greeting():
            await wire.send(encode(request))
        server, history = await wire.send(encode(("INFO", "server"))), await wire.send(HISTORY)
        run = run_of((server or b"") + (history or b""), mode=self._mode)
        if isinstance(wire, CheckedWire):
            wire.history = run.line
        return run

    def _delay(self, attempt: int) -> float:
        longest = min(FIRST_DELAY * 2.0 ** min(attempt, 20), LONGEST_DELAY)
        return self._random.uniform(longest / 2, longest)


def _get(name: bytes) -> bytes:
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(name), name)
