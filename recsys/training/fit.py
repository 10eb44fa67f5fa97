"""From purchases to a model and the sum it was released from, for every trainer. Nothing is booked or stored here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.als import ALSConfig, train_als
from recsys.models.customer import SumRule, counts_terms
from recsys.models.dp_als import train_dp_als
from recsys.models.dp_sgd import train_dp_sgd
from recsys.models.factorise import item_factors
from recsys.models.factors import ItemFactors
from recsys.models.gram import GramSum, release_counts, release_customers, release_gram
from recsys.models.popularity import popularity_model
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.terms import STEPPING, Terms
from recsys.types import Trainer

LARGEST_HEAD = 4096
"""Items that the Gram covers at most: 128 MiB of integers."""
LARGEST_PRIVATE_HEAD = 2048
SMALLEST_HEAD = 100
HEAD_NOISE = 4.0
"""Under noise the head is as large as keeps the edge of the noise, sigma sqrt(2 m), at this many times an item's share
of the customers, n / m. Between 3 and 7 was best on MovieLens, and on Online Retail at epsilon 4 and 8
(benchmarks/LOG.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model, and the sum it was released from; None where nothing can be subtracted (ALS, and what takes steps)."""

    factors: ItemFactors
    content: GramSum | None


def fit(
    purchased: sp.csr_matrix, items: tuple[str, ...], terms: Terms, *, entropy: Entropy = OS_ENTROPY, seed: int = 0
) -> Fitted:
    """The model of these customers under these terms. Whoever releases it books `terms.first_spends` before the call.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        items: (n_items,) the public catalogue
        terms: the trainer and its noise
        entropy: where noise comes from
        seed: for the initial factors of the trainers that start from some
    """
    if terms.trainer is Trainer.ALS:
        return Fitted(train_als(purchased, items, ALSConfig(), seed=seed), None)
    released = release_counts(counts_terms(purchased), terms.counts_noise_multiplier, entropy)
    if terms.trainer in STEPPING:
        return Fitted(_fit_in_steps(purchased, items, terms, released, entropy=entropy, seed=seed), None)
    size = _head_size(purchased.shape[0], released, terms, entropy) if terms.trainer is Trainer.GRAM else 0
    content = GramSum.empty(items, SumRule(released_counts=released, head_size=size)).add(purchased)
    if terms.trainer is Trainer.POPULARITY:
        return Fitted(popularity_model(released, items), content)
    return Fitted(fit_again(content, terms, entropy=entropy), content)


def fit_again(content: GramSum, terms: Terms, *, entropy: Entropy = OS_ENTROPY) -> ItemFactors:
    """The model released from a sum. Whoever releases it books `terms.next_spend` before the call.

    The Gram is drawn anew under the rule that the first release made; a popularity model draws its counts anew.
    """
    if terms.gram_noise_multiplier is None:
        return popularity_model(release_counts(content.counts, terms.counts_noise_multiplier, entropy), content.items)
    gram = release_gram(content.gram, terms.gram_noise_multiplier, entropy)
    return item_factors(gram, content.rule, content.items, noise_scale=terms.noise_scale, n_factors=terms.n_factors)


def fit_candidates(
    purchased: sp.csr_matrix, items: tuple[str, ...], terms: Terms, n_factors: Sequence[int], *, entropy: Entropy
) -> list[Fitted]:
    """A model of the Gram for each number of factors, all from one release: at the cost of one, by post-processing.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        items: (n_items,) the public catalogue
        terms: the noise of the Gram's trainer; `terms.n_factors` is not asked for
        n_factors: the candidates
        entropy: where noise comes from
    """
    released = release_counts(counts_terms(purchased), terms.counts_noise_multiplier, entropy)
    size = _head_size(purchased.shape[0], released, terms, entropy)
    content = GramSum.empty(items, SumRule(released_counts=released, head_size=size)).add(purchased)
    gram = release_gram(content.gram, terms.gram_noise_multiplier or 0.0, entropy)
    return [
        Fitted(item_factors(gram, content.rule, items, noise_scale=terms.noise_scale, n_factors=each), content)
        for each in n_factors
    ]


def head_size(n_customers: float, noise_multiplier: float) -> int:
    """How many items a noisy Gram covers: the m with sigma sqrt(2 m) = HEAD_NOISE n / m, within bounds.

    Args:
        n_customers: as released, with noise
        noise_multiplier: of the Gram
    """
    balanced = (HEAD_NOISE * max(n_customers, 1.0) / (noise_multiplier * np.sqrt(2))) ** (2 / 3)
    return int(np.clip(balanced, SMALLEST_HEAD, LARGEST_PRIVATE_HEAD))


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


def _head_size(n_customers: int, released_counts: NDArray[np.float64], terms: Terms, entropy: Entropy) -> int:
    """The head of a Gram under these terms; without noise, every item that sells."""
    if not terms.gram_noise_multiplier:
        return min(LARGEST_HEAD, int(np.count_nonzero(released_counts > 0)))
    released = release_customers(n_customers, terms.customers_noise_multiplier or 0.0, entropy)
    return head_size(released, terms.gram_noise_multiplier)
