from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from recsys.models.factors import ItemFactors
from recsys.models.fold_in import fold_in
from recsys.models.popularity import popularity_model
from recsys.models.ranking import model_scores
from tests.recsys.models.shops import catalogue, purchases_of


def test_an_items_score_is_its_factors_times_the_customers_vector(model: ItemFactors, purchased: sp.csr_matrix) -> None:
    scores = model_scores(model, purchased)
    assert scores.shape == (90, 30)
    assert scores.dtype == np.float32
    vectors = fold_in(model, purchased)
    for user, item in (
        (0, int(np.flatnonzero(model.item_weights)[0])),
        (89, int(np.flatnonzero(model.item_weights)[-1])),
    ):
        expected = sum(float(one) * float(other) for one, other in zip(vectors[user], model.factors[item], strict=True))
        assert np.isclose(scores[user, item], expected, rtol=1e-4)


def without_its_tail(model: ItemFactors) -> ItemFactors:
    """The model as if nobody had bought the five items outside the head."""
    in_head = model.encoder.any(axis=1)
    return replace(model, item_weights=model.item_weights * in_head)


def test_items_that_the_model_does_not_know_are_marked(model: ItemFactors, purchased: sp.csr_matrix) -> None:
    model = without_its_tail(model)
    scores = model_scores(model, purchased)
    unknown = model.item_weights == 0
    assert unknown.sum() == 5
    assert np.isneginf(scores[:, unknown]).all()
    assert np.isfinite(scores[:, ~unknown]).all()


def test_of_whom_the_model_knows_no_purchase_gets_popularity(model: ItemFactors) -> None:
    model = without_its_tail(model)
    unknown = np.flatnonzero(model.item_weights == 0)
    known = model.item_weights > 0
    for row in model_scores(model, purchases_of([[], unknown], 30)):
        assert row[known].tolist() == model.popularity[known].tolist()
        assert np.isneginf(row[unknown]).all()


def test_a_customer_with_a_history_does_not_get_plain_popularity(model: ItemFactors) -> None:
    bought = np.flatnonzero(model.item_weights)[:3]
    first, second = model_scores(model, purchases_of([bought, []], 30))
    known = model.item_weights > 0
    assert np.argsort(first[known]).tolist() != np.argsort(second[known]).tolist()


def test_tastes_come_first(model: ItemFactors, purchased: sp.csr_matrix) -> None:
    likes = np.arange(90)[:, None] % 3 == np.arange(30) % 3
    unseen = (purchased.toarray() == 0) & (model.item_weights > 0)
    scores = model_scores(model, purchased)
    assert scores[likes & unseen].mean() > 1.3 * scores[~likes & unseen].mean()


def test_a_model_without_factors_gives_everybody_popularity() -> None:
    model = popularity_model(np.array([4.0, 0.0, -1.0, 9.0]), catalogue(4))
    for row in model_scores(model, purchases_of([[0], [1, 2], []], 4)):
        assert row.tolist() == [4.0, -np.inf, -np.inf, 9.0]


def test_a_zero_vector_under_the_ridge_gets_popularity(model: ItemFactors) -> None:
    ridge = replace(model, regularization=1.0)
    (row,) = model_scores(ridge, purchases_of([[]], 30))
    known = model.item_weights > 0
    assert row[known].tolist() == model.popularity[known].tolist()
