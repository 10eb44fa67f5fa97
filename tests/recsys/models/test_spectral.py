"""Factors from the purchases themselves, beside the dense algebra that they stand for."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.data.split import split_at
from recsys.data.worlds import checkerboard, tiny_shop
from recsys.models.customer import SumRule
from recsys.models.factorise import denoise, weight_of_popularity
from recsys.models.factors import ItemFactors
from recsys.models.ranking import model_scores
from recsys.models.spectral import (
    CUSTOMER_EXPONENT,
    EXPONENT,
    REGULARIZATION,
    autoencoder,
    customer_rows,
    leading_spectrum,
    spectral_autoencoder,
    spectral_factors,
)
from tests.recsys.models.shops import catalogue, purchases_of

Matrix = NDArray[np.float64]


def rule_of(purchased: sp.csr_matrix) -> SumRule:
    """Every item that sold, by exact counts."""
    counts = np.bincount(purchased.indices, minlength=purchased.shape[1]).astype(float)
    return SumRule(released_counts=counts, head_size=int(np.count_nonzero(counts)), exponent=EXPONENT)


def model_of(purchased: sp.csr_matrix, n_factors: int = 64) -> ItemFactors:
    return spectral_factors(purchased, rule_of(purchased), catalogue(purchased.shape[1]), n_factors=n_factors)


def dense_rows(purchased: sp.csr_matrix, rule: SumRule) -> tuple[Matrix, Matrix]:
    """Each customer's weights at unit length, and the rows that are factorised, popularity taken out of neither."""
    own = (purchased[:, rule.head].toarray() > 0) * rule.weights
    length = np.linalg.norm(own, axis=1, keepdims=True)
    return own / length, own / length**CUSTOMER_EXPONENT


def test_at_full_rank_the_scores_are_those_of_the_dense_autoencoder(purchased: sp.csr_matrix) -> None:
    rule = rule_of(purchased)
    unit, rows = dense_rows(purchased, rule)
    popularity = rule.unit_direction
    rows = rows - np.outer(rows @ popularity, popularity)
    gram = rows.T @ rows
    ridge = REGULARIZATION * np.trace(gram) / len(gram)
    # Off the diagonal EASE; on it what the two tables say of an item that was bought.
    own_again = 1 / (ridge * np.diag(np.linalg.inv(gram + ridge * np.eye(len(gram))))) - 1
    weights = autoencoder(gram, ridge) + np.diag(own_again)
    shared = unit @ popularity
    own = unit - np.outer(shared, popularity)
    weight = weight_of_popularity(rule.mean_overlap(purchased.shape[0]))
    expected = (own @ weights + weight * np.outer(shared, popularity)) / rule.weights * rule.weights.max()
    scores = model_scores(model_of(purchased), purchased)[:, rule.head]
    unseen = purchased[:, rule.head].toarray() == 0
    np.testing.assert_allclose(scores[unseen], expected[unseen], atol=1e-3 * np.abs(expected).max())


def test_the_spectral_autoencoder_is_the_autoencoder_for_every_other_item(rng: np.random.Generator) -> None:
    features = rng.normal(size=(40, 15))
    gram = features.T @ features
    spectrum = denoise(gram, 0.0)
    encoder, decoder = spectral_autoencoder(spectrum, 7.0)
    others = ~np.eye(15, dtype=bool)
    assert spectrum.values.shape == (15,)
    np.testing.assert_allclose((encoder @ decoder.T)[others], autoencoder(gram, 7.0)[others], atol=1e-12)


def test_the_autoencoder_is_the_minimum_of_its_loss(rng: np.random.Generator) -> None:
    features = rng.normal(size=(40, 6))
    weights = autoencoder(features.T @ features, 3.0)

    def loss(candidate: Matrix) -> float:
        return float(((features - features @ candidate) ** 2).sum() + 3.0 * (candidate**2).sum())

    assert np.diag(weights).tolist() == [0.0] * 6
    for _ in range(20):
        step = 0.01 * rng.normal(size=(6, 6)) * ~np.eye(6, dtype=bool)
        assert loss(weights) < loss(weights + step)


def test_the_leading_spectrum_is_that_of_the_dense_gram(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(300, 80)) @ np.diag(0.9 ** np.arange(80))
    direction = rng.random(80)
    direction /= np.linalg.norm(direction)
    left = rows - np.outer(rows @ direction, direction)
    spectrum = leading_spectrum(sp.csr_matrix(rows.astype(np.float32)), direction.astype(np.float32), 10)
    values = np.linalg.eigvalsh(left.T @ left)[-10:]
    np.testing.assert_allclose(spectrum.values, values, rtol=1e-4)
    np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(10), atol=1e-5)
    residual = left.T @ (left @ spectrum.vectors) - spectrum.vectors * spectrum.values
    assert np.abs(residual).max() < 1e-2 * values[0]
    assert np.abs(direction @ spectrum.vectors).max() < 1e-5


def test_who_bought_more_says_more_but_not_as_much_more() -> None:
    purchased = purchases_of([[0], [0, 1, 2, 3]], 4)
    rows = customer_rows(purchased, SumRule(released_counts=np.ones(4), head_size=4, exponent=0.0))
    short, long = np.asarray(rows.power(2).sum(axis=1)).ravel()
    assert long == pytest.approx(4 ** (1 - CUSTOMER_EXPONENT) * short)


def test_the_same_purchases_give_the_same_bytes_whatever_number_is_stored_with_them(purchased: sp.csr_matrix) -> None:
    others = purchased.copy()
    others.data = others.data * 7
    assert model_of(purchased).digest == model_of(purchased).digest == model_of(others).digest


def test_on_the_checkerboard_the_model_finds_all_that_a_customer_lacks() -> None:
    world = checkerboard(n_customers=60, n_items=40, n_groups=4)
    split = split_at(world.log, world.cut_ms)
    seen, later = (part.interactions().matrix.toarray() > 0 for part in (split.train, split.test))
    scores = model_scores(model_of(sp.csr_matrix(seen.astype(np.float32)), 8), sp.csr_matrix(seen.astype(np.float32)))
    best = np.argsort(-np.where(seen, -np.inf, scores), axis=1)[:, :2]
    assert np.take_along_axis(later, best, axis=1).sum() == (later & ~seen).sum()


def test_more_factors_than_items_or_customers_are_no_trouble(rng: np.random.Generator) -> None:
    purchased = tiny_shop(rng, n_customers=5, n_items=9, purchases_per_customer=3.0).interactions().matrix
    model = model_of(purchased, 500)
    assert model.n_factors <= 6
    assert np.isfinite(model_scores(model, purchased)[:, model.item_weights > 0]).all()


@pytest.mark.parametrize("baskets", [[[0]], [[0, 1], [0, 1]], [[0, 1, 2]] * 3, [[2], [2]]])
def test_a_shop_with_nothing_to_tell_apart_ranks_by_popularity(baskets: list[list[int]]) -> None:
    purchased = purchases_of(baskets, max(map(max, baskets)) + 1)
    scores = model_scores(model_of(purchased), purchased)
    assert (scores.argmax(axis=1) == rule_of(purchased).released_counts.argmax()).all()
