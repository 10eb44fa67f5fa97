"""What Gaussian releases cost, exactly.

Unit: one customer with everything they bought. Neighbouring relation: a customer is added or removed. A Gaussian
release with noise multiplier z (standard deviation over L2 sensitivity) is mu-GDP with mu = 1/z; releases compose, also
adaptively, to sqrt(sum of mu²) (Dong, Roth and Su 2022), and (epsilon, delta) follows exactly (Balle and Wang 2018).
"""

import math
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from dp_accounting import get_epsilon_gaussian, get_sigma_gaussian
from dp_accounting.pld import privacy_loss_distribution as pld

from recsys.errors import PrivacyParameterError
from recsys.types import PrivacySpend

LARGEST_EPSILON = 1e6
"""A larger one is either infinite or a slip of the pen; the search for its noise would leave the range of float64."""
LARGEST_MU = 1e4
"""Any larger mu is given an infinite epsilon: it is above 5e7, and float64 cannot tell it for sure."""
LOSS_INTERVAL = 1e-4
"""Of the grid that privacy losses are put on, never too low: dp-accounting's own choice."""


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


def mu_of_spends(spends: Iterable[PrivacySpend]) -> float:
    """The mu of the spends together, each taken as if every customer were in it; exact where none is sampled."""
    return compose(spend.noise_multiplier / math.sqrt(spend.count) for spend in spends)


def epsilon_of_spends(spends: Iterable[PrivacySpend], delta: float) -> float:
    """The epsilon of the spends together at this delta: exact for Gaussian ones, never too small for sampled ones.

    A release on a Poisson sample of the customers is no Gaussian release of the whole: as soon as there is one, the
    privacy loss distributions are composed (Koskela et al. 2020; Doroshenko et al. 2022, pessimistic estimate).
    """
    together = tuple(spends)
    if math.isinf(mu_of_spends(together)):
        return math.inf
    whole = mu_of_spends(spend for spend in together if spend.sampling_probability == 1)
    sampled: Counter[tuple[float, float]] = Counter()
    for spend in together:
        if spend.sampling_probability < 1:
            sampled[spend.noise_multiplier, spend.sampling_probability] += spend.count
    if not sampled:
        return epsilon_of(whole, delta)
    return float(_loss_distribution(whole, tuple(sorted(sampled.items()))).get_epsilon_for_delta(delta))


@lru_cache(maxsize=64)  # seconds for thousands of releases, and asked for at every delta of a curve
def _loss_distribution(
    whole: float, sampled: tuple[tuple[tuple[float, float], int], ...]
) -> pld.PrivacyLossDistribution:
    """The distribution of the privacy loss of a mu-GDP release and of the sampled ones.

    Args:
        whole: the mu of what is not sampled
        sampled: noise multiplier and sampling probability, and how many releases of that kind
    """
    interval = LOSS_INTERVAL * max(1.0, whole**2)  # the losses of a large mu spread over mu²
    total = pld.identity(value_discretization_interval=interval)
    if whole:
        total = pld.from_gaussian_mechanism(1 / whole, value_discretization_interval=interval)
    for (noise_multiplier, probability), count in sampled:
        each = pld.from_gaussian_mechanism(
            noise_multiplier, sampling_prob=probability, value_discretization_interval=interval
        )
        total = total.compose(each.self_compose(count))
    return total


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
