"""A year of releases, planned: what each may cost, and what noise that puts into the running sum, week by week.

    plain composition    every release measures the whole sum anew: S_t + Z_t
    matrix mechanism     every release measures what is new, and adds up: A (x + C^-1 Z), A the prefix sums

Plain composition asks nothing of a customer: their term may change in any way from release to release, as long as it is
no longer than 1. n releases of mu / sqrt(n) each compose to mu, so each carries noise of sqrt(n) / mu.

The matrix mechanism (Denisov, McMahan, Rush, Smith and Thakurta 2022) measures y = C x + Z, where x are the increments
of the sum, and releases A C^-1 y. Its whole stream is one Gaussian release, adaptive or not. It is bounded only where a
customer's way is: with increments d_t, the lengths of all of them and the way back to nothing (an erasure) are together
at most L. Then for C >= 0 with longest column c

    ||C d||² = sum_st (<c_s, c_t> - c²/2) <d_s, d_t> + c²/2 ||sum_t d_t||²  <=  c²/2 (P² + K²)  <=  c²/2 L²

for a way of length P that has come to K: 0 <= <c_s, c_t> <= c², and P + K <= L. So the stream's sensitivity is
L c / sqrt(2). L = 2 lets a customer come and go, with a term that stays as it came; each unit more is one of movement.

C is a matrix of integers. The increment w_t of the noise solves C w = Z row by row and is rounded to the grid in each.
Rounding commutes with the integers of the sum: (y_t - sum_s C_ts (x + w)_s) / C_tt, rounded, is (x + w)_t. So what is
released is a function of y = C x + Z and, with Z a rounded Gaussian, of the Gaussian mechanism: exactly accounted for.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recsys.errors import InputError, PrivacyParameterError
from recsys.privacy.accounting import check_parameters, epsilon_of, mu_of
from recsys.privacy.ledger import PERIOD_DAYS
from recsys.privacy.noise import Integers
from recsys.types import PrivacyBudget

DAYS = {"d": 1, "w": 7, "y": 366}
"""A year is 366 days here as for the ledger: no calendar year is longer."""
TOEPLITZ_SCALE = 2**8
"""The first coefficient of the integer Toeplitz matrix: at 366 releases the last one is still 8, rounded from 7.5."""
MOST_RELEASES = 4000
"""Of a schedule: ten years of days. Matrices of this size still fit into memory."""
WAY_BACK = math.sqrt(2)
"""What a stream's sensitivity is divided by, because every way ends where it began, or keeps room to."""


def days_of(duration: str) -> int:
    """The days of a duration such as 1d, 2w or 1y (366 days).

    Raises:
        InputError: it is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,4})([dwy])", duration.strip())
    if not found:
        msg = f"expected a duration such as 1d, 2w or 1y, got {duration[:20]!r}; write a number and one of d, w, y"
        raise InputError(msg)
    return int(found[1]) * DAYS[found[2]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Trainings of equal cost at a fixed cadence, under a budget, each composed with all others of its period.

    Guarantees:
        - Whatever 366 days (or, under a budget for the lifetime, `for_days`) one looks at, the trainings and the extra
          releases that fall into them keep the budget.

    Tested by: tests/recsys/privacy/test_schedule.py::test_a_schedule_can_be_kept_for_years_and_not_a_training_more
    """

    budget: PrivacyBudget
    every_days: int = 7
    for_days: int = DAYS["y"]
    extra: int = 0
    """Releases beside the trainings, within a period: after erasures, say. Each may cost as much as a training."""

    def __post_init__(self) -> None:
        """Check the schedule.

        Raises:
            PrivacyParameterError: it is of no release or of too many, or the budget makes no promise.
        """
        check_parameters(self.budget.epsilon, self.budget.delta)
        if self.every_days < 1 or self.for_days < 1 or self.extra < 0 or self.releases > MOST_RELEASES:
            msg = (
                f"expected 1 to {MOST_RELEASES} releases, got {self.for_days} days of one every {self.every_days} and "
                f"{self.extra} beside; release less often"
            )
            raise PrivacyParameterError(msg)

    @property
    def trainings(self) -> int:
        """How many trainings fall into one period at most."""
        period = PERIOD_DAYS[self.budget.period] or self.for_days
        return math.ceil(min(period, self.for_days) / self.every_days)

    @property
    def releases(self) -> int:
        """The trainings of a period and the extra releases."""
        return self.trainings + self.extra

    @property
    def mu(self) -> float:
        """Of one training, with everything that it releases."""
        return mu_of(self.budget.epsilon, self.budget.delta) / math.sqrt(self.releases)

    @property
    def epsilon(self) -> float:
        """Of one training by itself, as to be handed to it: rounded down to six digits."""
        exact = epsilon_of(self.mu, self.budget.delta)
        return rounded_down(exact) if math.isfinite(exact) else exact

    def epsilon_after(self, releases: int) -> float:
        """Of so many releases composed."""
        return epsilon_of(self.mu * math.sqrt(releases), self.budget.delta)


@dataclass(frozen=True, kw_only=True, eq=False)
class Strategy:
    """A matrix mechanism for running sums: C, by which increments are measured.

    Guarantees:
        - Adding or removing a customer whose way is at most `path_length` long, the way back counted, moves C x by at
          most `sensitivity(path_length)` in Euclidean norm.

    Tested by: tests/recsys/privacy/test_schedule.py::test_no_way_within_its_length_moves_the_measurements_further
    """

    encoder: Integers
    """C: (n, n) integers, none negative, lower triangular with a positive diagonal."""

    def __post_init__(self) -> None:
        """Check the matrix.

        Raises:
            PrivacyParameterError: it is not of that kind.
        """
        c = self.encoder
        square = c.ndim == 2 and c.shape[0] == c.shape[1] and c.dtype == np.int64  # noqa: PLR2004 - a matrix
        if not (square and (c >= 0).all() and not np.triu(c, 1).any() and (np.diag(c) > 0).all()):
            msg = (
                "expected a square lower triangular matrix of integers, none negative and positive on the diagonal, "
                "got another; use tree() or toeplitz()"
            )
            raise PrivacyParameterError(msg)

    @cached_property
    def decoder(self) -> NDArray[np.float64]:
        """(n, n): A C^-1, what a release makes of the measurements up to it."""
        return np.cumsum(np.linalg.inv(self.encoder.astype(np.float64)), axis=0)

    def sensitivity(self, path_length: float) -> float:
        """By how much one customer moves all measurements together, in Euclidean norm."""
        squares = (self.encoder.astype(np.float64) ** 2).sum(axis=0)
        return path_length * math.sqrt(squares.max()) / WAY_BACK

    def standard_deviations(self, mu: float, path_length: float) -> NDArray[np.float64]:
        """(n,): of the noise in each released sum, for a stream of this mu, in units of a term's length."""
        return np.linalg.norm(self.decoder, axis=1) * (self.sensitivity(path_length) / mu)

    @property
    def kept(self) -> int:
        """How many earlier increments of the noise the next one needs at most."""
        n = len(self.encoder)
        return max((row - int(np.flatnonzero(self.encoder[row])[0]) for row in range(n)), default=0)


def tree(releases: int) -> Strategy:
    """Binary counting (Chan, Shi and Song 2011; Dwork, Naor, Pitassi and Rothblum 2010), as a Fenwick tree.

    The t-th release measures the last 2^k increments, 2^k the largest power of 2 that divides t.
    """
    encoder = np.zeros((releases, releases), np.int64)
    for t in range(1, releases + 1):
        encoder[t - 1, t - (t & -t) : t] = 1
    return Strategy(encoder=encoder)


def toeplitz(releases: int, *, bands: int | None = None) -> Strategy:
    """The square root of the prefix sums (Fichtenberger, Henzinger and Upadhyay 2023), on a grid of integers.

    Args:
        releases: n
        bands: how many diagonals are kept (None: all), so that `bands - 1` increments of the noise are to be kept
    """
    coefficients = np.ones(releases)
    for k in range(1, releases):
        coefficients[k] = coefficients[k - 1] * (2 * k - 1) / (2 * k)
    coefficients = np.round(coefficients * TOEPLITZ_SCALE)
    coefficients[releases if bands is None else bands :] = 0
    lags = np.subtract.outer(np.arange(releases), np.arange(releases))
    encoder = np.where(lags >= 0, coefficients[np.maximum(lags, 0)], 0).astype(np.int64)
    return Strategy(encoder=encoder)


def plain_standard_deviation(releases: int, mu: float) -> float:
    """Of the noise in each sum, where `releases` of them compose to mu and each measures the whole sum anew."""
    return math.sqrt(releases) / mu


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamNoise:
    """The noise in a running sum up to the present release: integers, as secret as the sum and to be sealed with it.

    Guarantees:
        - Sums with this noise are a function of y = C x + Z, x the increments of the sum and Z as drawn.

    Tested by: tests/recsys/privacy/test_schedule.py::test_what_is_released_is_a_function_of_the_measurements

    It holds nothing of any customer: an erasure subtracts a term from the sum and leaves the noise as it is. But two
    different sums under the same noise give their difference away: after any change of the sum take the `next` one.
    """

    strategy: Strategy
    sigma: float
    """Standard deviation of each draw on the grid: the stream's sensitivity on the grid over its mu."""
    increments: tuple[Integers, ...] = ()
    """w_1 .. w_t"""

    @property
    def total(self) -> Integers:
        """The noise to be added to the present sum."""
        return np.sum(self.increments, axis=0, dtype=np.int64)

    def next(self, draw: Callable[[float], Integers]) -> "StreamNoise":
        """The noise one release later.

        Args:
            draw: gives independent rounded Gaussian noise of a standard deviation, in the shape of the sum

        Raises:
            PrivacyParameterError: all planned releases have been made.
        """
        t = len(self.increments)
        if t == len(self.strategy.encoder):
            msg = f"expected at most {t} releases, got one more; begin another stream, which is booked by itself"
            raise PrivacyParameterError(msg)
        return replace(
            self, increments=(*self.increments, _solved(self.strategy.encoder[t], draw(self.sigma), self.increments))
        )


def _solved(row: Integers, measured: Integers, before: Sequence[Integers]) -> Integers:
    """Row t of C w = y for w_t, rounded to the nearest integer; w_1 .. w_(t-1) are given."""
    rest = measured - sum((row[s] * increment for s, increment in enumerate(before) if row[s]), 0)
    return (2 * rest + row[len(before)]) // (2 * row[len(before)])


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """A customer's way through the releases: the vector whose term is in the sum, and how far it may still go.

    All in integers of the grid: a vector x has the term x x^T, at a distance from another one in Frobenius norm.

    Guarantees:
        - All moves and the way back to nothing, from wherever the path is, are at most as long as `left` was at first.
        - Where it goes depends on the customer's own vectors only.

    Tested by: tests/recsys/privacy/test_schedule.py::test_every_way_is_bounded_with_the_way_back_at_any_time
    """

    vector: Integers
    """(head,): all zero before the customer has come."""
    left: int

    def toward(self, wanted: Integers) -> "Path":
        """At the wanted vector if it can be reached and left again; else where it was. All or nothing.

        So what is in the sum is always the term of a vector that the customer once had, and can be kept as items.
        """
        step = term_distance(self.vector, wanted)
        if step + term_distance(wanted, np.zeros_like(wanted)) > self.left:
            return self
        return Path(vector=wanted, left=self.left - step)


def term_distance(one: Integers, other: Integers) -> int:
    """||x x^T - y y^T|| in Frobenius norm, rounded up to an integer, without any rounding on the way."""
    x, y = one.astype(object), other.astype(object)
    square = int((x @ x) ** 2 + (y @ y) ** 2 - 2 * (x @ y) ** 2)
    root = math.isqrt(square)
    return root + (root * root < square)


def rounded_down(value: float) -> float:
    """The largest number of six significant digits that is not above the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 5)
    return float(f"{math.floor(value / step * (1 - 1e-12)) * step:.6g}")
