"""One process at a time on a state directory; the kernel frees the lock when its holder dies."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from recsys.errors import StateLockedError
from recsys.store.files import file_errors, replace_file

LOCK, HOLDER = "lock", "lock.holder"
PROGRAM = "privrec"


class StateLock:
    """A context in which this process owns the state directory."""

    def __init__(self, state_dir: Path) -> None:
        """Lock this directory, later."""
        self._holder = state_dir / HOLDER
        self._lock = FileLock(state_dir / LOCK, blocking=False, thread_local=False, mode=0o600, fallback_to_soft=False)

    def __enter__(self) -> Self:
        """The lock, held.

        Raises:
            StateLockedError: another process holds it; the message says which.
        """
        with file_errors("the lock of the state directory"):
            try:
                self._lock.acquire()
            except Timeout as error:  # an OSError too, hence the inner block
                raise StateLockedError(_refusal(self._holder)) from error
            replace_file(self._holder, json.dumps({"pid": os.getpid(), "command": command_name(sys.argv)}).encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the lock."""
        with suppress(OSError):
            self._holder.unlink(missing_ok=True)
        self._lock.release()


def command_name(argv: list[str]) -> str:
    """The program and, for privrec itself, its subcommand; what follows may be a customer's id and is left out."""
    program = Path(argv[0]).name if argv and argv[0] else "python"
    return " ".join([program, *argv[1:2]]) if program == PROGRAM else program


def _refusal(holder: Path) -> str:
    try:
        known = json.loads(holder.read_bytes())
        who = f"process {known['pid']} (`{known['command']}`)"
    except (OSError, ValueError, KeyError, TypeError):
        who = "another process"
    advice = "stop it, wait until it ends, or set PRIVREC_STATE_DIR to another directory"
    return f"expected to own {holder.parent}, but {who} does; {advice}"
