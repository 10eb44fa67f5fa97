"""The lists of a batch of customers, against a slow twin, and as bytes."""

from collections.abc import Mapping
from math import isinf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from recsys.data.history import EMPTY_HISTORY, History, purchases_array
from recsys.models.factors import ItemFactors
from recsys.models.repeat import MODEL_SHARE
from recsys.serving.lists import LIST_LENGTH, Row, own_habits, personal_lists, popular_list
from recsys.types import Reason, Task

EXACT_LENGTHS = (0, 1, 4)
"""So many known purchases of weight 1 have a length without rounding, so that no tie is broken by float32."""

Bought = dict[int, int]
"""How often each position was bought."""


@st.composite
def models(draw: st.DrawFn) -> ItemFactors:
    n_items = draw(st.integers(1, 8))
    n_factors = draw(st.integers(0, 2))
    small = st.lists(st.integers(-2, 2), min_size=n_items * n_factors, max_size=n_items * n_factors)
    tables = [np.array(draw(small), dtype=np.float32).reshape(n_items, n_factors) for _ in range(2)]
    known = draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items))
    counts = draw(st.lists(st.integers(0, 3), min_size=n_items, max_size=n_items))
    return ItemFactors(
        item_ids=tuple(f"item {position}" for position in range(n_items)),
        encoder=tables[0],
        factors=tables[1],
        item_weights=np.array(known, dtype=np.float32),
        popularity=np.array(counts, dtype=np.float32),
    )


@st.composite
def customers(draw: st.DrawFn, model: ItemFactors) -> Bought:
    """Purchases of items that the model knows, of others, and of two that are newer than it."""
    known = [int(item) for item in np.flatnonzero(model.item_weights)]
    others = [position for position in range(len(model.item_ids) + 2) if position not in known]
    size = draw(st.sampled_from([length for length in EXACT_LENGTHS if length <= len(known)]))
    bought = draw(st.permutations(known))[:size] + draw(st.lists(st.sampled_from(others), unique=True))
    return {position: draw(st.integers(1, 3)) for position in bought}


@st.composite
def cases(draw: st.DrawFn) -> tuple[ItemFactors, list[Bought]]:
    model = draw(models())
    return model, draw(st.lists(customers(model), min_size=1, max_size=3))


def slow_scores(model: ItemFactors, bought: Bought, n_items: int) -> list[float]:
    """What the model says about every item, -inf where it says nothing, in plain Python."""
    known = [item for item in bought if item < len(model.item_ids) and model.item_weights[item]]
    length = sqrt(len(known))
    vector = [sum(float(model.encoder[item, k]) for item in known) / (length or 1) for k in range(model.n_factors)]
    scores = [
        sum(float(model.factors[item, k]) * vector[k] for k in range(model.n_factors))
        for item in range(len(model.item_ids))
    ]
    if not any(scores):
        scores = [float(count) for count in model.popularity]
    says = model.item_weights if model.n_factors else model.popularity
    heard = [score if says[item] > 0 else -np.inf for item, score in enumerate(scores)]
    return heard + [-np.inf] * (n_items - len(heard))


def slow_list(scores: Mapping[int, float], bought: Bought) -> tuple[Row, ...]:
    order = sorted((item for item in scores if not isinf(scores[item])), key=lambda item: (-scores[item], item))
    reasons = {True: Reason.BOUGHT_BEFORE, False: Reason.MODEL}
    return tuple((item, scores[item], reasons[item in bought]) for item in order[:LIST_LENGTH])


def slow_lists(model: ItemFactors, bought: Bought, n_items: int) -> dict[Task, tuple[Row, ...]]:
    """Both lists of one customer, item by item."""
    scores = dict(enumerate(slow_scores(model, bought, n_items)))
    heard = [score for score in scores.values() if not isinf(score)]
    highest = max(heard, default=0.0)
    share = {item: MODEL_SHARE * score / (highest if highest > 0 else 1) for item, score in scores.items()}
    again = {item: max(share[item], 0.0) + habit for item, habit in bought.items()}
    shown = {item: again.get(item, share[item]) for item in scores if item in bought or not isinf(scores[item])}
    new = {item: score for item, score in scores.items() if item not in bought}
    return {Task.ANY: slow_list(shown, bought), Task.DISCOVER: slow_list(new, bought)}


@given(cases())
def test_the_lists_of_a_batch_are_those_of_a_slow_twin_that_takes_customers_one_by_one(
    case: tuple[ItemFactors, list[Bought]],
) -> None:
    model, batch = case
    n_items = len(model.item_ids) + 2
    counts = np.array([[bought.get(item, 0) for item in range(n_items)] for bought in batch], dtype=np.float32)
    for lists, bought in zip(personal_lists(model, csr_matrix(counts)), batch, strict=True):
        for task, expected in slow_lists(model, bought, n_items).items():
            assert [(item, reason) for item, _, reason in lists[task]] == [
                (item, reason) for item, _, reason in expected
            ]
            assert [score for _, score, _ in lists[task]] == pytest.approx(
                [score for _, score, _ in expected], abs=1e-5
            )


def wide_model(n_items: int) -> ItemFactors:
    """A model that prefers low positions."""
    falling = np.linspace(1, 0.5, n_items, dtype=np.float32)
    return ItemFactors(
        item_ids=tuple(f"item {position}" for position in range(n_items)),
        encoder=falling[:, None],
        factors=falling[:, None],
        item_weights=np.ones(n_items, dtype=np.float32),
        popularity=falling,
    )


def test_a_list_is_cut_at_the_most_that_can_be_asked_for() -> None:
    counts = np.zeros((1, LIST_LENGTH + 20), dtype=np.float32)
    counts[0, [3, LIST_LENGTH + 10]] = 1, 2
    [lists] = personal_lists(wide_model(LIST_LENGTH + 20), csr_matrix(counts))
    assert [item for item, _, _ in lists[Task.ANY]][:4] == [LIST_LENGTH + 10, 3, 0, 1]
    assert [item for item, _, _ in lists[Task.DISCOVER]] == [item for item in range(LIST_LENGTH + 1) if item != 3]
    assert len(lists[Task.ANY]) == len(popular_list(wide_model(LIST_LENGTH + 20))) == LIST_LENGTH


def history(*items: int) -> History:
    """One purchase of each."""
    n = len(items)
    return History(purchases_array(timestamp=np.arange(n), item=items, quantity=np.full(n, 9.0), event=np.arange(n)))


def test_what_counts_is_on_how_many_days_an_item_was_bought_not_how_many_of_it() -> None:
    own = own_habits([history(2, 0, 2), EMPTY_HISTORY, history(3)], 5)
    np.testing.assert_array_equal(own.toarray(), [[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]])


def test_nobody_has_no_habits() -> None:
    assert own_habits([], 5).shape == (0, 5)
