"""What goes on beside a server or a worker: a thread for each job, until the block or the process ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from recsys.errors import PrivrecError
from recsys.store.logs import json_logger
from recsys.store.workspace import Workspace

Stop: TypeAlias = Callable[[], bool]
"""Whether the rest is for the next run."""

POLL_SECONDS = 2.0
"""How often a job looks for something to do."""


@contextmanager
def beside(job: Callable[[Workspace, threading.Event], None], workspace: Workspace) -> Iterator[None]:
    """A thread that does the job while the block runs; at its end the job is told to stop, and waited for."""
    stop = threading.Event()
    thread = threading.Thread(target=job, args=(workspace, stop), name=job.__name__, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Quietly:
    """A step whose failure is logged when it begins and when its reason changes, not at every look."""

    def __init__(self, step: Callable[[], object], *, failed: str) -> None:
        """The step; `failed` is what the log says."""
        self._step, self._failed, self._reason = step, failed, ""

    def __call__(self) -> None:
        """Take the step; whether it fails or not, the caller goes on."""
        try:
            self._step()
        except PrivrecError as error:
            if str(error) != self._reason:
                json_logger().warning(self._failed, reason=str(error))
            self._reason = str(error)
        else:
            self._reason = ""


def repeat(step: Callable[[], None], stop: threading.Event, *, postponed: str) -> None:
    """Take the step again and again until told to stop; where a store is away, log that it is postponed."""
    log = json_logger()
    while not stop.is_set():
        try:
            step()
        except PrivrecError as error:
            log.warning(postponed, reason=str(error))
        stop.wait(POLL_SECONDS)
