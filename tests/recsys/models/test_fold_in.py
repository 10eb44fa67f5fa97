import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from recsys.models.als import ALSConfig, train_als
from recsys.models.factors import ItemFactors
from recsys.models.fold_in import FoldIn, fold_in
from tests.recsys.models.shops import Basket, baskets, catalogue, purchases_of

N_ITEMS = 9


def model_of(seed: int, *, regularization: float = 0.0, alpha: float = 1.0) -> ItemFactors:
    """Tables of random numbers; the last two items are unknown to the model."""
    rng = np.random.default_rng(seed)
    weights = rng.random(N_ITEMS).astype(np.float32)
    weights[-2:] = 0
    return ItemFactors(
        item_ids=catalogue(N_ITEMS),
        encoder=rng.normal(size=(N_ITEMS, 4)).astype(np.float32),
        factors=rng.normal(size=(N_ITEMS, 4)).astype(np.float32),
        item_weights=weights,
        popularity=np.ones(N_ITEMS, dtype=np.float32),
        regularization=regularization,
        alpha=alpha,
    )


def folded_in_by_a_loop(model: ItemFactors, basket: Basket) -> list[float]:
    """z = sum over j in S of w_j E_j / ||w_S||, item by item."""
    length = math.sqrt(sum(float(model.item_weights[item]) ** 2 for item in basket))
    vector = [0.0] * model.n_factors
    for item in basket:
        for factor in range(model.n_factors):
            vector[factor] += float(model.item_weights[item]) * float(model.encoder[item, factor])
    return [value / length if length else 0.0 for value in vector]


@given(seed=st.integers(0, 100), customers=st.lists(baskets(N_ITEMS), max_size=6))
def test_a_customers_vector_is_the_sum_that_a_loop_gives(seed: int, customers: list[Basket]) -> None:
    model = model_of(seed)
    fast = fold_in(model, purchases_of(customers, N_ITEMS))
    assert fast.shape == (len(customers), 4)
    for row, basket in zip(fast, customers, strict=True):
        np.testing.assert_allclose(row, folded_in_by_a_loop(model, basket), atol=1e-5)


@given(seed=st.integers(0, 100), basket=baskets(N_ITEMS), alpha=st.sampled_from([0.5, 1.0, 5.0]))
def test_the_ridge_solution_is_the_minimum_of_its_loss(seed: int, basket: Basket, alpha: float) -> None:
    model = model_of(seed, regularization=2.0, alpha=alpha)
    (vector,) = fold_in(model, purchases_of([basket], N_ITEMS)).astype(np.float64)
    bought = np.isin(np.arange(N_ITEMS), sorted(basket))
    confidence = np.where(bought, alpha, 1.0)

    def slope(step: np.ndarray) -> float:
        def loss(z: np.ndarray) -> float:
            return float((confidence * (bought - model.factors @ z) ** 2).sum() + 2.0 * (z**2).sum())

        return (loss(vector + step) - loss(vector - step)) / 0.02

    assert all(abs(slope(0.01 * axis)) < 1e-3 for axis in np.eye(4))


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_the_ridge_solution_is_that_of_implicit(purchased: sp.csr_matrix, alpha: float) -> None:
    config = ALSConfig(factors=8, regularization=3.0, alpha=alpha, iterations=5)
    model = train_als(purchased, catalogue(30), config)
    with threadpool_limits(limits=1, user_api="blas"):
        theirs = AlternatingLeastSquares(factors=8, regularization=3.0, alpha=alpha)
        theirs.item_factors = np.array(model.factors)
        expected = theirs.recalculate_user(np.arange(90), purchased)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(fold_in(model, purchased), expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("regularization", [0.0, 2.0])
def test_an_empty_history_has_a_vector_of_zeros(regularization: float) -> None:
    model = model_of(1, regularization=regularization)
    vectors = fold_in(model, purchases_of([[], [0], []], N_ITEMS))
    assert vectors[[0, 2]].tolist() == [[0.0] * 4] * 2
    assert vectors[1].any()
    assert fold_in(model, purchases_of([], N_ITEMS)).shape == (0, 4)


def test_items_that_the_model_does_not_know_change_nothing() -> None:
    model = model_of(2)
    known, with_unknown, unknown = fold_in(model, purchases_of([[1, 4], [1, 4, 7, 8], [7, 8]], N_ITEMS))
    assert with_unknown.tolist() == known.tolist()
    assert unknown.tolist() == [0.0] * 4


@pytest.mark.parametrize("regularization", [0.0, 2.0])
def test_how_often_something_was_bought_does_not_matter(regularization: float) -> None:
    model, once = model_of(3, regularization=regularization), purchases_of([[0, 2, 5]], N_ITEMS)
    assert fold_in(model, once * 17).tolist() == fold_in(model, once).tolist()


def solved_densely(model: ItemFactors, basket: Basket) -> np.ndarray:
    """(F^T C F + lambda I)^-1 F^T C p, by its definition, over all items."""
    factors = model.factors.astype(np.float64)
    bought = np.isin(np.arange(len(factors)), sorted(basket))
    confidence = np.diag(np.where(bought, model.alpha, 1.0))
    left = factors.T @ confidence @ factors + model.regularization * np.eye(model.n_factors)
    return np.linalg.solve(left, factors.T @ confidence @ bought)


@given(seed=st.integers(0, 100), basket=baskets(N_ITEMS), alpha=st.sampled_from([0.0, 0.5, 1.0, 5.0, 40.0]))
def test_the_ridge_solution_is_that_of_the_dense_system(seed: int, basket: Basket, alpha: float) -> None:
    """Baskets are smaller and larger than the number of factors, 4: both forms of the solution are met."""
    model = model_of(seed, regularization=0.5, alpha=alpha)
    np.testing.assert_allclose(
        FoldIn.of(model).vector(np.array(sorted(basket), dtype=np.int64)), solved_densely(model, basket), atol=1e-5
    )


@pytest.mark.parametrize("regularization", [0.0, 2.0])
@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_other_customers_change_nothing(regularization: float, alpha: float) -> None:
    model, customers = (
        model_of(4, regularization=regularization, alpha=alpha),
        [[0, 2], [1], [3, 4, 5], [0, 1, 2, 3, 4, 5]],
    )
    together = fold_in(model, purchases_of(customers, N_ITEMS))
    for row, basket in zip(together, customers, strict=True):
        assert fold_in(model, purchases_of([basket], N_ITEMS))[0].tolist() == row.tolist()
