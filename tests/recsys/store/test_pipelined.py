"""One connection for a whole process: every answer reaches its own request, whatever goes wrong."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis import Redis

from recsys.errors import CacheUnavailableError
from recsys.store.embedded import EmbeddedValkey
from recsys.store.pipelined import PipelinedRedis
from recsys.store.redis_address import RedisAddress
from recsys.store.wire import Answer, Wire, encode
from tests.recsys.store.redis_fakes import INFO, EchoServer, Faults

PATIENCE = 10.0
BURST = 50
"""The most requests that one customer of the test sends at once."""


@pytest.fixture
def socket(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("s") / "s")


@asynccontextmanager
async def connected(url: str, *, seconds: float = 1.0, max_waiting: int = 10_000) -> AsyncIterator[PipelinedRedis]:
    async with PipelinedRedis(RedisAddress(url), timeout=seconds, max_waiting=max_waiting) as client:
        await until(lambda: client.server_id is not None)
        yield client


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


def run(
    test: Coroutine[Any, Any, None], *, loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test)


async def error_of(client: PipelinedRedis, name: bytes = b"name") -> CacheUnavailableError:
    with pytest.raises(CacheUnavailableError) as caught:
        await client.get(name)
    return caught.value


class Taken:
    """Takes one answer, whether or not somebody waits for it still; a second one is a fault."""

    def __init__(self) -> None:
        self.answer: Answer = asyncio.get_running_loop().create_future()
        self.took = False

    def done(self) -> bool:
        return self.took

    def set_result(self, result: bytes | None) -> None:
        self.take(lambda: self.answer.set_result(result))

    def set_exception(self, error: CacheUnavailableError) -> None:
        self.take(lambda: self.answer.set_exception(error))

    def take(self, settle: Callable[[], None]) -> None:
        assert not self.took
        self.took = True
        if not self.answer.done():
            settle()


class Customer:
    """Sends bursts of requests, gives some of them up, and counts what came of the others."""

    def __init__(self, client: PipelinedRedis, seed: int, seen: Counter[str]) -> None:
        self.client, self.seed, self.seen, self.random = client, seed, seen, random.Random(seed)

    async def shop(self, n_requests: int) -> None:
        sent = 0
        while sent < n_requests:
            asked = {name: answer for name in self.names(sent) if (answer := self.ask(name)) is not None}
            for answer in asked.values():
                if self.random.random() < 0.1:
                    answer.cancel()
            await (asyncio.wait(asked.values()) if asked else asyncio.sleep(0.002))
            self.seen.update(self.judge(name, answer) for name, answer in asked.items())
            sent += len(asked)

    def names(self, first: int) -> list[bytes]:
        kinds = self.random.choices((b"some", b"none"), k=self.random.randint(1, BURST))
        return [b"%b:%d:%d" % (kind, self.seed, first + number) for number, kind in enumerate(kinds)]

    def ask(self, name: bytes) -> Answer | None:
        """The answer later: as a future, or brought to a taker that is done when it took something, and not before."""
        try:
            if self.random.random() < 0.5:
                return self.client.get(name)
            taker = Taken()
            self.client.bring(name, taker)
        except CacheUnavailableError:
            return None
        return taker.answer

    def judge(self, name: bytes, answer: Answer) -> str:
        if answer.cancelled():
            return "cancelled"
        if (error := answer.exception()) is not None:
            return "late" if "time-out" in str(error) else "broken"
        return "right" if answer.result() == (None if name.startswith(b"none") else name) else "crossed"


async def go_shopping(path: str, n_requests: int, faults: Faults) -> Counter[str]:
    """What became of the requests of forty customers at a server with these faults."""
    seen: Counter[str] = Counter()
    async with EchoServer(faults).listen(path) as url, connected(url, seconds=0.01) as client:
        customers = [Customer(client, seed, seen) for seed in range(40)]
        await asyncio.gather(*(customer.shop(n_requests // len(customers)) for customer in customers))
    return seen


TROUBLE = Faults(error=0.02, split=0.3, stall=0.03, reset=0.02, stall_seconds=0.02)


@pytest.mark.parametrize("n_requests", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_no_answer_reaches_another_request(socket: str, n_requests: int) -> None:
    seen: Counter[str] = Counter()

    async def check() -> None:
        seen.update(await go_shopping(socket, n_requests, TROUBLE))

    run(check())
    assert seen["crossed"] == 0
    assert seen.total() >= n_requests
    assert seen["right"] > n_requests / 10  # enough to mean something; how many are late depends on the machine
    assert min(seen["cancelled"], seen["late"], seen["broken"]) > 100, seen


def test_a_wire_that_forgot_a_late_request_would_be_caught(socket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(wire: Wire, now: float) -> float | None:
        while wire._waiting and wire._waiting[0][0] <= now:
            _, answer = wire._waiting.popleft()
            if not answer.done():
                answer.set_exception(CacheUnavailableError("a time-out"))
        return wire._waiting[0][0] if wire._waiting else None

    monkeypatch.setattr(Wire, "_fail_overdue", forget)
    seen: Counter[str] = Counter()

    async def check() -> None:
        seen.update(await go_shopping(socket, 20_000, Faults(stall=0.2, stall_seconds=0.02)))

    run(check())
    assert seen["crossed"] > 0


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_requests_of_one_turn_travel_together_on_either_loop(
    socket: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def check() -> None:
        async with EchoServer().listen(socket) as url, connected(url) as client:
            answers = [client.get(b"%d" % number) for number in range(1000)]
            assert await asyncio.gather(*answers) == [b"%d" % number for number in range(1000)]
            assert await client.get(b"none") is None

    run(check(), loop=loop)


def test_an_error_of_the_server_keeps_its_words_to_itself(socket: str) -> None:
    async def check() -> None:
        async with EchoServer(Faults(error=1.0)).listen(socket) as url, connected(url) as client:
            error = await error_of(client)
            assert "got an error" in str(error)
            assert "LOADING" not in repr(error)
            assert error.__cause__ is None

    run(check())


def test_a_late_answer_is_thrown_away_and_the_next_one_is_right(socket: str) -> None:
    async def check() -> None:
        server = EchoServer()
        async with server.listen(socket) as url, connected(url, seconds=0.05) as client:
            [connection] = server.connections
            connection.stalled = True
            assert "a time-out" in str(await error_of(client, b"late"))
            connection.resume()
            assert await client.get(b"next") == b"next"
            assert len(server.connections) == 1

    run(check())


def test_a_server_that_hangs_is_left_and_a_new_connection_is_made(socket: str) -> None:
    async def check() -> None:
        server = EchoServer()
        async with server.listen(socket) as url, connected(url, seconds=0.01) as client:
            server.connections[0].stalled = True
            await error_of(client)
            await until(lambda: len(server.connections) == 2 and client.server_id is not None)
            assert await client.get(b"name") == b"name"

    run(check())


def test_a_connection_that_breaks_fails_what_waits_and_is_made_anew(socket: str) -> None:
    async def check() -> None:
        server = EchoServer()
        async with server.listen(socket) as url, connected(url) as client:
            server.connections[0].stalled = True
            waiting = [client.get(b"name") for _ in range(10)]
            await asyncio.sleep(0.01)
            server.connections[0].transport.abort()
            failed = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(error) for error in failed} == {CacheUnavailableError}
            assert "no connection" in str(await error_of(client))
            server.info = INFO % b"second-run"
            await until(lambda: client.server_id == "second-run-line")
            assert await client.get(b"name") == b"name"

    run(check())


def test_no_more_requests_wait_than_allowed(socket: str) -> None:
    async def check() -> None:
        server = EchoServer()
        async with server.listen(socket) as url, connected(url, max_waiting=5) as client:
            waiting = [client.get(b"name") for _ in range(5)]
            assert "5 requests that wait already" in str(await error_of(client))
            assert await asyncio.gather(*waiting) == [b"name"] * 5

    run(check())


@pytest.mark.parametrize("reply", [b":7\r\n", b"*1\r\n$1\r\nx\r\n"])
def test_an_answer_of_another_kind_is_no_value(socket: str, reply: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        server = EchoServer()
        async with server.listen(socket) as url, connected(url) as client:
            monkeypatch.setattr(server, "answer", lambda _: reply)
            assert "another kind" in str(await error_of(client))

    run(check())


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+one\r\n+two\r\n"])
def test_bytes_that_nobody_asked_for_end_the_connection(
    socket: str, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        server = EchoServer()
        async with server.listen(socket) as url, connected(url) as client:
            with monkeypatch.context() as patched:
                patched.setattr(server, "answer", lambda _: reply)
                await asyncio.wait([client.get(b"name")])
                await until(lambda: client.server_id is None)
            await until(lambda: client.server_id is not None)
            assert await client.get(b"name") == b"name"

    run(check())


@pytest.mark.parametrize(
    "info",
    [
        b"run_id:\r\nmaster_replid:y\r\n",
        b"run_id:x\r\n",
        b"redis_mode:cluster\r\nrun_id:x\r\nmaster_replid:y\r\n",
        b"server_mode:cluster\r\nrun_id:x\r\nmaster_replid:y\r\n",
        b"redis_mode:sentinel\r\nrun_id:x\r\nmaster_replid:y\r\n",
        b"run_id:x\r\nrole:slave\r\nmaster_replid:y\r\n",
    ],
)
def test_a_server_that_cannot_be_told_apart_is_not_asked(socket: str, info: bytes) -> None:
    async def check() -> None:
        server = EchoServer(info=info)
        async with server.listen(socket) as url, PipelinedRedis(RedisAddress(url), timeout=1) as client:
            await until(lambda: len(server.connections) >= 3)
            assert client.server_id is None
            assert "no connection" in str(await error_of(client))

    run(check())


def test_user_password_and_database_are_given_before_anything_is_asked(socket: str) -> None:
    async def check() -> None:
        server = EchoServer()
        async with server.listen(socket), connected(f"unix://shop:p%40ss@{socket}?db=3"):
            assert server.requests == [
                [b"AUTH", b"shop", b"p@ss"],
                [b"SELECT", b"3"],
                [b"INFO", b"server"],
                [b"INFO", b"replication"],
            ]

    run(check())


def test_words_cannot_begin_another_request() -> None:
    assert encode(("GET", b"a\r\nDEL b")) == b"*2\r\n$3\r\nGET\r\n$8\r\na\r\nDEL b\r\n"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey"), owner=False) as server:
        yield server.url


@pytest.mark.service
def test_a_real_server_answers_every_request_with_its_own_value(valkey: str) -> None:
    names = [b"name:%d" % number for number in range(5000)]
    with Redis.from_url(valkey) as redis:
        redis.mset({name: name for name in names})

    async def check() -> None:
        async with connected(valkey, seconds=PATIENCE) as client:
            assert await asyncio.gather(*map(client.get, names)) == names
            assert await client.get(b"another") is None

    run(check())


@pytest.mark.service
def test_the_identity_is_the_servers_own_and_a_wrong_type_is_an_error(valkey: str) -> None:
    with Redis.from_url(valkey) as redis:
        identity = redis.info("server")["run_id"] + redis.info("replication")["master_replid"]
        redis.lpush("list", "x")

    async def check() -> None:
        async with connected(valkey) as client:
            assert client.server_id == identity
            await error_of(client, b"list")

    run(check())


@pytest.mark.service
def test_a_user_with_few_rights_is_enough_and_a_wrong_password_gets_no_connection(valkey: str) -> None:
    with Redis.from_url(valkey) as redis:
        redis.execute_command("ACL", "SETUSER", "reader", "on", ">s3cret", "~privrec:*", "+get", "+info", "+select")
        redis.set("privrec:x", "value")
    path = Path(valkey.removeprefix("unix://"))

    async def check() -> None:
        async with connected(f"unix://reader:s3cret@{path}") as client:
            assert await client.get(b"privrec:x") == b"value"
            await error_of(client, b"others:x")
        async with PipelinedRedis(RedisAddress(f"unix://reader:wrong@{path}"), timeout=1) as client:
            await asyncio.sleep(0.1)
            assert client.server_id is None

    run(check())
