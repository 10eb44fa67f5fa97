"""Keeps the cache certified while an API process runs, whether or not a worker runs beside it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.concurrency import run_in_threadpool

from api.background import running
from recsys.errors import PrivrecError
from recsys.store.logs import Logger

SECONDS = 2.0
"""Between two looks: after a restart of the cache's server, lists come from it again about so much later."""


class Certifier:
    """Certifies a run of the cache's server that nobody certified yet. Any number of processes may do so at once."""

    def __init__(self, certify: Callable[[], bool], logger: Logger) -> None:
        """Certify with this function, which may block and may fail; it does nothing where nothing is to be done."""
        self._certify, self._logger = certify, logger
        self._reason = ""

    async def look(self) -> None:
        """Certify once if need be; a reason why not is logged when it is a new one."""
        reason = ""
        try:
            await run_in_threadpool(self._certify)
        except PrivrecError as error:
            reason = str(error)
        if reason and reason != self._reason:
            self._logger.warning("cache not certified", reason=reason)
        self._reason = reason

    def running(self) -> AbstractAsyncContextManager[None]:
        """Look again and again while the block runs."""
        return running(self._look_forever())

    async def _look_forever(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(SECONDS)
