"""Schedules of everything that could make an erased customer's list be served: the code of the fence over memory twins.

In each schedule two customers are erased or buy something while writers hold lists that were computed before, for
either of two versions, readers serve the live one by leases, each is promoted in the place of the other, keepers
certify, and the cache's server is killed and starts empty or with an old snapshot, fails over to a copy that lags
behind while the old one lives on, or is flushed. Answers get lost, and processes die at any step.
A leak is a request that began after the acknowledgement and was answered with a list that the acknowledgement ruled
out. The scheme under test is the code of `recsys/fence.py`; the control deletes the list, and no more.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from benchmarks.stepped import Act, CrashError, Stage
from recsys.errors import CacheUnavailableError
from recsys.fence import LEASE_SECONDS, CacheFence
from recsys.serving.sealed_lists import HEADER, Kind
from recsys.store.memory import MemoryCache, MemoryFences
from recsys.types import SLOTS, Fence, FenceState, Permit, UserKey

if TYPE_CHECKING:
    from recsys.ports import Cache, Erasures

T = TypeVar("T")
CUSTOMERS = (UserKey(b"a" * 16), UserKey(b"b" * 16))
ACTORS = 11
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
    live: int = 0
    """The slot of the version that is live."""
    leaks: int = 0
    served: int = 0


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


class Fenced:
    """The scheme under test: promises are kept by the code of `recsys/fence.py`."""

    fence: type[CacheFence] = CacheFence
    cache: type[MemoryCache] = MemoryCache

    def __init__(self, world: World) -> None:
        """The scheme in a world."""
        self.world = world

    def wait(self, seconds: float) -> None:
        """Let others go on for so long."""
        self.world.stage.step(seconds)

    def fence_of(self, client: Connection) -> CacheFence:
        """The fence as this client's process has it."""
        return self.fence(
            fences=SteppedFences(self.world, client),
            cache=cast("Cache", client),  # as much of it as a fence asks for
            erasures=cast("Erasures", Suppressed(self.world)),
            wait=self.wait,
        )

    def certify(self, client: Connection) -> None:
        """Certify the server, if it answers."""
        try:
            self.fence_of(client).certify()
        except CacheUnavailableError:
            return

    def bury(self, client: Connection, user_key: UserKey) -> None:
        """Return when the erasure may be acknowledged."""
        self.fence_of(client).bury(user_key)

    def forget(self, client: Connection, user_key: UserKey) -> None:
        """Return when the purchase may be acknowledged."""
        self.fence_of(client).forget([user_key])

    def permit(self, client: Connection) -> Permit | None:
        """What a writer asks for before it reads anything."""
        return client.permit()

    def put(self, client: Connection, permit: Permit, values: Sequence[tuple[UserKey, bytes]], slot: int) -> None:
        """Keep what was computed."""
        client.put(permit, values, slot)

    def lease(self, client: Connection) -> "Lease | None":
        """A lease, if the server is certified: on the run that is connected, from the start of the reading."""
        start, cache = self.world.stage.now, client.run()
        self.world.stage.step()
        fence, permit, slot = self.world.fences.read(), cache.permit(), self.world.live
        is_certified = fence.state is FenceState.CERTIFIED and fence.holds(cache.identity())
        if not is_certified or permit is None or permit.epoch != fence.epoch:
            return None
        return Lease(cache, fence.epoch, start + LEASE_SECONDS, slot)


@dataclass(frozen=True)
class Lease:
    """What lets a process serve without asking the record: from this run, lists of this epoch, until then."""

    cache: MemoryCache
    epoch: int | None
    until: float
    slot: int

    def list_of(self, user_key: UserKey) -> bytes | None:
        """The customer's list, if it may be served."""
        value = self.cache.get(user_key, self.slot) or b""
        if len(value) <= HEADER.size or value[0] != Kind.LISTS:
            return None
        return value if self.epoch in {None, HEADER.unpack_from(value)[1]} else None


class HalfCache(MemoryCache):
    """A server whose scripts know the first slot alone."""

    def bury(self, user_key: UserKey) -> str:
        """Put a tombstone into the first slot."""
        with self._second():
            return super().bury(user_key)

    def forget(self, user_keys: Iterable[UserKey]) -> str:
        """Put notes into the first slot."""
        with self._second():
            return super().forget(user_keys)

    @contextmanager
    def _second(self) -> Iterator[None]:
        kept = dict(self._values[1])
        yield
        self._values[1].update(kept)


class Halved(Fenced):
    """Broken on purpose: promises reach the first slot, and the second is left as it is."""

    cache = HalfCache


class Unwaited(Fenced):
    """Broken on purpose: what is not confirmed is acknowledged at once."""

    def wait(self, seconds: float) -> None:
        """Nothing."""


class Unnamed(Fenced):
    """Broken on purpose: whichever server confirms will do."""

    class fence(CacheFence):  # noqa: N801 - it stands in the place of a class attribute
        """A fence that never looks who confirmed."""

        def _promise(self, tell: Callable[[], str]) -> bool:
            try:
                tell()
            except CacheUnavailableError:
                return super()._promise(tell)
            return True


class Unstamped(Fenced):
    """Broken on purpose: a writer takes its permit after it has read the history."""

    def permit(self, client: Connection) -> Permit | None:  # noqa: ARG002 - the scheme's signature
        """Any permit: the real one is asked for later."""
        return Permit(0, 0)

    def put(self, client: Connection, permit: Permit, values: Sequence[tuple[UserKey, bytes]], slot: int) -> None:  # noqa: ARG002 - the scheme's signature
        """Keep the lists under a permit of now."""
        late = client.permit()
        if late is not None:
            client.put(late, [(key, _value(late, value[HEADER.size :])) for key, value in values], slot)


class Deleting(Fenced):
    """The control: delete the list, as caches are usually invalidated; whatever is in the cache is served."""

    def certify(self, client: Connection) -> None:
        """Nothing is certified."""

    def bury(self, client: Connection, user_key: UserKey) -> None:
        """DEL."""
        self._delete(client, user_key)

    def forget(self, client: Connection, user_key: UserKey) -> None:
        """DEL."""
        self._delete(client, user_key)

    def permit(self, client: Connection) -> Permit | None:  # noqa: ARG002 - the scheme's signature
        """Any permit."""
        return Permit(0, 0)

    def put(self, client: Connection, permit: Permit, values: Sequence[tuple[UserKey, bytes]], slot: int) -> None:  # noqa: ARG002 - the scheme's signature
        """SET."""
        self.world.stage.step()
        client.run()._values[slot].update(values)  # noqa: SLF001

    def lease(self, client: Connection) -> Lease | None:
        """No end."""
        return Lease(client.run(), None, float("inf"), self.world.live)

    def _delete(self, client: Connection, user_key: UserKey) -> None:
        self.world.stage.step()
        for values in client.run()._values:  # noqa: SLF001
            values.pop(user_key, None)


def play(stage: Stage, scheme: type[Fenced], seed: int) -> World:
    """The world after one schedule."""
    chance = random.Random(seed)
    world = World(stage, chance, server=Server(scheme.cache()))
    plan = scheme(world)
    acts: list[Act] = [lambda: keep(plan), lambda: keep(plan), lambda: trouble(world), lambda: flip(world)]
    acts += [lambda: write(plan)] * 3 + [lambda: read(plan)] * 2
    acts += [lambda user=user: promise(plan, user) for user in CUSTOMERS]  # type: ignore[misc]
    stage.play(acts, chance)
    return world


def keep(plan: Fenced) -> None:
    """Certify, again and again."""
    client = Connection(plan.world, mortal=True)
    for _ in range(3):
        plan.certify(client)
        plan.world.stage.step(plan.world.chance.random())


def flip(world: World) -> None:
    """Promote the version of the other slot, again and again, warm or not."""
    for _ in range(3):
        world.stage.step(world.chance.random() * 2)
        world.live = 1 - world.live


def write(plan: Fenced) -> None:
    """Compute lists of either version and keep them, some of them long after."""
    world, client = plan.world, Connection(plan.world)
    for _ in range(3):
        try:
            permit = plan.permit(client)
        except CacheUnavailableError:
            continue
        if permit is None:
            world.stage.step(world.chance.random())
            continue
        world.stage.step()
        known = [(user, world.revisions[user]) for user in CUSTOMERS if user not in world.suppressed]
        world.stage.step(world.chance.random() * world.chance.choice((0.1, 4.0)))
        values = [(user, _value(permit, user + bytes([revision]))) for user, revision in known]
        slot = world.chance.choice(SLOTS)
        _quietly(lambda given=permit, lists=values, place=slot: plan.put(client, given, lists, place))  # type: ignore[misc]


def read(plan: Fenced) -> None:
    """Answer requests by leases, each with what the cache holds; a request that must not be answered so is a leak."""
    world, client = plan.world, Connection(plan.world)
    for _ in range(6):
        world.stage.step(world.chance.random())
        lease = _quietly(lambda: plan.lease(client))
        for user in CUSTOMERS * 2 if lease else ():
            if lease is None or world.stage.now >= lease.until:
                break
            erased, revision = user in world.erased, world.counted[user]
            world.stage.step(world.chance.random() * 0.2)
            found = _quietly(lambda of=user, held=lease: held.list_of(of))  # type: ignore[misc]
            if found is not None:
                world.served += 1
                world.leaks += erased or found[-1] < revision


def promise(plan: Fenced, user: UserKey) -> None:
    """Buy something, or ask to be forgotten: the record first, then the fence, then the acknowledgement."""
    world, client = plan.world, Connection(plan.world, mortal=True)
    for _ in range(2):
        world.stage.step(world.chance.random() * 2)
        if world.chance.random() < 0.5:  # noqa: PLR2004 - a coin
            world.revisions[user] += 1
            revision = world.revisions[user]
            plan.forget(client, user)
            world.counted[user] = revision
        else:
            world.suppressed.add(user)
            plan.bury(client, user)
            world.erased.add(user)
            return


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


def _value(permit: Permit, body: bytes) -> bytes:
    return HEADER.pack(Kind.LISTS, permit.epoch, 1, permit.stamp) + body


def _quietly(ask: Callable[[], T]) -> T | None:
    """The answer, if there is one."""
    try:
        return ask()
    except CacheUnavailableError:
        return None


def _lost() -> CacheUnavailableError:
    msg = "expected the cache to answer, got nothing: this schedule lost it; no matter"
    return CacheUnavailableError(msg)
