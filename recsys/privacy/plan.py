"""One plan makes the noise and its accounting together, so that they cannot disagree."""

import math
from dataclasses import dataclass

from recsys.errors import PrivacyParameterError
from recsys.privacy.accounting import check_parameters, mu_of
from recsys.types import PrivacyBudget

COUNTS_SHARE = 0.1
"""The part of mu² that the counts get. 3 % lost at epsilon 1 on MovieLens, 20 % at epsilon 4 (benchmarks/LOG.md)."""
COUNTS_SHARE_BESIDE_DIRECTIONS = 0.15
LATENT_SHARE = 0.2
CROSS_SHARE = 0.25
"""With directions (see recsys.models.customer) the counts weigh every item of the catalogue: at a small epsilon it is
their noise that limits the model. The Gram gets what is left (benchmarks/LOG.md)."""
LITTLE_MU = 0.35
"""Below this mu (epsilon 1.5 at delta 1e-6) the counts get more, so that their noise grows no further, until they get
LARGEST_COUNTS_SHARE. Popularity is what a model under much noise ranks by, and what it must not fall below
(benchmarks/LOG.md)."""
LARGEST_COUNTS_SHARE = 0.6
CUSTOMERS_SHARE = 0.002
"""The part of mu² that the number of customers gets: at epsilon 1 its noise is about a hundred customers, enough to
choose the size of the head by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivacyPlan:
    """How a budget is spent: the number of customers and the counts once, the Gram `gram_releases` times.

    With directions the latent Gram and the cross product are released as often as the Gram. The first release of them
    is the training's, each other one a retraining's or an erasure's.
    """

    budget: PrivacyBudget
    gram_releases: int = 1
    directions: bool = False
    """Whether the sum has directions."""

    def __post_init__(self) -> None:
        """Check the plan.

        Raises:
            PrivacyParameterError: no release is planned, or the budget makes no promise.
        """
        check_parameters(self.budget.epsilon, self.budget.delta)
        if self.gram_releases < 1:
            msg = f"expected at least one planned release, got {self.gram_releases}; the first training is one"
            raise PrivacyParameterError(msg)

    @property
    def private(self) -> bool:
        """Whether any noise is drawn at all."""
        return math.isfinite(self.budget.epsilon)

    @property
    def counts_noise_multiplier(self) -> float:
        """Standard deviation over sensitivity for the counts; 0 without privacy."""
        return self._multiplier(self._counts_share)

    @property
    def customers_noise_multiplier(self) -> float:
        """Standard deviation over sensitivity for the number of customers; 0 without privacy."""
        return self._multiplier(CUSTOMERS_SHARE)

    @property
    def latent_noise_multiplier(self) -> float | None:
        """Standard deviation over sensitivity for each release of the latent Gram; None without directions."""
        return self._multiplier(self._beside_counts(LATENT_SHARE) / self.gram_releases) if self.directions else None

    @property
    def cross_noise_multiplier(self) -> float | None:
        """Standard deviation over sensitivity for each release of the cross product; None without directions."""
        return self._multiplier(self._beside_counts(CROSS_SHARE) / self.gram_releases) if self.directions else None

    @property
    def gram_noise_multiplier(self) -> float:
        """Standard deviation over sensitivity for each release of the Gram; 0 without privacy."""
        beside = self._beside_counts(LATENT_SHARE + CROSS_SHARE) if self.directions else 0.0
        return self._multiplier((1 - self._counts_share - CUSTOMERS_SHARE - beside) / self.gram_releases)

    @property
    def single_noise_multiplier(self) -> float:
        """Standard deviation over sensitivity where one statistic alone is released, `gram_releases` times."""
        return self._multiplier(1 / self.gram_releases)

    @property
    def _counts_share(self) -> float:
        """The part of mu² that the counts get."""
        mu = mu_of(self.budget.epsilon, self.budget.delta)
        return min(self._least_counts_share * max(1.0, LITTLE_MU / mu) ** 2, LARGEST_COUNTS_SHARE)

    @property
    def _least_counts_share(self) -> float:
        return COUNTS_SHARE_BESIDE_DIRECTIONS if self.directions else COUNTS_SHARE

    def _beside_counts(self, share: float) -> float:
        """What is left of a share where the counts get more than their least."""
        return share * (1 - self._counts_share) / (1 - self._least_counts_share)

    def _multiplier(self, share: float) -> float:
        mu = mu_of(self.budget.epsilon, self.budget.delta)
        return 1 / (mu * math.sqrt(share))
