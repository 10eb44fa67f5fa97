"""The shop with its fast path, over the cache in memory; and the same shop without it, beside."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial

import httpx2
from starlette.testclient import TestClient

from api.app import create_app
from api.hot_path import Asked, HotPath, read_certificate
from api.known_keys import KnownKeys
from api.lease import LeaseKeeper
from api.rate_limit import TokenBuckets
from recsys.errors import CacheUnavailableError
from recsys.store.secret import hash_secret
from recsys.store.wire import Answer, Taker
from recsys.store.workspace import Workspace
from recsys.types import Scope, UserKey
from tests.api.shop import Shop, open_shop
from tests.api.test_rate_limit import Time


@dataclass
class MemoryReader:
    """Reads the cache in memory as the pipelined connection reads a server."""

    workspace: Workspace
    server_id: str | None = None
    moved: dict[bytes, bytes] = field(default_factory=dict)
    """Whose value is given instead of whose."""

    def get(self, name: bytes) -> Answer:
        answer: Answer = asyncio.get_running_loop().create_future()
        self.bring(name, answer)
        return answer

    def bring(self, name: bytes, taker: Taker) -> None:
        key = self.moved.get(name[:-1], name[:-1])
        loop = asyncio.get_running_loop()
        try:
            loop.call_soon(taker.set_result, self.workspace.cache.get(UserKey(key), name[-1]))
        except CacheUnavailableError as error:
            loop.call_soon(taker.set_exception, error)


@dataclass(frozen=True, kw_only=True, slots=True)
class CountedPath(HotPath):
    """Counts what it answers."""

    hits: list[bytes] = field(default_factory=list)

    def finished(self, asked: Asked, value: bytes | None) -> bytes | None:
        body = HotPath.finished(self, asked, value)
        if body is not None:
            self.hits.append(body)
        return body


@dataclass
class HotShop:
    """Two faces of one shop."""

    shop: Shop
    clock: Time
    hot: CountedPath
    reader: MemoryReader
    fast: TestClient
    slow: TestClient

    def renew(self) -> None:
        """What the background tasks do all the time: renew the lease, and look keys in use up again."""
        asyncio.run(self.hot.lease.renew())
        for secret in self.shop.secrets.values():
            self.hot.known_keys.look_up(secret)

    def ask(self, user_id: str = "ada", **options: str) -> httpx2.Response:
        """The answer of the face with the fast path."""
        headers = self.shop.headers(Scope.RECOMMEND)
        return self.fast.get(f"/v1/users/{user_id}/recommendations", headers=headers, params=options)

    def is_hit(self, user_id: str = "ada") -> bool:
        """Whether the fast path answers."""
        before = len(self.hot.hits)
        assert self.ask(user_id).status_code == 200
        return len(self.hot.hits) > before


def open_hot_shop(*, burst: int = 1000) -> HotShop:
    """A certified cache, the lists of no customer in it, a lease, and every key known."""
    shop, clock = open_shop(), Time()
    workspace = shop.workspace
    assert workspace.fence.certify()
    app = create_app(workspace.settings, workspace=workspace)
    services = app.state.services
    reader = MemoryReader(workspace, server_id=workspace.cache.identity())
    hot = CountedPath(
        reader=reader,
        lease=LeaseKeeper(partial(read_certificate, workspace, services.shown), clock),
        known_keys=KnownKeys(workspace.api_keys, partial(hash_secret, workspace.keys), clock),
        buckets=TokenBuckets(rate=1.0, burst=burst, clock=clock),
        ring=workspace.keys,
        name_of=lambda user_key, slot: user_key + bytes([slot]),
        shown=services.shown,
    )
    app.hot = hot
    app.state.services = replace(services, buckets=hot.buckets)
    found = HotShop(shop=shop, clock=clock, hot=hot, reader=reader, fast=TestClient(app), slow=shop.client)
    found.renew()
    return found
