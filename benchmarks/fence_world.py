"""What schedules are played in: a record, servers that fail in every way, and clients whose answers get lost."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.stepped import CrashError, Stage
from recsys.errors import CacheUnavailableError
from recsys.serving.sealed_lists import HEADER, Kind
from recsys.store.memory import MemoryCache, MemoryFences
from recsys.store.pointer import Pointer
from recsys.types import Experiment, Fence, Permit, UserKey

T = TypeVar("T")
CUSTOMERS = (UserKey(b"a" * 16), UserKey(b"b" * 16))
VERSIONS = ("first", "second")
"""Each has a slot of its own."""
LOST = 0.02
"""How often the answer of the server gets lost, the work being done."""
UNREACHED = 0.03
"""How often a question gets lost."""
RECONNECT = 0.1
"""How often a client asks another server than before though its own still answers."""
CRASH = 0.01
"""How often the process of a keeper, an eraser or a buyer dies at a step."""


@dataclass
class Server:
    """One run of the cache's server."""

    cache: MemoryCache = field(default_factory=MemoryCache)

    def empty(self) -> "Server":
        """Another run that begins with nothing."""
        return Server(type(self.cache)())

    def copy(self) -> "Server":
        """Another run that begins with what this one holds."""
        twin = type(self.cache)()
        first, second = self.cache._values  # noqa: SLF001
        twin._values, twin._epoch, twin._stamp = (dict(first), dict(second)), self.cache._epoch, self.cache._stamp  # noqa: SLF001
        return Server(twin)

    def flush(self) -> None:
        """Lose everything, and run on."""
        for values in self.cache._values:  # noqa: SLF001
            values.clear()
        self.cache._epoch, self.cache._stamp = None, 0  # noqa: SLF001


@dataclass
class World:
    """The record, the servers, and what was acknowledged."""

    stage: Stage
    chance: random.Random
    fences: MemoryFences = field(default_factory=MemoryFences)
    server: Server = field(default_factory=Server)
    snapshot: Server | None = None
    suppressed: set[UserKey] = field(default_factory=set)
    revisions: dict[UserKey, int] = field(default_factory=lambda: dict.fromkeys(CUSTOMERS, 1))
    erased: set[UserKey] = field(default_factory=set)
    """Whose erasure was acknowledged."""
    counted: dict[UserKey, int] = field(default_factory=lambda: dict.fromkeys(CUSTOMERS, 1))
    """The revision that was acknowledged."""
    pointer: Pointer = field(default_factory=lambda: Pointer(live=VERSIONS[0], slots=VERSIONS))
    """Which version is live, and whether an experiment shows the other one beside it."""
    leaks: int = 0
    served: int = 0
    compared: int = 0
    """How many of the lists that were served are of the version beside the live one."""


class Connection:
    """A client's way to the server, as `ports.Cache`: it stays with a run that lives, mostly."""

    def __init__(self, world: World, *, mortal: bool = False) -> None:
        """Nothing is connected yet; the process of a mortal client may die at any step."""
        self._world, self._mortal = world, mortal
        self._server: Server | None = None

    def step(self) -> None:
        """Let others go on; die, perhaps."""
        self._world.stage.step()
        if self._mortal and self._world.chance.random() < CRASH:
            raise CrashError

    def run(self) -> MemoryCache:
        """The run that is connected."""
        if self._server is None or self._server.cache.down or self._world.chance.random() < RECONNECT:
            self._server = self._world.server
        return self._server.cache

    def get(self, user_key: UserKey) -> bytes | None:
        """As the port."""
        return self._ask(lambda cache: cache.get(user_key))

    def permit(self) -> Permit | None:
        """As the port."""
        return self._ask(MemoryCache.permit)

    def put(self, permit: Permit, values: Iterable[tuple[UserKey, bytes]], slot: int = 0) -> int:
        """As the port."""
        return self._ask(lambda cache: cache.put(permit, values, slot))

    def bury(self, user_key: UserKey) -> str:
        """As the port."""
        return self._ask(lambda cache: cache.bury(user_key))

    def forget(self, user_keys: Iterable[UserKey]) -> str:
        """As the port."""
        return self._ask(lambda cache: cache.forget(user_keys))

    def identity(self) -> str:
        """As the port."""
        return self._ask(MemoryCache.identity)

    def certify(self, fence: Fence, buried: Iterable[UserKey]) -> None:
        """As the port: on one run, with steps of others between the tombstones."""
        self._ask(lambda cache: cache.certify(fence, self._stepping(buried)))

    def _stepping(self, keys: Iterable[UserKey]) -> Iterator[UserKey]:
        for key in keys:
            yield key
            self.step()

    def _ask(self, question: Callable[[MemoryCache], T]) -> T:
        self.step()
        if self._world.chance.random() < UNREACHED:
            raise _lost()
        answer = question(self.run())
        if self._world.chance.random() < LOST:
            raise _lost()
        return answer


class SteppedFences(MemoryFences):
    """The row of the record, with steps of others before every look at it."""

    def __init__(self, world: World, connection: Connection) -> None:
        """The row of the world, asked by this client's process."""
        super().__init__()
        self._world, self._client = world, connection

    def read(self) -> Fence:
        """As the port."""
        self._client.step()
        return self._world.fences.read()

    def swap(self, before: Fence, after: Fence) -> bool:
        """As the port."""
        self._client.step()
        return self._world.fences.swap(before, after)


class Suppressed:
    """As much of `ports.Erasures` as a certification reads."""

    def __init__(self, world: World) -> None:
        """The suppressed customers of the world."""
        self._world = world

    def suppressed(self) -> Iterator[UserKey]:
        """As the port: all at once, when the first is asked for."""
        yield from sorted(self._world.suppressed)


def trouble(world: World) -> None:
    """What befalls the server."""
    for _ in range(world.chance.randrange(4)):
        world.stage.step(world.chance.random() * 2)
        fault = world.chance.choice((_die, _die_and_restore, _lag, _flush, _save))
        fault(world)


def _die(world: World) -> None:
    world.server.cache.down = True
    world.server = world.server.empty()


def _die_and_restore(world: World) -> None:
    world.server.cache.down = True
    world.server = world.snapshot.copy() if world.snapshot else world.server.empty()


def _lag(world: World) -> None:
    """A copy that lags behind takes over; the old one lives on for those who are connected."""
    world.server = world.snapshot.copy() if world.snapshot else world.server.copy()


def _flush(world: World) -> None:
    world.server.flush()


def _save(world: World) -> None:
    world.snapshot = world.server.copy()


def operate(world: World) -> None:
    """Promote the other version, compare both, or stop that: again and again, warm or not."""
    for _ in range(3):
        world.stage.step(world.chance.random() * 2)
        change = world.chance.choice((_promote, _compare, _stop))
        change(world)


def _promote(world: World) -> None:
    world.pointer = world.pointer.to(_beside(world.pointer))


def _compare(world: World) -> None:
    salt = f"{world.chance.randrange(1000)}"
    experiment = Experiment(name="both", version=_beside(world.pointer), share=50, salt=salt)
    world.pointer = world.pointer.ended().begun(experiment)


def _stop(world: World) -> None:
    world.pointer = world.pointer.ended()


def _beside(pointer: Pointer) -> str:
    """The version that is not live."""
    return next(version for version in VERSIONS if version != pointer.live)


def value_of(permit: Permit, body: bytes) -> bytes:
    """A value of the cache: lists under this permit."""
    return HEADER.pack(Kind.LISTS, permit.epoch, 1, permit.stamp) + body


def _lost() -> CacheUnavailableError:
    msg = "expected the cache to answer, got nothing: this schedule lost it; no matter"
    return CacheUnavailableError(msg)
