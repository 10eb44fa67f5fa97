"""What every cache keeps: in memory, and on a real Valkey server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from recsys.errors import CacheUnavailableError
from recsys.ports import Cache
from recsys.store.cache import RedisCache
from recsys.store.embedded import EmbeddedValkey
from recsys.store.keys import KeyRing
from recsys.store.memory import MemoryCache
from recsys.types import UserKey


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.service)])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    if request.param == "memory":
        yield MemoryCache()
        return
    url = request.getfixturevalue("valkey_url")
    with Redis.from_url(url) as client:
        client.flushall()
    remote = RedisCache(url, KeyRing.ephemeral(), timeout=5)
    yield remote
    remote.close()


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.service)])
def dead_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    if request.param == "memory":
        cache = MemoryCache()
        cache.down = True
        yield cache
        return
    remote = RedisCache(f"unix://{tmp_path}/nothing", KeyRing.ephemeral(), timeout=0.1)
    yield remote
    remote.close()


def test_a_value_comes_back_until_it_is_deleted(cache: Cache, customer: Callable[[int], UserKey]) -> None:
    assert cache.put([(customer(1), b"one"), (customer(2), b"two")]) == 2
    cache.delete(customer(1))
    cache.delete(customer(1))
    assert (cache.get(customer(1)), cache.get(customer(2))) == (None, b"two")


def test_the_last_value_counts(cache: Cache, customer: Callable[[int], UserKey]) -> None:
    cache.put([(customer(1), b"old"), (customer(1), b"new")])
    cache.put([(customer(1), b"newest")])
    assert cache.get(customer(1)) == b"newest"


def test_more_values_than_are_sent_at_once_are_all_kept(cache: Cache, customer: Callable[[int], UserKey]) -> None:
    assert cache.put((customer(number), b"%d" % number) for number in range(1001)) == 1001
    assert [cache.get(customer(number)) for number in (0, 500, 1000)] == [b"0", b"500", b"1000"]


def test_an_empty_value_is_a_value(cache: Cache, customer: Callable[[int], UserKey]) -> None:
    cache.put([(customer(1), b"")])
    assert cache.get(customer(1)) == b""


def test_a_cache_that_is_up_answers(cache: Cache) -> None:
    cache.ping()
    assert cache.put([]) == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda cache, key: cache.get(key),
        lambda cache, key: cache.put([(key, b"secret list")]),
        lambda cache, key: cache.delete(key),
        lambda cache, _key: cache.ping(),
    ],
)
def test_a_cache_that_is_down_says_so_without_naming_key_or_value(
    dead_cache: Cache, customer: Callable[[int], UserKey], ask: Callable[[Cache, UserKey], object]
) -> None:
    with pytest.raises(CacheUnavailableError) as caught:
        ask(dead_cache, customer(1))
    assert "secret" not in str(caught.value)
    assert customer(1).hex() not in str(caught.value)
