"""The cache's server is trusted with nothing: whoever can write there gains nothing by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from recsys.store.cache import RedisCache
from recsys.store.embedded import EmbeddedValkey
from recsys.store.keys import KeyRing
from tests.recsys.serving.shop import Shop, ids, open_shop, tea_and_coffee

pytestmark = pytest.mark.service


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with EmbeddedValkey(tmp_path) as server:
        yield server.url


@pytest.fixture
def shop(url: str) -> Iterator[Shop]:
    """A shop with two customers of different taste, whose lists are in the server."""
    caches: list[RedisCache] = []

    def cache(ring: KeyRing) -> RedisCache:
        caches.append(RedisCache(url, ring, timeout=5))
        return caches[0]

    shop = open_shop(cache)
    shop.release(tea_and_coffee())
    shop.buy("ada", "tea-1")
    shop.buy("ben", "coffee-1")
    shop.recommender.publish()
    yield shop
    caches[0].close()


def test_another_customers_list_is_never_served(shop: Shop, url: str) -> None:
    """Ada's and ben's lists are of one version and one revision: nothing but the seal tells them apart."""
    right = {user: ids(shop.recommend(user)) for user in ("ada", "ben")}
    reads = shop.histories.reads
    with Redis.from_url(url) as attacker:
        first, second = attacker.keys("{privrec}:" + 32 * "?")
        values = attacker.mget(first, second)
        attacker.mset({first: values[1], second: values[0]})
    assert {user: ids(shop.recommend(user)) for user in ("ada", "ben")} == right
    assert right["ada"] != right["ben"]
    assert shop.histories.reads == reads + 2


def test_lists_come_from_the_server_without_reading_histories(shop: Shop) -> None:
    reads = shop.histories.reads
    assert ids(shop.recommend("ada"))[0] == "tea-1"
    assert shop.histories.reads == reads


def test_a_server_that_lost_everything_costs_time_only(shop: Shop, url: str) -> None:
    before = ids(shop.recommend("ada"))
    reads = shop.histories.reads
    with Redis.from_url(url) as server:
        server.flushall()
    answer = shop.recommend("ada")
    assert ids(answer) == before
    assert not answer.degraded
    assert shop.histories.reads == reads + 1
