"""Private alternating least squares: what one customer moves, how loud the answers are, and what comes of them."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from recsys.models import dp_als
from recsys.models.dp_als import (
    GRID,
    LARGEST_HEAD,
    MOST_FACTORS,
    SENSITIVITY,
    SMALLEST_HEAD,
    UNITS,
    WEIGHT_BUDGET,
    DPALSConfig,
    customer_vectors,
    customer_weights,
    popular_items,
    positive_part,
    release_step,
    statistic_multipliers,
    step_statistics,
    symmetric_noise,
    train_dp_als,
)
from recsys.models.ranking import model_scores
from recsys.privacy.accounting import compose
from recsys.privacy.noise import symmetric_gaussian
from tests.recsys.models.shops import Basket, baskets, catalogue, purchases_of

N_ITEMS = 12
FALSE_ALARM = 1e-4
CONFIG = DPALSConfig(factors=3, steps=2, least_count=0, initial_scale=1.0)

Vectors = NDArray[np.float64]
Integers = NDArray[np.int64]
Statistics = tuple[Integers, Integers, Integers]


def factors_of(seed: int, scale: float = 1.0, n_items: int = N_ITEMS) -> Vectors:
    return scale * np.random.default_rng(seed).standard_normal((n_items, 3))


def statistics_of(
    customers: list[Basket], counts: Vectors, factors: Vectors, config: DPALSConfig = CONFIG
) -> Statistics:
    own = purchases_of(customers, len(counts)).astype(np.float64)
    weights = customer_weights(own, counts, config.weight_exponent)
    return step_statistics(customer_vectors(own, factors, config), weights)


def moved(one: Statistics, other: Statistics) -> list[float]:
    """By how much each statistic differs, in its own unit."""
    return [
        math.sqrt(sum(int(value) ** 2 for value in (a - b).ravel())) / unit
        for a, b, unit in zip(one, other, UNITS, strict=True)
    ]


released = st.lists(st.floats(-1e4, 1e6), min_size=N_ITEMS, max_size=N_ITEMS).map(np.array)
settings = st.builds(
    DPALSConfig,
    factors=st.just(3),
    steps=st.just(1),
    least_count=st.just(0.0),
    clip_norm=st.sampled_from([1e-6, 0.02, 1.0, 1e3]),
    regularization=st.sampled_from([1e-3, 5.0]),
    unobserved_weight=st.sampled_from([0.01, 1.2]),
    weight_exponent=st.sampled_from([0.0, -0.15, -1.0]),
)


@given(basket=baskets(N_ITEMS), counts=released, seed=st.integers(0, 99), config=settings)
def test_a_customers_weights_and_vector_are_no_longer_than_one(
    basket: Basket, counts: Vectors, seed: int, config: DPALSConfig
) -> None:
    own = purchases_of([basket], N_ITEMS).astype(np.float64)
    weights = customer_weights(own, counts, config.weight_exponent).toarray()
    vectors = customer_vectors(own, factors_of(seed), config)
    assert (weights**2).sum() <= GRID**2
    assert (vectors**2).sum() <= GRID**2


@given(
    customers=st.lists(baskets(N_ITEMS), max_size=4),
    newcomer=baskets(N_ITEMS),
    counts=released,
    seed=st.integers(0, 99),
    config=settings,
)
def test_one_customer_moves_each_statistic_by_at_most_the_stated_bound(
    customers: list[Basket], newcomer: Basket, counts: Vectors, seed: int, config: DPALSConfig
) -> None:
    factors = factors_of(seed)
    without = statistics_of(customers, counts, factors, config)
    neighbour = statistics_of([*customers, newcomer], counts, factors, config)
    assert max(moved(neighbour, without)) <= SENSITIVITY


def test_some_customer_attains_the_bound_of_every_statistic(rng: np.random.Generator) -> None:
    everything = [frozenset(range(200))]
    counts, factors = rng.integers(1, 1000, 200).astype(float), factors_of(1, n_items=200)
    assert min(moved(statistics_of(everything, counts, factors), statistics_of([], counts, factors))) > 0.95


@given(customers=st.lists(baskets(N_ITEMS), min_size=1, max_size=5), counts=released, data=st.data())
def test_weights_and_vector_are_the_same_bits_alone_in_a_batch_and_in_any_order(
    customers: list[Basket], counts: Vectors, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(customers))))
    own, factors = purchases_of(customers, N_ITEMS).astype(np.float64), factors_of(0)
    together, weights = customer_vectors(own, factors, CONFIG), customer_weights(own, counts, -0.15).toarray()
    assert customer_vectors(own[order], factors, CONFIG).tobytes() == together[order].tobytes()
    assert customer_weights(own[order], counts, -0.15).toarray().tobytes() == weights[order].tobytes()
    for row in range(len(customers)):
        assert customer_vectors(own[row : row + 1], factors, CONFIG).tobytes() == together[row].tobytes()
        assert customer_weights(own[row : row + 1], counts, -0.15).toarray().tobytes() == weights[row].tobytes()


@given(customers=st.lists(baskets(N_ITEMS), min_size=1, max_size=5), data=st.data())
def test_the_statistics_are_sums_in_any_order(customers: list[Basket], data: st.DataObject) -> None:
    counts, factors = np.arange(1.0, N_ITEMS + 1), factors_of(0)
    shuffled = data.draw(st.permutations(customers))
    assert moved(statistics_of(customers, counts, factors), statistics_of(shuffled, counts, factors)) == [0, 0, 0]


def test_how_often_something_was_bought_does_not_matter(rng: np.random.Generator) -> None:
    purchased = purchases_of([[0, 1], [1, 2, 3]], N_ITEMS)
    models = [
        train_dp_als(purchased * times, catalogue(N_ITEMS), np.arange(12.0), 2.0, CONFIG, entropy=seeded())
        for times in (1, 7)
    ]
    assert models[0].digest == models[1].digest


def not_clipped(vectors: Vectors, config: DPALSConfig) -> Integers:
    return np.trunc(vectors / config.clip_norm * GRID).astype(np.int64)


def test_vectors_that_are_not_clipped_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, factors = np.arange(1.0, N_ITEMS + 1), factors_of(0)
    monkeypatch.setattr(dp_als, "_clipped", not_clipped)
    assert min(moved(statistics_of([frozenset({1, 2})], counts, factors), statistics_of([], counts, factors))) > 1


def test_weights_that_are_not_brought_to_length_are_found() -> None:
    """A broken twin: each item weighs 1, as if a customer's budget were one item's."""
    own, factors = purchases_of([range(9)], N_ITEMS).astype(np.float64), factors_of(0)
    vectors = customer_vectors(own, factors, CONFIG)
    weights = (own * GRID).astype(np.int64)
    found = moved(step_statistics(vectors, weights), step_statistics(vectors[:0], weights[:0]))
    assert found[0] <= SENSITIVITY
    assert min(found[1:]) > 2


def test_rounding_away_from_zero_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    everything, counts, factors = [frozenset(range(N_ITEMS))], np.arange(1.0, N_ITEMS + 1), factors_of(0)
    nobody = statistics_of([], counts, factors)
    assert max(moved(statistics_of(everything, counts, factors), nobody)) <= SENSITIVITY
    monkeypatch.setattr(np, "trunc", lambda values: np.copysign(np.ceil(np.abs(values)), values))
    assert min(moved(statistics_of(everything, counts, factors), nobody)) > SENSITIVITY


def seeded(seed: int = 0) -> Callable[[int], bytes]:
    return np.random.default_rng(seed).bytes


def is_gaussian(draws: Vectors, sigma: float) -> bool:
    """Whether the draws may have this standard deviation: wrong once in ten thousand draws of a right one."""
    below = stats.chi2.cdf((draws**2).sum() / sigma**2, len(draws))
    return bool(min(stats.kstest(draws / sigma, "norm").pvalue, 2 * below, 2 * (1 - below)) > FALSE_ALARM / 2)


def residuals(statistics: Statistics, noise_multiplier: float, repeats: int) -> list[Vectors]:
    """The noise on each statistic, all of it at the scale of the diagonal."""
    entropy = seeded(5)
    draws: list[list[Vectors]] = [[], [], []]
    for _ in range(repeats):
        noisy = release_step(statistics, noise_multiplier, entropy)
        for kept, answer, exact, unit in zip(draws, noisy, statistics, UNITS, strict=True):
            kept.append(answer - exact / unit)
    above = np.triu_indices(3, 1)
    gramian, left, right = (np.array(kept).reshape(-1, *kept[0].shape[-2:]) for kept in draws)
    independent = [
        np.concatenate([np.diagonal(m, axis1=1, axis2=2).ravel(), np.sqrt(2) * m[:, *above].ravel()])
        for m in (gramian, left)
    ]
    return [*independent, right.ravel()]


def test_each_statistic_is_released_at_the_stated_scale() -> None:
    counts = np.arange(1.0, 401)
    statistics = statistics_of([frozenset(range(300))], counts, factors_of(0, n_items=400))
    stated = statistic_multipliers(3.0)

    def keeps_its_word(drawn_with: float) -> list[bool]:
        found = residuals(statistics, drawn_with, 300)
        return [is_gaussian(noise, z * SENSITIVITY) for noise, z in zip(found, stated, strict=True)]

    assert keeps_its_word(3.0) == [True] * 3
    assert keeps_its_word(0.9 * 3.0) == [False] * 3
    assert keeps_its_word(1.1 * 3.0) == [False] * 3


def test_the_answers_of_a_step_are_symmetric_where_they_should_be_and_exact_without_noise() -> None:
    statistics = statistics_of([frozenset({0, 4, 5})], np.arange(1.0, N_ITEMS + 1), factors_of(0))
    gramian, left, _ = release_step(statistics, 2.0, seeded())
    assert (gramian == gramian.T).all()
    assert (left == left.transpose(0, 2, 1)).all()
    for answer, exact, unit in zip(release_step(statistics, 0.0), statistics, UNITS, strict=True):
        assert (answer * unit == exact).all()


def test_the_noise_of_many_matrices_is_that_of_one_by_one() -> None:
    sigma = 2.0**20
    together, entropy = symmetric_noise(2000, 4, sigma, seeded(1)), seeded(2)
    alone = np.stack([symmetric_gaussian(4, sigma, entropy) for _ in range(2000)])
    for row, column in ((0, 0), (3, 3), (0, 1), (2, 3)):
        assert stats.ks_2samp(together[:, row, column], alone[:, row, column]).pvalue > FALSE_ALARM
    assert (together == together.transpose(0, 2, 1)).all()
    entries = together[:, *np.triu_indices(4)].astype(float)
    assert np.abs(np.corrcoef(entries.T) - np.eye(10)).max() < 0.15


@given(noise_multiplier=st.floats(0.01, 1e3))
def test_the_statistics_of_a_step_compose_to_its_noise_multiplier(noise_multiplier: float) -> None:
    multipliers = statistic_multipliers(noise_multiplier)
    assert 1 / compose(multipliers) == pytest.approx(noise_multiplier, rel=1e-12)
    # 1:1:1 as published: in units of G² and G the three kinds of noise are equally large
    assert multipliers[0] == pytest.approx(multipliers[1] * np.sqrt(WEIGHT_BUDGET))
    assert multipliers[1] == multipliers[2]


def test_a_customers_vector_solves_their_own_least_squares_problem() -> None:
    own, factors = purchases_of([[0, 3, 7]], N_ITEMS).astype(np.float64), factors_of(3)
    config = DPALSConfig(factors=3, steps=1, least_count=0, clip_norm=1e3, regularization=0.7, unobserved_weight=0.3)
    solved = customer_vectors(own, factors, config)[0] / GRID * config.clip_norm
    gradient = (
        factors.T @ (own.toarray()[0] * (factors @ solved - 1)) + 0.3 * factors.T @ factors @ solved + 0.7 * solved
    )
    assert np.abs(gradient).max() < 10 * config.clip_norm / GRID * np.abs(factors.T @ factors).max()
    longer = customer_vectors(own, factors, DPALSConfig(factors=3, steps=1, least_count=0, clip_norm=1e-3))[0] / GRID
    assert np.linalg.norm(longer) == pytest.approx(1, abs=1e-3)


def by_the_book(own: Vectors, counts: Vectors, config: DPALSConfig) -> Vectors:
    """Item factors of the same training in floating point, item by item, without noise."""
    norm, alpha, ridge = config.clip_norm, config.unobserved_weight, config.regularization * np.eye(config.factors)
    items = config.initial_scale * np.random.default_rng(0).standard_normal((own.shape[1], config.factors))
    weights = own * counts**config.weight_exponent
    weights *= np.sqrt(WEIGHT_BUDGET) / np.linalg.norm(weights, axis=1, keepdims=True)
    for _ in range(config.steps):
        customers = np.stack(
            [np.linalg.solve(items.T @ np.diag(row + alpha) @ items + ridge, items.T @ row) for row in own]
        )
        customers *= np.minimum(1, norm / np.linalg.norm(customers, axis=1, keepdims=True))
        items = np.stack(
            [
                np.linalg.solve(
                    customers.T @ np.diag(column) @ customers + alpha * customers.T @ customers + ridge,
                    customers.T @ column,
                )
                for column in weights.T
            ]
        )
    return items


def test_without_noise_the_factors_are_those_of_the_book(purchased: sp.csr_matrix) -> None:
    counts = np.asarray(purchased.sum(axis=0)).ravel()
    config = DPALSConfig(factors=4, steps=3, least_count=0, clip_norm=0.3, regularization=0.5, unobserved_weight=0.5)
    model = train_dp_als(purchased, catalogue(30), counts, 0.0, config)
    expected = by_the_book(purchased.toarray(), counts, config)
    np.testing.assert_allclose(model.factors, expected, atol=0.01 * np.abs(expected).max())


def test_it_learns_the_tastes_of_a_shop(purchased: sp.csr_matrix) -> None:
    counts = np.asarray(purchased.sum(axis=0)).ravel()
    config = DPALSConfig(factors=4, steps=3, least_count=0, clip_norm=0.3, regularization=0.5, unobserved_weight=0.5)
    scores = model_scores(train_dp_als(purchased, catalogue(30), counts, 0.0, config), purchased)
    likes = np.arange(90)[:, None] % 3 == np.arange(30) % 3
    best = np.argsort(-np.where(purchased.toarray() > 0, -np.inf, scores), axis=1)[:, :3]
    assert np.take_along_axis(likes, best, axis=1).mean() > 0.9


def test_the_fold_in_ranks_as_the_vectors_of_the_training_do(purchased: sp.csr_matrix) -> None:
    counts = np.asarray(purchased.sum(axis=0)).ravel()
    config = DPALSConfig(factors=4, steps=2, least_count=0, clip_norm=1e3, regularization=2.0, unobserved_weight=0.4)
    model = train_dp_als(purchased, catalogue(30), counts, 0.0, config)
    factors = model.factors.astype(np.float64)
    trained = dp_als._solve_customers(purchased.astype(np.float64), factors, config) @ factors.T
    np.testing.assert_allclose(
        model_scores(model, purchased), (1 + config.unobserved_weight) * trained, atol=1e-4 * np.abs(trained).max()
    )


def test_items_outside_the_head_have_no_factors_and_no_score(rng: np.random.Generator) -> None:
    counts = np.arange(300.0)
    purchased = sp.csr_matrix((rng.random((40, 300)) < 0.1).astype(np.float32))
    config = DPALSConfig(factors=3, steps=1, least_count=150)
    model = train_dp_als(purchased, catalogue(300), counts, 1.0, config, entropy=seeded())
    assert not model.factors[:150].any()
    assert model.factors[150:].any(axis=1).all()
    assert np.isinf(model_scores(model, purchased)[:, :150]).all()


def test_the_head_is_chosen_by_released_counts_within_its_bounds() -> None:
    counts = np.arange(3000.0)
    assert popular_items(counts, 2500.0).tolist() == list(range(2500, 3000))
    assert len(popular_items(counts, 1e9)) == SMALLEST_HEAD
    assert len(popular_items(counts, 0.0)) == LARGEST_HEAD
    assert popular_items(np.array([-4.0, 3.0]), 100.0).tolist() == [0, 1]


def test_less_noise_bears_more_factors_and_steps_and_a_longer_head() -> None:
    configs = [DPALSConfig.under(noise) for noise in (100.0, 4.2, 1.2, 0.65, 0.0)]
    for one, other in pairwise(configs):
        assert one.factors <= other.factors <= MOST_FACTORS
        assert one.steps <= other.steps
        assert one.least_count > other.least_count
    assert configs[0].factors >= 1


def test_positive_part_leaves_what_is_positive_and_drops_the_rest(rng: np.random.Generator) -> None:
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    mixed = turn @ np.diag([3.0, 1.0, -2.0, -5.0]) @ turn.T
    np.testing.assert_allclose(positive_part(mixed), turn @ np.diag([3.0, 1.0, 0, 0]) @ turn.T, atol=1e-12)


def test_who_bought_nothing_of_the_head_adds_nothing() -> None:
    counts, factors = np.arange(1.0, N_ITEMS + 1), factors_of(0)
    assert moved(statistics_of([frozenset()], counts, factors), statistics_of([], counts, factors)) == [0, 0, 0]
