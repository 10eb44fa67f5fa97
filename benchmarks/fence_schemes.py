"""The code of the fence, under test; the same with one part broken; and the control, which deletes and no more."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from zlib import crc32

from benchmarks.fence_world import Connection, SteppedFences, Suppressed, World, value_of
from recsys.errors import CacheUnavailableError
from recsys.fence import LEASE_SECONDS, CacheFence
from recsys.serving.sealed_lists import HEADER, Kind
from recsys.store.memory import MemoryCache
from recsys.store.memory_subjects import MemorySubjectRequests
from recsys.types import FenceState, Permit, Served, UserKey

if TYPE_CHECKING:
    from recsys.ports import Cache, Erasures


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
            subjects=MemorySubjectRequests(),  # an objection is told to the cache as an erasure is
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
        fence, permit, served = self.world.fences.read(), cache.permit(), self.world.pointer.served
        is_certified = fence.state is FenceState.CERTIFIED and fence.holds(cache.identity())
        if not is_certified or permit is None or permit.epoch != fence.epoch:
            return None
        return Lease(cache, fence.epoch, start + LEASE_SECONDS, served)


@dataclass(frozen=True)
class Lease:
    """What lets a process serve without asking the record: from this run, lists of this epoch, until then."""

    cache: MemoryCache
    epoch: int | None
    until: float
    served: Served

    def compares(self, user_key: UserKey) -> bool:
        """Whether the customer gets the version beside the live one."""
        experiment = self.served.experiment
        draw = 0.0 if experiment is None else crc32(user_key + experiment.salt.encode()) / 2**32
        return experiment is not None and experiment.shows(draw)

    def list_of(self, user_key: UserKey) -> bytes | None:
        """The customer's list, if it may be served."""
        experiment, live = self.served.experiment, self.served.live
        version = experiment.version if experiment and self.compares(user_key) else live
        value = self.cache.get(user_key, self.served.slots.index(version)) or b""
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
            client.put(late, [(key, value_of(late, value[HEADER.size :])) for key, value in values], slot)


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
        return Lease(client.run(), None, float("inf"), self.world.pointer.served)

    def _delete(self, client: Connection, user_key: UserKey) -> None:
        self.world.stage.step()
        for values in client.run()._values:  # noqa: SLF001
            values.pop(user_key, None)
