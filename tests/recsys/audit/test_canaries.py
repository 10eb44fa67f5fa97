"""Audits of releases that keep their word, and of twins that do not.

An audit of an honest release misleads once in a thousand seeds, and one of a twin misses it as seldom. The seeds are
fixed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.audit.canaries import (
    EVERYTHING,
    CanaryShop,
    Release,
    Seen,
    audit,
    guess_in_one_release,
    plant,
    seen_in_gram,
    seen_in_vector,
    sightings,
)
from recsys.errors import InputError
from recsys.models import customer, gram
from recsys.models.customer import COUNTS_BOUND, GRID, SumRule, counts_terms, customer_vectors
from recsys.models.gram import COUNTS_SENSITIVITY, GRAM_SENSITIVITY, GramSum, release_counts, release_gram
from recsys.privacy.accounting import mu_of
from recsys.privacy.noise import Entropy, symmetric_gaussian
from recsys.types import PrivacyBudget
from tests.recsys.models.shops import catalogue

CLAIMED = PrivacyBudget(epsilon=4.0, delta=1e-6)
WHOLE = 1 / mu_of(CLAIMED.epsilon, CLAIMED.delta)
"""The noise multiplier of a statistic that has the whole budget."""
CONFIDENCE = 0.999

Noise = Callable[[int, float, Entropy], NDArray[np.int64]]
Matrix = NDArray[np.float64]


def gram_alone(noise_multiplier: float = WHOLE) -> Release:
    """The true Gram under the true noise, with a rule that is public."""

    def release(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
        n_items = shop.customers.shape[1]
        rule = SumRule(released_counts=np.linspace(40, 1, n_items), head_size=n_items)
        nobody = GramSum.empty(catalogue(n_items), rule)
        released = release_gram(nobody.add(shop.joined_by(included)).gram, noise_multiplier, entropy)
        return [
            seen_in_gram(
                "gram",
                released - nobody.add(shop.customers).gram / GRID**2,
                customer.customer_vectors(shop.canaries, rule) / GRID,
                sensitivity=GRAM_SENSITIVITY,
                noise_scale=noise_multiplier * GRAM_SENSITIVITY,
            )
        ]

    return release


def counts_alone(terms: Callable[[sp.csr_matrix], NDArray[np.int64]] = counts_terms) -> Release:
    """The true counts under the true noise."""

    def release(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
        released = release_counts(terms(shop.joined_by(included)), WHOLE, entropy)
        return [
            seen_in_vector(
                "counts",
                released - terms(shop.customers) / GRID,
                np.array([terms(shop.canaries[row : row + 1]) for row in range(shop.canaries.shape[0])]) / GRID,
                sensitivity=COUNTS_SENSITIVITY,
                noise_scale=WHOLE * COUNTS_SENSITIVITY,
            )
        ]

    return release


@pytest.fixture
def customers(rng: np.random.Generator) -> sp.csr_matrix:
    """(30, 12): whom the auditor knows."""
    return sp.csr_matrix((rng.random((30, 12)) < 0.3).astype(np.float32))


@pytest.fixture
def shop(customers: sp.csr_matrix) -> CanaryShop:
    """Forty canaries with two items each: all that the Gram alone needs, and little noise to draw."""
    return plant(customers, n_canaries=40, items_each=2)


def test_an_honest_release_is_found_out_to_most_of_its_claim_and_no_more(
    shop: CanaryShop, customers: sp.csr_matrix, rng: np.random.Generator
) -> None:
    for release, planted in ((gram_alone(), shop), (counts_alone(), plant(customers, n_canaries=20))):
        found = audit(release, planted, CLAIMED, n_pairs=200, confidence=CONFIDENCE, entropy=rng.bytes)
        assert found.holds
        assert 0.8 < found.whole.ratio <= 1.0
        assert found.whole.epsilon_claimed == CLAIMED.epsilon
        assert [part.epsilon_claimed for part in found.parts] == pytest.approx([CLAIMED.epsilon])
        assert 0.6 * CLAIMED.epsilon < found.epsilon_counted < CLAIMED.epsilon
        assert 0 < found.epsilon_of_any_mechanism < found.epsilon_counted


def scaled(factor: float) -> Noise:
    def noise(n: int, sigma: float, entropy: Entropy) -> NDArray[np.int64]:
        return symmetric_gaussian(n, factor * sigma, entropy)

    return noise


def on_the_diagonal_alone(n: int, sigma: float, entropy: Entropy) -> NDArray[np.int64]:
    return np.diag(np.diag(symmetric_gaussian(n, sigma, entropy)))


def on_one_side_alone(n: int, sigma: float, entropy: Entropy) -> NDArray[np.int64]:
    """Noise of independent entries, halved above the diagonal as if the mirrored half added to it."""
    return np.triu(symmetric_gaussian(n, sigma, entropy))


@pytest.mark.parametrize("noise", [scaled(0.5), scaled(0.85), on_the_diagonal_alone, on_one_side_alone])
def test_too_little_noise_is_found(
    noise: Noise, shop: CanaryShop, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gram, "symmetric_gaussian", noise)
    found = audit(gram_alone(), shop, CLAIMED, n_pairs=100, confidence=CONFIDENCE, entropy=rng.bytes)
    assert not found.holds
    assert found.whole.epsilon_found > CLAIMED.epsilon


def test_more_noise_than_claimed_is_no_finding(
    shop: CanaryShop, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gram, "symmetric_gaussian", scaled(2.0))
    found = audit(gram_alone(), shop, CLAIMED, n_pairs=100, confidence=CONFIDENCE, entropy=rng.bytes)
    assert found.holds
    assert found.whole.ratio < 0.5


def test_a_vector_that_is_not_brought_to_length_is_found(
    shop: CanaryShop, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(purchased: sp.csr_matrix, rule: SumRule) -> NDArray[np.float64]:
        return np.trunc(1.2 * customer_vectors(purchased, rule))

    for module in (gram, customer):
        monkeypatch.setattr(module, "customer_vectors", too_long)
    found = audit(gram_alone(), shop, CLAIMED, n_pairs=100, confidence=CONFIDENCE, entropy=rng.bytes)
    assert found.whole.epsilon_found > CLAIMED.epsilon


def test_a_long_history_that_is_not_scaled_down_is_found(customers: sp.csr_matrix, rng: np.random.Generator) -> None:
    def unbounded(purchased: sp.csr_matrix) -> NDArray[np.int64]:
        return np.asarray(purchased.sum(axis=0)).ravel().astype(np.int64) * int(GRID)

    shop = plant(customers, items_each=4 * int(COUNTS_BOUND))
    honest, twin = (
        audit(counts_alone(terms), shop, CLAIMED, n_pairs=300, confidence=CONFIDENCE, entropy=rng.bytes)
        for terms in (counts_terms, unbounded)
    )
    assert honest.holds
    assert not twin.holds


def test_noise_that_is_the_same_every_time_is_found(shop: CanaryShop, rng: np.random.Generator) -> None:
    """A seed in a configuration: two releases tell everything that they differ in."""
    release = gram_alone()

    def seeded(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
        return list(release(shop, included, np.random.default_rng(0).bytes))

    one_canary = plant(shop.customers, items_each=2)
    found = audit(seeded, one_canary, CLAIMED, n_pairs=20, confidence=CONFIDENCE, entropy=rng.bytes)
    assert found.whole.epsilon_found > 100 * CLAIMED.epsilon
    assert not found.holds


def number(name: str, *, stated: float, drawn: float) -> Release:
    """How many canaries there are, with noise of one scale under the name of another."""

    def release(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
        noisy = included.sum() + drawn * np.random.default_rng(list(entropy(8))).normal(size=1)
        return [seen_in_vector(name, noisy, np.ones((1, 1)), sensitivity=1.0, noise_scale=stated)]

    return release


def test_a_few_wild_scores_do_not_hide_a_leak_from_counting(customers: sp.csr_matrix, rng: np.random.Generator) -> None:
    """Halved noise, and now and then a draw so large that the spread of the scores says little."""
    leak = number("number", stated=WHOLE, drawn=WHOLE / 2)

    def release(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
        (seen,) = leak(shop, included, entropy)
        return [replace(seen, scores=seen.scores + 1e4 * (entropy(1) < b"\x04"))]

    found = audit(release, plant(customers), CLAIMED, n_pairs=1000, confidence=CONFIDENCE, entropy=rng.bytes)
    assert found.whole.holds
    assert found.epsilon_counted > CLAIMED.epsilon
    assert not found.holds


def test_a_statistic_that_leaks_by_itself_is_found_beside_one_that_does_not(
    customers: sp.csr_matrix, rng: np.random.Generator
) -> None:
    """The leak's share in the whole is too small to show there: every part is held to its own claim."""
    honest, leak = number("large", stated=WHOLE, drawn=WHOLE), number("small", stated=50.0, drawn=5.0)

    def both(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
        return [*honest(shop, included, entropy), *leak(shop, included, entropy)]

    found = audit(both, plant(customers), CLAIMED, n_pairs=2000, confidence=CONFIDENCE, entropy=rng.bytes)
    assert {part.statistic: part.holds for part in found.parts} == {"large": True, "small": False}
    assert found.whole.holds
    assert not found.holds


def one_after_the_other(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
    """A coarse Gram with a fifth of the budget, and another one of what its first eigenvector leaves over."""
    coarse, fine = WHOLE / np.sqrt(0.2), WHOLE / np.sqrt(0.8)
    n_items = shop.customers.shape[1]
    rule = SumRule(released_counts=np.linspace(40, 1, n_items), head_size=n_items)

    def release(name: str, vectors: Callable[[sp.csr_matrix], Matrix], noise_multiplier: float) -> tuple[Seen, Matrix]:
        joined, known = vectors(shop.joined_by(included)), vectors(shop.customers)
        released = release_gram((joined.T @ joined).astype(np.int64), noise_multiplier, entropy)
        residual, canaries = released - known.T @ known / GRID**2, vectors(shop.canaries) / GRID
        return seen_in_gram(name, residual, canaries, sensitivity=1.0, noise_scale=noise_multiplier), released

    def deflated(purchased: sp.csr_matrix) -> Matrix:
        own = customer_vectors(purchased, rule)
        rest = own - np.outer(own @ shared, shared)
        return np.trunc(rest * (GRID * (1 - 1e-9) / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1.0)))

    first, released = release("coarse", lambda purchased: customer_vectors(purchased, rule), coarse)
    shared = np.linalg.eigh(released)[1][:, -1]
    return [first, release("fine", deflated, fine)[0]]


def test_a_release_that_depends_on_the_one_before_is_audited_with_it(
    shop: CanaryShop, rng: np.random.Generator
) -> None:
    found = audit(one_after_the_other, shop, CLAIMED, n_pairs=150, confidence=CONFIDENCE, entropy=rng.bytes)
    assert [part.statistic for part in found.parts] == ["coarse", "fine"]
    assert found.holds
    assert 0.8 < found.whole.ratio <= 1.0
    assert all(part.epsilon_found < 0.95 * found.whole.epsilon_found for part in found.parts)


def test_one_release_with_many_canaries_bounds_a_leak_and_says_little_of_an_honest_one(
    customers: sp.csr_matrix, rng: np.random.Generator
) -> None:
    shop = plant(customers, n_canaries=300, items_each=1)

    def bound(drawn_with: float) -> float:
        return guess_in_one_release(
            gram_alone(drawn_with), shop, delta=CLAIMED.delta, confidence=CONFIDENCE, entropy=rng.bytes
        )

    assert 0 <= bound(WHOLE) < CLAIMED.epsilon
    assert bound(WHOLE / 10) > 2
    assert bound(10 * WHOLE) == 0


def test_canaries_buy_what_nobody_else_can(customers: sp.csr_matrix) -> None:
    shop = plant(customers, n_canaries=3, items_each=4)
    assert shop.customers.shape == (30, 24)
    assert (shop.customers[:, :12] != customers).nnz == 0
    assert shop.customers[:, 12:].nnz == 0
    canaries = shop.canaries.toarray()
    assert canaries[:, :12].sum() == 0
    assert canaries.sum(axis=1).tolist() == [4, 4, 4]
    assert canaries.sum(axis=0).max() == 1


def test_those_who_join_are_added_to_the_customers_and_nobody_else(shop: CanaryShop) -> None:
    included = np.arange(40) % 3 == 0
    joined = shop.joined_by(included)
    assert (joined[:30] != shop.customers).nnz == 0
    assert (joined[30:] != shop.canaries[np.flatnonzero(included)]).nnz == 0
    assert (shop.joined_by(np.zeros(40, dtype=bool)) != shop.customers).nnz == 0


def test_each_canary_is_in_one_release_of_a_pair(shop: CanaryShop, rng: np.random.Generator) -> None:
    joined, release = [], gram_alone()

    def watched(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> Sequence[Seen]:
        joined.append(included)
        return release(shop, included, entropy)

    inside, outside, mus = sightings(watched, shop, n_pairs=8, entropy=rng.bytes)
    assert all((one ^ other).all() for one, other in zip(joined[::2], joined[1::2], strict=True))
    assert len({tuple(one.tolist()) for one in joined}) == 16
    assert inside.keys() == outside.keys() == mus.keys() == {"gram", EVERYTHING}
    assert {len(scores) for scores in (*inside.values(), *outside.values())} == {8 * 40}
    assert mus[EVERYTHING] == pytest.approx(1 / WHOLE)


def test_scores_have_the_spread_and_the_distance_that_the_claim_says(
    shop: CanaryShop, rng: np.random.Generator
) -> None:
    inside, outside, mus = sightings(gram_alone(), shop, n_pairs=100, entropy=rng.bytes)
    assert outside[EVERYTHING].std() == pytest.approx(1, abs=0.05)
    assert inside[EVERYTHING].std() == pytest.approx(1, abs=0.05)
    assert inside[EVERYTHING].mean() - outside[EVERYTHING].mean() == pytest.approx(mus[EVERYTHING], abs=0.1)


def test_an_audit_can_be_read_by_a_script(shop: CanaryShop, rng: np.random.Generator) -> None:
    found = audit(gram_alone(), shop, CLAIMED, n_pairs=5, entropy=rng.bytes).to_json()
    assert (found["delta"], found["confidence"], found["releases"], found["holds"]) == (1e-6, 0.99, 10, True)
    assert [finding["statistic"] for finding in found["findings"]] == ["gram", EVERYTHING]  # type: ignore[index, union-attr, call-overload]


def test_a_claim_of_nothing_and_a_shop_without_canaries_are_refused(shop: CanaryShop, customers: sp.csr_matrix) -> None:
    with pytest.raises(InputError, match="expected a claim, got epsilon=inf"):
        audit(gram_alone(), shop, PrivacyBudget(epsilon=math.inf, delta=1e-6), n_pairs=5)
    with pytest.raises(InputError, match="at least 2 canaries in and 2 not"):
        audit(gram_alone(), plant(customers, items_each=2), CLAIMED, n_pairs=1)
    for n_canaries, items_each in ((0, 1), (1, 0)):
        with pytest.raises(InputError, match="at least one canary with one item"):
            plant(customers, n_canaries=n_canaries, items_each=items_each)
