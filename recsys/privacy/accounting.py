"""What Gaussian releases cost, exactly.

Unit: one customer with everything they bought. Neighbouring relation: a customer is added or removed. A Gaussian
release with noise multiplier z (standard deviation over L2 sensitivity) is mu-GDP with mu = 1/z; releases compose, also
adaptively, to sqrt(sum of mu²) (Dong, Roth and Su 2022), and (epsilon, delta) follows exactly (Balle and Wang 2018).
"""

import math
from collections.abc import Iterable

from dp_accounting import get_epsilon_gaussian, get_sigma_gaussian

from recsys.errors import PrivacyParameterError


def compose(noise_multipliers: Iterable[float]) -> float:
    """The mu of several Gaussian releases together; infinite if one of them carries no noise."""
    return math.hypot(*(1 / z if z > 0 else math.inf for z in noise_multipliers))


def epsilon_of(mu: float, delta: float) -> float:
    """The smallest epsilon for which mu-GDP implies (epsilon, delta)-DP."""
    if mu == 0 or math.isinf(mu):
        return mu
    return float(get_epsilon_gaussian(1 / mu, delta))


def mu_of(epsilon: float, delta: float) -> float:
    """The largest mu for which mu-GDP implies (epsilon, delta)-DP; infinite for an infinite epsilon."""
    if math.isinf(epsilon):
        return math.inf
    return 1 / float(get_sigma_gaussian(epsilon, delta))


def check_parameters(epsilon: float, delta: float, n_customers: int | None = None) -> None:
    """Return if (epsilon, delta) makes a promise worth the name.

    Raises:
        PrivacyParameterError: epsilon is no positive number, delta is not within (0, 1), or delta is above
            1 / n_customers, where publishing one customer's whole history at random would satisfy it.
    """
    if math.isnan(epsilon) or epsilon <= 0:
        msg = f"expected epsilon > 0 (1 is strong, 8 is weak, inf claims no privacy), got {epsilon}"
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
