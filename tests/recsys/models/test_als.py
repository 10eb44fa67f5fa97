import numpy as np
import pytest
import scipy.sparse as sp

from recsys.data.split import split_at
from recsys.data.worlds import checkerboard
from recsys.models.als import ALSConfig, train_als
from recsys.models.factors import ItemFactors
from recsys.models.ranking import model_scores
from tests.recsys.models.shops import catalogue

CONFIG = ALSConfig(factors=8, regularization=1.0, iterations=10)


def test_als_learns_the_checkerboard() -> None:
    world = checkerboard(n_customers=40, n_items=20)
    split = split_at(world.log, world.cut_ms)
    seen, later = split.train.interactions().matrix, split.test.interactions().matrix.toarray() > 0
    model = train_als(seen, world.log.items, CONFIG)
    scores = np.where(seen.toarray() > 0, -np.inf, model_scores(model, seen))
    best = np.argsort(-scores, axis=1)[:, :2]
    assert np.take_along_axis(later, best, axis=1).all()


def test_how_often_something_was_bought_is_not_looked_at(purchased: sp.csr_matrix) -> None:
    once, often = (train_als(purchased * times, catalogue(30), CONFIG) for times in (1, 7))
    np.testing.assert_allclose(often.factors, once.factors, atol=1e-4)
    assert often.popularity.tolist() == once.popularity.tolist() == purchased.sum(axis=0).A1.tolist()


def test_the_seed_decides_where_als_starts(purchased: sp.csr_matrix) -> None:
    one, same, other = (train_als(purchased, catalogue(30), CONFIG, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_allclose(one.factors, same.factors, atol=1e-4)
    assert np.abs(one.factors - other.factors).max() > 1e-2


def test_training_leaves_the_purchases_as_they_were(purchased: sp.csr_matrix) -> None:
    before = purchased.copy()
    train_als(purchased * 3, catalogue(30), CONFIG)
    assert (purchased != before).nnz == 0


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_an_als_model_carries_what_its_fold_in_needs(purchased: sp.csr_matrix, alpha: float) -> None:
    config = ALSConfig(factors=4, regularization=2.5, alpha=alpha, iterations=3)
    model = ItemFactors.from_bytes(train_als(purchased, catalogue(30), config).to_bytes())
    assert (model.regularization, model.alpha, model.n_factors) == (2.5, alpha, 4)
    assert np.isfinite(model_scores(model, purchased)).all()
