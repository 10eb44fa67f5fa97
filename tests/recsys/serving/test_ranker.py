"""Lists that are made from a few items' scores, against the same from the scores of all."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.evaluation.protocol import top_lists
from recsys.models import top_k
from recsys.models.factors import ItemFactors
from recsys.models.list_order import EMPTY
from recsys.models.ranking import model_scores
from recsys.models.repeat import with_own_repeats
from recsys.serving.masked import own_rows
from recsys.serving.ranker import Ranked, Ranker
from recsys.types import Reason, Task

N_ITEMS, N_FACTORS, NEWER, LENGTH = 400, 8, 3, 10


def ranker_of(model: ItemFactors, *, pruned: bool) -> Ranker:
    """A ranker whose way of searching was not left to a clock."""
    ranker = Ranker.of(model, length=LENGTH)
    ranker.search.pruned = pruned
    return ranker


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are left out of a catalogue as small as this one."""
    monkeypatch.setattr(top_k, "FIRST", 32)
    monkeypatch.setattr(top_k, "SHORT", 64)
    monkeypatch.setattr(top_k, "BLOCK", 64)
    monkeypatch.setattr(top_k, "BATCH", 4)
    monkeypatch.setattr(top_k, "DIRECTIONS", 2)


@pytest.fixture(params=[0.0, 2.0], ids=["sum", "ridge"])
def model(request: pytest.FixtureRequest, rng: np.random.Generator) -> ItemFactors:
    """Popular items are long, popularity is one factor, and of every seventh item nothing is known."""
    popularity = rng.permutation(1000 / (1 + np.arange(N_ITEMS))).astype(np.float32)
    factors = rng.normal(size=(N_ITEMS, N_FACTORS)).astype(np.float32) * np.sqrt(popularity)[:, None]
    factors[:, -1] = popularity
    known = (np.arange(N_ITEMS) % 7 > 0).astype(np.float32)
    factors *= known[:, None]
    return ItemFactors(
        item_ids=tuple(map(str, range(N_ITEMS))),
        encoder=factors / (1 + popularity[:, None]),
        factors=factors,
        item_weights=known * popularity**-0.1,
        popularity=popularity,
        regularization=request.param,
        alpha=1.5,
    )


@pytest.fixture
def own(rng: np.random.Generator) -> sp.csr_matrix:
    """Habits of customers of whom the model knows much, little and nothing; some items are newer than it."""
    habits = rng.random((9, N_ITEMS + NEWER)) * (rng.random((9, N_ITEMS + NEWER)) < 0.04)
    habits[3] = 0
    habits[4] = 0
    habits[4, [0, 7, N_ITEMS]] = 0.5
    habits[5, 20:200] = 1
    return sp.csr_matrix(habits.astype(np.float32))


def dense_lists(model: ItemFactors, own: sp.csr_matrix) -> dict[Task, tuple[np.ndarray, np.ndarray]]:
    """Positions and scores, from every item's score."""
    scores = np.full(own.shape, -np.inf, dtype=np.float32)
    scores[:, :N_ITEMS] = model_scores(model, own[:, :N_ITEMS])
    bought = own.toarray()
    tasks = {Task.ANY: with_own_repeats(scores, bought), Task.DISCOVER: np.where(bought > 0, -np.inf, scores)}
    return {task: (top_lists(score.astype(np.float64), LENGTH), score) for task, score in tasks.items()}


def same(first: Ranked, second: Ranked, customer: int) -> bool:
    """Whether the one list of the first is the customer's list of the second."""
    return all(
        getattr(first, name)[0].tolist() == getattr(second, name)[customer].tolist()
        for name in ("items", "scores", "bought")
    )


@pytest.mark.parametrize("pruned", [True, False])
def test_lists_are_those_of_all_items_scores(model: ItemFactors, own: sp.csr_matrix, pruned: bool) -> None:
    bought = own.toarray() > 0
    lists = ranker_of(model, pruned=pruned).lists(own)
    for task, (expected, scores) in dense_lists(model, own).items():
        assert lists[task].items.tolist() == expected.tolist()
        np.testing.assert_allclose(
            lists[task].scores, np.take_along_axis(scores, expected, axis=1), rtol=1e-3, atol=1e-4
        )
        assert lists[task].bought.tolist() == np.take_along_axis(bought, expected, axis=1).tolist()


def test_lists_are_the_same_alone_and_in_a_batch(model: ItemFactors, own: sp.csr_matrix) -> None:
    together = ranker_of(model, pruned=True).lists(own)
    for pruned in (True, False):
        ranker = ranker_of(model, pruned=pruned)
        for customer in range(own.shape[0]):
            alone = ranker.lists(own[customer])
            assert all(same(alone[task], together[task], customer) for task in Task)


def test_lists_that_are_short_end_in_empty_places(own: sp.csr_matrix, model: ItemFactors) -> None:
    few = np.arange(N_ITEMS) < 4
    small = replace(model, item_weights=model.item_weights * few, factors=model.factors * few[:, None])
    bought = own.toarray() > 0
    lists = ranker_of(small, pruned=True).lists(own)
    for customer in range(own.shape[0]):
        new = {item for item in (1, 2, 3) if not bought[customer, item]}
        found = lists[Task.DISCOVER].items[customer]
        assert (found != EMPTY).sum() == len(new)
        assert set(found[: len(new)].tolist()) == new
        assert np.isneginf(lists[Task.DISCOVER].scores[customer, len(new) :]).all()
        either = lists[Task.ANY].items[customer]
        n_either = min(LENGTH, len(new) + int(bought[customer].sum()))
        assert (either != EMPTY).tolist() == [True] * n_either + [False] * (LENGTH - n_either)
        assert not lists[Task.ANY].bought[customer, n_either:].any()


def test_a_model_without_factors_lists_what_is_popular_and_was_bought(model: ItemFactors, own: sp.csr_matrix) -> None:
    nothing = np.zeros((N_ITEMS, 0), np.float32)
    flat = replace(model, encoder=nothing, factors=nothing, regularization=0.0)
    lists = ranker_of(flat, pruned=True).lists(own)
    for task, (expected, _) in dense_lists(flat, own).items():
        assert lists[task].items.tolist() == expected.tolist()


def test_nobody_has_no_lists(model: ItemFactors) -> None:
    lists = ranker_of(model, pruned=True).lists(sp.csr_matrix((0, N_ITEMS), dtype=np.float32))
    assert all(lists[task].items.shape == (0, LENGTH) for task in Task)


@pytest.mark.parametrize("pruned", [True, False])
def test_a_list_under_a_mask_that_allows_all_has_the_same_bits(
    model: ItemFactors, own: sp.csr_matrix, pruned: bool
) -> None:
    ranker, everything = ranker_of(model, pruned=pruned), np.ones(own.shape[1], dtype=np.bool_)
    lists = ranker.lists(own)

    for customer in range(own.shape[0]):
        for task, found in lists.items():
            rows = own_rows(ranker, own[customer], everything, LENGTH, task=task)
            kept = found.items[customer] != EMPTY
            assert [item for item, _, _ in rows] == found.items[customer][kept].tolist()
            assert [score for _, score, _ in rows] == found.scores[customer][kept].tolist()
            assert [reason is Reason.BOUGHT_BEFORE for _, _, reason in rows] == found.bought[customer][kept].tolist()
