"""What a model version promises and pays: made from a configuration, kept in its manifest, read for its successor."""

import math
from dataclasses import asdict, dataclass, replace
from typing import cast

from recsys.errors import InputError
from recsys.models import dp_als, dp_sgd
from recsys.models.certified_problem import Weights
from recsys.models.erasable import erasable_rule
from recsys.models.gram import (
    COUNTS_SENSITIVITY,
    CROSS_SENSITIVITY,
    CUSTOMERS_SENSITIVITY,
    GRAM_SENSITIVITY,
    LATENT_SENSITIVITY,
)
from recsys.privacy.accounting import compose, epsilon_of
from recsys.privacy.plan import COUNTS_SHARE, USUAL_CUSTOMERS, PrivacyPlan
from recsys.types import Json, ModelVersion, PrivacyBudget, PrivacySpend, Trainer

STEPPING = frozenset({Trainer.DP_ALS, Trainer.DP_SGD})
"""Trainers that ask about all customers again and again, and keep no sum that a customer could be taken out of."""
STEP_SENSITIVITY = 1.0
"""Of each statistic of a step, in units of the norm that a customer's part in it is clipped to."""
WITHOUT_NOISE = frozenset({Trainer.ALS, Trainer.ALS_CERTIFIED})
"""Trainers that draw no noise at all, and make no promise."""
DRAWN_ANEW = frozenset({"latent", "cross", "gram"})
"""What is released again from a sum that has changed; the rule that it was built by stays as released."""
N_FACTORS = 128
"""At or near the best of 64, 128 and 256 on Online Retail (benchmarks/LOG.md)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """What to train. Nothing in it comes from customers' data."""

    trainer: Trainer = Trainer.GRAM
    epsilon: float = 4.0
    """For everything that is released together: the counts and every planned release."""
    delta: float = 1e-6
    releases: int = 1
    """How many releases the budget is planned for: the first, and one per retraining or erasure."""
    n_factors: int = N_FACTORS
    seed: int = 0
    """For the initial factors of the trainers that start from some. Noise never comes from a seed."""
    expected_customers: int = USUAL_CUSTOMERS
    """A public guess of how many there are, for dp_sgd and for what the counts get; never taken from the data."""
    attributes: bool = False
    """Whether public attributes of the items are given, for the Gram under noise."""
    candidate: bool = False
    """Whether the live version stays as it is; the model is the same either way."""
    erasable: bool = False
    """Whether a model without noise keeps its exact sum, so that a customer can be subtracted from it."""
    penalty: float = Weights().penalty
    """Of als_certified: how many columns its solution has."""

    def __post_init__(self) -> None:
        """Check that what is asked for goes together.

        Raises:
            InputError: something else than the Gram without noise is to be erasable, or a penalty is none.
        """
        if not 0 < self.penalty < math.inf:
            msg = f"expected a penalty above zero, got {self.penalty:g}; leave --penalty out for the usual one"
            raise InputError(msg)
        if self.erasable and (self.trainer is not Trainer.GRAM or math.isfinite(self.epsilon)):
            msg = (
                f"expected the trainer gram and epsilon inf for an erasable model, got {self.trainer} at epsilon "
                f"{self.epsilon:g}; leave --erasable out: under noise a customer is subtracted anyway"
            )
            raise InputError(msg)

    @property
    def directions(self) -> bool:
        """Whether the sum has directions: without noise the Gram over all items says more by itself."""
        return self.attributes and self.trainer is Trainer.GRAM and math.isfinite(self.epsilon)

    @property
    def plan(self) -> PrivacyPlan:
        """How the budget is spent; what draws no noise has an infinite budget."""
        epsilon = math.inf if self.trainer in WITHOUT_NOISE else self.epsilon
        budget = PrivacyBudget(epsilon=epsilon, delta=self.delta)
        return PrivacyPlan(
            budget=budget,
            gram_releases=self.releases,
            directions=self.directions,
            expected_customers=self.expected_customers,
        )

    def require_packages(self) -> None:
        """Return if the trainer can run here: for asking before anything is booked.

        Raises:
            InputError: it needs packages that are not installed.
        """
        if self.trainer is Trainer.DP_SGD:
            dp_sgd.require_torch()

    def require_catalogue(self, n_items: int) -> None:
        """Return if the trainer can cover so many items: for asking before anything is booked.

        Raises:
            InputError: it cannot.
        """
        if self.erasable:
            erasable_rule(n_items)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """The noise of every statistic of a version: 0 is none (not private), None is a statistic that is not released."""

    trainer: Trainer
    delta: float
    customers_noise_multiplier: float | None
    """Of the number of customers, by which the head of the Gram is chosen."""
    counts_noise_multiplier: float
    gram_noise_multiplier: float | None
    n_factors: int
    step_noise_multiplier: float | None = None
    """Of one step of a trainer that takes steps, all of its statistics together."""
    steps: int = 1
    sampling_probability: float = 1.0
    """Of each customer to be in the sample that a step is of."""
    expected_customers: int = 0
    """Public: what the counts get goes by it, and a step on a sample is divided by it and the sampling probability."""
    latent_noise_multiplier: float | None = None
    """Of the Gram within public directions."""
    cross_noise_multiplier: float | None = None
    """Of the product of items and directions."""
    erasable: bool = False
    """Whether the model is a function of an exact sum alone."""
    penalty: float | None = None
    """Of als_certified."""

    @classmethod
    def under(cls, config: TrainConfig) -> "Terms":
        """The terms that the configuration leads to."""
        plan = config.plan
        if config.trainer in STEPPING:
            return cls._of_steps(config, plan.single_noise_multiplier)
        customers, counts, gram = {
            Trainer.GRAM: (plan.customers_noise_multiplier, plan.counts_noise_multiplier, plan.gram_noise_multiplier),
            Trainer.POPULARITY: (None, plan.single_noise_multiplier, None),
            Trainer.ALS: (None, 0.0, None),
            Trainer.ALS_CERTIFIED: (None, 0.0, None),
        }[config.trainer]
        return cls(
            trainer=config.trainer,
            delta=config.delta,
            customers_noise_multiplier=customers,
            counts_noise_multiplier=counts,
            gram_noise_multiplier=gram,
            n_factors=config.n_factors,
            expected_customers=config.expected_customers,
            latent_noise_multiplier=plan.latent_noise_multiplier,
            cross_noise_multiplier=plan.cross_noise_multiplier,
            erasable=config.erasable,
            penalty=config.penalty if config.trainer is Trainer.ALS_CERTIFIED else None,
        )

    @classmethod
    def _of_steps(cls, config: TrainConfig, training: float) -> "Terms":
        """The terms of a trainer that takes steps; `training` is the noise multiplier of one whole training."""
        counts = training / math.sqrt(COUNTS_SHARE)
        if config.trainer is Trainer.DP_ALS:
            steps, sampling = dp_als.DPALSConfig.under(training).steps, 1.0
            step = training * math.sqrt(steps / (1 - COUNTS_SHARE))
        else:
            settings = dp_sgd.DPSGDConfig.under(training)
            steps, sampling = settings.steps, settings.sampling_probability
            step = dp_sgd.calibrated_noise_multiplier(
                config.epsilon,
                config.delta,
                counts_noise_multiplier=counts,
                sampling_probability=sampling,
                steps=steps,
                trainings=config.releases,
            )
        return cls(
            trainer=config.trainer,
            delta=config.delta,
            customers_noise_multiplier=None,
            counts_noise_multiplier=counts,
            gram_noise_multiplier=None,
            n_factors=config.n_factors,
            step_noise_multiplier=step,
            steps=steps,
            sampling_probability=sampling,
            expected_customers=config.expected_customers,
        )

    @classmethod
    def of(cls, version: ModelVersion) -> "Terms":
        """The terms in a version's manifest."""
        return cls(**{**cast("dict[str, Json]", version.config["terms"]), "trainer": Trainer(version.trainer)})  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Json]:
        """The terms for a manifest."""
        return {name: value for name, value in asdict(self).items() if name != "trainer"}

    @property
    def noise_multipliers(self) -> tuple[float, ...]:
        """Of the releases that make one version, each statistic as one: a bound where releases are on samples."""
        return tuple(spend.noise_multiplier / math.sqrt(spend.count) for spend in self.first_spends(""))

    @property
    def training_noise_multiplier(self) -> float:
        """Of a whole training of a trainer that takes steps, by the part of the budget that its counts get."""
        return self.counts_noise_multiplier * math.sqrt(COUNTS_SHARE)

    @property
    def least_squares(self) -> dp_als.DPALSConfig:
        """The settings of dp_als for this much noise."""
        settings = dp_als.DPALSConfig.under(self.training_noise_multiplier)
        return replace(settings, steps=self.steps, factors=min(settings.factors, self.n_factors))

    @property
    def descent(self) -> dp_sgd.DPSGDConfig:
        """The settings of dp_sgd for this much noise."""
        settings = dp_sgd.DPSGDConfig.under(self.training_noise_multiplier)
        factors = min(settings.factors, self.n_factors)
        return replace(settings, steps=self.steps, sampling_probability=self.sampling_probability, factors=factors)

    @property
    def epsilon(self) -> float:
        """Of the releases that make one version together."""
        own = compose(self.noise_multipliers)
        if self.sampling_probability == 1 or not math.isfinite(own):
            return epsilon_of(own, self.delta)
        event = dp_sgd.training_event(
            self.step_noise_multiplier or 0.0,
            counts_noise_multiplier=self.counts_noise_multiplier,
            sampling_probability=self.sampling_probability,
            steps=self.steps,
        )
        return min(epsilon_of(own, self.delta), dp_sgd.epsilon_of_training(event, self.delta))

    @property
    def keeps_sum(self) -> bool:
        """Whether the model is released from a sum, which a customer can be taken out of."""
        return self.erasable or self.trainer is Trainer.POPULARITY or bool(self.gram_noise_multiplier)

    @property
    def noise_scale(self) -> float:
        """The standard deviation of the noise on the diagonal of the Gram."""
        return (self.gram_noise_multiplier or 0.0) * GRAM_SENSITIVITY

    def first_spends(self, sum_id: str) -> list[PrivacySpend]:
        """What a training costs: each statistic that it releases."""
        counts = "the whole model" if self.trainer in WITHOUT_NOISE else "counts"
        return [
            *_spend("customers", CUSTOMERS_SENSITIVITY, self.customers_noise_multiplier, sum_id, "train"),
            *_spend(counts, COUNTS_SENSITIVITY, self.counts_noise_multiplier, sum_id, "train"),
            *_spend("latent", LATENT_SENSITIVITY, self.latent_noise_multiplier, sum_id, "train"),
            *_spend("cross", CROSS_SENSITIVITY, self.cross_noise_multiplier, sum_id, "train"),
            *_spend("gram", GRAM_SENSITIVITY, self.gram_noise_multiplier, sum_id, "train"),
            *self._step_spends(sum_id),
        ]

    def _step_spends(self, sum_id: str) -> list[PrivacySpend]:
        """What the steps of a training cost: each statistic, as often as there are steps."""
        if self.step_noise_multiplier is None:
            return []
        if self.trainer is Trainer.DP_ALS:
            multipliers = dp_als.statistic_multipliers(self.step_noise_multiplier)
            statistics = list(zip(dp_als.STATISTICS, multipliers, strict=True))
        else:
            statistics = [(dp_sgd.STATISTIC, self.step_noise_multiplier)]
        return [
            replace(spend, sampling_probability=self.sampling_probability, count=self.steps)
            for statistic, multiplier in statistics
            for spend in _spend(statistic, STEP_SENSITIVITY, multiplier, sum_id, "train")
        ]

    def next_spends(self, sum_id: str, purpose: str) -> list[PrivacySpend]:
        """What a further release from the same sum costs: all but the counts of it, or the counts alone, drawn anew."""
        first = self.first_spends(sum_id)
        anew = [spend for spend in first if spend.statistic in DRAWN_ANEW] or first[-1:]
        return [replace(spend, purpose=purpose) for spend in anew]


def _spend(
    statistic: str, sensitivity: float, noise_multiplier: float | None, sum_id: str, purpose: str
) -> list[PrivacySpend]:
    """The spend of one statistic; none where it is not released."""
    if noise_multiplier is None:
        return []
    return [
        PrivacySpend(
            purpose=purpose,
            statistic=statistic,
            sensitivity=sensitivity,
            noise_multiplier=noise_multiplier,
            sum_id=sum_id,
        )
    ]
