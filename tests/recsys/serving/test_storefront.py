"""Lists for pages: filtered exactly, of the catalogue of now, and from the model alone where all see them."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.errors import CacheUnavailableError, InputError, NotFoundError
from recsys.models.popularity import popularity_model
from recsys.serving.filters import Category, InStock, Not
from recsys.serving.storefront import Storefront, Wish
from recsys.types import CatalogueItem, Purpose, Reason
from tests.recsys.serving.shop import COFFEES, POPULAR, TEAS, Shop, ids, nameless, open_shop, storefront, tea_and_coffee


@pytest.fixture
def shop() -> Shop:
    shop = open_shop()
    shop.release(tea_and_coffee())
    kinds = [(item, "tea") for item in TEAS] + [(item, "coffee") for item in COFFEES]
    shop.workspace.catalogue.add_items([CatalogueItem(item_id=item, category=kind) for item, kind in kinds])
    return shop


@pytest.fixture
def front(shop: Shop) -> Storefront:
    return storefront(shop)


def delete(shop: Shop, item_id: str) -> None:
    shop.workspace.catalogue.change_item(item_id, lambda item: replace(item, deleted=True))


@pytest.mark.parametrize("purpose", [Purpose.ANY, Purpose.DISCOVER])
def test_without_a_filter_it_is_the_recommenders_own_list(shop: Shop, front: Storefront, purpose: Purpose) -> None:
    shop.buy("ada", "tea-3", "coffee-1")

    for user_id in ("ada", "nobody"):
        shop.recommend(user_id)  # a list from the cache has rounded scores: both are from there
        mine = front.recommend(user_id, Wish(purpose=purpose, n=5))
        theirs = shop.recommend(user_id, n=5, task=purpose)  # type: ignore[arg-type]
        assert nameless(mine) == nameless(theirs)
        assert (mine.recommendation_id == theirs.recommendation_id) == mine.personalized


def test_a_filter_lets_through_what_it_says(shop: Shop, front: Storefront) -> None:
    shop.buy("ada", "tea-3")
    coffees = front.recommend("ada", Wish(where=Category("coffee")))
    excluded = front.recommend("ada", Wish(exclude=frozenset({"tea-0", "tea-3"})))

    assert set(ids(coffees)) == set(COFFEES)
    assert coffees.personalized
    assert ids(excluded)[:2] == ["tea-1", "tea-2"]


@pytest.fixture
def large_shop(shop: Shop) -> Shop:
    """A shop of 300 items more, of which the last 40 of the ranking are late; ada bought the first."""
    items = [CatalogueItem(item_id=f"item-{at}", category="late" if at >= 260 else "") for at in range(300)]
    shop.workspace.catalogue.add_items(items)
    tables = np.zeros((312, 1), dtype=np.float32)
    tables[12:, 0] = np.linspace(2.0, 1.0, 300)
    names = (*TEAS, *COFFEES, *(item.item_id for item in items))
    counts = np.concatenate([np.zeros(12), np.arange(300, 0, -1)]).astype(np.float32)
    weights = np.ones(312, dtype=np.float32)
    shop.release(
        replace(
            tea_and_coffee(), item_ids=names, encoder=tables, factors=tables, item_weights=weights, popularity=counts
        )
    )
    shop.buy("ada", "item-0")
    return shop


def test_scores_are_told_alike_by_every_way_to_a_list(large_shop: Shop, front: Storefront) -> None:
    wishes = [Wish(), Wish(n=90), Wish(where=Category("late")), Wish(purpose=Purpose.BUY_AGAIN)]
    told = [item.score for wish in wishes for item in front.recommend("ada", wish).items]

    assert told
    assert all(score == round(score, 4) for score in told)


def test_a_stored_list_that_a_filter_empties_is_filled_by_scoring_again(large_shop: Shop) -> None:
    # Only items are allowed of which none is in the stored list of 100.
    front = storefront(large_shop)
    expected = [f"item-{at}" for at in range(260, 280)]

    for user_id, personalized in (("ada", True), ("nobody", False)):
        answer = front.recommend(user_id, Wish(where=Category("late"), purpose=Purpose.DISCOVER))
        assert (ids(answer), answer.personalized) == (expected, personalized)


def test_a_long_list_that_a_filter_empties_is_computed_once_before_all_is_scored_again(large_shop: Shop) -> None:
    front, before = storefront(large_shop), large_shop.histories.reads
    front.recommend("ada", Wish(n=100, where=Category("late")))

    assert large_shop.histories.reads == before + 2


def test_an_erased_customers_filtered_list_is_everybodys(shop: Shop, front: Storefront) -> None:
    shop.buy("ada", "tea-3")
    shop.forget("ada")

    for wish in (Wish(), Wish(where=Category("tea")), Wish(purpose=Purpose.BUY_AGAIN)):
        erased, unknown = front.recommend("ada", wish), front.recommend("nobody", wish)
        assert nameless(erased) == nameless(unknown)
        assert not erased.personalized


def test_an_erasure_between_the_stored_list_and_the_scoring_leaves_nothing_personal(
    shop: Shop, front: Storefront
) -> None:
    shop.buy("ada", *TEAS[:3])
    stored = shop.recommend("ada", n=100)
    shop.forget("ada")
    answer = front._scored(shop.key("ada"), Wish(), stored)

    assert not answer.personalized
    assert {item.reason for item in answer.items} == {Reason.POPULAR}


def test_a_filter_does_not_hide_that_the_cache_is_down(shop: Shop, front: Storefront) -> None:
    shop.buy("ada", "tea-3")
    shop.cache.down = True

    assert front.recommend("ada", Wish(where=Category("coffee"))).degraded
    with pytest.raises(CacheUnavailableError):
        shop.cache.ping()


def test_to_buy_again_it_is_the_customers_own_habits(shop: Shop, front: Storefront) -> None:
    shop.buy("ada", "tea-3", "coffee-1", "tea-3")
    answer = front.recommend("ada", Wish(purpose=Purpose.BUY_AGAIN))
    teas = front.recommend("ada", Wish(purpose=Purpose.BUY_AGAIN, where=Category("tea")))

    assert (ids(answer), ids(teas)) == (["tea-3", "coffee-1"], ["tea-3"])
    assert {item.reason for item in answer.items} == {Reason.BOUGHT_BEFORE}
    assert (answer.personalized, answer.version) == (True, None)
    assert ids(front.recommend("nobody", Wish(purpose=Purpose.BUY_AGAIN))) == []


def test_to_buy_again_needs_no_model() -> None:
    shop = open_shop()
    shop.buy("ada", "tea-3")

    assert ids(storefront(shop).recommend("ada", Wish(purpose=Purpose.BUY_AGAIN))) == ["tea-3"]


def test_a_basket_gets_what_goes_with_it_and_leaves_nothing_behind(shop: Shop, front: Storefront) -> None:
    answer = front.basket(["tea-1", "tea-2"], Wish(purpose=Purpose.DISCOVER, n=3))

    assert (ids(answer), answer.personalized) == (["tea-0", "tea-3", "tea-4"], True)
    assert ids(front.basket(["tea-1"], Wish(n=2))) == ["tea-0", "tea-1"]
    assert list(shop.histories.scan()) == []


def test_a_basket_that_the_model_does_not_know_gets_what_is_popular(front: Storefront) -> None:
    for basket in ([], ["unknown"]):
        answer = front.basket(basket, Wish(n=3, where=Category("tea")))
        assert ids(answer) == [item for item in POPULAR if item in TEAS][:3]
        assert not answer.personalized


def test_a_basket_has_a_size(front: Storefront) -> None:
    with pytest.raises(InputError, match="at most 100 items, got 101"):
        front.basket([str(number) for number in range(101)], Wish())


def test_similar_items_are_those_the_model_puts_beside_it(front: Storefront) -> None:
    answer = front.similar("coffee-2", Wish(n=4))

    assert ids(answer) == ["coffee-0", "coffee-1", "coffee-3", "coffee-4"]
    assert {item.reason for item in answer.items} == {Reason.MODEL}
    assert ids(front.similar("coffee-2", Wish(where=Not(Category("coffee"))))) == list(TEAS)


def test_an_item_that_the_model_does_not_know_gets_what_is_popular_in_its_category(
    shop: Shop, front: Storefront
) -> None:
    shop.workspace.catalogue.put_item(CatalogueItem(item_id="new", category="tea"))
    shop.workspace.catalogue.put_item(CatalogueItem(item_id="odd"))
    like_new, like_odd = front.similar("new", Wish(n=3)), front.similar("odd", Wish(n=3))

    assert ids(like_new) == [item for item in POPULAR if item in TEAS][:3]
    assert ids(like_odd) == list(POPULAR[:3])
    assert {item.reason for item in (*like_new.items, *like_odd.items)} == {Reason.POPULAR}


def test_lists_for_everybody_do_not_change_with_purchases(shop: Shop, front: Storefront) -> None:
    before = nameless(front.similar("tea-0", Wish())), nameless(front.popular(Wish()))
    for customer in range(20):
        shop.buy(f"customer-{customer}", "tea-0", "coffee-5")

    assert (nameless(front.similar("tea-0", Wish())), nameless(front.popular(Wish()))) == before


def test_popular_items_come_by_released_counts(shop: Shop, front: Storefront) -> None:
    assert ids(front.popular(Wish(n=3))) == list(POPULAR[:3])
    shop.release(popularity_model(np.array([0.0, 3.0, -2.0, *range(9)]), TEAS + COFFEES))
    assert "tea-0" not in ids(front.popular(Wish()))
    assert "tea-2" not in ids(front.popular(Wish()))


def test_what_is_deleted_or_changed_shows_in_the_next_list(shop: Shop, front: Storefront) -> None:
    shop.buy("ada", "tea-0", "tea-1")
    wishes = Wish(), Wish(purpose=Purpose.DISCOVER), Wish(purpose=Purpose.BUY_AGAIN)
    for wish in wishes:
        front.recommend("ada", wish)
    delete(shop, "tea-1")
    delete(shop, "coffee-0")
    shop.workspace.catalogue.change_item("tea-0", lambda item: replace(item, name="First flush", stock=0))
    lists = [front.recommend("ada", wish) for wish in wishes]
    lists += [front.recommend("nobody", Wish()), front.popular(Wish()), front.similar("tea-2", Wish())]
    lists += [front.basket(["tea-1", "coffee-0"], Wish())]

    for answer in lists:
        assert not {"tea-1", "coffee-0"} & set(ids(answer))
    assert {item.name for item in lists[0].items if item.item_id == "tea-0"} == {"First flush"}
    assert "tea-0" not in ids(front.recommend("ada", Wish(where=InStock())))
    assert [purchase["item"] for purchase in shop.histories.history(shop.key("ada")).purchases] == [0, 1]


@pytest.mark.parametrize("item_id", ["nothing", "tea-1"])
def test_what_is_not_in_the_catalogue_has_neither_a_page_nor_similar_items(
    shop: Shop, front: Storefront, item_id: str
) -> None:
    delete(shop, "tea-1")
    for ask in (front.item, lambda item: front.similar(item, Wish())):
        with pytest.raises(NotFoundError):
            ask(item_id)


def test_without_a_model_lists_are_empty() -> None:
    front = storefront(open_shop())

    answers = (
        front.popular(Wish()),
        front.similar("tea-0", Wish()),
        front.basket(["tea-0"], Wish()),
        front.recommend("ada", Wish(where=InStock())),
    )
    assert {(ids(answer) == [], answer.version, answer.personalized) for answer in answers} == {(True, None, False)}


@pytest.mark.parametrize("n", [0, 101])
def test_a_wish_has_a_length(n: int) -> None:
    with pytest.raises(InputError, match=f"got {n};"):
        Wish(n=n)
