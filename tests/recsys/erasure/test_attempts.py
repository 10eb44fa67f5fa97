"""What the worker does with a step that fails, and the desk with a request that is changed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipelines.erase import desk
from recsys.erasure.rules import FIRST_DELAY, MAX_ATTEMPTS
from recsys.errors import CacheUnavailableError, ErasureConflictError, StateError
from recsys.serving.sealed_lists import TOMBSTONE
from recsys.store.memory import MemoryErasures
from recsys.store.settings import Settings
from recsys.types import ErasureState, EventStatus
from tests.recsys.erasure.shop import ADA, BEN, Shop, assert_forgotten, worker
from tests.recsys.serving.shop import purchase


def test_a_step_that_fails_is_put_off_with_its_reason_and_tried_when_its_time_has_come(memory_shop: Shop) -> None:
    shop = memory_shop
    request, _ = shop.ask(ADA)
    shop.cache.down = True
    with pytest.raises(CacheUnavailableError):
        shop.work()
    failed = shop.workspace.erasures.request(request.request_id)
    assert (failed.state, failed.attempts, failed.stuck) == (ErasureState.RELEASED, 1, False)
    assert failed.problem.startswith("CacheUnavailableError: expected the cache to answer")

    shop.cache.down = False
    assert worker(shop.workspace, shop.entropy).run() == ()
    wind(shop, FIRST_DELAY)
    assert [done.request_id for done in worker(shop.workspace, shop.entropy).run()] == [request.request_id]


def test_a_request_that_fails_again_and_again_is_stuck_until_an_operator_says_so(memory_shop: Shop) -> None:
    shop = memory_shop
    request, _ = shop.ask(ADA)
    shop.cache.down = True
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(CacheUnavailableError):
            shop.work()
    assert shop.work() == ()
    assert shop.workspace.erasures.backlog().stuck == 1
    shop.cache.down = False
    assert shop.work() == ()
    desk(shop.workspace).retry(request.request_id)
    assert [done.request_id for done in shop.work()] == [request.request_id]
    assert shop.workspace.erasures.backlog().stuck == 0


def test_all_who_wait_are_taken_out_of_a_sum_in_one_transaction(memory_shop: Shop) -> None:
    shop, batches = memory_shop, []

    class Noted(MemoryErasures):
        def erase_customers(self, details: Any, sums: Any) -> None:
            batches.append(set(details))
            super().erase_customers(details, sums)

    asked = {shop.ask(user)[0].request_id for user in (ADA, BEN)}
    state = shop.workspace.erasures._state  # type: ignore[attr-defined]
    done = Shop(replace(shop.workspace, erasures=Noted(state)), shop.entropy).work()
    assert {request.request_id for request in done} == asked
    assert batches == [asked]
    for user in (ADA, BEN):
        assert_forgotten(shop, user)


def test_a_defect_that_one_request_meets_holds_up_no_other_and_its_text_is_left_behind(memory_shop: Shop) -> None:
    shop = memory_shop
    broken, other = (shop.ask(user)[0] for user in (ADA, BEN))

    class Broken(MemoryErasures):
        def erase_customers(self, details: Any, sums: Any) -> None:
            if broken.request_id in details:
                raise KeyError(ADA)
            super().erase_customers(details, sums)

    state = shop.workspace.erasures._state  # type: ignore[attr-defined]
    with pytest.raises(StateError, match="this is a defect"):
        Shop(replace(shop.workspace, erasures=Broken(state)), shop.entropy).work()
    assert shop.receipt(other)["request_id"] == other.request_id
    problem = shop.workspace.erasures.request(broken.request_id).problem
    assert problem.startswith("KeyError: ")
    assert ADA not in problem


def test_a_cancelled_request_leaves_the_customer_as_before(shop: Shop) -> None:
    before = shop.recommender.recommend(ADA)
    request, _ = shop.ask(ADA)
    assert not shop.recommender.recommend(ADA).personalized
    assert desk(shop.workspace).cancel(request.request_id).state is ErasureState.CANCELLED
    assert shop.work() == ()
    after = shop.recommender.recommend(ADA)
    assert (after.personalized, after.items) == (True, before.items)
    assert shop.cached(ADA) is not None
    assert shop.recommender.record({ADA: [purchase("new", "i00")]}) == {ADA: [EventStatus.ACCEPTED]}


def test_a_request_is_cancelled_though_the_cache_is_down(memory_shop: Shop) -> None:
    shop = memory_shop
    request, _ = shop.ask(ADA)
    shop.cache.down = True
    desk(shop.workspace).cancel(request.request_id)
    shop.cache.down = False
    assert shop.recommender.recommend(ADA).personalized


def test_who_cancelled_and_asks_again_is_erased(memory_shop: Shop) -> None:
    shop = memory_shop
    first, _ = shop.ask(ADA)
    desk(shop.workspace).cancel(first.request_id)
    second, salt = shop.ask(ADA)
    assert (second.request_id != first.request_id, bool(salt)) == (True, True)
    assert [done.request_id for done in shop.work()] == [second.request_id]
    assert_forgotten(shop, ADA)


def test_cancelling_an_old_request_again_leaves_the_newer_one_alone(memory_shop: Shop) -> None:
    shop = memory_shop
    first, _ = shop.ask(ADA)
    desk(shop.workspace).cancel(first.request_id)
    shop.ask(ADA)
    desk(shop.workspace).cancel(first.request_id)
    assert not shop.recommender.recommend(ADA).personalized
    assert shop.cache.get(shop.key(ADA)) == TOMBSTONE


def test_in_the_days_of_grace_a_customer_is_suppressed_and_nothing_is_destroyed(memory_shop: Shop) -> None:
    shop = Shop(replace(memory_shop.workspace, settings=Settings(erasure_grace_hours=24)), memory_shop.entropy)
    request, _ = shop.ask(ADA)
    assert shop.work() == ()
    assert len(shop.workspace.histories.history(shop.key(ADA)))
    assert not shop.recommender.recommend(ADA).personalized
    wind(shop, timedelta(hours=24))
    assert [done.request_id for done in shop.work()] == [request.request_id]
    with pytest.raises(ErasureConflictError):
        desk(shop.workspace).cancel(request.request_id)
    assert_forgotten(shop, ADA)


def wind(shop: Shop, by: timedelta) -> None:
    shop.workspace.clock.now += by  # type: ignore[attr-defined]
