"""Whose terms move an item: the derivative of its mean score, and who planted it there."""

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import InputError
from recsys.models.customer import GRID, SumRule, customer_vectors
from recsys.models.erasable import REGULARIZATION, erasable_factors, erasable_rule
from recsys.models.gram import GramSum
from recsys.models.influence import influences
from recsys.models.ranking import model_scores
from tests.recsys.models.shops import catalogue
from tests.recsys.models.test_erasable import shop

N_POISON, N_TARGETS, N_POPULAR, N_FILLERS = 300, 5, 40, 12


def sum_of(purchased: sp.csr_matrix) -> GramSum:
    n_items = purchased.shape[1]
    return GramSum.empty(catalogue(n_items), erasable_rule(n_items)).add(purchased)


def mean_score(gram: np.ndarray, ridge: float, mean: np.ndarray, places: list[int]) -> float:
    inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
    return float((mean @ gram @ inverse)[places].sum())


def test_it_is_the_derivative_of_the_mean_score() -> None:
    purchased = shop(60, 30)
    content, places = sum_of(purchased), [3, 17]
    found = influences(content, purchased, [content.items[place] for place in places])
    vectors = customer_vectors(purchased, content.rule) / GRID
    gram, mean, step = content.gram / GRID**2, vectors.mean(axis=0), 1e-6
    ridge = REGULARIZATION * np.trace(gram) / len(gram)
    before = mean_score(gram, ridge, mean, places)
    for row, vector in enumerate(vectors):
        after = mean_score(gram - step * np.outer(vector, vector), ridge, mean, places)
        assert found[row] == pytest.approx((before - after) / step, rel=1e-3, abs=1e-8)


def poisoned(rng: np.random.Generator, n_items: int, n_customers: int = 3_000) -> tuple[sp.csr_matrix, list[int]]:
    """A shop, and behind its customers 300 profiles of five items that hardly sell and some of those that sell most."""
    honest = shop(n_customers, n_items, seed=int(rng.integers(1_000)))
    falling = np.argsort(-np.asarray(honest.sum(axis=0)).ravel(), kind="stable")
    targets = [int(item) for item in falling[-60:-55]]
    planted = np.zeros((N_POISON, n_items), np.float32)
    planted[:, targets] = 1
    for row in planted:
        row[rng.choice(falling[:N_POPULAR], N_FILLERS, replace=False)] = 1
    return sp.vstack([honest, sp.csr_matrix(planted)], format="csr"), targets


def exposure(purchased: sp.csr_matrix, honest: sp.csr_matrix, targets: list[int], k: int = 20) -> float:
    """The part of the honest customers' first k places that has one of the targets."""
    scores = model_scores(erasable_factors(sum_of(purchased), 32).factors, honest)
    scores[honest.toarray() != 0] = -np.inf
    best = np.argsort(-scores, axis=1)[:, :k]
    return float(np.isin(best, targets).mean())


@pytest.mark.parametrize("seed", range(3))
def test_most_of_those_who_move_promoted_items_most_are_the_poison(seed: int) -> None:
    purchased, targets = poisoned(np.random.default_rng(seed), 200)
    content, n_honest = sum_of(purchased), purchased.shape[0] - N_POISON
    found = influences(content, purchased, [content.items[place] for place in targets])
    top = np.argsort(-found)[:N_POISON]
    assert (top >= n_honest).mean() > 0.95


def test_without_them_the_exposure_is_the_clean_models_exactly() -> None:
    purchased, targets = poisoned(np.random.default_rng(0), 200)
    honest, planted = purchased[:-N_POISON], purchased[-N_POISON:]
    cleaned = sum_of(purchased).subtract(planted)
    assert erasable_factors(cleaned, 32).factors.digest == erasable_factors(sum_of(honest), 32).factors.digest
    assert exposure(purchased, honest, targets) > 10 * exposure(honest, honest, targets)


@pytest.mark.parametrize("items", [["nothing"], [], ["i0", "nothing"]])
def test_an_item_that_the_model_does_not_cover_is_refused(items: list[str]) -> None:
    purchased = shop(20, 10)
    with pytest.raises(InputError, match="items that the model covers"):
        influences(sum_of(purchased), purchased, items)


def test_a_sum_without_a_gram_is_refused() -> None:
    rule = SumRule(released_counts=np.ones(10), head_size=0)
    content = GramSum.empty(catalogue(10), rule)
    with pytest.raises(InputError, match="which items go together"):
        influences(content, shop(20, 10), [content.items[0]])
