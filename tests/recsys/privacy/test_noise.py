"""The sampler against exact probabilities.

Every check of a distribution alarms falsely once in a million seeds; the seeds are fixed, so that it never does. Its
power is shown beside it: a scale that is wrong by a tenth, or noise that is halved, is found.
"""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from recsys.errors import PrivacyParameterError
from recsys.models.customer import GRID
from recsys.models.gram import (
    COUNTS_SENSITIVITY,
    CROSS_SENSITIVITY,
    CUSTOMERS_SENSITIVITY,
    GRAM_SENSITIVITY,
    LATENT_SENSITIVITY,
    release_counts,
    release_cross,
    release_customers,
    release_gram,
    release_latent,
)
from recsys.privacy.noise import OS_ENTROPY, _decide_with, rounded_gaussian, symmetric_gaussian

FALSE_ALARM = 1e-6
EVERYTHING = 2.0
"""A guard that no decision is farther away than: all of them are made in interval arithmetic."""
LARGE = [2.0**30 * 1.7, 2.0**48]

Draws = NDArray[np.int64] | NDArray[np.float64]


def seeded(seed: int) -> Callable[[int], bytes]:
    return np.random.default_rng(seed).bytes


def has_cells_of(draws: Draws, sigma: float) -> bool:
    """Whether a chi-square test finds the integers as often as a rounded Gaussian takes them."""
    inner = np.arange(-int(3 * sigma), int(3 * sigma) + 1)
    edges = np.concatenate([[-np.inf], inner - 0.5, [inner[-1] + 0.5, np.inf]])
    observed = np.histogram(draws, bins=edges)[0]
    expected = len(draws) * np.diff(stats.norm.cdf(edges / sigma))
    return bool(stats.chisquare(observed, expected).pvalue > FALSE_ALARM)


def is_gaussian(draws: Draws, sigma: float) -> bool:
    """Whether neither Kolmogorov and Smirnov nor the sum of squares find anything against N(0, sigma²)."""
    standard = np.asarray(draws, dtype=np.float64) / sigma
    below = stats.chi2.cdf((standard**2).sum(), df=len(standard))
    scale = 2 * min(below, 1 - below)
    return bool(min(stats.kstest(standard, "norm").pvalue, scale) > FALSE_ALARM / 2)


@pytest.mark.parametrize("sigma", [1.0, 1.3, 6.5])
def test_small_noise_takes_every_integer_as_often_as_it_should(sigma: float) -> None:
    draws = rounded_gaussian(sigma, 60_000, seeded(1))
    assert len(draws) == 60_000
    assert has_cells_of(draws, sigma)
    assert not has_cells_of(draws, 0.9 * sigma)
    assert not has_cells_of(draws, 1.1 * sigma)


@pytest.mark.parametrize("sigma", LARGE)
def test_large_noise_is_gaussian_at_its_scale(sigma: float) -> None:
    draws = rounded_gaussian(sigma, 60_000, seeded(2))
    assert is_gaussian(draws, sigma)
    assert not is_gaussian(draws, 0.9 * sigma)
    assert not is_gaussian(draws, 1.1 * sigma)


@pytest.mark.parametrize("sigma", LARGE)
def test_large_noise_reaches_its_lowest_bits(sigma: float) -> None:
    last_bits = rounded_gaussian(sigma, 60_000, seeded(3)) & 7
    assert stats.chisquare(np.bincount(last_bits, minlength=8)).pvalue > FALSE_ALARM


def test_draws_are_independent_of_their_neighbours() -> None:
    draws = rounded_gaussian(2.0**20, 60_000, seeded(4))
    for one, other in (
        (draws[1:], draws[:-1]),
        (np.abs(draws[1:]), np.abs(draws[:-1])),
        (np.abs(draws), np.sign(draws)),
    ):
        assert stats.pearsonr(one, other).pvalue > FALSE_ALARM


def test_in_interval_arithmetic_alone_the_noise_is_gaussian_at_its_scale() -> None:
    draws = rounded_gaussian(LARGE[0], 700, seeded(5), guard=EVERYTHING)
    assert is_gaussian(draws, LARGE[0])
    assert not is_gaussian(draws, 0.8 * LARGE[0])
    assert not is_gaussian(draws, 1.2 * LARGE[0])


@pytest.mark.parametrize(("sigma", "guard"), [(1.0, 0.02), (LARGE[0], 0.02), (LARGE[1], 0.02), (1.3, EVERYTHING)])
def test_how_a_draw_is_decided_changes_neither_the_draw_nor_its_place(sigma: float, guard: float) -> None:
    def entropy_with_digits_aside() -> Callable[[int], bytes]:
        first, further = np.random.default_rng(6), np.random.default_rng(7)
        return lambda size: (further if size == 8 else first).bytes(size)

    size = 200 if guard == EVERYTHING else 1000
    fast = rounded_gaussian(sigma, size, entropy_with_digits_aside())
    exact = rounded_gaussian(sigma, size, entropy_with_digits_aside(), guard=guard)
    assert fast.tolist() == exact.tolist()


def test_interval_arithmetic_decides_only_what_is_certain() -> None:
    bits = 128
    with mpmath.workprec(512):
        border = int(mpmath.floor(mpmath.exp(-1) * mpmath.mpf(2) ** bits))
        half = 1 << (bits - 1)
        uniform_border = int(mpmath.floor(mpmath.exp(-mpmath.mpf("0.5")) * mpmath.mpf(2) ** bits))
    # the digits of G: beside e^-1, where V = -log(G) passes from 1 to 0
    assert _decide_with([border - 1, half, 0, 0], bits, 1.0) == (True, 1)
    assert _decide_with([border, half, 0, 0], bits, 1.0) is None
    assert _decide_with([border + 1, half, 0, 0], bits, 1.0) == (True, 0)
    assert _decide_with([0, half, 0, 0], bits, 1.0) is None
    # the digits that keep U = 1/2: beside e^-1/2
    assert _decide_with([2 * half - 1, half, uniform_border - 1, 0], bits, 1.0) == (True, 0)
    assert _decide_with([2 * half - 1, half, uniform_border, 0], bits, 1.0) is None
    assert _decide_with([2 * half - 1, half, uniform_border + 1, 0], bits, 1.0) == (False, 0)


def test_one_stream_of_entropy_gives_one_noise() -> None:
    one, same, other = (rounded_gaussian(1e6, 1000, seeded(seed)) for seed in (8, 8, 9))
    assert one.tolist() == same.tolist()
    assert one.tolist() != other.tolist()
    assert len(np.unique(one)) > 990


def test_by_default_the_operating_system_gives_fresh_entropy() -> None:
    assert rounded_gaussian(1e9, 100).tolist() != rounded_gaussian(1e9, 100).tolist()
    assert symmetric_gaussian(10, 1e9).tolist() != symmetric_gaussian(10, 1e9).tolist()
    assert OS_ENTROPY(32) != OS_ENTROPY(32)


@pytest.mark.parametrize("sigma", [0.0, -1.0, 0.999, 2.0**48 * 1.001, float("nan"), float("inf")])
def test_a_scale_that_the_grid_cannot_carry_is_refused(sigma: float) -> None:
    with pytest.raises(PrivacyParameterError, match="expected a noise scale between 1 and 2\\^48 grid units"):
        rounded_gaussian(sigma, 10, seeded(10))


def test_no_draws_are_no_draws() -> None:
    assert rounded_gaussian(5.0, 0, seeded(11)).shape == (0,)
    assert symmetric_gaussian(0, 5.0, seeded(11)).shape == (0, 0)


def test_symmetric_noise_has_half_the_variance_off_its_diagonal() -> None:
    entropy, sigma = seeded(12), 2.0**20
    matrices = np.stack([symmetric_gaussian(60, sigma, entropy) for _ in range(60)])
    assert (matrices == matrices.transpose(0, 2, 1)).all()
    diagonal = np.einsum("kii->ki", matrices).ravel()
    above = matrices[:, *np.triu_indices(60, 1)].ravel()
    assert is_gaussian(diagonal, sigma)
    assert not is_gaussian(diagonal, 0.9 * sigma)
    assert is_gaussian(above, sigma / np.sqrt(2))
    assert not is_gaussian(above, sigma)


TWINS = [0.5, 0.9, 1.1]
"""Noise of another scale than the stated one: too little breaks the promise, too much was not paid for."""


def test_the_counts_are_released_at_the_stated_scale(rng: np.random.Generator) -> None:
    counts = rng.integers(0, 10**6, 20_000) * int(GRID)
    noise_multiplier = 3.7

    def keeps_its_word(drawn_with: float) -> bool:
        residual = release_counts(counts, drawn_with, rng.bytes) - counts / GRID
        return is_gaussian(residual, noise_multiplier * COUNTS_SENSITIVITY)

    assert keeps_its_word(noise_multiplier)
    assert not any(keeps_its_word(twin * noise_multiplier) for twin in [*TWINS, 0.95])


def test_the_number_of_customers_is_released_at_the_stated_scale(rng: np.random.Generator) -> None:
    noise_multiplier = 3.7

    def keeps_its_word(drawn_with: float) -> bool:
        residual = np.array([release_customers(5000, drawn_with, rng.bytes) - 5000 for _ in range(4000)])
        return is_gaussian(residual, noise_multiplier * CUSTOMERS_SENSITIVITY)

    assert keeps_its_word(noise_multiplier)
    assert not any(keeps_its_word(twin * noise_multiplier) for twin in TWINS)
    assert release_customers(5000, 0.0) == 5000


def test_the_gram_is_released_at_the_stated_scale(rng: np.random.Generator) -> None:
    vectors = rng.integers(-(2**13), 2**13, (500, 200))
    gram, noise_multiplier = vectors.T @ vectors, 3.7
    upper = np.triu_indices(len(gram), 1)

    def keeps_its_word(drawn_with: float) -> bool:
        residual = release_gram(gram, drawn_with, rng.bytes) - gram / GRID**2
        residual[upper] *= np.sqrt(2)
        scaled = np.concatenate([np.diag(residual), residual[upper]])
        return is_gaussian(scaled, noise_multiplier * GRAM_SENSITIVITY)

    assert keeps_its_word(noise_multiplier)
    assert not any(keeps_its_word(twin * noise_multiplier) for twin in [*TWINS, 0.95])


def test_the_latent_gram_is_released_at_the_stated_scale(rng: np.random.Generator) -> None:
    vectors = rng.integers(-(2**13), 2**13, (500, 120))
    latent, noise_multiplier = vectors.T @ vectors, 3.7
    upper = np.triu_indices(len(latent), 1)

    def keeps_its_word(drawn_with: float) -> bool:
        residual = release_latent(latent, drawn_with, rng.bytes) - latent / GRID**2
        residual[upper] *= np.sqrt(2)
        scaled = np.concatenate([np.diag(residual), residual[upper]])
        return is_gaussian(scaled, noise_multiplier * LATENT_SENSITIVITY)

    assert keeps_its_word(noise_multiplier)
    assert not any(keeps_its_word(twin * noise_multiplier) for twin in TWINS)


def test_the_cross_product_is_released_at_the_stated_scale(rng: np.random.Generator) -> None:
    units, latent = rng.integers(0, 2**13, (500, 300)), rng.integers(-(2**13), 2**13, (500, 40))
    cross, noise_multiplier = units.T @ latent, 3.7

    def keeps_its_word(drawn_with: float) -> bool:
        residual = release_cross(cross, drawn_with, rng.bytes) - cross / GRID**2
        return is_gaussian(residual.ravel(), noise_multiplier * CROSS_SENSITIVITY)

    assert keeps_its_word(noise_multiplier)
    assert not any(keeps_its_word(twin * noise_multiplier) for twin in TWINS)


def test_every_number_of_the_cross_product_has_noise_of_its_own(rng: np.random.Generator) -> None:
    residual = release_cross(np.zeros((100, 30), dtype=np.int64), 1.0, rng.bytes)
    assert len(np.unique(residual)) == residual.size
    assert stats.pearsonr(residual[1:].ravel(), residual[:-1].ravel()).pvalue > FALSE_ALARM
    assert stats.pearsonr(residual[:, 1:].ravel(), residual[:, :-1].ravel()).pvalue > FALSE_ALARM


def test_the_diagonal_of_the_gram_has_the_stated_scale_by_itself(rng: np.random.Generator) -> None:
    nothing = np.zeros((50, 50), dtype=np.int64)
    diagonal = np.concatenate([np.diag(release_gram(nothing, 1.0, rng.bytes)) for _ in range(60)])
    assert is_gaussian(diagonal, GRAM_SENSITIVITY)
    assert not is_gaussian(diagonal, GRAM_SENSITIVITY / np.sqrt(2))


def test_a_release_stays_on_the_grid_and_symmetric(rng: np.random.Generator) -> None:
    counts, gram = rng.integers(0, 2**40, 300), np.diag(rng.integers(0, 2**40, 30))
    released = release_counts(counts, 1.0, rng.bytes) * GRID
    cross = release_cross(rng.integers(0, 2**40, (30, 20)), 1.0, rng.bytes) * GRID**2
    assert (released == np.round(released)).all()
    assert (cross == np.round(cross)).all()
    for release in (release_gram, release_latent):
        square = release(gram, 1.0, rng.bytes) * GRID**2
        assert (square == np.round(square)).all()
        assert (square == square.T).all()


def test_without_a_noise_multiplier_the_statistic_comes_out_exactly(rng: np.random.Generator) -> None:
    counts, gram = rng.integers(0, 2**40, 300), rng.integers(0, 2**40, (30, 30))
    assert (release_counts(counts, 0.0) * GRID).tolist() == counts.tolist()
    assert (release_gram(gram, 0.0) * GRID**2).tolist() == gram.tolist()
