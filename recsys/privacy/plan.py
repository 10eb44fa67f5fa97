"""One plan makes the noise and its accounting together, so that they cannot disagree."""

import math
from dataclasses import dataclass

from recsys.errors import PrivacyParameterError
from recsys.privacy.accounting import check_parameters, mu_of
from recsys.types import PrivacyBudget

COUNTS_SHARE = 0.1
"""What the counts get of mu², in parts of what the rest gets. 0.03 lost at epsilon 1 on MovieLens, 0.25 at epsilon 4
(benchmarks/LOG.md)."""
COUNTS_SHARE_BESIDE_DIRECTIONS = 0.15
"""With directions (see recsys.models.customer) the counts weigh every item of the catalogue: at a small epsilon it is
their noise that limits the model."""
LATENT_SHARE = 0.235
CROSS_SHARE = 0.295
"""Of what the counts and the number of customers leave; the Gram gets the rest (benchmarks/LOG.md)."""
LITTLE_MU = 0.35
"""Below this mu (epsilon 1.5 at delta 1e-6) the counts of USUAL_CUSTOMERS get more, so that their noise grows little
further. Popularity is what a model under much noise ranks by, and what it must not fall below (benchmarks/LOG.md)."""
USUAL_CUSTOMERS = 5000
"""With fewer customers the counts get more at a larger mu, in proportion to the root of how few they are."""
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
    expected_customers: int = USUAL_CUSTOMERS
    """A public guess of how many there are; never taken from the data."""

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
        return self._each(LATENT_SHARE) if self.directions else None

    @property
    def cross_noise_multiplier(self) -> float | None:
        """Standard deviation over sensitivity for each release of the cross product; None without directions."""
        return self._each(CROSS_SHARE) if self.directions else None

    @property
    def gram_noise_multiplier(self) -> float:
        """Standard deviation over sensitivity for each release of the Gram; 0 without privacy."""
        return self._each(1 - LATENT_SHARE - CROSS_SHARE if self.directions else 1)

    @property
    def single_noise_multiplier(self) -> float:
        """Standard deviation over sensitivity where one statistic alone is released, `gram_releases` times."""
        return self._multiplier(1 / self.gram_releases)

    @property
    def _counts_share(self) -> float:
        """The part of mu² that the counts get."""
        mu = mu_of(self.budget.epsilon, self.budget.delta)
        little = LITTLE_MU * math.sqrt(USUAL_CUSTOMERS / max(self.expected_customers, 1))
        least = COUNTS_SHARE_BESIDE_DIRECTIONS if self.directions else COUNTS_SHARE
        against_the_rest = least * max(1.0, little / mu) ** 2
        return (1 - CUSTOMERS_SHARE) * against_the_rest / (1 + against_the_rest)

    def _each(self, share: float) -> float:
        """The noise multiplier of one release, of several, of this share of what the counts leave."""
        return self._multiplier(share * (1 - CUSTOMERS_SHARE - self._counts_share) / self.gram_releases)

    def _multiplier(self, share: float) -> float:
        mu = mu_of(self.budget.epsilon, self.budget.delta)
        return 1 / (mu * math.sqrt(share))
