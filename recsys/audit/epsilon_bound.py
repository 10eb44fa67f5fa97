"""Lower bounds on what a release gives away, from the scores of canaries that were in it and of some that were not.

Each is above the truth with probability 1 - confidence at most.

    bound                          rests on                              how close it comes
    `gaussian_mu`                  scores are Gaussian, of one spread    the truth, less the sampling error
    `thresholded_mu`               the trade-off of some Gaussian        nearly as close
    `thresholded_epsilon`          nothing                               far below, at a small delta
    `one_run_epsilon`              nothing; canaries of one release      farther below
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from recsys.errors import InputError

Scores = NDArray[np.float64]

CERTAIN = 1e9
"""Scores that are so many standard deviations apart differ by nothing but the rounding of the machine."""
FARTHEST = 100.0
"""Scores that are farther apart are taken to be so far: the distribution of t is not computed beyond."""
WIDEST_EPSILON = 64.0
"""A search for epsilon ends here: no number of canaries that fits a machine can show more."""


def gaussian_mu(inside: Scores, outside: Scores, confidence: float) -> float:
    """A lower bound on mu, if scores are Gaussian: the distance of the means in standard deviations.

    Both groups have the spread of the noise. It is estimated from the scores and not taken from the claim, so that
    noise below the stated one shows. The distance follows a noncentral t distribution, which is inverted exactly.
    Scores without any spread tell the canaries apart for sure.

    Args:
        inside: (n,) of canaries that were in the release, independent draws
        outside: (m,) of canaries that were not
        confidence: how often the bound is at or below the truth

    Guarantees:
        - At most one in 1 / (1 - confidence) bounds is above the truth.

    Tested by: tests/recsys/audit/test_epsilon_bound.py::test_a_bound_is_above_the_truth_no_more_often_than_it_says

    Raises:
        InputError: there are too few scores, or the confidence is none.
    """
    _check(inside, outside, confidence)
    freedom = len(inside) + len(outside) - 2
    weight = math.sqrt(len(inside) * len(outside) / (len(inside) + len(outside)))
    spread = math.sqrt((inside.var() * len(inside) + outside.var() * len(outside)) / freedom)
    distance = float(inside.mean() - outside.mean())
    if distance <= 0:
        return 0.0
    if distance >= CERTAIN * spread:
        return math.inf
    t = min(distance / spread, FARTHEST) * weight

    def excess(mu: float) -> float:
        return float(stats.nct.sf(t, freedom, mu * weight)) - (1 - confidence)

    return 0.0 if excess(0.0) >= 0 else float(optimize.brentq(excess, 0.0, (2 * t + 40) / weight))


def thresholded_mu(inside: Scores, outside: Scores, threshold: float, confidence: float) -> float:
    """A lower bound on mu from how many scores are above a threshold, which must not depend on the scores.

    The test "above it: the canary was there" errs no less than the trade-off curve of mu-GDP allows (Dong, Roth and Su
    2022): Phi^-1(1 - false positive rate) - Phi^-1(false negative rate) <= mu. Both rates get Clopper-Pearson limits.

    Guarantees:
        - At most one in 1 / (1 - confidence) bounds is above the truth.

    Tested by: tests/recsys/audit/test_epsilon_bound.py::test_a_bound_is_above_the_truth_no_more_often_than_it_says

    Raises:
        InputError: there are too few scores, or the confidence is none.
    """
    false_positive, false_negative = _error_rates(inside, outside, threshold, confidence)
    return max(0.0, float(stats.norm.isf(false_positive) - stats.norm.ppf(false_negative)))


def thresholded_epsilon(inside: Scores, outside: Scores, threshold: float, delta: float, confidence: float) -> float:
    """A lower bound on epsilon at delta, whatever the mechanism is, from how many scores are above a threshold.

    (epsilon, delta)-DP keeps 1 - false negative rate below exp(epsilon) times the false positive rate, plus delta; and
    the other way round (Kairouz, Oh and Viswanath 2015). Both rates get Clopper-Pearson limits.

    Guarantees:
        - At most one in 1 / (1 - confidence) bounds is above the truth.

    Tested by: tests/recsys/audit/test_epsilon_bound.py::test_a_bound_is_above_the_truth_no_more_often_than_it_says

    Raises:
        InputError: there are too few scores, or the confidence is none.
    """
    false_positive, false_negative = _error_rates(inside, outside, threshold, confidence)
    odds = max((1 - false_negative - delta) / false_positive, (1 - false_positive - delta) / false_negative)
    return math.log(odds) if odds > 1 else 0.0


def one_run_epsilon(n_canaries: int, n_guesses: int, n_right: int, delta: float, confidence: float) -> float:
    """A lower bound on epsilon at delta from one release, whatever the mechanism is (Steinke, Nasr and Jagielski 2023).

    Each canary was put in by a fair coin of its own, and for some of them the auditor guessed how it fell.

    Args:
        n_canaries: coins that were thrown
        n_guesses: how many of them were guessed
        n_right: how many guesses were right
        delta: of the claim
        confidence: how often the bound is at or below the truth

    Guarantees:
        - At most one in 1 / (1 - confidence) bounds is above the truth.

    Tested by: tests/recsys/audit/test_epsilon_bound.py::test_a_bound_is_above_the_truth_no_more_often_than_it_says

    Raises:
        InputError: the numbers cannot be right, or the confidence is none.
    """
    _check_confidence(confidence)
    if not 0 <= n_right <= n_guesses <= n_canaries or not n_canaries:
        msg = (
            f"expected 0 <= right guesses <= guesses <= canaries, got {n_right}, {n_guesses} and {n_canaries}; "
            "count each canary once"
        )
        raise InputError(msg)

    def excess(epsilon: float) -> float:
        return _chance_of(n_right, n_guesses, n_canaries, epsilon, delta) - (1 - confidence)

    if excess(0.0) >= 0:
        return 0.0
    return WIDEST_EPSILON if excess(WIDEST_EPSILON) < 0 else float(optimize.brentq(excess, 0.0, WIDEST_EPSILON))


def _chance_of(n_right: int, n_guesses: int, n_canaries: int, epsilon: float, delta: float) -> float:
    """At most how likely so many right guesses are under (epsilon, delta)-DP: the main theorem of the paper."""
    right = stats.binom(n_guesses, 1 / (1 + math.exp(-epsilon)))
    just_below = np.cumsum(right.pmf(np.arange(n_right - 1, -1, -1)))
    worst = (just_below / np.arange(1, n_right + 1)).max(initial=0.0)
    return min(1.0, float(right.sf(n_right - 1) + 2 * n_canaries * delta * worst))


def _error_rates(inside: Scores, outside: Scores, threshold: float, confidence: float) -> tuple[float, float]:
    """Upper limits on the false positive and the false negative rate that hold together."""
    _check(inside, outside, confidence)
    each = 1 - (1 - confidence) / 2
    return (
        _largest_rate(int((outside > threshold).sum()), len(outside), each),
        _largest_rate(int((inside <= threshold).sum()), len(inside), each),
    )


def _largest_rate(found: int, of: int, confidence: float) -> float:
    """The upper limit of Clopper and Pearson (1934)."""
    return 1.0 if found == of else float(stats.beta.ppf(confidence, found + 1, of - found))


def _check(inside: Scores, outside: Scores, confidence: float) -> None:
    _check_confidence(confidence)
    if min(len(inside), len(outside)) < 2:  # noqa: PLR2004 - one number has no spread
        msg = (
            f"expected at least 2 canaries in and 2 not in the release, got {len(inside)} and {len(outside)}; "
            "release more often"
        )
        raise InputError(msg)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        msg = f"expected a confidence between 0 and 1, got {confidence}; 0.99 is wrong once in a hundred audits"
        raise InputError(msg)
