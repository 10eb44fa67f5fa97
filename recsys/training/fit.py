"""From purchases to a model and the sum it was released from, for every trainer. Nothing is booked or stored here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.errors import InputError
from recsys.models.als import ALSConfig, train_als
from recsys.models.attributes import ItemAttributes
from recsys.models.certified_als import ScoresCertificate, certified_als
from recsys.models.certified_problem import Weights
from recsys.models.customer import SumRule, counts_terms
from recsys.models.dp_als import train_dp_als
from recsys.models.dp_sgd import train_dp_sgd
from recsys.models.erasable import erasable_factors, erasable_rule
from recsys.models.factorise import item_factors
from recsys.models.factors import ItemFactors
from recsys.models.gram import (
    CROSS_SENSITIVITY,
    LATENT_SENSITIVITY,
    GramSum,
    release_counts,
    release_cross,
    release_customers,
    release_gram,
    release_latent,
)
from recsys.models.popularity import popularity_model
from recsys.models.spectral import EXPONENT as SPECTRAL_EXPONENT
from recsys.models.spectral import spectral_factors
from recsys.models.subspace import EXPONENT, Released, public_directions, subspace_factors
from recsys.models.subspace_form import Certificate
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.terms import STEPPING, WITHOUT_NOISE, Terms
from recsys.types import Trainer

LARGEST_HEAD = 2048
"""Items that a noisy Gram covers at most: 32 MiB of integers."""
SMALLEST_HEAD = 100
HEAD_NOISE = 4.0
"""Under noise the head is as large as keeps the edge of the noise, sigma sqrt(2 m), at this many times an item's share
of the customers, n / m. Between 3 and 7 was best on MovieLens, and on Online Retail at epsilon 4 and 8
(benchmarks/LOG.md)."""
HEAD_NOISE_BESIDE_DIRECTIONS = 8.0
"""The same where the Gram is of what directions leave: between 5 and 11 was level on MovieLens."""

Factorise = Callable[[int], ItemFactors]
"""The model with this many factors, by post-processing of one release."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model, and the sum it was released from; None where the trainer keeps none."""

    factors: ItemFactors
    content: GramSum | None
    certificate: Certificate | ScoresCertificate | None = None
    """How far the factors can be from the exact ones; of a model that is a function of its data alone."""


def fit(
    purchased: sp.csr_matrix,
    items: tuple[str, ...],
    terms: Terms,
    *,
    attributes: ItemAttributes | None = None,
    entropy: Entropy = OS_ENTROPY,
    seed: int = 0,
    before: ItemFactors | None = None,
) -> Fitted:
    """The model of these customers under these terms. Whoever releases it books `terms.first_spends` before the call.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        items: (n_items,) the public catalogue
        terms: the trainer and its noise
        attributes: of the items, public; asked for where the terms have directions
        entropy: where noise comes from
        seed: for the initial factors of the trainers that start from some
        before: the model in whose place this one comes, for the trainer that can start from it
    """
    if terms.trainer in WITHOUT_NOISE:
        return _fit_by_als(purchased, items, terms, seed=seed, before=before)
    if terms.erasable:
        return fit_again(GramSum.empty(items, erasable_rule(len(items))).add(purchased), terms)
    if terms.trainer is Trainer.GRAM and not terms.gram_noise_multiplier:
        return Fitted(_fit_without_noise(purchased, items, terms.n_factors), None)
    if terms.trainer in STEPPING:
        released = release_counts(counts_terms(purchased), terms.counts_noise_multiplier, entropy)
        return Fitted(_fit_in_steps(purchased, items, terms, released, entropy=entropy, seed=seed), None)
    rule = released_rule(purchased, terms, attributes, entropy=entropy)
    content = GramSum.empty(items, rule).add(purchased)
    if terms.trainer is Trainer.POPULARITY:
        return Fitted(popularity_model(rule.released_counts, items), content)
    return fit_again(content, terms, entropy=entropy)


def fit_again(content: GramSum, terms: Terms, *, entropy: Entropy = OS_ENTROPY) -> Fitted:
    """The model released from a sum. Whoever releases it books `terms.next_spends` before the call.

    The Gram, with directions the latent Gram and the cross product too, is drawn anew under the rule that the first
    release made; a popularity model draws its counts anew. An erasable model draws nothing: it is the sum's alone.
    """
    if terms.erasable:
        erasable = erasable_factors(content, terms.n_factors)
        return Fitted(erasable.factors, content, erasable.certificate)
    if terms.gram_noise_multiplier is None:
        counts = release_counts(content.counts, terms.counts_noise_multiplier, entropy)
        return Fitted(popularity_model(counts, content.items), content)
    return Fitted(_released(content, terms, entropy)(terms.n_factors), content)


def fit_candidates(
    purchased: sp.csr_matrix,
    items: tuple[str, ...],
    terms: Terms,
    n_factors: Sequence[int],
    *,
    attributes: ItemAttributes | None = None,
    entropy: Entropy,
) -> list[Fitted]:
    """A model of the Gram for each number of factors, all from one release: at the cost of one, by post-processing.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        items: (n_items,) the public catalogue
        terms: the noise of the Gram's trainer; `terms.n_factors` is not asked for
        n_factors: the candidates
        attributes: as for `fit`
        entropy: where noise comes from
    """
    content = GramSum.empty(items, released_rule(purchased, terms, attributes, entropy=entropy)).add(purchased)
    factorise = _released(content, terms, entropy)
    return [Fitted(factorise(each), content) for each in n_factors]


def released_rule(
    purchased: sp.csr_matrix, terms: Terms, attributes: ItemAttributes | None = None, *, entropy: Entropy = OS_ENTROPY
) -> SumRule:
    """The rule of a sum: made from the counts and the number of customers, which are released here.

    Raises:
        InputError: the terms have directions and no attributes are given, or those of another catalogue.
    """
    beside = terms.latent_noise_multiplier is not None
    if beside and (attributes is None or attributes.n_items != purchased.shape[1]):
        got = "none" if attributes is None else f"those of {attributes.n_items}"
        msg = f"expected attributes of {purchased.shape[1]} items, got {got}; describe every item of the catalogue"
        raise InputError(msg)
    counts = release_counts(counts_terms(purchased), terms.counts_noise_multiplier, entropy)
    if terms.trainer is not Trainer.GRAM:
        return SumRule(released_counts=counts, head_size=0)
    n_customers = release_customers(purchased.shape[0], terms.customers_noise_multiplier or 0.0, entropy)
    size = head_size(n_customers, terms.gram_noise_multiplier or 0.0, beside_directions=beside)
    if not beside or attributes is None:
        return SumRule(released_counts=counts, head_size=size)
    rule = SumRule(released_counts=counts, head_size=size, exponent=EXPONENT, released_customers=n_customers)
    return replace(rule, directions=public_directions(attributes, rule))


def head_size(n_customers: float, noise_multiplier: float, *, beside_directions: bool = False) -> int:
    """How many items a noisy Gram covers: the m with sigma sqrt(2 m) = HEAD_NOISE n / m, within bounds.

    Args:
        n_customers: as released, with noise
        noise_multiplier: of the Gram
        beside_directions: whether the Gram is of what directions leave
    """
    noise = HEAD_NOISE_BESIDE_DIRECTIONS if beside_directions else HEAD_NOISE
    balanced = (noise * max(n_customers, 1.0) / (noise_multiplier * np.sqrt(2))) ** (2 / 3)
    return int(np.clip(balanced, SMALLEST_HEAD, LARGEST_HEAD))


def _fit_by_als(
    purchased: sp.csr_matrix, items: tuple[str, ...], terms: Terms, *, seed: int, before: ItemFactors | None
) -> Fitted:
    """The model of the purchases themselves: after some sweeps, or at the optimum."""
    if terms.penalty is None:
        return Fitted(train_als(purchased, items, ALSConfig(), seed=seed), None)
    weights = Weights(penalty=terms.penalty)
    exact = certified_als(purchased, items, weights=weights, n_factors=terms.n_factors, seed=seed, before=before)
    return Fitted(exact.factors, None, exact.certificate)


def _fit_without_noise(purchased: sp.csr_matrix, items: tuple[str, ...], n_factors: int) -> ItemFactors:
    """The model of all items that sold, from the purchases themselves."""
    counts = np.bincount(purchased.indices, minlength=purchased.shape[1]).astype(float)
    rule = SumRule(released_counts=counts, head_size=int(np.count_nonzero(counts)), exponent=SPECTRAL_EXPONENT)
    return spectral_factors(purchased, rule, items, n_factors=n_factors)


def _released(content: GramSum, terms: Terms, entropy: Entropy) -> Factorise:
    """The release of a sum, drawn once, as a function from a number of factors to the model."""
    rule, items, noise = content.rule, content.items, terms.gram_noise_multiplier or 0.0
    if not rule.n_directions:
        gram = release_gram(content.gram, noise, entropy)
        return lambda n: item_factors(gram, rule, items, noise_scale=terms.noise_scale, n_factors=n)
    latent, cross = terms.latent_noise_multiplier or 0.0, terms.cross_noise_multiplier or 0.0
    released = Released(
        latent=release_latent(content.latent, latent, entropy),
        cross=release_cross(content.cross, cross, entropy),
        gram=release_gram(content.gram, noise, entropy),
        latent_scale=latent * LATENT_SENSITIVITY,
        cross_scale=cross * CROSS_SENSITIVITY,
        gram_scale=terms.noise_scale,
    )
    return lambda n: subspace_factors(released, rule, items, n_factors=n)


def _fit_in_steps(
    purchased: sp.csr_matrix,
    items: tuple[str, ...],
    terms: Terms,
    released: NDArray[np.float64],
    *,
    entropy: Entropy,
    seed: int,
) -> ItemFactors:
    """The model of a trainer that takes steps, under its settings for this much noise."""
    noise = terms.step_noise_multiplier or 0.0
    if terms.trainer is Trainer.DP_ALS:
        return train_dp_als(purchased, items, released, noise, terms.least_squares, entropy=entropy, seed=seed)
    return train_dp_sgd(
        purchased,
        items,
        released,
        noise,
        terms.descent,
        expected_customers=terms.expected_customers,
        entropy=entropy,
        seed=seed,
    )
