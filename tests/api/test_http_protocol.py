"""The connection that answers by itself: it writes what the server writes of the slow twin's answer, or steps aside."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.types import Scope as Connection
from uvicorn.config import Config
from uvicorn.server import ServerState

from api.fast_path import FastApplication, new_request_id
from api.hot_path import HOT, Asked, HotPath
from api.http_protocol import FastProtocol
from recsys.errors import CacheUnavailableError
from recsys.types import Scope
from tests.api.hot_shop import HotShop, open_hot_shop
from tests.api.shop import Broken, event

DATE = (b"date", b"Wed, 25 Nov 2026 12:00:00 GMT")
PATIENCE = 10.0
CHANGING = re.compile(rb"(x-request-id: |\"request_id\":\")[0-9a-f]{32}")
LIST_ID = re.compile(rb'(?<="recommendation_id":")[\w-]{40}')
"""A list that is made for each request has another each time; a finished one keeps its own."""


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Everything was sent already."""

    def resume_reading(self) -> None:
        """As above."""


@pytest.fixture
def hot_shop() -> HotShop:
    """Ada's and Bo's lists are in the cache."""
    return filled()


@pytest.fixture(scope="module")
def street() -> HotShop:
    """The same, for generated requests."""
    return filled()


def filled() -> HotShop:
    found = open_hot_shop(burst=10**9)
    for number, user_id in enumerate(("ada", "bo")):
        found.shop.statuses(event(str(number), user_id, f"tea-{number}"))
        found.ask(user_id)
    return found


def connection(shop: HotShop, *, hot: bool, **options: Any) -> tuple[FastProtocol, Transport]:
    """A connection to the shop with its fast path, or to the one without."""
    app = shop.fast.app if hot else shop.slow.app
    assert isinstance(app, FastApplication)
    config = Config(app, lifespan="off", log_config=None, access_log=False, ws="none", proxy_headers=False, **options)
    config.load()
    state = ServerState()
    state.default_headers = [DATE]
    protocol, transport = FastProtocol(config, state, {HOT: shop.hot} if hot else {}), Transport()
    protocol.connection_made(transport)
    return protocol, transport


def idle(protocol: FastProtocol, transport: Transport) -> bool:
    """Whether every request that was sent is answered."""
    return transport.closed or (not protocol.pipeline and getattr(protocol.cycle, "response_complete", True))


async def settled(protocol: FastProtocol, transport: Transport) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.sleep(0)
        while not idle(protocol, transport):  # noqa: ASYNC110 - the server's own cycle tells nobody
            await asyncio.sleep(0.001)
        await asyncio.gather(*protocol.tasks)
    for _ in range(3):
        await asyncio.sleep(0)


def exchange(shop: HotShop, chunks: Sequence[bytes], *, hot: bool, **options: Any) -> tuple[bytes, bool]:
    """What the connection writes when these bytes arrive, and whether it is closed then."""

    async def exchanged() -> tuple[bytes, bool]:
        protocol, transport = connection(shop, hot=hot, **options)
        for chunk in chunks:
            if not transport.closed:
                protocol.data_received(chunk)
            await asyncio.sleep(0)
        await settled(protocol, transport)
        closed = transport.closed
        protocol.connection_lost(None)
        return CHANGING.sub(rb"\1-", transport.written), closed

    return asyncio.run(exchanged())


def unnamed(written: tuple[bytes, bool]) -> tuple[bytes, bool]:
    """What was written, without the ids of lists."""
    return LIST_ID.sub(b"", written[0]), written[1]


def request(shop: HotShop, user_id: str = "ada", *more: str, method: str = "GET", version: str = "1.1") -> bytes:
    """The bytes of a request with a key."""
    secret = shop.shop.secrets[Scope.RECOMMEND]
    lines = [f"{method} /v1/users/{user_id}/recommendations HTTP/{version}", "Host: shop", *more]
    return "\r\n".join([*lines, f"Authorization: Bearer {secret}", "", ""]).encode()


def hits(shop: HotShop, *requests: bytes) -> int:
    """How many of the requests the fast path answers."""
    before = len(shop.hot.hits)
    exchange(shop, requests, hot=True)
    return len(shop.hot.hits) - before


MORE = (
    "Connection: close",
    "Connection: keep-alive",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Expect: 100-continue",
)


@given(
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "OPTIONS"]),
    user_ids=st.lists(st.sampled_from(["ada", "bo", "nobody", "%C3%A4", "a%00", "x" * 300]), min_size=1, max_size=3),
    version=st.sampled_from(["1.1", "1.0"]),
    more=st.sets(st.sampled_from(MORE), max_size=2),
    cut=st.integers(1, 400),
    rest=st.sampled_from([b"", b"GET /v1"]),
)
def test_both_ways_write_alike(
    street: HotShop, method: str, user_ids: list[str], version: str, more: set[str], cut: int, rest: bytes
) -> None:
    street.renew()
    sent = b"".join(request(street, each, *sorted(more), method=method, version=version) for each in user_ids) + rest
    chunks = [sent[begin : begin + cut] for begin in range(0, len(sent), cut)]
    fast, slow = (exchange(street, chunks, hot=hot) for hot in (True, False))
    assume(b"HTTP/1.1 400 " not in fast[0] + slow[0])  # ends a connection at once, whatever is at work then
    assert unnamed(fast) == unnamed(slow)


@pytest.mark.parametrize("more", [(), *((each,) for each in MORE)])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_finished_answer_is_written_as_the_server_writes_the_slow_twins(
    hot_shop: HotShop, more: tuple[str, ...], version: str
) -> None:
    sent = [request(hot_shop, "ada", *more, version=version)]
    fast, slow = exchange(hot_shop, sent, hot=True), exchange(hot_shop, sent, hot=False)

    assert len(hot_shop.hot.hits) == 1
    assert fast == slow
    assert fast[0].startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert LIST_ID.search(fast[0])
    assert fast[1] is (version == "1.0" or more == ("Connection: close",))


@pytest.mark.parametrize(
    "sent", [b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"GET /v1/users/\x80 HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_request_is_refused_alike(hot_shop: HotShop, sent: bytes) -> None:
    fast = exchange(hot_shop, [sent], hot=True)
    assert fast == exchange(hot_shop, [sent], hot=False)
    assert fast[0].startswith(b"HTTP/1.1 400 ")


def test_requests_in_one_packet_are_answered_in_their_order(hot_shop: HotShop) -> None:
    users = ["ada", "nobody", "bo", "ada", "bo"]
    alone = [exchange(hot_shop, [request(hot_shop, each)], hot=False)[0] for each in users]
    together = exchange(hot_shop, [b"".join(request(hot_shop, each) for each in users)], hot=True)
    assert unnamed(together) == unnamed((b"".join(alone), False))
    assert len(hot_shop.hot.hits) == 4


DOUBTS: dict[str, Callable[[HotShop, pytest.MonkeyPatch], object]] = {
    "the lease has run out": lambda shop, _: setattr(shop.clock, "now", shop.clock.now + 1.0),
    "another server answers": lambda shop, _: setattr(shop.reader, "server_id", "another"),
    "the cache is down": lambda shop, _: setattr(shop.shop.workspace.cache, "down", True),
    "another customer's value": lambda shop, _: shop.reader.moved.update(
        {shop.hot.ring.user_key("ada"): shop.hot.ring.user_key("bo")}
    ),
    "a key that was not looked up": lambda shop, patch: patch.setattr(shop.hot.known_keys, "_found", {}),
    "a fault before": lambda shop, patch: patch.setattr(shop.reader, "bring", Broken(RuntimeError("ada")).bring),
    "no connection": lambda shop, patch: patch.setattr(shop.reader, "bring", Broken(CacheUnavailableError("")).bring),
    "a fault after": lambda shop, patch: patch.setattr(
        type(shop.hot.shown), "answer", Broken(RuntimeError("a")).answer
    ),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_in_doubt_the_application_answers_once(hot_shop: HotShop, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [request(hot_shop)]
    assert hits(hot_shop, *sent) == 1
    DOUBTS[name](hot_shop, monkeypatch)
    asked = spied(monkeypatch)
    fast = exchange(hot_shop, sent, hot=True)

    assert len(hot_shop.hot.hits) == 1
    assert len(asked) == 1
    assert unnamed(fast) == unnamed(exchange(hot_shop, sent, hot=False))


def spied(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the fast path is asked from now on."""
    asked: list[object] = []
    ask = HotPath.ask

    def noted(hot: HotPath, scope: Connection) -> Asked | None:
        asked.append(scope)
        return ask(hot, scope)

    monkeypatch.setattr(HotPath, "ask", noted)
    return asked


def test_what_comes_after_a_time_out_is_thrown_away(hot_shop: HotShop, monkeypatch: pytest.MonkeyPatch) -> None:
    takers: list[Any] = []
    monkeypatch.setattr(hot_shop.reader, "bring", lambda _name, taker: takers.append(taker))

    async def late() -> tuple[bytes, bool, bool]:
        protocol, transport = connection(hot_shop, hot=True)
        protocol.data_received(request(hot_shop))
        [taker] = takers
        before = taker.done()
        taker.set_exception(CacheUnavailableError("a time-out"))
        await settled(protocol, transport)
        protocol.connection_lost(None)
        return CHANGING.sub(rb"\1-", transport.written), before, taker.done()

    assert asyncio.run(late()) == (exchange(hot_shop, [request(hot_shop)], hot=False)[0], False, True)


def test_an_erased_customers_list_does_not_come(hot_shop: HotShop) -> None:
    assert hot_shop.shop.erase(user_id="ada").status_code == 202
    answer, _ = exchange(hot_shop, [request(hot_shop)], hot=True)
    assert b'"personalized":false' in answer
    assert hot_shop.hot.hits == []


def test_a_full_server_refuses_finished_answers_too(hot_shop: HotShop) -> None:
    answer, closed = exchange(hot_shop, [request(hot_shop)], hot=True, limit_concurrency=0)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert closed
    assert hot_shop.hot.hits == []


def test_a_client_that_leaves_is_written_nothing(hot_shop: HotShop, capfd: pytest.CaptureFixture[str]) -> None:
    async def left() -> bytes:
        protocol, transport = connection(hot_shop, hot=True)
        protocol.data_received(request(hot_shop))
        protocol.connection_lost(None)
        for _ in range(5):
            await asyncio.sleep(0)
        return transport.written

    capfd.readouterr()
    assert asyncio.run(left()) == b""
    assert len(hot_shop.hot.hits) == 1
    assert json.loads(capfd.readouterr().err)["event"] == "request"


def test_a_client_that_does_not_read_waits_in_the_application(hot_shop: HotShop) -> None:
    async def written() -> tuple[bytes, bytes]:
        protocol, transport = connection(hot_shop, hot=True)
        protocol.pause_writing()
        protocol.data_received(request(hot_shop))
        await asyncio.sleep(0.05)
        before = transport.written
        protocol.resume_writing()
        await settled(protocol, transport)
        protocol.connection_lost(None)
        return before, transport.written

    before, after = asyncio.run(written())
    assert before == b""
    assert after.startswith(b"HTTP/1.1 200 OK")


def test_a_server_that_ends_lets_the_request_at_hand_finish_and_closes(hot_shop: HotShop) -> None:
    async def ended() -> tuple[bytes, bool]:
        protocol, transport = connection(hot_shop, hot=True)
        protocol.data_received(request(hot_shop))
        protocol.shutdown()
        await settled(protocol, transport)
        protocol.connection_lost(None)
        return transport.written, transport.closed

    answer, closed = asyncio.run(ended())
    assert b"connection: close\r\n" in answer
    assert b'"personalized":true' in answer
    assert closed
    assert len(hot_shop.hot.hits) == 1


def test_lines_of_one_turn_are_written_together_and_name_no_one(
    hot_shop: HotShop, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    exchange(hot_shop, [request(hot_shop, "ada") + request(hot_shop, "bo")], hot=True)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    assert [line["status"] for line in lines] == [200, 200]
    assert len({line["request_id"] for line in lines}) == 2
    assert "ada" not in str([line | {"request_id": ""} for line in lines])  # which is hexadecimal, as she is


def test_no_two_requests_have_one_id() -> None:
    ids = [new_request_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {len(each) for each in ids} == {32}
    assert all(UUID(hex=each) for each in ids)
