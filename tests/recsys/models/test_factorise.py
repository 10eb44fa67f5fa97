import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import linalg

from recsys.data.split import split_at
from recsys.data.worlds import checkerboard, tiny_shop
from recsys.models.customer import GRID, SumRule, counts_terms
from recsys.models.factorise import (
    LEAST_POPULARITY_WEIGHT,
    OWN_SHARE,
    REGULARIZATION,
    denoise,
    item_factors,
    weight_of_popularity,
)
from recsys.models.factors import ItemFactors
from recsys.models.fold_in import fold_in
from recsys.models.gram import GramSum, release_counts, release_gram
from recsys.models.popularity import popularity_model
from recsys.models.ranking import Scores, model_scores
from recsys.privacy.noise import symmetric_gaussian
from recsys.privacy.plan import PrivacyPlan
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import PrivacyBudget, Trainer
from tests.recsys.models.shops import catalogue, purchases_of

Matrix = NDArray[np.float64]


def train(
    purchased: sp.csr_matrix, *, epsilon: float, n_factors: int, head_size: int, rng: np.random.Generator
) -> ItemFactors:
    """The model of these customers, under a plan of one release."""
    plan = PrivacyPlan(budget=PrivacyBudget(epsilon=epsilon, delta=1e-6))
    items = catalogue(purchased.shape[1])
    released = release_counts(counts_terms(purchased), plan.counts_noise_multiplier, rng.bytes)
    rule = SumRule(released_counts=released, head_size=head_size)
    gram = release_gram(GramSum.empty(items, rule).add(purchased).gram, plan.gram_noise_multiplier, rng.bytes)
    return item_factors(gram, rule, items, noise_scale=plan.gram_noise_multiplier, n_factors=n_factors)


def noise_of(size: int, scale: float, rng: np.random.Generator) -> Matrix:
    return symmetric_gaussian(size, scale * 2**30, rng.bytes) / 2**30


def recall(scores: Scores, seen: sp.csr_matrix, later: sp.csr_matrix, n: int) -> float:
    """The part of what each customer bought later, and not before, that is among the n best."""
    best = np.argsort(-np.where(seen.toarray() > 0, -np.inf, scores), axis=1, kind="stable")[:, :n]
    hits = np.take_along_axis((later.toarray() > 0) & (seen.toarray() == 0), best, axis=1)
    return float(hits.sum() / ((later.toarray() > 0) & (seen.toarray() == 0)).sum())


def ridge_by_the_book(purchased: sp.csr_matrix, rule: SumRule) -> tuple[Matrix, Matrix]:
    """The Gram and the scores of every item of the head, from dense vectors without a grid: a ridge of X on X."""
    own = (purchased[:, rule.head].toarray() > 0) * rule.weights
    unit = own / np.linalg.norm(own, axis=1, keepdims=True)
    popularity = rule.unit_direction
    overlap = unit @ popularity
    vectors = (unit - np.outer(overlap, popularity)) / np.sqrt(1 - overlap**2)[:, None]
    gram = vectors.T @ vectors
    values, axes = np.linalg.eigh(gram)
    alone = rule.head_counts * rule.weights**2 / (rule.head_counts @ rule.weights**2) * np.trace(gram)
    values = np.maximum(values - OWN_SHARE * (alone @ axes**2), 0) * (values > 1e-9)
    hat = (axes * (values / (values + REGULARIZATION * np.trace(gram) / len(gram)))) @ axes.T
    scale = rule.weights.max() / (popularity**2 @ rule.weights)
    weight = weight_of_popularity(rule.mean_overlap(np.trace(gram)))
    shared = weight * np.outer(overlap, popularity / rule.weights * rule.weights.max())
    return gram, (unit - np.outer(overlap, popularity)) @ hat * scale + shared


@pytest.mark.parametrize("n_customers", [90, 20])
def test_without_noise_and_at_full_rank_the_scores_are_those_of_the_dense_ridge(
    purchased: sp.csr_matrix, n_customers: int
) -> None:
    some = purchased[:n_customers]
    rule = SumRule(released_counts=counts_terms(some) / GRID, head_size=24)
    gram, expected = ridge_by_the_book(some, rule)
    model = item_factors(gram, rule, catalogue(30), noise_scale=0.0, n_factors=64)
    scores = model_scores(model, some)[:, rule.head]
    np.testing.assert_allclose(scores, expected, atol=2e-5 * np.abs(expected).max())


def test_the_grid_of_the_sum_does_not_show_in_the_scores(purchased: sp.csr_matrix) -> None:
    rule = SumRule(released_counts=counts_terms(purchased) / GRID, head_size=24)
    _, expected = ridge_by_the_book(purchased, rule)
    gram = release_gram(GramSum.empty(catalogue(30), rule).add(purchased).gram, 0.0)
    model = item_factors(gram, rule, catalogue(30), noise_scale=0.0, n_factors=64)
    scores = model_scores(model, purchased)[:, rule.head]
    np.testing.assert_allclose(scores, expected, atol=1e-3 * np.abs(expected).max())


def test_a_planted_spectrum_comes_back_without_the_bias_of_the_noise(rng: np.random.Generator) -> None:
    size, planted = 100, np.array([15.0, 25.0, 40.0])
    directions = np.linalg.qr(rng.normal(size=(size, 3)))[0]
    found, raw = [], []
    for _ in range(15):
        gram = (directions * planted) @ directions.T + noise_of(size, 1.0, rng)
        spectrum = denoise(gram, 1.0)
        assert spectrum.values.shape == (3,)
        found.append(spectrum.values)
        raw.append(linalg.eigvalsh(gram)[-3:])
    # the edge is sqrt(200) = 14.1: noise adds edge² / (4 value), 3.3 to the smallest
    assert np.abs(np.mean(found, axis=0) - planted).max() < 0.6
    assert (np.mean(raw, axis=0) - planted)[0] > 3


def test_a_vector_is_trusted_by_how_near_it_is_to_the_true_one(rng: np.random.Generator) -> None:
    size, planted = 100, np.array([20.0, 30.0, 45.0])
    directions = np.linalg.qr(rng.normal(size=(size, 3)))[0]
    said, true = [], []
    for _ in range(15):
        spectrum = denoise((directions * planted) @ directions.T + noise_of(size, 1.0, rng), 1.0)
        said.append(spectrum.trust)
        true.append((spectrum.vectors * directions).sum(axis=0) ** 2)
    assert np.abs(np.mean(said, axis=0) - np.mean(true, axis=0)).max() < 0.05
    assert np.mean(true, axis=0)[0] < 0.9
    assert (denoise(features_of(rng), 0.0).trust == 1).all()


def features_of(rng: np.random.Generator) -> Matrix:
    """(15, 15): a Gram of full rank."""
    features = rng.normal(size=(40, 15))
    return features.T @ features


def test_of_pure_noise_nothing_is_kept(rng: np.random.Generator) -> None:
    kept = [len(denoise(noise_of(40, 5.0, rng), 5.0).values) for _ in range(200)]
    # one of a thousand is expected to keep one; without the allowance for fluctuations more than twenty of these would
    assert sum(kept) <= 2


def test_a_pair_too_small_for_the_spectrum_is_found_by_itself(rng: np.random.Generator) -> None:
    """One number six standard deviations high is an eigenvalue of 4, and the edge of the noise is at 15."""
    size, noise_scale = 120, 1.0
    taste = np.linalg.qr(rng.normal(size=(size, 1)))[0]
    gram = 60 * taste @ taste.T
    gram[3, 7] += 6 * noise_scale / np.sqrt(2)
    gram[7, 3] = gram[3, 7]
    rule = SumRule(released_counts=np.full(size, 50.0), head_size=size, deflate=False)
    asked = purchases_of([[3], [8]], size)
    lifts = []
    for _ in range(10):
        noisy = gram + noise_of(size, noise_scale, rng)
        assert denoise(noisy, noise_scale).values.shape == (1,)
        model = item_factors(noisy, rule, catalogue(size), noise_scale=noise_scale, n_factors=size)
        of_three, of_eight = model_scores(model, asked)[:, 7]
        lifts.append(of_three - of_eight)
    assert np.mean(lifts) > 3 * np.std(lifts) / np.sqrt(len(lifts))


def test_where_nothing_rises_above_the_noise_the_model_ranks_by_popularity(
    purchased: sp.csr_matrix, rng: np.random.Generator
) -> None:
    released = counts_terms(purchased) / GRID
    rule = SumRule(released_counts=released, head_size=25)
    gram = GramSum.empty(catalogue(30), rule).add(purchased).gram / GRID**2
    drowned = item_factors(gram + noise_of(25, 1e3, rng), rule, catalogue(30), noise_scale=1e3, n_factors=8)
    assert drowned.n_factors == 1
    order = np.argsort(released[rule.head], kind="stable")
    scores = model_scores(drowned, purchased)[:, rule.head[order]]
    assert (np.diff(scores, axis=1) >= 0).all()
    popular_first = (np.diff(released[rule.head[order]]) > 1).nonzero()[0]
    assert (np.diff(scores, axis=1)[:, popular_first] > 0).all()


@pytest.mark.parametrize("released", [[1e9, 30.0, 20.0, 2.0], [5.0, 0.0, -3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
def test_the_popularity_factor_never_turns_the_order_of_popularity_around(released: list[float]) -> None:
    rule = SumRule(released_counts=np.array(released), head_size=4)
    model = item_factors(np.zeros((4, 4)), rule, catalogue(4), noise_scale=1.0, n_factors=2)
    scores = model_scores(model, purchases_of([[0], [1, 3], [0, 1, 2, 3]], 4))
    order = np.argsort(np.maximum(released, 1), kind="stable")
    assert (np.diff(scores[:, order], axis=1) >= 0).all()


def test_on_the_checkerboard_the_model_finds_all_that_a_customer_lacks() -> None:
    world = checkerboard(n_customers=60, n_items=40, n_groups=4)
    split = split_at(world.log, world.cut_ms)
    seen, later = split.train.interactions().matrix, split.test.interactions().matrix
    model = train(seen, epsilon=float("inf"), n_factors=8, head_size=40, rng=np.random.default_rng(1))
    assert recall(model_scores(model, seen), seen, later, 2) == 1.0
    popularity = popularity_model(counts_terms(seen) / GRID, catalogue(40))
    assert recall(model_scores(popularity, seen), seen, later, 2) < 0.5


@pytest.mark.parametrize("epsilon", [float("inf"), 8.0])
def test_customers_whom_the_model_never_saw_get_their_taste_better_than_popularity(epsilon: float) -> None:
    rng = np.random.default_rng(2)
    matrix = tiny_shop(rng, n_customers=4000, n_items=60, purchases_per_customer=14.0).interactions().matrix
    asked = sp.csr_matrix(matrix[3500:] > 0, dtype=np.float32)
    given = asked.multiply(rng.random(asked.shape) < 0.5).tocsr()
    model = train(matrix[:3500], epsilon=epsilon, n_factors=16, head_size=60, rng=rng)
    popularity = popularity_model(counts_terms(matrix[:3500]) / GRID, catalogue(60))
    found, floor = (recall(model_scores(either, given), given, asked, 10) for either in (model, popularity))
    assert found > floor + 0.15
    assert 0.2 < floor < 0.6


def test_without_deflation_there_is_no_popularity_factor_and_nobody_needs_one(purchased: sp.csr_matrix) -> None:
    rule = SumRule(released_counts=counts_terms(purchased) / GRID, head_size=30, deflate=False)
    gram = release_gram(GramSum.empty(catalogue(30), rule).add(purchased).gram, 0.0)
    model = item_factors(gram, rule, catalogue(30), noise_scale=0.0, n_factors=5)
    assert model.n_factors == 5
    likes = np.arange(90)[:, None] % 3 == np.arange(30) % 3
    unseen = purchased.toarray() == 0
    scores = model_scores(model, purchased)
    assert scores[likes & unseen].mean() > 2 * scores[~likes & unseen].mean()


def test_a_model_has_no_more_factors_than_asked_for_and_one_for_popularity(
    content: GramSum, model: ItemFactors
) -> None:
    assert model.n_factors == 7
    gram = release_gram(content.gram, 0.0)
    noisy = item_factors(gram, content.rule, content.items, noise_scale=0.3, n_factors=3)
    assert 2 <= noisy.n_factors <= 4


def test_of_items_outside_the_head_popularity_alone_is_known(content: GramSum, model: ItemFactors) -> None:
    outside = np.setdiff1d(np.arange(30), content.rule.head)
    assert len(outside) == 5
    assert not model.encoder[outside].any()
    assert not model.factors[outside, :-1].any()
    by_count = model.factors[:, -1] / content.rule.released_counts
    np.testing.assert_allclose(by_count, by_count[content.rule.head[0]], rtol=1e-3)
    assert (model.popularity == content.rule.released_counts).all()


def test_a_purchase_outside_the_head_is_no_part_of_a_customers_vector(content: GramSum, model: ItemFactors) -> None:
    outside, inside = np.setdiff1d(np.arange(30), content.rule.head), content.rule.head[:4]
    with_it, without_it, alone = fold_in(model, purchases_of([[*inside, *outside], inside, outside], 30))
    assert with_it.tolist() == without_it.tolist()
    assert not alone.any()


def test_who_has_the_whole_head_gets_the_most_popular_of_the_rest() -> None:
    rule = SumRule(released_counts=np.array([9.0, 8.0, 1.5, -2.0, 4.0, 0.0]), head_size=2)
    model = item_factors(np.zeros((2, 2)), rule, catalogue(6), noise_scale=1.0, n_factors=2)
    (scores,) = model_scores(model, purchases_of([[0, 1]], 6))
    assert scores[[0, 1, 4, 2]].tolist() == sorted(scores[[0, 1, 2, 4]].tolist(), reverse=True)
    assert np.isneginf(scores[[3, 5]]).all()


def test_the_mean_overlap_is_that_of_the_customers_where_all_buy_equally_many(rng: np.random.Generator) -> None:
    chance = 1 / np.arange(1, 31)
    purchased = purchases_of([rng.choice(30, 6, replace=False, p=chance / chance.sum()) for _ in range(80)], 30)
    counts = counts_terms(purchased) / GRID
    rule = SumRule(released_counts=counts, head_size=30, exponent=0.0)
    overlaps = purchased @ (counts / np.linalg.norm(counts)) / np.sqrt(6)
    # an item that nobody bought counts as bought once
    assert rule.mean_overlap(80) == pytest.approx(overlaps.mean(), rel=5e-3)
    assert rule.mean_overlap(0) == 1


def test_popularity_weighs_more_where_customers_buy_more_alike() -> None:
    assert weight_of_popularity(0.0) == LEAST_POPULARITY_WEIGHT
    assert LEAST_POPULARITY_WEIGHT < weight_of_popularity(0.4) < weight_of_popularity(0.6)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0, 8.0])
@pytest.mark.parametrize("n_customers", [400, 2000])
def test_a_model_is_not_below_popularity(n_customers: int, epsilon: float) -> None:
    """Customers with hardly a taste: below the popularity of the counts that it released itself, no model is.

    Of the same budget, all of it spent on counts, popularity is better where the customers are too few for both.
    """
    rng = np.random.default_rng(4)
    shop = tiny_shop(rng, n_customers=n_customers + 300, n_items=300, n_groups=3, loyalty=0.1)
    matrix = shop.interactions().matrix
    asked = sp.csr_matrix(matrix[n_customers:] > 0, dtype=np.float32)
    seen = asked.multiply(rng.random(asked.shape) < 0.7).tocsr()
    found = {"model": 0.0, "its own counts": 0.0, "popularity": 0.0}
    for seed in range(6):
        models = dict(zip(found, with_popularity(matrix[:n_customers], epsilon, seed), strict=True))
        for name, model in models.items():
            found[name] += recall(model_scores(model, seen), seen, asked, 20)
    assert found["model"] > 0.98 * found["its own counts"]
    if n_customers == 2000:
        assert found["model"] > 0.97 * found["popularity"]


def with_popularity(
    purchased: sp.csr_matrix, epsilon: float, seed: int
) -> tuple[ItemFactors, ItemFactors, ItemFactors]:
    """The private model, popularity by the counts that it was made with, and popularity of the whole budget."""
    items = catalogue(purchased.shape[1])
    gram, popularity = (
        fit(
            purchased,
            items,
            Terms.under(TrainConfig(trainer=trainer, epsilon=epsilon)),
            entropy=np.random.default_rng(seed).bytes,
        )
        for trainer in (Trainer.GRAM, Trainer.POPULARITY)
    )
    assert gram.content is not None
    return gram.factors, popularity_model(gram.content.rule.released_counts, items), popularity.factors


def test_counts_that_noise_made_negative_are_no_popularity() -> None:
    rule = SumRule(released_counts=np.array([5.0, -2.0, 3.0]), head_size=2)
    model = item_factors(np.eye(2), rule, catalogue(3), noise_scale=1.0, n_factors=2)
    assert model.popularity.tolist() == [5.0, 0.0, 3.0]


@pytest.mark.parametrize("noise_scale", [0.0, 1.0])
@pytest.mark.parametrize("baskets", [[[0]], [[0, 1], [0, 1]], [[0, 1, 2]] * 3, [[2], [2]]])
def test_a_shop_with_nothing_to_tell_apart_ranks_by_popularity(baskets: list[list[int]], noise_scale: float) -> None:
    n_items = max(map(max, baskets)) + 1
    purchased = purchases_of(baskets, n_items)
    rule = SumRule(released_counts=counts_terms(purchased) / GRID, head_size=n_items)
    gram = release_gram(GramSum.empty(catalogue(n_items), rule).add(purchased).gram, 0.0)
    model = item_factors(gram, rule, catalogue(n_items), noise_scale=noise_scale, n_factors=4)
    scores = model_scores(model, purchased)
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == rule.released_counts.argmax()).all()


@pytest.mark.parametrize("size", [2, 3])
def test_the_smallest_shops_get_a_model(size: int) -> None:
    purchased = purchases_of([[index] for index in range(size)], size)
    model = train(purchased, epsilon=float("inf"), n_factors=64, head_size=size, rng=np.random.default_rng(3))
    assert model.factors.shape == (size, size)
