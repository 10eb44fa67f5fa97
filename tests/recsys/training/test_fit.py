"""The trainers, and how many items the Gram covers."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.interactions import PurchaseLog
from recsys.training.fit import HEAD_NOISE, LARGEST_PRIVATE_HEAD, SMALLEST_HEAD, fit, head_size
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Trainer
from tests.recsys.training.shop import DP_SGD, EVERY_TRAINER, never, seeded


def terms(trainer: Trainer, epsilon: float = 4.0) -> Terms:
    return Terms.under(TrainConfig(trainer=trainer, epsilon=epsilon))


@pytest.mark.parametrize("n_bought", [7, 20])
def test_without_noise_the_gram_covers_every_item_that_was_bought(n_bought: int) -> None:
    purchased = sp.csr_matrix(np.eye(n_bought, 20, dtype=np.float32))
    items = tuple(f"item-{index}" for index in range(20))
    content = fit(purchased, items, terms(Trainer.GRAM, math.inf), entropy=never).content
    assert content is not None
    assert content.rule.head.tolist() == list(range(n_bought))


@given(n_customers=st.floats(1_000, 100_000), noise_multiplier=st.floats(1.0, 5.0))
def test_under_noise_the_head_balances_the_noises_edge_and_an_items_share(
    n_customers: float, noise_multiplier: float
) -> None:
    size = head_size(n_customers, noise_multiplier)
    if SMALLEST_HEAD < size < LARGEST_PRIVATE_HEAD:
        edge = [noise_multiplier * math.sqrt(2 * m) * m / n_customers for m in (size, size + 1)]
        assert edge[0] <= HEAD_NOISE * (1 + 1e-9)
        assert edge[1] > HEAD_NOISE * (1 - 1e-9)


@pytest.mark.parametrize(("n_customers", "expected"), [(-300.0, SMALLEST_HEAD), (1e9, LARGEST_PRIVATE_HEAD)])
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


def test_without_privacy_the_gram_is_made_from_the_exact_counts(log: PurchaseLog) -> None:
    matrix = log.interactions().matrix
    fitted = fit(matrix, log.items, terms(Trainer.GRAM, math.inf), entropy=never)
    assert fitted.content is not None
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
