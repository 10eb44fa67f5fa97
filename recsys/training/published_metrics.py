"""Metrics that may be published: over customers whom the model never saw, with noise, within the budget.

    S_m = sum over held-out u of metric_m(u), each within [0, 1]        L2 sensitivity sqrt(number of metrics)
    N   = sum over held-out u of 1                                      sensitivity 1
    published: (S_m + noise) / (N + noise)                              the quotient is post-processing

Who is held out depends on the customer's own key alone, so that one customer more or less moves nobody to the other
side. Each customer is then either trained on or measured, and pays for one of the two. What is booked is both, one
after the other: the next training without metrics takes everybody, and a ledger that is too high harms nobody.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from recsys.data.interactions import PurchaseLog
from recsys.data.split import split_each_history
from recsys.errors import PrivacyParameterError
from recsys.evaluation.protocol import METRICS, Protocol
from recsys.models.customer import GRID
from recsys.models.factors import ItemFactors
from recsys.models.fold_in import fold_in
from recsys.models.gram import CUSTOMERS_SENSITIVITY, release_customers
from recsys.models.ranking import vector_scores
from recsys.privacy.accounting import epsilon_of, mu_of
from recsys.privacy.noise import OS_ENTROPY, Entropy, rounded_gaussian
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Json, PrivacySpend, Task, UserKey

K = 20
"""Length of the lists, as everywhere in the field."""
NAMES = tuple(f"{name}@{K}" for name in METRICS)
METRICS_SENSITIVITY = math.sqrt(len(METRICS))
"""Euclidean norm by which one customer moves the sums of the metrics: each of them by at most 1."""

HELD_OUT = 0.1
"""The part of the customers that is kept out of training, as in `privrec evaluate`."""
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
    """How a training's budget is divided between the model and its metrics."""

    model: TrainConfig
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
            PrivacyParameterError: the model carries no noise, so that its metrics would tell about those in it.
        """
        budget = config.plan.budget
        if math.isinf(budget.epsilon):
            msg = (
                "expected a private model to publish metrics of, got one without noise: its metrics tell about the "
                "customers in it; use another --trainer or a finite --epsilon, or leave --publish-metrics out"
            )
            raise PrivacyParameterError(msg)
        total = mu_of(budget.epsilon, budget.delta)
        model = replace(config, epsilon=epsilon_of(total * math.sqrt(1 - METRICS_SHARE), budget.delta))
        # What the model really leaves: epsilon went through a search, and the ledger allows for no error of one.
        left = math.sqrt(total**2 - mu_of(model.epsilon, budget.delta) ** 2)
        return cls(
            model=model,
            sum_id=sum_id,
            metrics_noise_multiplier=1 / (left * math.sqrt(1 - CUSTOMERS_SHARE)),
            customers_noise_multiplier=1 / (left * math.sqrt(CUSTOMERS_SHARE)),
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

    @property
    def terms(self) -> Terms:
        """Of the model."""
        return Terms.under(self.model)


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """A figure with the ends of its interval for the noise."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedMetrics:
    """What was released about the held-out customers."""

    figures: dict[str, Released]
    customers: float
    """How many were measured, with noise."""
    spends: tuple[PrivacySpend, ...]
    """What was booked for them."""

    def to_json(self) -> dict[str, Json]:
        """The metrics for a manifest."""
        figures: dict[str, Json] = {
            name: {"mean": each.mean, "low": each.low, "high": each.high} for name, each in self.figures.items()
        }
        return {**figures, "customers": self.customers, "task": Task.DISCOVER.value, "note": NOTE}


def is_held_out(user_key: UserKey) -> bool:
    """Whether the customer is measured and not trained on: a function of the key alone, the same for good.

    Guarantees:
        - One customer more or less moves no other customer to the other side.

    Tested by: tests/recsys/training/test_published_metrics.py::test_one_customer_more_moves_nobody_to_the_other_side
    """
    draw = blake2b(user_key, digest_size=8, person=b"held out").digest()
    return int.from_bytes(draw, "big") < HELD_OUT * 2**64


def hold_out(keys: Sequence[UserKey], log: PurchaseLog) -> tuple[list[UserKey], PurchaseLog, PurchaseLog]:
    """The keys and purchases to train on, and the purchases of the customers who are held out."""
    chosen = np.array([is_held_out(key) for key in keys], dtype=np.bool_)
    trained_on, measured = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    return [keys[row] for row in trained_on.tolist()], log.of_users(trained_on), log.of_users(measured)


def metric_values(model: ItemFactors, held_out: PurchaseLog) -> NDArray[np.float64]:
    """(n_measured, n_metrics): each metric of each held-out customer with two different items or more.

    Guarantees:
        - Every value is within [0, 1].
        - A customer's row depends on that customer's purchases and on the model only, bit for bit.

    Tested by: tests/recsys/training/test_published_metrics.py
    """
    split = split_each_history(held_out)
    known, later = split.train.interactions().matrix, split.test.interactions().matrix
    if not later.nnz:
        return np.empty((0, len(METRICS)))
    protocol, vectors = Protocol.build(known, later, Task.DISCOVER), fold_in(model, known)
    rows = range(len(protocol.users))
    return np.array([_alone(protocol, row, model, vectors) for row in rows]).clip(0, 1)


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
    return PublishedMetrics(figures=figures, customers=customers, spends=plan.spends)


def _alone(protocol: Protocol, row: int, model: ItemFactors, vectors: NDArray[np.float32]) -> list[float]:
    """One customer's metrics, from a computation that nobody else is in.

    In a product of matrices the last bit of a row can depend on how many rows there are, and a tie in the ranking on
    that bit: one customer more would move the metrics of others.
    """
    one = slice(row, row + 1)
    single = replace(protocol, users=protocol.users[one], targets=protocol.targets[one], mask=protocol.mask[one])
    return [
        float(value[0]) for value in single.per_user(lambda users: vector_scores(model, vectors[users]), k=K).values()
    ]


def _quotient(total: float, customers: float, margin: float, customers_margin: float) -> Released:
    """The mean with its interval, all within [0, 1]; the whole of it where noise may have made up the customers."""
    least, most = customers - customers_margin, customers + customers_margin
    return Released(
        mean=_within(total / max(customers, 1.0)),
        low=_within((total - margin) / most) if most > 0 else 0.0,
        high=_within((total + margin) / least + 1 / GRID) if least > 0 else 1.0,
    )


def _within(value: float) -> float:
    return min(1.0, max(0.0, value))
