"""One worker of erasures at a time on a database, whichever machine it runs on.

Two that took customers out of the same sum at once would each write it as if the other's customer were still there.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, func, select

from recsys.store.files import file_errors
from recsys.store.rules import another_works

WORKER_LOCK = 0x70726976776B72
"""The PostgreSQL advisory lock of the one worker ("privwkr" in ASCII)."""
ENDING = "-worker"
"""What the name of the lock file ends with, beside a SQLite database."""


@contextmanager
def one_worker(engine: Engine) -> Iterator[None]:
    """A block that only one process is in at a time; the kernel, or the server, frees it when that one dies.

    Raises:
        StateLockedError: another worker is in it.
    """
    with _postgresql(engine) if engine.dialect.name == "postgresql" else _sqlite(engine) as is_alone:
        if not is_alone:
            raise another_works()
        yield


@contextmanager
def _postgresql(engine: Engine) -> Iterator[bool]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_alone = bool(connection.scalar(select(func.pg_try_advisory_lock(WORKER_LOCK))))
        try:
            yield is_alone
        finally:
            if is_alone:
                connection.execute(select(func.pg_advisory_unlock(WORKER_LOCK)))


@contextmanager
def _sqlite(engine: Engine) -> Iterator[bool]:
    with file_errors("the lock of the worker"):
        file = os.open(f"{engine.url.database}{ENDING}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _is_taken(file)
    finally:
        os.close(file)


def _is_taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
