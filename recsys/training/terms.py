"""What a model version promises and pays: made from a configuration, kept in its manifest, read for its successor."""

import math
from dataclasses import asdict, dataclass, replace
from typing import cast

from recsys.models.gram import COUNTS_SENSITIVITY, CUSTOMERS_SENSITIVITY, GRAM_SENSITIVITY
from recsys.privacy.plan import PrivacyPlan
from recsys.types import Json, ModelVersion, PrivacyBudget, PrivacySpend, Trainer

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
    """For the initial factors of ALS. Noise never comes from a seed."""

    @property
    def plan(self) -> PrivacyPlan:
        """How the budget is spent; ALS draws no noise, so its budget is infinite."""
        epsilon = math.inf if self.trainer is Trainer.ALS else self.epsilon
        return PrivacyPlan(budget=PrivacyBudget(epsilon=epsilon, delta=self.delta), gram_releases=self.releases)


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

    @classmethod
    def under(cls, config: TrainConfig) -> "Terms":
        """The terms that the configuration leads to."""
        plan = config.plan
        customers, counts, gram = {
            Trainer.GRAM: (plan.customers_noise_multiplier, plan.counts_noise_multiplier, plan.gram_noise_multiplier),
            Trainer.POPULARITY: (None, plan.single_noise_multiplier, None),
            Trainer.ALS: (None, 0.0, None),
        }[config.trainer]
        return cls(
            trainer=config.trainer,
            delta=config.delta,
            customers_noise_multiplier=customers,
            counts_noise_multiplier=counts,
            gram_noise_multiplier=gram,
            n_factors=config.n_factors,
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
        """Of the releases that make one version."""
        return tuple(spend.noise_multiplier for spend in self.first_spends(""))

    @property
    def noise_scale(self) -> float:
        """The standard deviation of the noise on the diagonal of the Gram."""
        return (self.gram_noise_multiplier or 0.0) * GRAM_SENSITIVITY

    def first_spends(self, sum_id: str) -> list[PrivacySpend]:
        """What a training costs: each statistic that it releases."""
        counts = "the whole model" if self.trainer is Trainer.ALS else "counts"
        return [
            *_spend("customers", CUSTOMERS_SENSITIVITY, self.customers_noise_multiplier, sum_id, "train"),
            *_spend(counts, COUNTS_SENSITIVITY, self.counts_noise_multiplier, sum_id, "train"),
            *_spend("gram", GRAM_SENSITIVITY, self.gram_noise_multiplier, sum_id, "train"),
        ]

    def next_spend(self, sum_id: str, purpose: str) -> PrivacySpend:
        """What a further release from the same sum costs: its last statistic, drawn anew."""
        return replace(self.first_spends(sum_id)[-1], purpose=purpose)


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
