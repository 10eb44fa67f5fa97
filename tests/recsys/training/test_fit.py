"""The trainers, and how many items the Gram covers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.interactions import PurchaseLog
from recsys.errors import InputError
from recsys.models.attributes import ItemAttributes
from recsys.models.gram import GramSum
from recsys.training.fit import HEAD_NOISE, LARGEST_HEAD, SMALLEST_HEAD, fit, fit_candidates, head_size
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Trainer
from tests.recsys.training.shop import DP_SGD, EVERY_TRAINER, LOUD, described, never, seeded


def terms(trainer: Trainer, epsilon: float = 4.0) -> Terms:
    return Terms.under(TrainConfig(trainer=trainer, epsilon=epsilon))


@pytest.mark.parametrize("n_bought", [7, 20])
def test_without_noise_the_model_covers_every_item_that_was_bought_and_keeps_no_sum(n_bought: int) -> None:
    purchased = sp.csr_matrix(np.eye(n_bought, 20, dtype=np.float32))
    items = tuple(f"item-{index}" for index in range(20))
    fitted = fit(purchased, items, terms(Trainer.GRAM, math.inf), entropy=never)
    assert np.flatnonzero(fitted.factors.item_weights).tolist() == list(range(n_bought))
    assert fitted.content is None


@given(n_customers=st.floats(1_000, 100_000), noise_multiplier=st.floats(1.0, 5.0))
def test_under_noise_the_head_balances_the_noises_edge_and_an_items_share(
    n_customers: float, noise_multiplier: float
) -> None:
    size = head_size(n_customers, noise_multiplier)
    if SMALLEST_HEAD < size < LARGEST_HEAD:
        edge = [noise_multiplier * math.sqrt(2 * m) * m / n_customers for m in (size, size + 1)]
        assert edge[0] <= HEAD_NOISE * (1 + 1e-9)
        assert edge[1] > HEAD_NOISE * (1 - 1e-9)


@pytest.mark.parametrize(("n_customers", "expected"), [(-300.0, SMALLEST_HEAD), (1e9, LARGEST_HEAD)])
def test_the_head_stays_within_its_bounds_whatever_number_of_customers_is_released(
    n_customers: float, expected: int
) -> None:
    assert head_size(n_customers, 2.0) == expected


def test_more_noise_means_a_smaller_head() -> None:
    sizes = [head_size(10_000, noise) for noise in (0.7, 1.0, 5.0, 20.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_the_gram_covers_the_most_popular_items(log: PurchaseLog) -> None:
    """A catalogue below the smallest head is covered whole."""
    content = fit(log.interactions().matrix, log.items, terms(Trainer.GRAM), entropy=seeded()).content
    assert content is not None
    assert content.gram.shape == (24, 24)
    assert content.n_added == 40


def test_without_noise_popularity_is_the_exact_counts(log: PurchaseLog) -> None:
    matrix = log.interactions().matrix
    fitted = fit(matrix, log.items, terms(Trainer.GRAM, math.inf), entropy=never)
    np.testing.assert_array_equal(fitted.factors.popularity, np.asarray((matrix > 0).sum(axis=0)).ravel())


@pytest.mark.parametrize("trainer", [Trainer.GRAM, Trainer.POPULARITY, Trainer.DP_ALS, DP_SGD])
def test_the_same_noise_gives_the_same_model_and_other_noise_another(log: PurchaseLog, trainer: Trainer) -> None:
    digests = [
        fit(log.interactions().matrix, log.items, terms(trainer), entropy=seeded(seed)).factors.digest
        for seed in (1, 1, 2)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_popularity_keeps_counts_and_no_gram(log: PurchaseLog) -> None:
    fitted = fit(log.interactions().matrix, log.items, terms(Trainer.POPULARITY), entropy=seeded())
    assert fitted.content is not None
    assert fitted.content.gram.shape == (0, 0)
    assert fitted.content.counts.sum() > 0


def test_als_draws_no_noise_and_keeps_no_sum(log: PurchaseLog) -> None:
    fitted = fit(log.interactions().matrix, log.items, terms(Trainer.ALS), entropy=never)
    assert fitted.content is None
    assert fitted.factors.n_factors > 0
    assert fitted.factors.regularization > 0


@pytest.mark.parametrize("trainer", [Trainer.DP_ALS, DP_SGD])
def test_a_trainer_that_takes_steps_keeps_no_sum_and_no_more_factors_than_asked_for(
    log: PurchaseLog, trainer: Trainer
) -> None:
    few = Terms.under(TrainConfig(trainer=trainer, n_factors=3))
    fitted = fit(log.interactions().matrix, log.items, few, entropy=seeded())
    assert fitted.content is None
    assert fitted.factors.n_factors == 3
    assert fitted.factors.regularization > 0


@pytest.mark.parametrize("trainer", EVERY_TRAINER)
@pytest.mark.parametrize("epsilon", [0.1, 4.0, math.inf])
def test_a_shop_with_one_customer_and_one_item_can_be_trained_on(trainer: Trainer, epsilon: float) -> None:
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - this test alone builds a matrix by hand

    fitted = fit(csr_matrix(np.ones((1, 1), dtype=np.float32)), ("only",), terms(trainer, epsilon), entropy=seeded())
    assert fitted.factors.item_ids == ("only",)


# With public attributes.


def beside(epsilon: float = LOUD) -> Terms:
    return Terms.under(TrainConfig(epsilon=epsilon, attributes=True))


def test_with_attributes_the_sum_has_directions_and_the_model_comes_from_its_three_matrices(log: PurchaseLog) -> None:
    matrix = log.interactions().matrix
    fitted = fit(matrix, log.items, beside(), attributes=described(), entropy=seeded())
    content = fitted.content
    assert content is not None
    n_directions = content.rule.n_directions
    assert n_directions > 4
    shapes = [part.shape for part in (content.latent, content.cross, content.gram)]
    assert shapes == [(n_directions, n_directions), (24, n_directions), (24, 24)]
    assert all(part.any() for part in (content.latent, content.cross, content.gram))
    assert fitted.factors.n_factors > 1
    # the rule is made from what was released, and the number of customers with noise
    assert content.rule.released_customers != content.n_added == 40
    assert GramSum.empty(log.items, content.rule).add(matrix).to_bytes() == content.to_bytes()


@pytest.mark.parametrize(
    ("attributes", "got"),
    [(None, "none"), (ItemAttributes(), "those of 0"), (described(23), "those of 23"), (described(25), "those of 25")],
)
def test_attributes_that_are_missing_or_of_another_catalogue_are_refused_before_anything_is_drawn(
    log: PurchaseLog, attributes: ItemAttributes | None, got: str
) -> None:
    matrix = log.interactions().matrix
    with pytest.raises(InputError, match=f"expected attributes of 24 items, got {got}"):
        fit(matrix, log.items, beside(), attributes=attributes, entropy=never)
    with pytest.raises(InputError, match="describe every item"):
        fit_candidates(matrix, log.items, beside(), [4], attributes=attributes, entropy=never)


@pytest.mark.parametrize("trainer", [Trainer.GRAM, Trainer.POPULARITY])
def test_attributes_that_the_terms_do_not_ask_for_change_nothing(log: PurchaseLog, trainer: Trainer) -> None:
    matrix = log.interactions().matrix
    models = [
        fit(matrix, log.items, terms(trainer), attributes=attributes, entropy=seeded()).factors.digest
        for attributes in (None, described())
    ]
    assert models[0] == models[1]


def test_with_attributes_candidates_are_made_from_one_release(log: PurchaseLog) -> None:
    matrix = log.interactions().matrix
    models = fit_candidates(matrix, log.items, beside(), [2, 5], attributes=described(), entropy=seeded())
    for n_factors, each in zip([2, 5], models, strict=True):
        alone = fit(matrix, log.items, replace(beside(), n_factors=n_factors), attributes=described(), entropy=seeded())
        assert each.factors.digest == alone.factors.digest
    assert models[0].factors.digest != models[1].factors.digest


def test_beside_directions_the_head_is_larger_for_the_same_noise() -> None:
    assert head_size(10_000, 4.0, beside_directions=True) > head_size(10_000, 4.0)
    assert head_size(1e9, 4.0, beside_directions=True) == LARGEST_HEAD
