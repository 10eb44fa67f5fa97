"""The audit of what a training releases: the same calls in the same order as `recsys.training.fit`, read by an auditor.

tests/pipelines/test_audit.py::test_what_is_audited_is_what_a_training_releases holds the two together, bit for bit.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.audit.canaries import CanaryAudit, CanaryShop, Release, Seen, audit, plant, seen_in_gram, seen_in_vector
from recsys.data.worlds import tiny_shop
from recsys.models.attributes import ItemAttributes
from recsys.models.customer import GRID, SumRule, counts_terms, customer_terms, customer_vectors
from recsys.models.gram import (
    COUNTS_SENSITIVITY,
    CROSS_SENSITIVITY,
    CUSTOMERS_SENSITIVITY,
    GRAM_SENSITIVITY,
    LATENT_SENSITIVITY,
    GramSum,
    release_counts,
    release_cross,
    release_customers,
    release_gram,
    release_latent,
)
from recsys.models.subspace import EXPONENT, public_directions
from recsys.privacy.accounting import check_parameters
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.fit import head_size
from recsys.training.terms import Terms, TrainConfig
from recsys.types import PrivacyBudget

N_PAIRS = 2000
"""At epsilon 4 the bound is then expected near 0.9 of a claim that is tight."""
N_GROUPS = 3
"""Few directions: noise is drawn for every pair of item and direction."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Transcript:
    """Everything that one training releases, in the order of the releases."""

    counts: NDArray[np.float64]
    n_customers: float
    rule: SumRule
    """Made from the two."""
    latent: NDArray[np.float64] | None
    """None without directions, as the next."""
    cross: NDArray[np.float64] | None
    gram: NDArray[np.float64]


def released_by_training(
    purchased: sp.csr_matrix,
    items: tuple[str, ...],
    terms: Terms,
    entropy: Entropy,
    attributes: ItemAttributes | None = None,
) -> Transcript:
    """What a training of the private model under these terms releases."""
    counts = release_counts(counts_terms(purchased), terms.counts_noise_multiplier, entropy)
    n_customers = release_customers(purchased.shape[0], terms.customers_noise_multiplier or 0.0, entropy)
    rule = _rule(counts, n_customers, terms, attributes)
    content = GramSum.empty(items, rule).add(purchased)
    beside = rule.n_directions > 0
    return Transcript(
        counts=counts,
        n_customers=n_customers,
        rule=rule,
        latent=release_latent(content.latent, terms.latent_noise_multiplier or 0.0, entropy) if beside else None,
        cross=release_cross(content.cross, terms.cross_noise_multiplier or 0.0, entropy) if beside else None,
        gram=release_gram(content.gram, terms.gram_noise_multiplier or 0.0, entropy),
    )


def _rule(counts: NDArray[np.float64], n_customers: float, terms: Terms, attributes: ItemAttributes | None) -> SumRule:
    """The rule that a training makes from what it released first."""
    noise_multiplier = terms.gram_noise_multiplier or 0.0
    if attributes is None:
        return SumRule(released_counts=counts, head_size=head_size(n_customers, noise_multiplier))
    size = head_size(n_customers, noise_multiplier, beside_directions=True)
    rule = SumRule(released_counts=counts, head_size=size, exponent=EXPONENT, released_customers=n_customers)
    return replace(rule, directions=public_directions(attributes, rule))


def training_release(terms: Terms, attributes: ItemAttributes | None = None) -> Release:
    """The release of a training under these terms, as an auditor sees it who knows everybody but the canaries."""

    def release(shop: CanaryShop, included: NDArray[np.bool_], entropy: Entropy) -> list[Seen]:
        items = tuple(f"i{position}" for position in range(shop.customers.shape[1]))
        transcript = released_by_training(shop.joined_by(included), items, terms, entropy, attributes)
        return read(transcript, shop, terms)

    return release


def read(transcript: Transcript, shop: CanaryShop, terms: Terms) -> list[Seen]:
    """What each part of a transcript tells about every canary."""
    n_canaries = shop.canaries.shape[0]
    each = [counts_terms(shop.canaries[row : row + 1]) for row in range(n_canaries)]
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
        *_read_matrices(transcript, shop, terms),
    ]


def _read_matrices(transcript: Transcript, shop: CanaryShop, terms: Terms) -> list[Seen]:
    """What the matrices tell: the Gram alone, or the three beside directions."""
    rule = transcript.rule
    if transcript.latent is None or transcript.cross is None:
        customers, canaries = customer_vectors(shop.customers, rule), customer_vectors(shop.canaries, rule)
        return [_read_gram(transcript, customers, canaries, terms)]
    known, looked_for = customer_terms(shop.customers, rule), customer_terms(shop.canaries, rule)
    added = np.einsum("ui,uk->uik", looked_for.units.toarray(), looked_for.latent) / GRID**2
    return [
        seen_in_gram(
            "latent",
            transcript.latent - known.latent.T @ known.latent / GRID**2,
            looked_for.latent / GRID,
            sensitivity=LATENT_SENSITIVITY,
            noise_scale=(terms.latent_noise_multiplier or 0.0) * LATENT_SENSITIVITY,
        ),
        seen_in_vector(
            "cross",
            (transcript.cross - known.units.T @ known.latent / GRID**2).ravel(),
            added.reshape(len(added), -1),
            sensitivity=CROSS_SENSITIVITY,
            noise_scale=(terms.cross_noise_multiplier or 0.0) * CROSS_SENSITIVITY,
        ),
        _read_gram(transcript, known.residuals, looked_for.residuals, terms),
    ]


def _read_gram(
    transcript: Transcript, customers: NDArray[np.float64], canaries: NDArray[np.float64], terms: Terms
) -> Seen:
    """What the Gram tells, of whichever vectors it is."""
    return seen_in_gram(
        "gram",
        transcript.gram - customers.T @ customers / GRID**2,
        canaries / GRID,
        sensitivity=GRAM_SENSITIVITY,
        noise_scale=terms.noise_scale,
    )


def described(n_items: int) -> ItemAttributes:
    """Public attributes of the audited shop's items: a group each, which the canary's items have in common too."""
    return ItemAttributes(labels={"group": [[f"group {index % N_GROUPS}"] for index in range(n_items)]})


def audit_training(
    claimed: PrivacyBudget,
    *,
    attributes: bool = False,
    n_pairs: int = N_PAIRS,
    confidence: float = 0.99,
    entropy: Entropy = OS_ENTROPY,
) -> CanaryAudit:
    """What can be found against the claim of a training of the private model, on a small synthetic shop.

    The shop is small because noise is drawn for every pair of items; one canary is as easy to see in a large one, to
    an auditor who knows the others.

    Args:
        claimed: of all that one training releases
        attributes: whether the training has public attributes of the items, and so directions
        n_pairs: half the number of trainings
        confidence: how often all findings are at or below the truth
        entropy: where noise comes from

    Raises:
        PrivacyParameterError: epsilon or delta make no promise.
        InputError: epsilon is infinite, there are too few releases, or the confidence is none.
    """
    check_parameters(claimed.epsilon, claimed.delta)
    shop = plant(tiny_shop(np.random.default_rng(0), n_customers=10, n_items=5).interactions().matrix)
    terms = Terms.under(TrainConfig(epsilon=claimed.epsilon, delta=claimed.delta, attributes=attributes))
    release = training_release(terms, described(shop.customers.shape[1]) if attributes else None)
    return audit(release, shop, claimed, n_pairs=n_pairs, confidence=confidence, entropy=entropy)


def audit_epsilon_ratio(
    *,
    epsilon: float = 4.0,
    delta: float = 1e-6,
    attributes: bool = False,
    n_pairs: int = 4 * N_PAIRS,
    confidence: float = 0.99,
    seed: int = 0,
) -> float:
    """The part of a training's whole claim that an audit finds; a seed makes it repeatable, as no release may be."""
    claimed = PrivacyBudget(epsilon=epsilon, delta=delta)
    entropy = np.random.default_rng(seed).bytes
    found = audit_training(claimed, attributes=attributes, n_pairs=n_pairs, confidence=confidence, entropy=entropy)
    return found.whole.ratio
