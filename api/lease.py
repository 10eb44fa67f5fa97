"""The right to serve personal lists from the cache without asking the database: short, and renewed all the time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from api.background import running
from recsys.fence import LEASE_SECONDS
from recsys.types import Experiment

RENEWAL_SECONDS = 0.2
"""Between the beginnings of two reads, so that three may fail before the lease runs out."""


class Form(NamedTuple):
    """What the values of a version have in common under one epoch, and the answers made of them."""

    header: bytes
    """How a value begins that may be served."""
    version_part: bytes = b""
    """Of an answer: `recsys.serving.rendered`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What the database says of the cache: which lists may be served, and in which server they lie."""

    live: Form
    server_id: str
    slot: int = 0
    """Of the cache: where the live version's lists lie."""
    experiment: Experiment | None = None
    beside: Form | None = None
    """The experiment's version; it lies in the other slot."""

    def place_of(self, draw: Callable[[str], float]) -> tuple[Form, int]:
        """Which lists a customer is shown, and the slot they lie in.

        Args:
            draw: the customer's number for a salt; asked for only while an experiment runs
        """
        experiment, beside = self.experiment, self.beside
        if experiment is not None and beside is not None and experiment.shows(draw(experiment.salt)):
            return beside, 1 - self.slot
        return self.live, self.slot


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A certificate, and until when it may be relied on (monotonic seconds)."""

    certificate: Certificate
    ends: float


class LeaseKeeper:
    """Holds the lease of this process.

    Guarantees:
        - A lease ends one second after the beginning of the read that it stands on, whatever happens.

    Tested by: tests/api/test_lease.py::test_a_lease_ends_a_second_after_its_read_began
    """

    def __init__(self, read: Callable[[], Certificate | None], clock: Callable[[], float] = time.monotonic) -> None:
        """A keeper that asks `read`, which may block and may fail; None says that the cache is not to be trusted."""
        self._read, self._clock = read, clock
        self._lease: Lease | None = None

    def current(self) -> Lease | None:
        """The lease, while it holds."""
        lease = self._lease
        return lease if lease is not None and self._clock() < lease.ends else None

    def holds(self, lease: Lease) -> bool:
        """Whether the lease may still be relied on."""
        return self._clock() < lease.ends

    async def renew(self) -> None:
        """Read once; a read that fails leaves the lease to run out, one that finds no certificate ends it."""
        begun = self._clock()
        certificate = await run_in_threadpool(self._read)
        self._lease = Lease(certificate=certificate, ends=begun + LEASE_SECONDS) if certificate else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Renew the lease while the block runs; afterwards there is none."""
        try:
            async with running(self._renew_forever()):
                yield
        finally:
            self._lease = None

    async def _renew_forever(self) -> None:
        while True:
            begun = self._clock()
            with suppress(Exception):  # whatever the reason is, nothing was read: the lease runs out by itself
                await self.renew()
            await asyncio.sleep(max(0.0, begun + RENEWAL_SECONDS - self._clock()))
