"""What becomes of posted purchases."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys.data.history import EMPTY_HISTORY
from recsys.errors import InputError
from recsys.types import CatalogueItem, EventStatus, Purchase
from tests.recsys.serving.shop import NOON, Shop, open_shop, purchase

ACCEPTED, DUPLICATE, CONFLICT = EventStatus.ACCEPTED, EventStatus.DUPLICATE, EventStatus.CONFLICT
RETURN, INVALID, SUPPRESSED = EventStatus.RETURN, EventStatus.INVALID, EventStatus.SUPPRESSED

ALL_KINDS = [
    (purchase("1", "tea-0"), ACCEPTED),
    (purchase("2", "tea-1", quantity=-1.0), RETURN),
    (purchase("1", "tea-0"), DUPLICATE),
    (purchase("3", "no such item"), INVALID),
    (purchase("1", "tea-1"), CONFLICT),
    (purchase("4", "tea-2"), ACCEPTED),
    (purchase("5", "tea-2", quantity=0.0), RETURN),
    (purchase("6", "tea-2", quantity=float("nan")), INVALID),
    (purchase("7", "tea-2", quantity=float("inf")), INVALID),
    (purchase("8", "tea-2", quantity=1e39), INVALID),
]
"""One batch with everything in it, and what is to become of each row."""


def items_of(shop: Shop, user_id: str) -> list[int]:
    return [int(item) for item in shop.histories.history(shop.key(user_id)).purchases["item"]]


def test_each_purchase_gets_its_status_in_the_order_given(empty_shop: Shop) -> None:
    purchases, expected = zip(*ALL_KINDS, strict=True)
    assert empty_shop.recommender.record({"ada": purchases}) == {"ada": list(expected)}
    assert items_of(empty_shop, "ada") == [0, 2]


def test_an_event_that_comes_again_is_a_duplicate_and_changes_nothing(empty_shop: Shop) -> None:
    empty_shop.recommender.record({"ada": [purchase("1")]})
    before = empty_shop.histories.state(empty_shop.key("ada"))
    assert empty_shop.recommender.record({"ada": [purchase("1")]}) == {"ada": [DUPLICATE]}
    assert empty_shop.histories.state(empty_shop.key("ada")) == before


@pytest.mark.parametrize(
    "changed",
    [
        purchase("1", "tea-1"),
        purchase("1", quantity=2.0),
        purchase("1", timestamp=NOON + timedelta(milliseconds=1)),
    ],
)
def test_an_event_that_comes_with_other_content_is_a_conflict_and_the_first_stays(
    empty_shop: Shop, changed: Purchase
) -> None:
    empty_shop.recommender.record({"ada": [purchase("1")]})
    before = empty_shop.histories.history(empty_shop.key("ada"))
    assert empty_shop.recommender.record({"ada": [changed]}) == {"ada": [CONFLICT]}
    assert empty_shop.histories.history(empty_shop.key("ada")) == before


def test_one_event_id_may_be_used_by_two_customers(empty_shop: Shop) -> None:
    posted = {"ada": [purchase("1", "tea-0")], "ben": [purchase("1", "tea-1")]}
    assert empty_shop.recommender.record(posted) == {"ada": [ACCEPTED], "ben": [ACCEPTED]}
    assert (items_of(empty_shop, "ada"), items_of(empty_shop, "ben")) == ([0], [1])


def test_nothing_is_taken_for_a_suppressed_customer(shop: Shop) -> None:
    shop.forget("ada")
    before = shop.histories.history(shop.key("ada"))
    posted = {
        "ada": [purchase("x"), purchase("y", "no such item"), purchase("z", quantity=-1.0)],
        "ben": [purchase("x")],
    }
    statuses = shop.recommender.record(posted)
    assert statuses == {"ada": [SUPPRESSED, INVALID, RETURN], "ben": [ACCEPTED]}
    assert shop.histories.history(shop.key("ada")) == before


def test_two_spellings_of_an_id_are_one_customer_and_no_purchase_is_lost(empty_shop: Shop) -> None:
    composed, decomposed = "zo\u00eb", "zoe\u0308"
    posted = {
        composed: [purchase("1", "tea-0"), purchase("2", "tea-1")],
        decomposed: [purchase("2", "tea-1"), purchase("3", "tea-2"), purchase("1", "tea-5")],
    }
    statuses = empty_shop.recommender.record(posted)
    assert statuses == {composed: [ACCEPTED, ACCEPTED], decomposed: [DUPLICATE, ACCEPTED, CONFLICT]}
    assert sorted(items_of(empty_shop, composed)) == [0, 1, 2]


def test_rows_that_cannot_be_used_make_nobody_known(empty_shop: Shop) -> None:
    posted = {"ada": [purchase("1", "no such item"), purchase("2", quantity=-1.0)], "ben": []}
    assert empty_shop.recommender.record(posted) == {"ada": [INVALID, RETURN], "ben": []}
    assert not empty_shop.histories.state(empty_shop.key("ada")).known


def test_an_id_that_cannot_be_one_stops_the_batch_before_anything_is_taken(empty_shop: Shop) -> None:
    with pytest.raises(InputError):
        empty_shop.recommender.record({"ada": [purchase("1")], "": [purchase("1")]})
    assert empty_shop.histories.history(empty_shop.key("ada")) == EMPTY_HISTORY


def test_an_item_that_joined_the_catalogue_after_the_last_look_can_be_bought(empty_shop: Shop) -> None:
    assert empty_shop.buy("ada", "cocoa") == [INVALID]
    empty_shop.workspace.catalogue.add_items([CatalogueItem(item_id="cocoa")])
    assert empty_shop.buy("ada", "cocoa") == [ACCEPTED]
    assert items_of(empty_shop, "ada") == [12]


@given(
    moment=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - as drawn
    offset=st.integers(-14 * 60, 14 * 60),
)
@example(moment=datetime(2004, 6, 26, 4, 17, 38, 399_000, tzinfo=UTC), offset=0)  # a float loses this millisecond
def test_times_are_kept_to_the_millisecond_in_any_time_zone(moment: datetime, offset: int) -> None:
    shop = open_shop()
    local = moment.astimezone(timezone(timedelta(minutes=offset)))
    shop.recommender.record({"ada": [purchase("1", timestamp=local)]})
    [kept] = shop.histories.history(shop.key("ada")).purchases["timestamp"]
    assert np.datetime64(int(kept), "ms") == np.datetime64(moment.replace(tzinfo=None), "ms")


POSTED = st.tuples(
    st.sampled_from(["ada", "ben", "eve"]),
    st.builds(
        purchase,
        st.sampled_from("1234"),
        st.sampled_from(["tea-0", "tea-1", "no such item"]),
        st.sampled_from([1.0, 2.0, 0.0, -1.0, float("nan")]),
    ),
)


@given(posted=st.lists(POSTED, max_size=20))
def test_a_batch_ends_as_if_its_purchases_had_come_one_by_one(posted: list[tuple[str, Purchase]]) -> None:
    together, one_by_one = open_shop(), open_shop()
    for shop in (together, one_by_one):
        shop.forget("eve")
    batch = {user: [bought for buyer, bought in posted if buyer == user] for user in ("ada", "ben", "eve")}
    slow = {
        user: [one_by_one.recommender.record({user: [bought]})[user][0] for bought in purchases]
        for user, purchases in batch.items()
    }
    assert together.recommender.record(batch) == slow
    for user in batch:
        assert items_of(together, user) == items_of(one_by_one, user)
