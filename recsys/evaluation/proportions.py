"""Shares and their differences, with intervals that hold for few cases and for shares near 0 and 1.

Both take the cases to be independent.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A share with the ends of its 95 % interval."""

    value: float | None
    """None where there is no case."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The second share less the first, with the ends of its 95 % interval."""

    value: float | None
    """None where one of the two has no case."""
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def share(hits: int, cases: int) -> Share:
    """The share of hits among the cases, with Wilson's score interval (1927).

    Guarantees:
        - The interval is that of SciPy's `binomtest`.

    Tested by: tests/recsys/evaluation/test_proportions.py::test_the_interval_is_scipys
    """
    if not cases:
        return Share(value=None, low=0.0, high=1.0)
    value, weight = hits / cases, Z**2 / cases
    middle = (value + weight / 2) / (1 + weight)
    reach = math.sqrt(weight * (value * (1 - value) + weight / 4)) / (1 + weight)
    # The interval holds the share; rounding could leave it out by a bit where all cases are hits, or none.
    return Share(value=value, low=max(0.0, min(value, middle - reach)), high=min(1.0, max(value, middle + reach)))


def difference(first: Share, second: Share) -> Difference:
    """The second share less the first, with Newcombe's hybrid score interval (1998, method 10).

    Guarantees:
        - In about 95 of 100 samples the interval holds the true difference, for few cases and small shares too.

    Tested by: tests/recsys/evaluation/test_proportions.py::test_the_interval_of_a_difference_holds_as_often_as_it_says
    """
    if first.value is None or second.value is None:
        return Difference(value=None, low=second.low - first.high, high=second.high - first.low)
    value = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Difference(value=value, low=value - below, high=value + above)
