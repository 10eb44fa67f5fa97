"""Answers of one of several servers: given once it said that it has not been another's replica meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from recsys.errors import CacheUnavailableError
from recsys.store.checked_wire import CheckedWire
from recsys.store.wire import encode
from tests.recsys.store.redis_fakes import EchoServer, Faults, bulk

LINE, OTHER = b"master_replid:one", b"master_replid:two"


class Changeable(EchoServer):
    """A server whose line of history changes as soon as it answered so many GETs, and which may send elsewhere."""

    gets, change_after, moved = 0, 10**9, False

    def answer(self, words: list[bytes]) -> bytes:
        self.info = b"role:master\r\n" + (LINE if self.gets < self.change_after else OTHER) + b"\r\n"
        if words[0] == b"GET":
            self.gets += 1
            if self.moved:
                return b"-MOVED 1 127.0.0.1:1\r\n"
        return super().answer(words)


@pytest.fixture
def server() -> Changeable:
    return Changeable()


@asynccontextmanager
async def wired(
    server: EchoServer, path: Path, *, seconds: float = 5.0, max_waiting: int = 10_000
) -> AsyncIterator[CheckedWire]:
    loop = asyncio.get_running_loop()
    wire = CheckedWire(loop, timeout=seconds, max_waiting=max_waiting)
    async with server.listen(str(path / "s")):
        await loop.create_unix_connection(lambda: wire, str(path / "s"))
        wire.history = LINE
        yield wire
        wire.drop("the test's end")


def run(check: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check)


def get(name: bytes) -> bytes:
    return encode(("GET", name))


def test_the_requests_of_one_turn_have_one_proof(server: Changeable, tmp_path: Path) -> None:
    async def check() -> None:
        async with wired(server, tmp_path) as wire:
            answers = [wire.send(get(b"name:%d" % number)) for number in range(50)]
            assert await asyncio.gather(*answers) == [b"name:%d" % number for number in range(50)]
            assert await wire.send(get(b"none")) is None
            assert server.requests == [[b"INFO", b"replication"]] * 2

    run(check())


def test_what_was_read_before_the_line_changed_is_not_given(server: Changeable, tmp_path: Path) -> None:
    async def check() -> None:
        async with wired(server, tmp_path) as wire:
            assert await wire.send(get(b"name")) == b"name"
            server.change_after = 2
            failed = await asyncio.gather(*(wire.send(get(b"name")) for _ in range(3)), return_exceptions=True)
            assert ["changed places" in str(error) for error in failed] == [True] * 3
            assert wire.lost.done()

    run(check())


def test_a_server_that_sends_us_elsewhere_is_left(server: Changeable, tmp_path: Path) -> None:
    async def check() -> None:
        async with wired(server, tmp_path) as wire:
            server.moved = True
            with pytest.raises(CacheUnavailableError) as caught:
                await wire.send(get(b"name"))
            assert "127.0.0.1" not in str(caught.value)
            await asyncio.wait_for(wire.lost, 5)

    run(check())


@pytest.mark.parametrize("reply", [b"-NOPERM the words of the server\r\n", b"$-1\r\n", b":1\r\n", bulk(OTHER)])
def test_without_a_proof_nothing_is_given(
    server: Changeable, tmp_path: Path, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with wired(server, tmp_path) as wire:
            monkeypatch.setattr(server, "answer", lambda words: reply if words[0] == b"INFO" else bulk(words[1]))
            with pytest.raises(CacheUnavailableError):
                await wire.send(get(b"name"))

    run(check())


def test_requests_that_leave_no_room_for_the_proof_fail_at_once(server: Changeable, tmp_path: Path) -> None:
    async def check() -> None:
        async with wired(server, tmp_path, max_waiting=3) as wire:
            answers = [wire.send(get(b"name")) for _ in range(3)]
            failed = await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), 2)
            assert {type(error) for error in failed} == {CacheUnavailableError}
            await asyncio.sleep(0.05)
            assert await wire.send(get(b"name")) == b"name"

    run(check())


def test_no_answer_reaches_another_request_through_stalls_and_cancellations(tmp_path: Path) -> None:
    seen = {"answered": 0, "failed": 0}
    server = Changeable(Faults(split=0.5, stall=0.05, stall_seconds=0.03))

    async def ask(wire: CheckedWire, number: int) -> None:
        name = b"name:%d" % number
        try:
            answer = wire.send(get(name))
            if number % 7:
                assert await answer == name
                seen["answered"] += 1
            else:
                answer.cancel()
        except CacheUnavailableError:
            seen["failed"] += 1

    async def check() -> None:
        for begin in range(0, 3000, 300):  # a connection that hung too long is gone, and so each has few of them
            async with wired(server, tmp_path, seconds=0.02) as wire:
                for first in range(begin, begin + 300, 10):
                    await asyncio.gather(*(ask(wire, number) for number in range(first, first + 10)))

    run(check())
    assert min(seen.values()) > 10
