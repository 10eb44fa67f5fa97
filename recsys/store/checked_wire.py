"""A connection whose answers count only once the server said, behind them, that it has not been another one meanwhile.

Where servers take each other's place, one can become a replica, take over data that lack what it confirmed, and be the
primary again: under the same run id, on a connection that never broke. Its line of history (`master_replid`) tells. It
is asked for behind the requests of each turn of the event loop, and their answers are held until it came.
"""

import asyncio
from dataclasses import dataclass, field

import hiredis

from recsys.errors import CacheUnavailableError
from recsys.store.wire import Taker, Wire, encode, unavailable

HISTORY = encode(("INFO", "replication"))
ELSEWHERE = ("MOVED", "ASK", "CLUSTERDOWN", "MASTERDOWN", "LOADING")
"""How the errors begin of a server that is not, or no longer, the one to be asked."""
ANOTHER = "a server that changed places with another"


@dataclass(slots=True)
class Held:
    """A request's taker, whose answer waits for the end of its turn. Satisfies `wire.Taker`."""

    taker: Taker
    answers: list[bytes | None] = field(default_factory=list)
    """One, once it came."""

    def done(self) -> bool:
        """Whether nothing is to be brought any more."""
        return bool(self.answers) or self.taker.done()

    def set_result(self, result: bytes | None, /) -> None:
        """Hold the answer."""
        self.answers.append(result)

    def set_exception(self, error: CacheUnavailableError, /) -> None:
        """An error needs no proof."""
        self.taker.set_exception(error)

    def give(self) -> None:
        """Give what was held; an error was given already."""
        if self.answers and not self.taker.done():
            self.taker.set_result(self.answers[0])


@dataclass(slots=True)
class Turn:
    """Takes the server's line of history, for the requests of one turn of the loop. Satisfies `wire.Taker`."""

    wire: "CheckedWire"
    held: list[Held] = field(default_factory=list)
    told: bool = False

    def done(self) -> bool:
        """Whether it was told."""
        return self.told

    def set_result(self, result: bytes | None, /) -> None:
        """Give what was held, if the line is still the one that the connection began with."""
        if self.wire.history not in (result or b"").splitlines():
            self.set_exception(unavailable(got=ANOTHER))
            self.wire.drop(ANOTHER)
            return
        self.told = True
        for held in self.held:
            held.give()

    def set_exception(self, error: CacheUnavailableError, /) -> None:
        """Give the error in the place of what was held, and of what has not come yet."""
        self.told = True
        for held in self.held:
            if not held.taker.done():
                held.taker.set_exception(error)


class CheckedWire(Wire):
    """A wire to a server that another one may take the place of.

    Guarantees:
        - No answer is given that the server may have read after it was another's replica.

    Tested by: tests/recsys/store/test_checked_wire.py
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, timeout: float, max_waiting: int) -> None:
        """As `Wire`; set `history` before the first request that counts."""
        super().__init__(loop, timeout=timeout, max_waiting=max_waiting)
        self.history = b""
        """The line in which the server said its history when the connection began."""
        self._turn: Turn | None = None

    def put(self, request: bytes, taker: Taker) -> None:
        """Bring the taker the answer to the request, with the proof behind it; raises as `Wire.put`."""
        if not self.history:
            super().put(request, taker)
            return
        held = Held(taker)
        super().put(request, held)
        self._turn = self._turn or Turn(self)
        self._turn.held.append(held)

    def _flush(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self._ask(turn)
        super()._flush()

    def _ask(self, turn: Turn) -> None:
        try:
            super().put(HISTORY, turn)
        except CacheUnavailableError as error:
            turn.set_exception(error)

    def _refused(self, reply: hiredis.ReplyError, taker: Taker) -> None:
        super()._refused(reply, taker)
        if str(reply).startswith(ELSEWHERE):
            self.drop("a server that sends us elsewhere")
