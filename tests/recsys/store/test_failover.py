"""Real servers that stand for each other: after a failover nothing is served before the new primary is certified."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest
import uvloop

from recsys.errors import CacheUnavailableError
from recsys.fence import CacheFence
from recsys.serving.sealed_lists import HEADER, TOMBSTONE, Kind, read_header
from recsys.store.cache import RedisCache
from recsys.store.keys import KeyRing
from recsys.store.memory import MemoryFences
from recsys.store.memory_subjects import MemorySubjectRequests
from recsys.store.pipelined import PipelinedRedis
from recsys.store.redis_address import RedisAddress
from recsys.types import FenceState, Permit, UserKey
from tests.recsys.store.redis_servers import (
    PATIENCE,
    QUICK,
    Cluster,
    Pair,
    Server,
    start_cluster,
    start_pair,
    started,
    until,
)

if TYPE_CHECKING:
    from recsys.ports import Erasures

pytestmark = [pytest.mark.service, pytest.mark.slow]
Result = TypeVar("Result")
ANN, BEN, CAM = (UserKey(name * 16) for name in (b"a", b"b", b"c"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def pair(tmp_path: Path, stack: ExitStack) -> Pair:
    return start_pair(tmp_path, stack)


@dataclass
class Shop:
    """The record, and the cache at a URL under its fence."""

    url: str
    gone: set[UserKey] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cache = RedisCache(self.url, KeyRing.ephemeral(), timeout=0.5)
        self.fences = MemoryFences()
        record = cast("Erasures", self)
        self.fence = CacheFence(
            fences=self.fences,
            cache=self.cache,
            erasures=record,
            subjects=MemorySubjectRequests(),
            wait=lambda _: None,
        )

    def suppressed(self) -> list[UserKey]:
        """As `ports.Erasures`."""
        return sorted(self.gone)

    def certify(self) -> None:
        """As the processes of the API do every two seconds."""
        until(lambda: bool(unless_away(self.fence.certify)))

    def publish(self, *users: UserKey) -> None:
        permit = cast("Permit", self.cache.permit())
        header = HEADER.pack(Kind.LISTS, permit.epoch, 1, permit.stamp)
        assert self.cache.put(permit, [(user, header) for user in users]) == len(users)

    def erase(self, user: UserKey) -> bool:
        self.gone.add(user)
        return self.fence.bury(user)

    def has_list(self, user: UserKey) -> bool:
        """Whether there is a list, of whatever epoch."""
        header = read_header(unless_away(lambda: self.cache.get(user) or b"") or b"")
        return header is not None and header.kind is Kind.LISTS


def unless_away(call: Callable[[], Result]) -> Result | None:
    with suppress(CacheUnavailableError):
        return call()
    return None


@dataclass
class Window:
    """A process of the API: what it would serve from the cache without asking the record."""

    shop: Shop
    reader: PipelinedRedis

    async def serves(self, user: UserKey) -> bool:
        fence = self.shop.fences.read()
        if fence.state is not FenceState.CERTIFIED or not fence.holds(self.reader.server_id or ""):
            return False
        try:
            value = await self.reader.get(self.shop.cache.name(user).encode())
        except CacheUnavailableError:
            return False
        header = read_header(value or b"")
        return header is not None and (header.kind, header.epoch) == (Kind.LISTS, fence.epoch)

    async def serves_in_the_end(self, user: UserKey) -> bool:
        async with asyncio.timeout(PATIENCE):
            while not await self.serves(user):  # noqa: ASYNC110 - what happens elsewhere sets no event
                await asyncio.sleep(0.02)
        return True


@asynccontextmanager
async def window(shop: Shop) -> AsyncIterator[Window]:
    async with PipelinedRedis(RedisAddress(shop.url), timeout=0.5) as reader:
        yield Window(shop, reader)


def run(check: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check)


@pytest.fixture
def open_shop(stack: ExitStack) -> Callable[[str], Shop]:
    """A shop at the URL, certified, with the lists of two customers; the list of a third was buried."""

    def shop(url: str) -> Shop:
        opened = Shop(url)
        stack.callback(opened.cache.close)
        opened.certify()
        opened.publish(ANN, BEN, CAM)
        assert opened.erase(CAM)
        return opened

    return shop


OpenShop = Callable[[str], Shop]


@pytest.mark.parametrize(
    ("start", "change"),
    [(start_pair, Pair.swap), (start_cluster, Cluster.swap), (start_cluster, Cluster.move)],
    ids=["a sentinel", "a cluster", "a slot that moves"],
)
def test_after_a_failover_nothing_is_served_until_the_new_primary_is_certified(
    start: Callable[[Path, ExitStack], Any],
    change: Callable[[Any], None],
    tmp_path: Path,
    stack: ExitStack,
    open_shop: OpenShop,
) -> None:
    servers = start(tmp_path, stack)
    shop = open_shop(servers.url)

    async def check() -> None:
        async with window(shop) as page:
            assert await page.serves_in_the_end(ANN)
            assert not await page.serves(CAM)

            await asyncio.to_thread(change, servers)
            for _ in range(20):
                assert not await page.serves(ANN)
                await asyncio.sleep(0.01)
            assert not await asyncio.to_thread(shop.erase, BEN)

            await asyncio.to_thread(shop.certify)
            assert [shop.cache.get(user) for user in (BEN, CAM)] == [TOMBSTONE] * 2
            assert not await page.serves(ANN)
            shop.publish(ANN)
            assert await page.serves_in_the_end(ANN)

    run(check())


def test_a_tombstone_that_the_replica_never_heard_of_is_put_back_before_anything_is_served(
    pair: Pair, open_shop: OpenShop
) -> None:
    shop = open_shop(pair.url)
    until(lambda: pair.replica.ask("EXISTS", shop.cache.name(BEN)) == 1)
    pair.replica.signal(signal.SIGSTOP)
    pair.primary.ask("CLIENT", "KILL", "TYPE", "replica")
    assert shop.erase(BEN)
    pair.primary.kill()
    pair.replica.signal(signal.SIGCONT)
    until(lambda: pair.replica.said("replication", "role") == "master")

    until(lambda: shop.has_list(BEN))  # the list is back
    assert not unless_away(shop.fence.is_certified)
    shop.certify()
    assert shop.cache.get(BEN) == TOMBSTONE


def test_a_primary_that_was_a_replica_meanwhile_is_another_under_the_same_run_id(
    tmp_path: Path, stack: ExitStack, open_shop: OpenShop
) -> None:
    one, two = (started(Server(tmp_path / name, dict(QUICK)), stack) for name in ("one", "two"))
    two.ask("REPLICAOF", "127.0.0.1", one.port)
    until(lambda: two.said("replication", "master_link_status") == "up")
    shop = open_shop(f"redis://127.0.0.1:{one.port}")
    run_id, identity = one.said("server", "run_id"), shop.cache.identity()
    until(lambda: two.ask("EXISTS", shop.cache.name(BEN)) == 1)
    two.ask("REPLICAOF", "NO", "ONE")

    acknowledged: list[UserKey] = []

    def change_places() -> None:
        assert shop.erase(BEN)
        acknowledged.append(BEN)
        one.ask("REPLICAOF", "127.0.0.1", two.port)
        until(lambda: one.said("replication", "master_link_status") == "up")
        with pytest.raises(CacheUnavailableError, match="expected the primary"):
            shop.cache.identity()
        one.ask("REPLICAOF", "NO", "ONE")
        assert one.said("server", "run_id") == run_id
        assert shop.has_list(BEN)  # the list is back
        assert shop.cache.identity() != identity
        assert not shop.fence.is_certified()

    async def check() -> None:
        async with window(shop) as page:
            assert await page.serves_in_the_end(BEN)
            change = asyncio.create_task(asyncio.to_thread(change_places))
            while not change.done():
                assert not (acknowledged and await page.serves(BEN))
                await asyncio.sleep(0.005)
            await change
            assert not await page.serves(BEN)
            await asyncio.to_thread(shop.certify)
            assert not await page.serves(BEN)

    run(check())
    assert shop.cache.get(BEN) == TOMBSTONE


def test_the_first_replica_of_a_server_puts_no_end_to_the_fast_path(
    tmp_path: Path, stack: ExitStack, open_shop: OpenShop
) -> None:
    one, two = (started(Server(tmp_path / name, dict(QUICK)), stack) for name in ("one", "two"))
    shop = open_shop(f"redis://127.0.0.1:{one.port}")

    def attach() -> None:
        two.ask("REPLICAOF", "127.0.0.1", one.port)
        until(lambda: two.said("replication", "master_link_status") == "up")
        shop.certify()
        shop.publish(ANN)

    async def check() -> None:
        async with window(shop) as page:
            assert await page.serves_in_the_end(ANN)
            await asyncio.to_thread(attach)
            assert await page.serves_in_the_end(ANN)

    run(check())


def test_a_primary_that_hangs_is_left_and_what_it_holds_counts_no_more(pair: Pair, open_shop: OpenShop) -> None:
    shop = open_shop(pair.url)

    async def check() -> None:
        async with window(shop) as page:
            assert await page.serves_in_the_end(ANN)
            pair.primary.signal(signal.SIGSTOP)
            await asyncio.to_thread(until, lambda: pair.named() == pair.replica.port)
            await asyncio.to_thread(shop.certify)
            assert not await page.serves(ANN)
            shop.publish(ANN)
            assert await page.serves_in_the_end(ANN)
            pair.primary.signal(signal.SIGCONT)
            assert await asyncio.to_thread(shop.erase, ANN)
            assert not await page.serves(ANN)

    run(check())
