"""What Gaussian releases cost, exactly.

Unit: one customer with everything they bought. Neighbouring relation: a customer is added or removed. A Gaussian
release with noise multiplier z (standard deviation over L2 sensitivity) is mu-GDP with mu = 1/z; releases compose, also
adaptively, to sqrt(sum of mu²) (Dong, Roth and Su 2022), and (epsilon, delta) follows exactly (Balle and Wang 2018).
"""

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from dp_accounting import get_epsilon_gaussian, get_sigma_gaussian

from recsys.errors import PrivacyParameterError

LARGEST_EPSILON = 1e6
"""A larger one is either infinite or a slip of the pen; the search for its noise would leave the range of float64."""
LARGEST_MU = 1e4
"""Any larger mu is given an infinite epsilon: it is above 5e7, and float64 cannot tell it for sure."""


def compose(noise_multipliers: Iterable[float]) -> float:
    """The mu of several Gaussian releases together; infinite if one of them carries no noise."""
    return math.hypot(*(1 / z if z > 0 else math.inf for z in noise_multipliers))


@lru_cache(maxsize=1024)  # a search of milliseconds, asked for again with every entry of a ledger
def epsilon_of(mu: float, delta: float) -> float:
    """The smallest epsilon for which mu-GDP implies (epsilon, delta)-DP."""
    if mu == 0 or mu > LARGEST_MU:
        return math.inf if mu else 0.0
    with np.errstate(divide="ignore"):  # the logarithm of a delta of 0 is -inf, as it should be
        return float(get_epsilon_gaussian(1 / mu, delta))


@lru_cache(maxsize=1024)
def mu_of(epsilon: float, delta: float) -> float:
    """The largest mu for which mu-GDP implies (epsilon, delta)-DP; infinite for an infinite epsilon."""
    if math.isinf(epsilon):
        return math.inf
    with np.errstate(divide="ignore"):
        return 1 / float(get_sigma_gaussian(epsilon, delta))


def check_parameters(epsilon: float, delta: float, n_customers: int | None = None) -> None:
    """Return if (epsilon, delta) makes a promise worth the name.

    Raises:
        PrivacyParameterError: epsilon is neither a positive number up to 1e6 nor infinite, delta is not within (0, 1),
            or delta is above 1 / n_customers, where publishing one customer's whole history at random would satisfy it.
    """
    if not (0 < epsilon <= LARGEST_EPSILON or epsilon == math.inf):
        msg = (
            f"expected epsilon > 0 and at most 1e6, or inf for no privacy at all, got {epsilon}; "
            "1 is strong, 4 common, 8 weak"
        )
        raise PrivacyParameterError(msg)
    if not 0 < delta < 1:
        msg = (
            f"expected delta between 0 and 1, well below one over the number of customers, got {delta}; "
            "1e-6 suits most shops"
        )
        raise PrivacyParameterError(msg)
    if n_customers and delta > 1 / n_customers:
        msg = (
            f"expected delta below one over the number of customers, got {delta}: with so large a delta, giving away "
            "one customer's whole history at random would count as private; choose a smaller --delta"
        )
        raise PrivacyParameterError(msg)
