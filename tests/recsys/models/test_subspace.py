"""The model beside public directions: by the book on a small shop, and against popularity where attributes tell."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models import subspace
from recsys.models.attributes import ItemAttributes
from recsys.models.customer import GRID, SumRule, counts_terms, customer_terms
from recsys.models.factorise import weight_of_popularity
from recsys.models.factors import ItemFactors
from recsys.models.gram import GramSum
from recsys.models.ranking import model_scores
from recsys.models.subspace import (
    FULL_RELIABILITY,
    LATENT_FACTOR,
    RESIDUAL_LENGTH,
    RIDGE,
    Released,
    public_directions,
    subspace_factors,
)
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Trainer
from tests.recsys.models.shops import catalogue, purchases_of

Matrix = NDArray[np.float64]

GROUPS = ItemAttributes(
    labels={"group": [[f"group {index % 3}"] for index in range(30)]}, numbers={"size": np.arange(30.0).tolist()}
)


@pytest.fixture
def content(purchased: sp.csr_matrix) -> GramSum:
    """The shop's sum beside the directions of its groups and sizes, on a head of 20 of 30 items."""
    rule = SumRule(
        released_counts=counts_terms(purchased) / GRID, head_size=20, exponent=-0.15, released_customers=90.0
    )
    rule = replace(rule, directions=public_directions(GROUPS, rule, 6))
    return GramSum.empty(catalogue(30), rule).add(purchased)


def without_noise(content: GramSum) -> Released:
    parts = (part / GRID**2 for part in (content.latent, content.cross, content.gram))
    latent, cross, gram = parts
    return Released(latent=latent, cross=cross, gram=gram, latent_scale=0.0, cross_scale=0.0, gram_scale=0.0)


def gram_by_the_book(purchased: sp.csr_matrix, rule: SumRule) -> Matrix:
    """(n_items, n_items): the three parts as sums over dense vectors, customer by customer."""
    terms, public, popularity = customer_terms(purchased, rule), rule.directions / GRID, rule.unit_catalogue_direction
    n_items = len(popularity)
    inside, across, beside = (np.zeros((n_items, n_items)) for _ in range(3))
    of_head = np.zeros(n_items)
    of_head[rule.head] = popularity[rule.head] / np.linalg.norm(popularity[rule.head])
    seen_within = 0.0
    for unit, latent, residual in zip(terms.units.toarray() / GRID, terms.latent / GRID, terms.residuals, strict=True):
        towards = public @ latent
        inside += np.outer(towards, towards)
        left = unit - public @ (public.T @ unit)
        across += np.outer(left - popularity * (popularity @ left), towards)
        rest = np.zeros(n_items)
        rest[rule.head] = residual / GRID
        rest -= of_head * (of_head @ rest)
        beside += np.outer(rest, rest)
        seen_within += float(unit @ towards)
    length = seen_within / (terms.latent**2).sum() * GRID**2
    own = rule.released_counts * rule.catalogue_weights**2
    together = 1 - own @ np.diag(public @ public.T) / own.sum() / length**2
    length *= LATENT_FACTOR * np.sqrt(min(1.0, together / FULL_RELIABILITY))
    return length**2 * inside + length * (across + across.T) + RESIDUAL_LENGTH**2 * beside


def test_without_noise_the_gram_of_low_rank_is_the_dense_one(purchased: sp.csr_matrix, content: GramSum) -> None:
    basis, gram = subspace._gram(without_noise(content), content.rule, content.rule.unit_catalogue_direction)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    expected = gram_by_the_book(purchased, content.rule)
    np.testing.assert_allclose(basis @ gram @ basis.T, expected, atol=1e-6 * np.abs(expected).max())


def scores_by_the_book(purchased: sp.csr_matrix, rule: SumRule) -> Matrix:
    """(n_customers, n_items): every item's score by the ridge regression of the dense Gram, and by popularity."""
    gram, popularity = gram_by_the_book(purchased, rule), rule.unit_catalogue_direction
    values, vectors = np.linalg.eigh(gram)
    gains = np.maximum(values, 0) / (np.maximum(values, 0) + RIDGE * rule.released_customers)
    hat = (vectors * gains) @ vectors.T
    hat -= np.outer(popularity, popularity @ hat)
    weights = rule.catalogue_weights / rule.catalogue_weights.max()
    own = (purchased.toarray() > 0) * rule.catalogue_weights
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    weight = weight_of_popularity(rule.mean_overlap(rule.released_customers))
    shared = weight * np.outer(own @ popularity, popularity / weights)
    return np.asarray(own @ hat / (popularity**2 @ weights) + shared)


def test_without_noise_the_scores_are_those_of_the_dense_ridge(purchased: sp.csr_matrix, content: GramSum) -> None:
    model = subspace_factors(without_noise(content), content.rule, content.items, n_factors=64)
    expected = scores_by_the_book(purchased, content.rule)
    scores = model_scores(model, purchased)
    np.testing.assert_allclose(scores, expected, atol=2e-5 * np.abs(expected).max())


def test_items_outside_the_head_are_scored_by_taste(purchased: sp.csr_matrix, content: GramSum) -> None:
    model = subspace_factors(without_noise(content), content.rule, content.items, n_factors=64)
    tail = sorted(set(range(30)) - set(content.rule.head.tolist()))
    scores, popularity = model_scores(model, purchased)[:, tail], content.rule.released_counts[tail]
    assert len(tail) == 10
    assert np.abs(model.factors[tail]).max(axis=1).min() > 0
    of_own_group = np.arange(90)[:, None] % 3 == np.array(tail) % 3
    by_popularity = scores / popularity
    assert by_popularity[of_own_group].mean() > 1.2 * by_popularity[~of_own_group].mean()


def test_no_more_factors_than_asked_for(content: GramSum) -> None:
    full = subspace_factors(without_noise(content), content.rule, content.items, n_factors=64)
    few = subspace_factors(without_noise(content), content.rule, content.items, n_factors=2)
    assert few.encoder.shape == few.factors.shape == (30, 3)
    # the leading ones, and popularity
    np.testing.assert_array_equal(few.encoder[:, [0, 1, -1]], full.encoder[:, [0, 1, -1]])


def test_what_is_lost_in_noise_leaves_popularity(content: GramSum) -> None:
    """Noise rises above its own edge with two seeds in a thousand; this one is fixed."""
    rng, drowned = np.random.default_rng(0), without_noise(content)

    def symmetric(size: int) -> Matrix:
        noise = rng.normal(size=(size, size)) * 1e4
        return (noise + noise.T) / 2

    drowned = Released(
        latent=drowned.latent + symmetric(6),
        cross=drowned.cross + rng.normal(size=(30, 6)) * 1e4,
        gram=drowned.gram + symmetric(20),
        latent_scale=1e4,
        cross_scale=1e4,
        gram_scale=1e4,
    )
    model = subspace_factors(drowned, content.rule, content.items, n_factors=64)
    assert model.factors.shape == (30, 1)


def tastes_by_category(rng: np.random.Generator, n_customers: int, n_items: int = 200, n: int = 10) -> sp.csr_matrix:
    """(n_customers, n_items): item i is of category i mod n, and who likes two categories buys mostly of those."""
    category = np.arange(n_items) % n
    weight = (np.arange(n_items) // n + 3.0) ** -0.7
    likes = rng.random((n_customers, n)).argsort(axis=1)[:, :2]
    liked = weight * (category == likes[:, :1]) + weight * (category == likes[:, 1:])
    rate = 30 * (0.7 * liked / liked.sum(axis=1, keepdims=True) + 0.3 * weight / weight.sum())
    return sp.csr_matrix((rng.random((n_customers, n_items)) < 1 - np.exp(-rate)).astype(np.float32))


CATEGORIES = ItemAttributes(labels={"category": [[f"category {index % 10}"] for index in range(200)]})


def trained(purchased: sp.csr_matrix, config: TrainConfig, attributes: ItemAttributes | None = None) -> ItemFactors:
    entropy = np.random.default_rng(5).bytes
    items = catalogue(purchased.shape[1])
    return fit(purchased, items, Terms.under(config), attributes=attributes, entropy=entropy).factors


def recall(model: ItemFactors, seen: sp.csr_matrix, later: sp.csr_matrix) -> float:
    """The part of what customers bought later that is among the twenty best of what they have not bought."""
    scores = np.where(seen.toarray() > 0, -np.inf, model_scores(model, seen))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    return float(np.take_along_axis(later.toarray() > 0, best, axis=1).sum() / later.nnz)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_tastes_follow_categories_directions_find_them_under_noise_that_hides_them_from_the_gram(
    seed: int,
) -> None:
    """One such shop in a hundred is beyond one of the two limits; the seeds are fixed."""
    rng = np.random.default_rng(seed)
    everybody = tastes_by_category(rng, 550)
    customers, others = everybody[:400], everybody[400:].toarray()
    early = others * (rng.random(others.shape) < 0.7)
    seen, later = sp.csr_matrix(early), sp.csr_matrix(others - early)
    config = TrainConfig(epsilon=2.0)
    popular = recall(trained(customers, replace(config, trainer=Trainer.POPULARITY)), seen, later)
    plain = recall(trained(customers, config), seen, later)
    beside = recall(trained(customers, replace(config, attributes=True), CATEGORIES), seen, later)
    assert plain < 1.1 * popular
    assert beside > 1.5 * popular


@pytest.mark.parametrize(("alike", "low", "high"), [(True, 0.5, 1.0), (False, 0.0, 0.2)])
def test_directions_are_reliable_where_tastes_follow_them(alike: bool, low: float, high: float) -> None:
    rng = np.random.default_rng(6)
    purchased = tastes_by_category(rng, 1000)
    kinds = np.arange(200) % 10 if alike else rng.permutation(200) % 10
    attributes = ItemAttributes(labels={"category": [[f"category {kind}"] for kind in kinds]})
    rule = SumRule(released_counts=counts_terms(purchased) / GRID, head_size=50, released_customers=1000.0)
    rule = replace(rule, directions=public_directions(attributes, rule, 9))
    content = GramSum.empty(catalogue(200), rule).add(purchased)
    public = rule.directions / GRID
    length = np.einsum("ij,ij->", public, content.cross) / np.trace(content.latent)
    assert low <= subspace._reliability(float(length), rule, public) <= high


@pytest.mark.parametrize("length", [0.0, -0.1, 1e-9])
def test_directions_that_customers_are_not_seen_in_are_not_reliable(content: GramSum, length: float) -> None:
    assert subspace._reliability(length, content.rule, content.rule.directions / GRID) == 0


WITH_ATTRIBUTES = TrainConfig(attributes=True)
USELESS = {
    "the same for all": ItemAttributes(labels={"kind": [["all"]] * 30}),
    "nothing": ItemAttributes(labels={"kind": [[]] * 30}),
    "one each": ItemAttributes(labels={"kind": [[str(index)] for index in range(30)]}),
    "at random": ItemAttributes(labels={"kind": [[str(index * 7919 % 11)] for index in range(30)]}),
    "no number": ItemAttributes(numbers={"year": [float("nan")] * 30}),
    "no number, and labels": ItemAttributes(labels=GROUPS.labels, numbers={"year": [float("nan")] * 30}),
    "none": ItemAttributes(labels={"kind": [[]] * 30}, numbers={"year": [1950.0] * 30}),
}


def assert_finite(model: ItemFactors) -> None:
    for table in (model.encoder, model.factors, model.item_weights, model.popularity):
        assert np.isfinite(table).all()


@pytest.mark.parametrize("attributes", USELESS.values(), ids=USELESS)
@pytest.mark.parametrize("epsilon", [0.5, 16.0, 200.0])
def test_attributes_that_say_nothing_leave_a_model_that_ranks(
    attributes: ItemAttributes, epsilon: float, purchased: sp.csr_matrix
) -> None:
    model = trained(purchased, replace(WITH_ATTRIBUTES, epsilon=epsilon), attributes)
    assert_finite(model)
    assert np.isfinite(model_scores(model, purchased)).all()
    assert len(model.item_ids) == 30


@pytest.mark.parametrize("epsilon", [0.1, 4.0, 200.0])
@pytest.mark.parametrize("n_customers", [0, 1, 2])
def test_a_shop_with_next_to_nobody_gets_a_model(n_customers: int, epsilon: float) -> None:
    few = purchases_of([range(5), range(30)][:n_customers], 30)
    if not n_customers:
        few = sp.csr_matrix((0, 30), dtype=np.float32)
    assert_finite(trained(few, replace(WITH_ATTRIBUTES, epsilon=epsilon), GROUPS))


@pytest.mark.parametrize("epsilon", [0.1, 4.0, 200.0])
def test_a_shop_with_one_item_gets_a_model(epsilon: float) -> None:
    one = ItemAttributes(labels={"kind": [["only"]]}, numbers={"year": [1950.0]})
    assert_finite(trained(purchases_of([[0], [0]], 1), replace(WITH_ATTRIBUTES, epsilon=epsilon), one))


def test_one_stream_of_entropy_gives_one_model(purchased: sp.csr_matrix) -> None:
    one, same = (trained(purchased, replace(WITH_ATTRIBUTES, epsilon=16.0), GROUPS) for _ in range(2))
    assert one.digest == same.digest
