"""What a model version promises and pays: made from a configuration, kept in its manifest, read for its successor."""

import math
from dataclasses import asdict, dataclass
from typing import cast

from recsys.models.gram import COUNTS_SENSITIVITY, GRAM_SENSITIVITY
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
    """The noise of every statistic that a version releases. 0 means none, and that the version is not private."""

    trainer: Trainer
    delta: float
    counts_noise_multiplier: float
    gram_noise_multiplier: float | None
    """None where no Gram is released."""
    n_factors: int

    @classmethod
    def under(cls, config: TrainConfig) -> "Terms":
        """The terms that the configuration leads to."""
        plan = config.plan
        counts, gram = {
            Trainer.GRAM: (plan.counts_noise_multiplier, plan.gram_noise_multiplier),
            Trainer.POPULARITY: (plan.single_noise_multiplier, None),
            Trainer.ALS: (0.0, None),
        }[config.trainer]
        return cls(
            trainer=config.trainer,
            delta=config.delta,
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
        gram = self.gram_noise_multiplier
        return (self.counts_noise_multiplier,) if gram is None else (self.counts_noise_multiplier, gram)

    @property
    def noise_scale(self) -> float:
        """The standard deviation of the noise on the diagonal of the Gram."""
        return (self.gram_noise_multiplier or 0.0) * GRAM_SENSITIVITY

    def first_spends(self, sum_id: str) -> list[PrivacySpend]:
        """What a training costs: the counts, and the Gram built under them."""
        return [
            self._counts(sum_id, "train"),
            *([] if self.gram_noise_multiplier is None else [self._gram(sum_id, "train")]),
        ]

    def next_spend(self, sum_id: str, purpose: str) -> PrivacySpend:
        """What a further release from the same sum costs: one statistic, drawn anew."""
        return self._counts(sum_id, purpose) if self.gram_noise_multiplier is None else self._gram(sum_id, purpose)

    def _counts(self, sum_id: str, purpose: str) -> PrivacySpend:
        return PrivacySpend(
            purpose=purpose,
            statistic="counts" if self.trainer is not Trainer.ALS else "the whole model",
            sensitivity=COUNTS_SENSITIVITY,
            noise_multiplier=self.counts_noise_multiplier,
            sum_id=sum_id,
        )

    def _gram(self, sum_id: str, purpose: str) -> PrivacySpend:
        return PrivacySpend(
            purpose=purpose,
            statistic="gram",
            sensitivity=GRAM_SENSITIVITY,
            noise_multiplier=self.gram_noise_multiplier or 0.0,
            sum_id=sum_id,
        )
