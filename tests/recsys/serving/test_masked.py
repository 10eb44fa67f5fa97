"""Lists under a mask: the whole ranking, without what is not allowed."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recsys.models.factors import ItemFactors
from recsys.serving.lists import personal_lists, popular_list
from recsys.serving.masked import basket_rows, habit_rows, own_rows, popular_rows
from recsys.serving.ranker import Ranker
from recsys.types import Reason, Task

N_ITEMS, N_NEW = 150, 5


def model(seed: int) -> ItemFactors:
    """Any model, in which some items are not known and some never sold."""
    rng = np.random.default_rng(seed)
    weights = rng.random(N_ITEMS).astype(np.float32) * (rng.random(N_ITEMS) > 0.1)
    tables = (rng.normal(size=(2, N_ITEMS, 4)) * (weights > 0)[:, None]).astype(np.float32)
    counts = np.floor(rng.exponential(5, N_ITEMS)).astype(np.float32)
    return ItemFactors(
        item_ids=tuple(map(str, range(N_ITEMS))),
        encoder=tables[0],
        factors=tables[1],
        item_weights=weights.astype(np.float32),
        popularity=counts,
    )


def habits(seed: int) -> sp.csr_matrix:
    """One customer's habits over a catalogue that has grown since the model was made."""
    rng = np.random.default_rng(seed + 1)
    own = rng.random((1, N_ITEMS + N_NEW)) * (rng.random((1, N_ITEMS + N_NEW)) > 0.9)
    return sp.csr_matrix(own.astype(np.float32))


def everything() -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.ones(N_ITEMS + N_NEW, dtype=np.bool_)


SEEDS = st.integers(0, 10_000)


@given(SEEDS)
def test_where_everything_is_allowed_it_is_the_list_that_is_cached(seed: int) -> None:
    factors, own = model(seed), habits(seed)
    ranker = Ranker.of(factors, length=100)
    [cached] = personal_lists(factors, own, ranker)

    for task in Task:
        assert own_rows(ranker, own, everything(), 100, task=task) == cached[task]
    assert popular_rows(factors, everything(), 100) == popular_list(factors)


@given(SEEDS, st.floats(0, 1), st.integers(1, 100))
def test_a_masked_list_is_the_whole_ranking_without_what_is_not_allowed(seed: int, share: float, n: int) -> None:
    factors, own = model(seed), habits(seed)
    ranker = Ranker.of(factors, length=100)
    allowed = np.random.default_rng(seed + 2).random(N_ITEMS + N_NEW) < share
    whole = N_ITEMS + N_NEW

    for task in Task:
        ranking = own_rows(ranker, own, everything(), whole, task=task)
        assert own_rows(ranker, own, allowed, n, task=task) == tuple(row for row in ranking if allowed[row[0]])[:n]
    ranking = popular_rows(factors, everything(), whole)
    assert popular_rows(factors, allowed, n) == tuple(row for row in ranking if allowed[row[0]])[:n]
    ranking = habit_rows(own, everything(), whole)
    assert habit_rows(own, allowed, n) == tuple(row for row in ranking if allowed[row[0]])[:n]


@given(SEEDS)
def test_to_buy_again_it_is_the_habits_alone_strongest_first(seed: int) -> None:
    own = habits(seed)
    rows = habit_rows(own, everything(), 100)
    scores = [score for _, score, _ in rows]

    assert {item for item, _, _ in rows} == set(own.indices.tolist())
    assert scores == sorted(scores, reverse=True)
    assert {reason for _, _, reason in rows} <= {Reason.BOUGHT_BEFORE}


@given(SEEDS)
def test_a_basket_is_folded_in_as_a_customers_purchases_are(seed: int) -> None:
    factors = model(seed)
    basket = np.flatnonzero(factors.item_weights)[:3]
    own = sp.csr_matrix(([1.0] * 3, ([0] * 3, basket)), shape=(1, N_ITEMS), dtype=np.float32)
    [lists] = personal_lists(factors, own)
    allowed = everything()[:N_ITEMS]
    allowed[basket] = False

    assert basket_rows(Ranker.of(factors, length=100), basket, allowed, 100) == lists[Task.DISCOVER]


@pytest.mark.parametrize("basket", [[], [N_ITEMS], [0], [1], [0, 1]])
def test_of_a_basket_that_the_model_does_not_know_it_says_nothing(basket: list[int]) -> None:
    factors = model(3)
    weights = factors.item_weights.copy()
    weights[0] = 0
    encoder = factors.encoder.copy()
    weights[1], encoder[1] = np.finfo(np.float32).tiny, 0  # outside the head: popularity alone is known
    factors = ItemFactors(
        item_ids=factors.item_ids,
        encoder=encoder,
        factors=factors.factors,
        item_weights=weights,
        popularity=factors.popularity,
    )

    assert basket_rows(Ranker.of(factors, length=100), np.array(basket, dtype=np.int64), everything(), 5) is None
