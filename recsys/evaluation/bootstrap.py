"""How far a mean over customers can be trusted: percentile bootstrap intervals (Efron 1979)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over `n` customers, with the ends of its interval."""

    mean: float
    low: float
    high: float
    n: int


def bootstrap_interval(
    values: NDArray[np.float64], *, rng: np.random.Generator, level: float = 0.95, resamples: int = 1000
) -> Estimate:
    """The mean of the values and the middle `level` of the means of resamples drawn with replacement.

    It tells how the mean varies over customers, not over trainings. For the difference of two models on the same
    customers, hand in the differences of their values.

    Args:
        values: (n,) one per customer
        rng: draws the resamples
        level: the fraction of resampled means within the interval
        resamples: how many

    Raises:
        InputError: there are no values, or one is not finite, or the level is not between 0 and 1.
    """
    n = len(values)
    if not n or not np.isfinite(values).all() or not 0 < level < 1:
        msg = f"expected finite values and a level between 0 and 1, got {n} values and level {level}; check the metric"
        raise InputError(msg)
    means = [values[rng.integers(n, size=n)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(mean=float(values.mean()), low=float(low), high=float(high), n=n)
