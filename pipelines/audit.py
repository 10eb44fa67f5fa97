"""The audit of what a training releases: the same calls in the same order as `recsys.training.fit`, read by an auditor.

tests/pipelines/test_audit.py::test_what_is_audited_is_what_a_training_releases holds the two together, bit for bit.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.audit.canaries import CanaryAudit, CanaryShop, Release, Seen, audit, plant, seen_in_gram, seen_in_vector
from recsys.data.worlds import tiny_shop
from recsys.models.customer import GRID, SumRule, counts_terms, customer_vectors
from recsys.models.gram import (
    COUNTS_SENSITIVITY,
    CUSTOMERS_SENSITIVITY,
    GRAM_SENSITIVITY,
    GramSum,
    release_counts,
    release_customers,
    release_gram,
)
from recsys.privacy.accounting import check_parameters
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.fit import head_size
from recsys.training.terms import Terms, TrainConfig
from recsys.types import PrivacyBudget

N_PAIRS = 2000
"""At epsilon 4 the bound is then expected near 0.9 of a claim that is tight."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Transcript:
    """Everything that one training releases, in the order of the releases."""

    counts: NDArray[np.float64]
    n_customers: float
    rule: SumRule
    """Made from the two."""
    gram: NDArray[np.float64]


def released_by_training(
    purchased: sp.csr_matrix, items: tuple[str, ...], terms: Terms, entropy: Entropy
) -> Transcript:
    """What a training of the private model under these terms releases."""
    counts = release_counts(counts_terms(purchased), terms.counts_noise_multiplier, entropy)
    n_customers = release_customers(purchased.shape[0], terms.customers_noise_multiplier or 0.0, entropy)
    noise_multiplier = terms.gram_noise_multiplier or 0.0
    rule = SumRule(released_counts=counts, head_size=head_size(n_customers, noise_multiplier))
    content = GramSum.empty(items, rule).add(purchased)
    gram = release_gram(content.gram, noise_multiplier, entropy)
    return Transcript(counts=counts, n_customers=n_customers, rule=rule, gram=gram)


def training_release(terms: Terms) -> Release:
    """The release of a training under these terms, as an auditor sees it who knows everybody but the canaries."""

    def release(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
        items = tuple(f"i{position}" for position in range(shop.customers.shape[1]))
        return read(released_by_training(shop.joined_by(included), items, terms, entropy), shop, terms)

    return release


def read(transcript: Transcript, shop: CanaryShop, terms: Terms) -> list[Seen]:
    """What each part of a transcript tells about every canary."""
    n_canaries = shop.canaries.shape[0]
    each = [counts_terms(shop.canaries[row : row + 1]) for row in range(n_canaries)]
    customers = customer_vectors(shop.customers, transcript.rule)
    return [
        seen_in_vector(
            "customers",
            np.array([transcript.n_customers - shop.customers.shape[0]]),
            np.ones((n_canaries, 1)),
            sensitivity=CUSTOMERS_SENSITIVITY,
            noise_scale=(terms.customers_noise_multiplier or 0.0) * CUSTOMERS_SENSITIVITY,
        ),
        seen_in_vector(
            "counts",
            transcript.counts - counts_terms(shop.customers) / GRID,
            np.array(each) / GRID,
            sensitivity=COUNTS_SENSITIVITY,
            noise_scale=terms.counts_noise_multiplier * COUNTS_SENSITIVITY,
        ),
        seen_in_gram(
            "gram",
            transcript.gram - customers.T @ customers / GRID**2,
            customer_vectors(shop.canaries, transcript.rule) / GRID,
            sensitivity=GRAM_SENSITIVITY,
            noise_scale=terms.noise_scale,
        ),
    ]


def audit_training(
    claimed: PrivacyBudget, *, n_pairs: int = N_PAIRS, confidence: float = 0.99, entropy: Entropy = OS_ENTROPY
) -> CanaryAudit:
    """What can be found against the claim of a training of the private model, on a small synthetic shop.

    The shop is small because noise is drawn for every pair of items; one canary is as easy to see in a large one, to
    an auditor who knows the others.

    Args:
        claimed: of all that one training releases
        n_pairs: half the number of trainings
        confidence: how often all findings are at or below the truth
        entropy: where noise comes from

    Raises:
        PrivacyParameterError: epsilon or delta make no promise.
        InputError: epsilon is infinite, there are too few releases, or the confidence is none.
    """
    check_parameters(claimed.epsilon, claimed.delta)
    shop = plant(tiny_shop(np.random.default_rng(0), n_customers=10, n_items=5).interactions().matrix)
    release = training_release(Terms.under(TrainConfig(epsilon=claimed.epsilon, delta=claimed.delta)))
    return audit(release, shop, claimed, n_pairs=n_pairs, confidence=confidence, entropy=entropy)


def audit_epsilon_ratio(
    *, epsilon: float = 4.0, delta: float = 1e-6, n_pairs: int = 4 * N_PAIRS, confidence: float = 0.99, seed: int = 0
) -> float:
    """The part of a training's whole claim that an audit finds; a seed makes it repeatable, as no release may be."""
    claimed = PrivacyBudget(epsilon=epsilon, delta=delta)
    entropy = np.random.default_rng(seed).bytes
    return audit_training(claimed, n_pairs=n_pairs, confidence=confidence, entropy=entropy).whole.ratio
