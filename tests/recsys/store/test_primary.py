"""Who is asked where the primary is, how long that takes, and what is said if nobody knows."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from recsys.errors import CacheUnavailableError
from recsys.store.cache import RedisCache
from recsys.store.keys import KeyRing
from recsys.store.primary import Primary
from recsys.store.redis_address import RedisAddress
from tests.recsys.store.redis_servers import (
    OF_A_NODE,
    OF_A_SENTINEL,
    RIGHTS,
    SERVICE,
    Pair,
    Server,
    free_port,
    start_pair,
    started,
)

SECONDS = 0.3


def primary(url: str) -> Primary:
    address = RedisAddress(url)
    assert address.members is not None
    return Primary(address, address.members, timeout=SECONDS)


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of one who lets everybody in and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize(
    "form", ["redis+sentinel://:s3cret@{}/shop?sentinel_password=s3cret", "redis+cluster://:s3cret@{}"]
)
def test_members_that_do_not_answer_share_the_time(form: str, mute: int) -> None:
    url = form.format(",".join(f"127.0.0.1:{port}" for port in (mute, free_port(), mute)))
    began = time.monotonic()
    with pytest.raises(
        CacheUnavailableError,
        match=r"expected one of 3 servers to name the .* got TimeoutError, ConnectionError; check them",
    ) as caught:
        primary(url).find()
    assert time.monotonic() - began < 10 * SECONDS
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.service
@pytest.mark.parametrize("form", ["redis+sentinel://127.0.0.1:{}/shop", "redis+cluster://127.0.0.1:{}"])
def test_a_server_that_is_no_such_member_is_an_error(form: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = started(Server(tmp_path / "one"), stack)
        with pytest.raises(CacheUnavailableError, match="ResponseError"):
            primary(form.format(server.port)).find()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield start_pair(tmp_path_factory.mktemp("pair"), stack)


@pytest.mark.service
@pytest.mark.slow
def test_every_search_begins_with_another_member(pair: Pair, mute: int) -> None:
    found = primary(pair.url.replace("@", f"@127.0.0.1:{mute},"))
    assert [found.find() for _ in range(3)] == [("127.0.0.1", pair.primary.port)] * 3


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "got"),
    [
        ("w4tch", "another", "AuthenticationError"),
        (f"/{SERVICE}?", "/another?", "none known"),
    ],
    ids=["a wrong password", "another service"],
)
def test_a_sentinel_that_lets_nobody_in_is_an_error(pair: Pair, right: str, wrong: str, got: str) -> None:
    with pytest.raises(CacheUnavailableError, match=got) as caught:
        primary(pair.url.replace(right, wrong)).find()
    assert wrong not in str(caught.value)


@pytest.mark.service
@pytest.mark.slow
def test_a_cache_whose_primary_refuses_the_user_is_away(pair: Pair) -> None:
    cache = RedisCache(pair.url.replace("s3cret", "another"), KeyRing.ephemeral(), timeout=1)
    with pytest.raises(CacheUnavailableError, match="AuthenticationError") as caught:
        cache.ping()
    assert "another" not in str(caught.value)
    cache.close()


def test_the_rights_of_the_servers_users_are_those_of_the_document() -> None:
    document = (Path(__file__).parents[3] / "docs" / "operation.md").read_text().replace("\\|", "|")
    for rights in (RIGHTS, OF_A_NODE, OF_A_SENTINEL):
        assert f"`{rights}`" in document
