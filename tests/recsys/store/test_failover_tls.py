"""Several servers over TLS: who is asked where the primary is, and the primary, prove their names to our authority."""

import asyncio
import ssl
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import uvloop

from recsys.errors import CacheUnavailableError
from recsys.store.cache import RedisCache
from recsys.store.keys import KeyRing
from recsys.store.pipelined import PipelinedRedis
from recsys.store.primary import Primary
from recsys.store.redis_address import RedisAddress
from recsys.types import UserKey
from tests.recsys.store.redis_servers import (
    OF_A_NODE,
    PATIENCE,
    QUICK,
    SERVICE,
    SLOTS,
    USER,
    Server,
    free_port,
    started,
    until,
)
from tests.recsys.store.test_redis_tls import Authority, server_context

pytestmark = [pytest.mark.service, pytest.mark.slow]


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer):
        while data := await reader.read(65536):
            writer.write(data)


class TlsInFront:
    """A context that ends TLS at a port, for a server at another that was built without it."""

    def __init__(self, context: ssl.SSLContext, *, listening: int, port: int) -> None:
        self.context, self.listening, self.port = context, listening, port
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()))

    async def serve(self) -> None:
        self.loop, self.enough = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self.connected, "127.0.0.1", self.listening, ssl=self.context):
            self.ready.set()
            await self.enough.wait()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(carry(reader, outer), carry(inner, writer), return_exceptions=True)

    def __enter__(self) -> None:
        self.thread.start()
        assert self.ready.wait(PATIENCE)

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.enough.set)
        self.thread.join()


@pytest.fixture
def authorities(tmp_path: Path) -> dict[str, Authority]:
    return {name: Authority(tmp_path / f"{name}.pem") for name in ("one", "another")}


def test_a_cluster_is_asked_over_tls_and_no_other_authority_is_believed(
    tmp_path: Path, authorities: dict[str, Authority]
) -> None:
    context, port = server_context(authorities["one"].issue("127.0.0.1", tmp_path)), free_port()
    user = {"user privrec": f"{USER} {OF_A_NODE}", "cluster-enabled": "yes", "cluster-port": str(free_port())}
    with ExitStack() as stack:
        node = started(Server(tmp_path / "node", {**QUICK, **user, "cluster-announce-port": str(port)}), stack)
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        until(lambda: "cluster_state:ok" in str(node.ask("CLUSTER", "INFO")))
        stack.enter_context(TlsInFront(context, listening=port, port=node.port))
        url = f"rediss+cluster://privrec:s3cret@127.0.0.1:{port}?ssl_ca_certs="

        cache = RedisCache(f"{url}{authorities['one'].path}", KeyRing.ephemeral(), timeout=5)
        stack.callback(cache.close)
        assert cache.bury(UserKey(b"a" * 16)) == cache.identity() == identity_seen(f"{url}{authorities['one'].path}")

        stranger = RedisCache(f"{url}{authorities['another'].path}", KeyRing.ephemeral(), timeout=5)
        stack.callback(stranger.close)
        with pytest.raises(CacheUnavailableError):
            stranger.ping()


def identity_seen(url: str) -> str | None:
    """The identity of the server that the fast path reads from."""

    async def seen() -> str | None:
        async with PipelinedRedis(RedisAddress(url), timeout=5) as reader, asyncio.timeout(PATIENCE):
            while reader.server_id is None:  # noqa: ASYNC110 - what happens elsewhere sets no event
                await asyncio.sleep(0.02)
            return reader.server_id

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(seen())


@pytest.mark.parametrize(("trusted", "found"), [("one", True), ("another", False)])
def test_a_sentinel_is_asked_over_tls(
    tmp_path: Path, authorities: dict[str, Authority], trusted: str, found: bool
) -> None:
    context, port = server_context(authorities["one"].issue("127.0.0.1", tmp_path)), free_port()
    watching = {f"sentinel monitor {SERVICE}": f"127.0.0.1 {free_port()} 1"}
    with ExitStack() as stack:
        sentinel = started(Server(tmp_path / "watch", watching, ("--sentinel",)), stack)
        stack.enter_context(TlsInFront(context, listening=port, port=sentinel.port))
        files = f"ssl_ca_certs={authorities[trusted].path}"
        address = RedisAddress(f"rediss+sentinel://127.0.0.1:{port}/{SERVICE}?{files}")
        assert address.members is not None
        search = Primary(address, address.members, timeout=5)
        if found:
            assert search.find().host == "127.0.0.1"
        else:
            with pytest.raises(CacheUnavailableError, match="ConnectionError"):
                search.find()
