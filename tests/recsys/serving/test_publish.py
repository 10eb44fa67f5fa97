"""Publishing: every customer's lists, before anybody asks."""

import pytest

from recsys.errors import CacheUnavailableError, InputError
from recsys.serving.lists import CachedLists
from recsys.serving.recommender import PUBLISH_BATCH
from recsys.types import Task
from tests.recsys.serving.shop import Shop, ids, tea_and_coffee

CUSTOMERS = [f"customer {number}" for number in range(PUBLISH_BATCH + 3)]


def test_answers_come_from_the_cache_after_everybody_was_published(shop: Shop) -> None:
    shop.buy("ben", "coffee-1")
    computed = {user: {task: ids(shop.recommend(user, task=task)) for task in Task} for user in ("ada", "ben")}
    shop.release(tea_and_coffee(2.0))
    assert shop.recommender.publish() == 2
    reads = shop.histories.reads
    published = {user: {task: ids(shop.recommend(user, task=task)) for task in Task} for user in ("ada", "ben")}
    assert published == computed
    assert shop.histories.reads == reads


def test_more_customers_than_fit_a_batch_are_all_published(shop: Shop) -> None:
    for user in CUSTOMERS:
        shop.buy(user, "tea-1")
    told: list[int] = []
    assert shop.recommender.publish(told.append) == len(CUSTOMERS) + 1
    assert told == [PUBLISH_BATCH, 4]
    reads = shop.histories.reads
    for user in CUSTOMERS:
        shop.recommend(user)
    assert shop.histories.reads == reads


def test_a_purchase_after_publishing_is_counted(shop: Shop) -> None:
    shop.recommender.publish()
    shop.buy("ada", "coffee-5", "coffee-5", "coffee-5")
    assert ids(shop.recommend("ada"))[0] == "coffee-5"


def test_suppressed_customers_are_not_published(shop: Shop) -> None:
    shop.buy("ben", "coffee-1")
    shop.forget("ada")
    assert shop.recommender.publish() == 1
    assert shop.cache.get(shop.key("ada")) is None
    assert shop.cache.get(shop.key("ben")) is not None


def test_what_is_published_is_of_the_live_version_and_the_present_revision(shop: Shop) -> None:
    version = shop.release(tea_and_coffee(2.0))
    shop.recommender.publish()
    lists = CachedLists.from_bytes(shop.cache.get(shop.key("ada")) or b"")
    assert lists is not None
    assert (lists.version, lists.revision) == (version, shop.histories.state(shop.key("ada")).revision)


def test_without_a_live_model_there_is_nothing_to_publish(empty_shop: Shop) -> None:
    with pytest.raises(InputError, match="privrec train"):
        empty_shop.recommender.publish()


def test_publishing_says_when_the_cache_is_down(shop: Shop) -> None:
    shop.cache.down = True
    with pytest.raises(CacheUnavailableError):
        shop.recommender.publish()
    assert shop.recommend("ada").degraded


def test_nobody_to_publish_is_nobody_published(empty_shop: Shop) -> None:
    empty_shop.release(tea_and_coffee())
    assert empty_shop.recommender.publish() == 0
