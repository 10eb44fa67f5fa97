"""Choosing a setting on the shop's own customers, with noise and booked: tuning that the accounting covers.

All candidates are made from one release (post-processing), and compared on customers whom none of them saw:

    v_u in [0, 1]^C     NDCG of each of the C candidates for held-out customer u
    d_u = v_u - mean(v_u)                                   L2 sensitivity sqrt(floor(C²/4) / C) <= sqrt(C) / 2
    chosen: the largest of  sum over u of d_u + noise       the maximum is post-processing

Only the differences count for the choice, and centring halves what one customer can do. The comparison is a Gaussian
release like every other, so it composes exactly, which repeat-and-select (Papernot and Steinke 2022) does not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.data.interactions import PurchaseLog
from recsys.errors import InputError
from recsys.models.attributes import ItemAttributes
from recsys.models.customer import GRID
from recsys.privacy.noise import OS_ENTROPY, Entropy, rounded_gaussian
from recsys.training.fit import Fitted, fit_candidates
from recsys.training.held_out import NAMES, metric_values, set_aside
from recsys.training.terms import Terms, TrainConfig
from recsys.types import PrivacySpend, Trainer

METRIC = NAMES.index("ndcg@20")
"""What candidates are compared by: it tells more about a list than how many hits it has."""
SELECTION_SHARE = 0.05
"""The part of mu² that the comparison gets: the model's noise grows by 1 / sqrt(0.95), less than 3 %."""
COMPARISON = "comparison of candidates"
"""Its name in the ledger."""
MOST_CANDIDATES = 16
"""More of them drown in the noise, which grows with the root of their number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectionPlan:
    """How a choice among numbers of factors is paid for, out of a training's budget."""

    rest: TrainConfig
    """The training, with what is left for it."""
    sum_id: str
    candidates: tuple[int, ...]
    noise_multiplier: float

    @classmethod
    def within(cls, config: TrainConfig, sum_id: str, candidates: Sequence[int]) -> "SelectionPlan":
        """The plan that costs exactly what the configuration allows, model and choice together.

        Args:
            config: the training
            sum_id: the sum that all candidates are released from
            candidates: numbers of factors, from what is public

        Raises:
            InputError: there is nothing to choose from, or too much, or the trainer has no factors.
            PrivacyParameterError: the model carries no noise.
        """
        if config.trainer is not Trainer.GRAM:
            msg = f"expected the trainer gram to select factors for, got {config.trainer}; leave --select-factors out"
            raise InputError(msg)
        if not 1 < len(set(candidates)) == len(candidates) <= MOST_CANDIDATES or min(candidates) < 1:
            msg = (
                f"expected 2 to {MOST_CANDIDATES} different numbers of factors to select from, got "
                f"{list(candidates)}; repeat --select-factors, or say --factors for a single one"
            )
            raise InputError(msg)
        rest, mu = set_aside(config, SELECTION_SHARE)
        return cls(rest=rest, sum_id=sum_id, candidates=tuple(candidates), noise_multiplier=1 / mu)

    @property
    def spend(self) -> PrivacySpend:
        """What the choice costs: to be booked with the training's own, before anything is drawn."""
        return PrivacySpend(
            purpose="train",
            statistic=COMPARISON,
            sensitivity=selection_sensitivity(len(self.candidates)),
            noise_multiplier=self.noise_multiplier,
            sum_id=self.sum_id,
        )


def selection_sensitivity(n_candidates: int) -> float:
    """Euclidean norm by which one customer moves the comparison: half of the candidates at 1, the others at 0."""
    return math.sqrt(n_candidates**2 // 4 / n_candidates)


def comparison(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n_candidates,): the sum over the customers of their centred values, on the grid over the number of candidates.

    Args:
        values: (n_customers, n_candidates), within [0, 1]

    Guarantees:
        - Adding or removing one customer moves it by at most selection_sensitivity(C) * C * GRID in Euclidean norm.

    Tested by:
        tests/recsys/training/test_selection.py::test_one_customer_moves_the_comparison_by_at_most_the_stated_bound
    """
    on_grid = np.floor(values * GRID).astype(np.int64)
    return (values.shape[1] * on_grid - on_grid.sum(axis=1, keepdims=True)).sum(axis=0)


def release_comparison(
    compared: NDArray[np.int64], noise_multiplier: float, entropy: Entropy = OS_ENTROPY
) -> NDArray[np.float64]:
    """(n_candidates,): the comparison, with Gaussian noise.

    Guarantees:
        - A Gaussian release with this noise multiplier and selection_sensitivity as sensitivity: book it before.

    Tested by: tests/recsys/training/test_selection.py::test_the_comparison_is_released_at_the_stated_scale
    """
    units = len(compared) * GRID
    sigma = noise_multiplier * selection_sensitivity(len(compared)) * units
    return (compared + rounded_gaussian(sigma, len(compared), entropy)) / units


def fit_selected(
    purchased: sp.csr_matrix,
    items: tuple[str, ...],
    terms: Terms,
    plan: SelectionPlan,
    held_out: PurchaseLog,
    *,
    attributes: ItemAttributes | None = None,
    entropy: Entropy = OS_ENTROPY,
) -> tuple[Fitted, Terms]:
    """The candidate that does best on the held-out customers, as far as the noise lets see, and its terms.

    Args:
        purchased: (n_customers, n_items) of the customers to train on
        items: (n_items,) the public catalogue
        terms: of the release; book `terms.first_spends` and `plan.spend` before
        plan: the candidates and the noise of the comparison
        held_out: the purchases of customers whom no candidate has seen
        attributes: of the items, public; asked for where the terms have directions
        entropy: where noise comes from
    """
    fitted = fit_candidates(purchased, items, terms, plan.candidates, attributes=attributes, entropy=entropy)
    values = np.stack([metric_values(each.factors, held_out)[:, METRIC] for each in fitted], axis=1)
    chosen = int(release_comparison(comparison(values), plan.noise_multiplier, entropy).argmax())
    return fitted[chosen], replace(terms, n_factors=plan.candidates[chosen])
