"""The end of a process: first it says that it is not ready, a moment later it stops taking requests."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Drain:
    """Whether the process was told to end."""

    begun: bool = False


@contextmanager
def drained_on_sigterm(drain: Drain, seconds: float) -> Iterator[None]:
    """While the block runs, SIGTERM begins the drain at once, and reaches the server so many seconds later.

    A load balancer that asks for readiness meanwhile sends nothing more; what comes all the same is answered. A second
    SIGTERM, and SIGINT, reach the server at once. Then the server finishes the requests at hand and ends.
    """
    server = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(server):
        yield  # nobody's signals but the main thread's
        return
    loop = asyncio.get_running_loop()

    def on_sigterm(number: int, _: object) -> None:
        delay, drain.begun = 0.0 if drain.begun else seconds, True
        loop.call_soon_threadsafe(loop.call_later, delay, server, number, None)

    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, server)
