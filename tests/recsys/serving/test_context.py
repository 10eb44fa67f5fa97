"""Lists on the page of an item: moved toward it, exactly, and saying so."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given
from hypothesis import strategies as st

from recsys.models.popularity import popularity_model
from recsys.serving.context import Context, toward
from recsys.serving.filters import Category
from recsys.serving.masked import own_rows
from recsys.serving.ranker import Ranker
from recsys.serving.storefront import Storefront, Wish
from recsys.types import CatalogueItem, Purpose, Reason, Recommendations, Task
from tests.recsys.serving.shop import COFFEES, POPULAR, TEAS, Shop, ids, nameless, storefront
from tests.recsys.serving.test_masked import N_ITEMS, N_NEW, SEEDS, habits, model


@pytest.fixture
def front(shop: Shop) -> Storefront:
    return storefront(shop)


def because(answer: Recommendations, reason: Reason) -> list[str]:
    """The items of a list that are there for this reason, best first."""
    return [item.item_id for item in answer.items if item.reason is reason]


def vector(*numbers: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(numbers, dtype=np.float32)


@pytest.mark.parametrize("scale", [1e-35, 1.0, 1e15])
def test_customer_and_item_count_the_same_whatever_their_lengths(scale: float) -> None:
    assert toward(vector(3, 0), vector(0, scale)) == pytest.approx([3, 3])
    assert toward(vector(0, scale), vector(7, 0)) == pytest.approx([scale, scale])
    assert toward(vector(3, 0), vector(0, scale), weight=0.5) == pytest.approx([3, 1.5])


def test_of_whom_nothing_is_known_the_other_alone_counts() -> None:
    assert toward(vector(0, 0), vector(1, 2)).tolist() == [1, 2]
    assert toward(vector(1, 2), vector(0, 0)).tolist() == [1, 2]


def situation(seed: int, n: int) -> tuple[Context, sp.csr_matrix]:
    """A page of an item that the model knows, and the habits of a customer of whom it knows something."""
    factors, own = model(seed), habits(seed)
    allowed = np.random.default_rng(seed).random(N_ITEMS + N_NEW) < 0.5
    context = Context.of(Ranker.of(factors, length=100), np.array([seed % N_ITEMS]), allowed, n)
    assume(context.known and factors.item_weights[own.indices[own.indices < N_ITEMS]].any())
    return context, own


@given(SEEDS, st.integers(1, 60))
def test_a_moved_list_has_the_best_of_all_allowed_items_for_the_moved_vector(seed: int, n: int) -> None:
    context, own = situation(seed, n)
    factors, bought = context.ranker.model, own.toarray()[0, :N_ITEMS] > 0
    customer, item = context.ranker.folded(np.flatnonzero(bought)).astype(float), context.item.astype(float)
    moved = customer + item * np.linalg.norm(customer) / np.linalg.norm(item)
    scores = factors.factors[context.allowed[:N_ITEMS] & (factors.item_weights > 0) & ~bought] @ moved

    rows = context.customers_rows(own, task=Task.DISCOVER)
    assert [score for _, score, _ in rows] == pytest.approx(sorted(scores, reverse=True)[:n], rel=1e-4, abs=1e-5)
    assert all(context.allowed[item] and not (item < N_ITEMS and bought[item]) for item, _, _ in rows)


@given(SEEDS, st.integers(1, 60), st.sampled_from(Task))
def test_an_item_that_is_there_because_of_the_context_says_so(seed: int, n: int, task: Task) -> None:
    context, own = situation(seed, n)
    without = {item for item, _, _ in own_rows(context.ranker, own, context.allowed, n, task=task)}
    bought = set(own.indices.tolist())

    for item, _, reason in context.customers_rows(own, task=task):
        because_of_it = item not in without and item not in bought
        expected = Reason.BOUGHT_BEFORE if item in bought else Reason.MODEL
        assert reason is (Reason.SIMILAR_TO_CONTEXT if because_of_it else expected)


def test_a_list_is_moved_toward_the_item_of_the_page(shop: Shop, front: Storefront) -> None:
    without = front.recommend("ada", Wish(n=4, purpose=Purpose.DISCOVER))
    answer = front.recommend("ada", Wish(n=4, purpose=Purpose.DISCOVER, context="coffee-2"))

    assert ids(without) == ["tea-0", "tea-1", "tea-2", "tea-5"]
    assert set(ids(answer)) == {"tea-0", "tea-1", "coffee-0", "coffee-1"}
    assert answer.context_used
    assert answer.personalized
    assert set(because(answer, Reason.MODEL)) == {"tea-0", "tea-1"}
    assert set(because(answer, Reason.SIMILAR_TO_CONTEXT)) == {"coffee-0", "coffee-1"}
    assert without.context_used is None


def test_what_was_bought_before_stays_first_and_says_so(front: Storefront) -> None:
    answer = front.recommend("ada", Wish(context="coffee-2"))

    assert ids(answer)[:2] == ["tea-4", "tea-3"]
    assert because(answer, Reason.BOUGHT_BEFORE) == ["tea-4", "tea-3"]
    assert "coffee-2" not in ids(answer)


def test_a_filter_and_items_left_out_hold_on_a_page_too(shop: Shop, front: Storefront) -> None:
    for item in COFFEES:
        shop.workspace.catalogue.change_item(item, lambda found: replace(found, category="coffee"))
    wish = Wish(context="coffee-2", where=Category("coffee"), exclude=frozenset({"coffee-0"}))

    for user_id in ("ada", "nobody"):
        assert sorted(ids(front.recommend(user_id, wish))) == ["coffee-1", "coffee-3", "coffee-4", "coffee-5"]


def test_who_has_no_list_gets_what_goes_with_the_item_and_then_what_is_popular(shop: Shop, front: Storefront) -> None:
    shop.forget("ada")
    unknown, erased = (front.recommend(user_id, Wish(n=8, context="coffee-2")) for user_id in ("nobody", "ada"))

    assert ids(unknown) == [*(item for item in COFFEES if item != "coffee-2"), "tea-0", "tea-1", "tea-2"]
    assert because(unknown, Reason.SIMILAR_TO_CONTEXT) == ids(unknown)[:5]
    assert because(unknown, Reason.POPULAR) == ids(unknown)[5:]
    assert (unknown.context_used, unknown.personalized) == (True, False)
    assert nameless(erased) == nameless(unknown)


@pytest.mark.parametrize("context", ["new", "nowhere"])
def test_an_item_that_the_model_does_not_know_moves_nothing(shop: Shop, front: Storefront, context: str) -> None:
    shop.workspace.catalogue.put_item(CatalogueItem(item_id="new"))

    for user_id in ("ada", "nobody"):
        front.recommend(user_id, Wish())  # a list from the cache has rounded scores: both are from there
        answer = front.recommend(user_id, Wish(context=context))
        assert answer.context_used is False
        assert nameless(replace(answer, context_used=None)) == nameless(front.recommend(user_id, Wish()))


def test_a_model_that_knows_no_item_from_another_moves_nothing(shop: Shop, front: Storefront) -> None:
    shop.release(popularity_model(np.arange(12.0), TEAS + COFFEES))

    for user_id in ("ada", "nobody"):
        answer = front.recommend(user_id, Wish(purpose=Purpose.DISCOVER, context="coffee-5"))
        assert (ids(answer)[0], answer.context_used) == ("coffee-4", False)


def test_without_a_model_nothing_is_moved(empty_shop: Shop) -> None:
    front = storefront(empty_shop)
    answers = front.recommend("ada", Wish(context="tea-0")), front.basket(["tea-1"], Wish(context="tea-0"))

    assert [(answer.items, answer.version, answer.context_used) for answer in answers] == [((), None, False)] * 2


def test_to_buy_again_a_page_moves_nothing_and_leaves_its_item_out(front: Storefront) -> None:
    answer = front.recommend("ada", Wish(purpose=Purpose.BUY_AGAIN, context="tea-4"))

    assert (ids(answer), answer.context_used) == (["tea-3"], False)


def test_a_basket_is_moved_as_a_customer_is(front: Storefront) -> None:
    wish = Wish(n=5, purpose=Purpose.DISCOVER, context="coffee-2")
    answer = front.basket(["tea-3", "tea-4"], wish)
    anything = front.basket(["tea-3", "tea-4"], replace(wish, n=20, purpose=Purpose.ANY))

    assert set(ids(answer)) == {"tea-0", "tea-1", "coffee-0", "coffee-1", "tea-2"}
    assert set(ids(anything)) == set(POPULAR) - {"coffee-2"}
    assert (answer.context_used, answer.personalized) == (True, True)


def test_a_basket_that_the_model_does_not_know_gets_what_goes_with_the_item(front: Storefront) -> None:
    answer = front.basket(["unknown"], Wish(n=8, context="coffee-2"))

    assert ids(answer) == ids(front.recommend("nobody", Wish(n=8, context="coffee-2")))
    assert not answer.personalized


def test_a_page_leaves_nothing_behind(shop: Shop, front: Storefront) -> None:
    before = shop.recommend("ada"), shop.histories.state(shop.key("ada"))
    stored = shop.cached("ada")
    front.recommend("ada", Wish(context="coffee-2"))

    assert shop.cached("ada") == stored
    assert (shop.recommend("ada"), shop.histories.state(shop.key("ada"))) == before
