"""Publishing: every customer's lists, before anybody asks."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from recsys.errors import CacheUnavailableError, InputError, StateError
from recsys.serving.lists import CachedLists
from recsys.serving.publisher import PUBLISH_BATCH, Published
from recsys.serving.recommendation_ids import read_id
from recsys.serving.sealed_lists import TOMBSTONE
from recsys.store.cache import NoCache
from recsys.types import Permit, Task, UserKey
from tests.recsys.serving.shop import COFFEES, TEAS, Shop, ids, open_shop, tea_and_coffee

CUSTOMERS = [f"customer {number}" for number in range(PUBLISH_BATCH + 3)]

READY = Published(customers=1, ready=1)


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
    assert shop.cached("ada") is None
    assert shop.cached("ben") is not None


def test_what_is_published_is_of_the_live_version_and_the_present_revision(shop: Shop) -> None:
    version = shop.release(tea_and_coffee(2.0))
    shop.recommender.publish()
    lists = shop.cached("ada")
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


def test_a_version_is_made_ready_beside_the_live_one_and_served_at_once_when_it_is_promoted(shop: Shop) -> None:
    shop.recommender.publish()
    before, live = shop.recommend("ada"), shop.workspace.registry.live()
    candidate = shop.register(tea_and_coffee(2.0))
    shop.workspace.registry.warm(candidate)
    reads = shop.histories.reads

    assert shop.recommender.publish(version=candidate) == 1
    assert shop.recommender.published(candidate) == shop.recommender.published(str(live)) == READY
    assert shop.recommend("ada") == before

    shop.workspace.registry.promote(candidate)
    assert (shop.recommend("ada").version, shop.recommend("ada").personalized) == (candidate, True)
    shop.workspace.registry.promote(str(live))
    assert shop.recommend("ada") == before
    assert shop.histories.reads == reads


def test_a_purchase_makes_lists_of_both_versions_out_of_date(shop: Shop) -> None:
    candidate = shop.register(tea_and_coffee(2.0))
    shop.workspace.registry.warm(candidate)
    for version in (None, candidate):
        shop.recommender.publish(version=version)
    shop.buy("ada", "coffee-5", "coffee-5", "coffee-5")
    found = shop.recommender.published(candidate)
    assert found is not None
    assert (found.ready, found.share) == (0, 0.0)
    shop.workspace.registry.promote(candidate)
    assert ids(shop.recommend("ada"))[0] == "coffee-5"


def test_a_candidate_whose_publishing_stopped_goes_on_and_the_live_lists_stay(shop: Shop) -> None:
    for user in CUSTOMERS:
        shop.buy(user, "tea-1")
    shop.recommender.publish()
    live, candidate = str(shop.workspace.registry.live()), shop.register(tea_and_coffee(2.0))
    shop.workspace.registry.warm(candidate)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.recommender.publish(stop, version=candidate)
    everybody = len(CUSTOMERS) + 1
    assert shop.recommender.published(candidate) == Published(customers=everybody, ready=PUBLISH_BATCH)
    assert shop.recommender.publish(version=candidate) == everybody
    assert shop.recommender.published(live) == shop.recommender.published(candidate)


def test_a_version_without_a_slot_is_not_published(shop: Shop) -> None:
    candidate = shop.register(tea_and_coffee(2.0))
    with pytest.raises(StateError, match="models publish"):
        shop.recommender.publish(version=candidate)
    assert shop.recommender.published(candidate) == Published(customers=1, ready=0)


def test_nobody_to_publish_is_nobody_published(empty_shop: Shop) -> None:
    version = empty_shop.release(tea_and_coffee())
    assert empty_shop.recommender.publish() == 0
    found = empty_shop.recommender.published(version)
    assert found is not None
    assert found.share == 1.0


def test_publishing_goes_on_where_it_stopped(shop: Shop) -> None:
    for user in CUSTOMERS:
        shop.buy(user, "tea-1")

    class StoppedError(Exception):
        pass

    def stop(_: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        shop.recommender.publish(stop)
    before = shop.workspace.cache.headers([shop.key(user) for user in CUSTOMERS])
    written: list[UserKey] = []
    put = shop.cache.put
    shop.cache.put = lambda permit, values, slot=0: put(permit, noted(written, values), slot)  # type: ignore[method-assign]
    assert shop.recommender.publish() == len(CUSTOMERS) + 1
    assert len(written) == len(CUSTOMERS) + 1 - PUBLISH_BATCH
    assert not {shop.key(user) for user, header in zip(CUSTOMERS, before, strict=True) if header[0] == 1} & set(written)


def noted(keys: list[UserKey], values: Iterable[tuple[UserKey, bytes]]) -> Iterator[tuple[UserKey, bytes]]:
    """The values, whose keys are noted as they pass."""
    for key, value in values:
        keys.append(key)
        yield key, value


def test_a_purchase_while_lists_are_written_wins_over_them(shop: Shop) -> None:
    put = shop.cache.put

    def slow(permit: Permit, values: Iterable[tuple[UserKey, bytes]], slot: int = 0) -> int:
        computed = list(values)
        shop.buy("ada", "coffee-5", "coffee-5", "coffee-5")
        return put(permit, computed, slot)

    shop.cache.put = slow  # type: ignore[method-assign]
    assert shop.recommender.publish() == 0
    assert shop.cached("ada") is None
    shop.cache.put = put  # type: ignore[method-assign]
    assert shop.recommender.publish() == 1


def test_an_erasure_while_lists_are_written_wins_over_them(shop: Shop) -> None:
    put = shop.cache.put

    def slow(permit: Permit, values: Iterable[tuple[UserKey, bytes]], slot: int = 0) -> int:
        computed = list(values)
        shop.forget("ada")
        shop.workspace.fence.bury(shop.key("ada"))
        return put(permit, computed, slot)

    shop.cache.put = slow  # type: ignore[method-assign]
    assert shop.recommender.publish() == 0
    assert shop.cache.get(shop.key("ada")) == TOMBSTONE


def test_without_a_cache_nothing_is_published(shop: Shop) -> None:
    """Its purchases and erasures still count in every other process: the fence sees to that."""
    uncached = open_shop(lambda _: NoCache())
    uncached.release(tea_and_coffee())
    uncached.buy("ada", "tea-1")
    assert uncached.recommender.publish() == 0
    assert uncached.recommend("ada").personalized
    assert uncached.recommender.published(str(uncached.workspace.registry.live())) is None


def test_what_is_published_is_what_a_request_computes(shop: Shop) -> None:
    customers = {"ada": ["tea-3"], "ben": ["coffee-1", "coffee-1", "tea-0"], "cat": list(COFFEES + TEAS)}
    for user, items in customers.items():
        shop.buy(user, *items)
    for user in customers:
        shop.recommend(user)
    computed = {user: unnamed(shop, user) for user in customers}
    epoch = shop.workspace.fences.read()
    shop.workspace.fences.swap(epoch, epoch.raised())
    shop.recommender.publish()
    assert {user: unnamed(shop, user) for user in customers} == computed


def unnamed(shop: Shop, user: str) -> CachedLists:
    """The lists in the cache, without their id: each has its own."""
    lists = shop.cached(user)
    assert lists is not None
    assert read_id(shop.workspace.keys, lists.recommendation_id)
    return replace(lists, recommendation_id="")
