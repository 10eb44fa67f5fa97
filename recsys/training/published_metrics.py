"""Metrics that may be published: over customers whom the model never saw, with noise, within the budget.

S_m = sum over held-out u of metric_m(u), each within [0, 1]        L2 sensitivity sqrt(number of metrics)
N   = sum over held-out u of 1                                      sensitivity 1
published: (S_m + noise) / (N + noise)                              the quotient is post-processing
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from recsys.models.customer import GRID
from recsys.models.gram import CUSTOMERS_SENSITIVITY, release_customers
from recsys.privacy.noise import OS_ENTROPY, Entropy, rounded_gaussian
from recsys.training.held_out import NAMES, set_aside
from recsys.training.terms import TrainConfig
from recsys.types import Json, PrivacySpend, Task

METRICS_SENSITIVITY = math.sqrt(len(NAMES))
"""Euclidean norm by which one customer moves the sums of the metrics: each of them by at most 1."""

METRICS_SHARE = 0.05
"""The part of mu² that the metrics get: the model's noise grows by 1 / sqrt(0.95), less than 3 %."""
CUSTOMERS_SHARE = 0.125
"""The part of it that the number of customers gets: the quotient errs least where this is r / (sqrt(2) + r) for a
metric of r, and r is near 0.2 where a fifth of what is asked for is found."""

LEVEL = 0.95
NOTE = (
    "over customers whom the model was not trained on, asked about the last fifth of the different items of each; "
    "released with Gaussian noise and booked. The interval covers the noise alone, in 95 of 100 releases; other "
    "customers would give other figures"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsPlan:
    """How published metrics are paid for, out of a training's budget."""

    rest: TrainConfig
    """The training, with what is left for it."""
    sum_id: str
    metrics_noise_multiplier: float
    customers_noise_multiplier: float

    @classmethod
    def within(cls, config: TrainConfig, sum_id: str) -> "MetricsPlan":
        """The plan that costs exactly what the configuration allows, model and metrics together.

        Args:
            config: the training
            sum_id: the sum that the model is released from

        Raises:
            PrivacyParameterError: the model carries no noise.
        """
        rest, mu = set_aside(config, METRICS_SHARE)
        return cls(
            rest=rest,
            sum_id=sum_id,
            metrics_noise_multiplier=1 / (mu * math.sqrt(1 - CUSTOMERS_SHARE)),
            customers_noise_multiplier=1 / (mu * math.sqrt(CUSTOMERS_SHARE)),
        )

    @property
    def spends(self) -> tuple[PrivacySpend, ...]:
        """What the metrics cost: to be booked with the training's own, before anything is drawn."""
        statistics = (
            ("held-out customers", CUSTOMERS_SENSITIVITY, self.customers_noise_multiplier),
            ("metrics of held-out customers", METRICS_SENSITIVITY, self.metrics_noise_multiplier),
        )
        return tuple(
            PrivacySpend(
                purpose="train", statistic=name, sensitivity=sensitivity, noise_multiplier=z, sum_id=self.sum_id
            )
            for name, sensitivity, z in statistics
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """A figure with the ends of its interval for the noise."""

    mean: float | None
    """None where it is lost in the noise: the interval is everything that it could be."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedMetrics:
    """What was released about the held-out customers."""

    figures: dict[str, Released]
    customers: float
    """How many were measured, with noise."""

    def to_json(self) -> dict[str, Json]:
        """The metrics for a manifest."""
        figures: dict[str, Json] = {
            name: {"mean": each.mean, "low": each.low, "high": each.high} for name, each in self.figures.items()
        }
        return {**figures, "customers": self.customers, "task": Task.DISCOVER.value, "note": NOTE}


def metric_sums(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n_metrics,): the sum over the customers, on the grid, each value rounded down.

    Guarantees:
        - Adding or removing one customer moves the sums by at most METRICS_SENSITIVITY * GRID in Euclidean norm.

    Tested by:
        tests/recsys/training/test_published_metrics.py::test_one_customer_moves_the_sums_by_at_most_the_stated_bound
    """
    return np.floor(values * GRID).astype(np.int64).sum(axis=0)


def release_sums(
    sums: NDArray[np.int64], noise_multiplier: float, entropy: Entropy = OS_ENTROPY
) -> NDArray[np.float64]:
    """(n_metrics,): the sums of the metrics, with Gaussian noise.

    Guarantees:
        - A Gaussian release with this noise multiplier and METRICS_SENSITIVITY as sensitivity: book it before the call.

    Tested by: tests/recsys/training/test_published_metrics.py::test_the_sums_are_released_at_the_stated_scale
    """
    return (sums + rounded_gaussian(noise_multiplier * METRICS_SENSITIVITY * GRID, len(sums), entropy)) / GRID


def release_metrics(values: NDArray[np.float64], plan: MetricsPlan, entropy: Entropy = OS_ENTROPY) -> PublishedMetrics:
    """The metrics of the held-out customers (n_measured, n_metrics), with Gaussian noise. Book `plan.spends` before.

    Guarantees:
        - Two Gaussian releases with the plan's noise multipliers, and post-processing of what they gave.
        - In 95 of 100 releases or more the mean of the values is within the interval, whatever the values are.

    Tested by: tests/recsys/training/test_published_metrics.py::test_the_interval_holds_as_often_as_it_says
    """
    customers = release_customers(len(values), plan.customers_noise_multiplier, entropy)
    sums = release_sums(metric_sums(values), plan.metrics_noise_multiplier, entropy)
    # Two intervals hold at once if each fails half as often (Bonferroni), and each has two ends.
    reach = NormalDist().inv_cdf(1 - (1 - LEVEL) / 4)
    margin = reach * plan.metrics_noise_multiplier * METRICS_SENSITIVITY
    customers_margin = reach * plan.customers_noise_multiplier * CUSTOMERS_SENSITIVITY
    figures = {
        name: _quotient(float(total), customers, margin, customers_margin)
        for name, total in zip(NAMES, sums, strict=True)
    }
    return PublishedMetrics(figures=figures, customers=customers)


def _quotient(total: float, customers: float, margin: float, customers_margin: float) -> Released:
    """The mean with its interval, all within [0, 1]; the whole of it where noise may have made up the customers."""
    least, most = customers - customers_margin, customers + customers_margin
    low = _within((total - margin) / most) if most > 0 else 0.0
    high = _within((total + margin) / least + 1 / GRID) if least > 0 else 1.0
    told = customers > 0 and (low, high) != (0, 1)
    return Released(mean=_within(total / customers) if told else None, low=low, high=high)


def _within(value: float) -> float:
    return min(1.0, max(0.0, value))
