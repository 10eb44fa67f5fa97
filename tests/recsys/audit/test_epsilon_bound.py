"""Bounds against mechanisms whose privacy is known.

How often a bound is wrong is counted in many audits of one mechanism. The count misleads once in a million seeds, and
the seeds are fixed.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.audit.epsilon_bound import (
    Scores,
    gaussian_mu,
    one_run_epsilon,
    thresholded_epsilon,
    thresholded_mu,
)
from recsys.errors import InputError
from recsys.privacy.accounting import epsilon_of, mu_of

MU, DELTA = mu_of(4.0, 1e-6), 1e-6
FALSE_ALARM = 1e-6
N_AUDITS = 400

Bound = Callable[[Scores, Scores, float], float]


@cache  # a search of milliseconds, and few counts differ
def right_guesses_of(n: int, n_right: int, confidence: float) -> float:
    return one_run_epsilon(n, n, n_right, DELTA, confidence)


def guessed(inside: Scores, outside: Scores, confidence: float) -> float:
    """The one-run bound where each score is guessed by the side of mu / 2 that it is on."""
    n_right = int((inside > MU / 2).sum() + (outside <= MU / 2).sum())
    return right_guesses_of(len(inside) + len(outside), n_right, confidence)


BOUNDS: dict[str, tuple[Bound, float]] = {
    "gaussian": (gaussian_mu, MU),
    "thresholded": (lambda inside, outside, confidence: thresholded_mu(inside, outside, MU / 2, confidence), MU),
    "any mechanism": (
        lambda inside, outside, confidence: thresholded_epsilon(inside, outside, MU / 2, DELTA, confidence),
        4.0,
    ),
    "one run": (guessed, 4.0),
}
"""Each bound and the truth that it is a bound on."""


def scores(rng: np.random.Generator, *, mu: float = MU, n: int = 400, scale: float = 1.0) -> tuple[Scores, Scores]:
    return scale * rng.normal(mu, 1, n), scale * rng.normal(0, 1, n)


def too_often(n_wrong: int, confidence: float) -> bool:
    """Whether so many of N_AUDITS bounds may not be above the truth."""
    return bool(stats.binom.sf(n_wrong - 1, N_AUDITS, 1 - confidence) < FALSE_ALARM)


def count_wrong(rng: np.random.Generator, bound: Bound, truth: float, confidence: float) -> int:
    return sum(bound(*scores(rng), confidence) > truth for _ in range(N_AUDITS))


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_bound_is_above_the_truth_no_more_often_than_it_says(
    name: str, confidence: float, rng: np.random.Generator
) -> None:
    assert not too_often(count_wrong(rng, *BOUNDS[name], confidence), confidence)


def test_an_estimate_that_is_taken_for_a_bound_is_found(rng: np.random.Generator) -> None:
    """The broken twin: the distance of the means in standard deviations as it is, without any margin."""
    n_wrong = count_wrong(rng, lambda one, other, _: (one.mean() - other.mean()) / one.std(), MU, 0.95)
    assert too_often(n_wrong, 0.95)


def test_the_gaussian_bound_is_wrong_about_as_often_as_it_says_and_not_never(rng: np.random.Generator) -> None:
    n_wrong = count_wrong(rng, gaussian_mu, MU, 0.8)
    assert stats.binomtest(n_wrong, N_AUDITS, 0.2).pvalue > FALSE_ALARM
    assert n_wrong > 0


def test_with_many_scores_the_bounds_on_mu_come_close(rng: np.random.Generator) -> None:
    inside, outside = scores(rng, n=20_000)
    assert 0.92 * MU < gaussian_mu(inside, outside, 1 - FALSE_ALARM) <= MU
    assert 0.9 * MU < thresholded_mu(inside, outside, MU / 2, 1 - FALSE_ALARM) <= MU
    assert epsilon_of(gaussian_mu(inside, outside, 1 - FALSE_ALARM), DELTA) > 0.9 * 4.0


def test_bounds_that_rest_on_nothing_are_lower_and_above_zero(rng: np.random.Generator) -> None:
    inside, outside = scores(rng, n=2000)
    for name in ("any mechanism", "one run"):
        assert 0.3 < BOUNDS[name][0](inside, outside, 0.99) < 2


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 1000))
def test_the_unit_of_the_scores_does_not_matter(scale: float, shift: float, seed: int) -> None:
    inside, outside = scores(np.random.default_rng(seed), n=50)
    plain = gaussian_mu(inside, outside, 0.9)
    assert gaussian_mu(scale * inside + shift, scale * outside + shift, 0.9) == pytest.approx(plain, rel=1e-6)


def test_halved_noise_doubles_the_bound(rng: np.random.Generator) -> None:
    inside, outside = scores(rng, mu=2 * MU, n=5000, scale=0.5)
    assert gaussian_mu(inside, outside, 0.99) > 1.8 * MU
    # the threshold is that of the claim, in the unit of the scores
    assert thresholded_mu(inside, outside, MU / 2, 0.99) > 1.8 * MU


@given(seed=st.integers(0, 1000), confidence=st.floats(0.5, 0.999))
def test_more_confidence_never_gives_a_higher_bound(seed: int, confidence: float) -> None:
    inside, outside = scores(np.random.default_rng(seed), n=60)
    for bound, _ in BOUNDS.values():
        assert bound(inside, outside, (1 + confidence) / 2) <= bound(inside, outside, confidence) + 1e-9


def test_scores_that_cannot_be_told_apart_give_zero(rng: np.random.Generator) -> None:
    same = rng.normal(size=500)
    for bound, _ in BOUNDS.values():
        assert bound(same, same, 0.99) == 0
        assert bound(same - 3, same, 0.99) == 0


def test_scores_without_any_spread_give_everything_away() -> None:
    assert gaussian_mu(np.ones(9), np.zeros(9), 0.99) == math.inf
    assert epsilon_of(math.inf, DELTA) == math.inf
    # the rounding of a machine is no noise
    dust = np.linspace(0, 1e-15, 9)
    assert gaussian_mu(1 + dust, dust, 0.99) == math.inf
    assert gaussian_mu(np.zeros(9), np.zeros(9), 0.99) == gaussian_mu(np.zeros(9), np.ones(9), 0.99) == 0


@given(mu=st.floats(0, 1e4), n=st.integers(2, 3000), confidence=st.floats(0.5, 0.999999), seed=st.integers(0, 1000))
def test_whatever_the_scores_there_is_a_bound(mu: float, n: int, confidence: float, seed: int) -> None:
    inside, outside = scores(np.random.default_rng(seed), mu=mu, n=n)
    assert 0 <= gaussian_mu(inside, outside, confidence) <= 101


def test_without_any_error_the_counted_bounds_are_finite(rng: np.random.Generator) -> None:
    inside, outside = scores(rng, mu=100.0, n=1000)
    assert 4 < thresholded_epsilon(inside, outside, 50.0, DELTA, 0.99) < math.log(1000)
    assert 4 < one_run_epsilon(2000, 2000, 2000, DELTA, 0.99) < math.log(2000)


def chance_by_definition(n_right: int, n_guesses: int, n_canaries: int, epsilon: float, delta: float) -> float:
    """The chance of the paper, term by term: P[W >= v] + 2 m delta max over i of P[v > W >= v - i] / i."""
    q = math.exp(epsilon) / (1 + math.exp(epsilon))

    def exactly(k: int) -> float:
        return math.comb(n_guesses, k) * q**k * (1 - q) ** (n_guesses - k)

    at_least = math.fsum(exactly(k) for k in range(n_right, n_guesses + 1))
    worst = max(
        (math.fsum(exactly(k) for k in range(n_right - i, n_right)) / i for i in range(1, n_right + 1)), default=0.0
    )
    return at_least + 2 * n_canaries * delta * worst


@given(n_guesses=st.integers(1, 60), left_out=st.integers(0, 60), data=st.data())
def test_the_one_run_bound_is_where_so_many_right_guesses_become_unlikely(
    n_guesses: int, left_out: int, data: st.DataObject
) -> None:
    n_right = data.draw(st.integers(0, n_guesses))
    n_canaries = n_guesses + left_out
    epsilon = one_run_epsilon(n_canaries, n_guesses, n_right, 1e-5, 0.95)
    chance = chance_by_definition(n_right, n_guesses, n_canaries, epsilon, 1e-5)
    if epsilon == 0:
        assert chance > 0.05 - 1e-9
    else:
        assert chance == pytest.approx(0.05, rel=1e-6)


def test_a_large_delta_leaves_nothing_to_find() -> None:
    assert one_run_epsilon(100, 100, 90, 1e-6, 0.95) > 1
    assert one_run_epsilon(100, 100, 90, 0.4, 0.95) == 0


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 2.0, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    two = np.array([0.0, 1.0])
    for bound, _ in BOUNDS.values():
        with pytest.raises(InputError, match="expected a confidence between 0 and 1"):
            bound(two, two, confidence)


def test_too_few_scores_and_impossible_counts_are_refused() -> None:
    with pytest.raises(InputError, match="at least 2 canaries in and 2 not in the release, got 1 and 5"):
        gaussian_mu(np.zeros(1), np.zeros(5), 0.99)
    for numbers in ((0, 0, 0), (10, 11, 5), (10, 5, 6), (10, 5, -1)):
        with pytest.raises(InputError, match="count each canary once"):
            one_run_epsilon(*numbers, DELTA, 0.99)
