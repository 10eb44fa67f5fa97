"""What releases cost: exactly where they are Gaussian, from above where they are on samples of the customers.

Unit: one customer with everything they bought. Neighbouring relation: a customer is added or removed. A Gaussian
release with noise multiplier z (standard deviation over L2 sensitivity) is mu-GDP with mu = 1/z; releases compose, also
adaptively, to sqrt(sum of mu²) (Dong, Roth and Su 2022), and (epsilon, delta) follows exactly (Balle and Wang 2018).

A Gaussian release on a Poisson sample of the customers has no closed form. Its privacy loss distribution is computed on
a grid that errs toward more loss (dp_accounting), and composed with that of all Gaussian releases together. The sample
can only help (the trade-off function of the sampled release lies above that of the Gaussian one), so what the same
releases would cost with everybody in them is a bound too, and the smaller of the two counts.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from dp_accounting import get_epsilon_gaussian, get_sigma_gaussian
from dp_accounting.pld import privacy_loss_distribution as pld

from recsys.errors import PrivacyParameterError
from recsys.types import PrivacySpend

LARGEST_EPSILON = 1e6
"""A larger one is either infinite or a slip of the pen; the search for its noise would leave the range of float64."""
LARGEST_MU = 1e4
"""Any larger mu is given an infinite epsilon: it is above 5e7, and float64 cannot tell it for sure."""
ROUNDING = 1e-9
"""Relative slack where a loss is compared with a budget, for the rounding of floats alone."""
FINEST_LOSS = 5e-4
"""Between two points of a privacy loss distribution. Any value errs toward more loss; this one by less than 1 % of
epsilon over 100,000 releases, in a tenth of a second."""
MOST_POINTS = 2**19
"""Of a privacy loss distribution: where its range is larger, its points lie farther apart."""
SMALLEST_SAMPLED_NOISE = 0.1
"""Below this noise multiplier a sample hides next to nothing (one release is beyond epsilon 50), and nothing is taken
off for it."""
LARGEST_SAMPLED_MU = 30.0
"""Sampled releases whose limit is a larger mu are beyond epsilon 450: nothing is taken off for their samples either."""

LARGEST_NOISE = 1e9
"""More noise than this counts as this much: next to nothing, in numbers whose squares float64 still has."""
LARGEST_SAMPLED_COUNT = 10**6
"""More releases with one noise and one sampling than this take minutes to compose, and count as if unsampled."""


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


@dataclass(frozen=True, order=True, slots=True)
class Event:
    """So many releases of one statistic, all with this noise, each on a Poisson sample of the customers of its own."""

    noise_multiplier: float
    sampling_probability: float = 1.0
    """The chance of each customer to be in a sample; 1 is everybody."""
    count: int = 1

    @property
    def accountable(self) -> bool:
        """Whether the loss is finite, and there is a bound for it."""
        return (
            self.noise_multiplier > 0
            and 0 < self.sampling_probability <= 1
            and self.count >= 1
            and float(self.count).is_integer()
        )


WITHOUT_BOUND = Event(0.0)
"""What has no noise, or noise of a kind that nothing is known of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """What a set of releases gives away of one customer, all of them together.

    Guarantees:
        - `epsilon` is never below that of the releases composed; where no release is on a sample, it is exactly that.
        - A release without noise, or one that cannot be accounted, makes it infinite.

    Tested by: tests/recsys/privacy/test_loss.py
    """

    mu: float = 0.0
    """Of the releases that everybody is in: exact."""
    sampled: tuple[Event, ...] = ()
    """The releases on samples: equal ones are one event, in a fixed order."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> "Loss":
        """The loss of these releases, in whatever order they come."""
        counts: Counter[tuple[float, float]] = Counter()
        for event in events:
            known = event if event.accountable else WITHOUT_BOUND
            counts[known.noise_multiplier, known.sampling_probability] += known.count
        mus = [math.sqrt(count) / z if z else math.inf for (z, q), count in counts.items() if q == 1]
        sampled = sorted(Event(z, q, count) for (z, q), count in counts.items() if q < 1)
        return cls(mu=math.hypot(*mus), sampled=tuple(sampled))

    def __add__(self, other: "Loss") -> "Loss":
        """The loss of the releases of both."""
        both = Loss.of([*self.sampled, *other.sampled])
        return Loss(mu=math.hypot(self.mu, other.mu), sampled=both.sampled)

    def times(self, n: int) -> "Loss":
        """The loss of these releases, n times over."""
        sampled = tuple(replace(event, count=event.count * n) for event in self.sampled) if n else ()
        return Loss(mu=self.mu * math.sqrt(n) if n else 0.0, sampled=sampled)

    @property
    def mu_unsampled(self) -> float:
        """The mu of the same releases with everybody in each of them: an upper bound, exact without samples."""
        return math.hypot(self.mu, *(math.sqrt(event.count) / event.noise_multiplier for event in self.sampled))

    def epsilon(self, delta: float) -> float:
        """The smallest epsilon that is known to hold at this delta."""
        whole = epsilon_of(self.mu_unsampled, delta)
        if not self.sampled or self.mu > LARGEST_MU:
            return whole
        return min(whole, _epsilon_with_samples(self.mu, self.sampled, delta))

    def fits(self, epsilon: float, delta: float) -> bool:
        """Whether the releases keep (epsilon, delta), which they may use up."""
        if self.mu_unsampled <= mu_of(epsilon, delta) * (1 + ROUNDING):
            return True
        # Without samples the comparison of mu is the finer one, and is final.
        return bool(self.sampled) and self.epsilon(delta) <= epsilon * (1 + ROUNDING)


def loss_of_spends(spends: Iterable[PrivacySpend]) -> Loss:
    """The loss of the spends together."""
    return Loss.of(Event(spend.noise_multiplier, spend.sampling_probability, spend.count) for spend in spends)


def mu_of_spends(spends: Iterable[PrivacySpend]) -> float:
    """The mu of the spends together, each taken as if every customer were in it; exact where none is sampled."""
    return loss_of_spends(spends).mu_unsampled


def epsilon_of_spends(spends: Iterable[PrivacySpend], delta: float) -> float:
    """The epsilon of the spends together at this delta: exact for Gaussian ones, never too small for sampled ones."""
    return loss_of_spends(spends).epsilon(delta)


def mu_beside(loss: Loss, epsilon: float, delta: float) -> float:
    """The mu of the largest Gaussian release that still fits into (epsilon, delta) beside the loss."""
    total = mu_of(epsilon, delta)
    if math.isinf(total):
        return math.inf
    if not loss.sampled:
        return math.sqrt(max(0.0, total**2 - loss.mu**2))
    return _mu_beside_samples(loss, epsilon, delta)


def times_left(spent: Loss, each: Loss, epsilon: float, delta: float) -> int | None:
    """How many times `each` still fits into (epsilon, delta) beside what is spent; None: without end."""
    if math.isinf(epsilon) or each == Loss():
        return None
    if not spent.sampled and not each.sampled:
        left = mu_beside(spent, epsilon, delta)
        return math.floor((left / each.mu) ** 2 * (1 + ROUNDING) + ROUNDING)
    return _last(lambda n: (spent + each.times(n)).fits(epsilon, delta))


def _last(fits: Callable[[int], bool]) -> int:
    """The largest n that fits, where all below fit as well: doubled until one does not, then halved in."""
    if not fits(1):
        return 0
    low = 1
    while fits(2 * low):
        low *= 2
    high = 2 * low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@lru_cache(maxsize=256)
def _mu_beside_samples(loss: Loss, epsilon: float, delta: float) -> float:
    """As `mu_beside`, by bisection: the end that is known to fit."""
    if not loss.fits(epsilon, delta):
        return 0.0
    low, high = 0.0, mu_of(epsilon, delta)
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if (loss + Loss(mu=middle)).fits(epsilon, delta) else (low, middle)
    return low


@lru_cache(maxsize=1024)
def _epsilon_with_samples(mu: float, sampled: tuple[Event, ...], delta: float) -> float:
    """As `Loss.epsilon`, from the composed privacy loss distribution."""
    amplified = [
        replace(event, noise_multiplier=min(event.noise_multiplier, LARGEST_NOISE))
        for event in sampled
        if _helped_by_sampling(event)
    ]
    full = [event for event in sampled if not _helped_by_sampling(event)]
    plain = Loss(mu=mu, sampled=tuple(full)).mu_unsampled
    limit = math.hypot(plain, *(_mu_in_the_limit(event) for event in amplified))
    if limit > LARGEST_SAMPLED_MU:
        return math.inf
    interval = _interval(max([limit, *(1 / event.noise_multiplier for event in amplified)]))
    losses = [_sampled_distribution(event, interval) for event in amplified]
    if plain:
        losses.append(
            pld.from_gaussian_mechanism(
                standard_deviation=min(1 / plain, LARGEST_NOISE), value_discretization_interval=interval
            )
        )
    whole = pld.identity(value_discretization_interval=interval)
    for one in losses:
        whole = whole.compose(one)
    return float(whole.get_epsilon_for_delta(delta))


@lru_cache(maxsize=64)
def _sampled_distribution(event: Event, interval: float) -> Any:  # noqa: ANN401 - dp_accounting has no annotations
    """The privacy loss distribution of the event, for a customer who is added and one who is removed."""
    once = pld.from_gaussian_mechanism(
        standard_deviation=event.noise_multiplier,
        value_discretization_interval=interval,
        sampling_prob=event.sampling_probability,
    )
    return once.self_compose(event.count)


def _helped_by_sampling(event: Event) -> bool:
    """Whether the sample is taken into account; if not, the event counts as if everybody were in it."""
    return event.noise_multiplier >= SMALLEST_SAMPLED_NOISE and event.count <= LARGEST_SAMPLED_COUNT


def _mu_in_the_limit(event: Event) -> float:
    """Where the central limit takes the event, or everybody in each sample if that is less.

    It is no bound: it sizes the grid, and nothing else.
    """
    once = min(math.expm1(1 / event.noise_multiplier**2) * event.sampling_probability**2, event.noise_multiplier**-2)
    return math.sqrt(event.count * once)


def _interval(mu: float) -> float:
    """The spacing of a distribution that reaches as far as that of a Gaussian release of this mu."""
    reach = mu**2 / 2 + 10 * mu
    return FINEST_LOSS * 2.0 ** max(0, math.ceil(math.log2(2 * reach / MOST_POINTS / FINEST_LOSS))) if reach else 1.0


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
