"""From a released Gram to item factors, in closed form. All of it is post-processing: it costs no budget.

1. De-noise. The eigenvalues of pure noise of scale sigma fill a semicircle of radius sigma sqrt(2 m) (Wigner); an
   eigenvalue e beyond that edge belongs to a true one of (e + sqrt(e² - edge²)) / 2 (Baik, Ben Arous and Péché 2005, in
   this scaling). What noise alone could have reached is dropped, and what rises little above it counts for little.
2. Two items that go together far more than the eigenvectors say, with nobody else, stand out as one number that a
   threshold keeps (low rank and sparse, as in Candès, Li, Ma and Wright 2011).
3. Ridge regression within what is left, its regularisation at least the edge, as two item tables: a customer is encoded
   by one and scored by the other, so the fold-in is a sum of item vectors.
4. Popularity, which the customers' vectors leave out, comes back as one more factor, over the whole catalogue. Where
   nothing rises above the noise this factor is all there is, and the model ranks by popularity: never below the floor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from recsys.models.customer import SumRule
from recsys.models.factors import ItemFactors

Matrix = NDArray[np.float64]

POPULARITY_WEIGHT = 2.0
"""How much of what a customer shares with popularity counts, in units of what customers share with it on average: where
they buy much alike, what they buy next is mostly popular, too. From 1.5 to 2.5 it was level or best on groceries,
MovieLens and Online Retail alike; a weight that is the same for all was not (benchmarks/LOG.md)."""
LEAST_POPULARITY_WEIGHT = 0.5
"""Where a catalogue is so large that customers share little, this is better than less."""
REGULARIZATION = 4.0
"""Ridge regularisation in units of the mean diagonal of the Gram; trust in eigenvectors shrinks, too."""
PAIR_THRESHOLD = 1.5
"""Standard deviations of the noise by which a pair must stand out, and which are taken off: from 1 to 2 was level on
MovieLens and groceries, and worth as much on Online Retail (benchmarks/LOG.md)."""
OWN_SHARE = 0.25
"""The part of what each item has in common with itself alone that does not count. Taking off all of it was better on
groceries and in a large synthetic shop, and worse on MovieLens and Online Retail."""

NEGLIGIBLE = 1e-9
"""An eigenvalue below this part of the largest is rounding."""

FLUCTUATION = 3.27
"""The largest eigenvalue of pure noise lies at edge (1 + t / (2 m^(2/3))), t by the law of Tracy and Widom (1996) for
real matrices: t is above 0 in one of six draws, and above this in one of a thousand."""


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The part of a released Gram that rises above its noise: `vectors` (m, k) and `values` (k,), largest last."""

    vectors: Matrix
    values: NDArray[np.float64]
    edge: float

    @property
    def trust(self) -> NDArray[np.float64]:
        """(k,): the squared cosine of each vector with the true one (Benaych-Georges and Nadakuditi 2011)."""
        return 1 - (self.edge / (2 * self.values)) ** 2


def denoise(gram: Matrix, noise_scale: float) -> Spectrum:
    """The eigenvectors beyond what noise alone reaches in 999 of 1000 draws, and their de-biased eigenvalues.

    Args:
        gram: (m, m), symmetric
        noise_scale: standard deviation of the noise on the diagonal (sigma / sqrt(2) off it); 0 for none
    """
    values, vectors = linalg.eigh(gram, driver="evd")
    edge = noise_scale * np.sqrt(2 * len(gram))
    beyond = values > edge * (1 + FLUCTUATION / (2 * len(gram) ** (2 / 3)))
    kept = values[beyond]
    return Spectrum(vectors[:, beyond], (kept + np.sqrt(kept**2 - edge**2)) / 2, float(edge))


def item_factors(
    gram: Matrix,
    rule: SumRule,
    items: tuple[str, ...],
    *,
    noise_scale: float,
    n_factors: int,
    regularization: float = REGULARIZATION,
    popularity_weight: float | None = None,
) -> ItemFactors:
    """The model: `n_factors` factors at most from the released Gram, and one for popularity.

    Args:
        gram: (head, head), as released, in units where one customer's term has norm 1
        rule: the rule that the sum was built with
        items: (n_items,) the catalogue
        noise_scale: standard deviation of the noise on the diagonal of `gram`
        n_factors: the rank of what is kept beside popularity
        regularization: of the ridge, in units of the mean diagonal of the Gram
        popularity_weight: how much of what a customer shares with popularity counts; None: by how much all share
    """
    if popularity_weight is None:  # every customer with something in the head adds 1 to the trace
        popularity_weight = weight_of_popularity(rule.mean_overlap(float(np.trace(gram))))
    if rule.deflate:
        gram = _without(gram, rule.unit_direction)
    encoder, decoder = _tables(gram, rule, noise_scale, n_factors, regularization)
    if not rule.deflate:
        return _over_catalogue(encoder, decoder, rule, items)
    return with_popularity(encoder, decoder, rule, items, popularity_weight)


def with_popularity(
    encoder: Matrix, decoder: Matrix, rule: SumRule, items: tuple[str, ...], popularity_weight: float
) -> ItemFactors:
    """The model of these tables (head, k), which know nothing of popularity, with popularity as one more factor."""
    popularity = rule.unit_direction
    own = encoder - np.outer(popularity, popularity @ encoder)
    shared = popularity / rule.weights * rule.weights.max()
    tables = np.column_stack([own, popularity_weight * popularity]), np.column_stack([decoder, shared])
    return _over_catalogue(*tables, rule, items)


def unweighted(popularity: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """What scores of weighted items are multiplied by, so that they are on average those of items.

    Divided by its own weight, each item's score was worse on MovieLens and level elsewhere (benchmarks/LOG.md).
    """
    return float(weights.max() / (popularity**2 @ weights))


def weight_of_popularity(mean_overlap: float) -> float:
    """How much of what a customer shares with popularity counts, where customers share this much on average."""
    return max(POPULARITY_WEIGHT * mean_overlap, LEAST_POPULARITY_WEIGHT)


def _tables(
    gram: Matrix, rule: SumRule, noise_scale: float, n_factors: int, regularization: float
) -> tuple[Matrix, Matrix]:
    """Encoder and decoder of the head, (m, at most n_factors); no column where no two items go together."""
    if len(gram) <= 1 or not gram.any():
        return np.zeros((len(gram), 0)), np.zeros((len(gram), 0))
    mean_diagonal = float(np.trace(gram)) / max(len(gram), 1)
    ridge = max(regularization * mean_diagonal, noise_scale * np.sqrt(2 * len(gram)), np.finfo(float).tiny)
    values, vectors = linalg.eigh(_signal(gram, rule, noise_scale), driver="evd")
    kept = np.flatnonzero(values > NEGLIGIBLE * values[-1])[-n_factors:]
    decoder = vectors[:, kept] * unweighted(rule.unit_direction, rule.weights)
    return vectors[:, kept] * (values[kept] / (values[kept] + ridge)), decoder


def _signal(gram: Matrix, rule: SumRule, noise_scale: float) -> Matrix:
    """(m, m): the Gram without its noise; zero where nothing rises above it."""
    spectrum = denoise(gram, noise_scale)
    if not len(spectrum.values):
        return np.zeros_like(gram)
    seen = (spectrum.vectors * (spectrum.values * spectrum.trust)) @ spectrum.vectors.T
    pairs = np.maximum(gram - seen - PAIR_THRESHOLD * noise_scale / np.sqrt(2), 0)
    np.fill_diagonal(pairs, 0)
    alone = rule.head_counts * rule.weights**2
    alone *= OWN_SHARE * np.trace(gram) / alone.sum()
    # A score goes through a vector twice: its value counts by how far it can be trusted, twice.
    values = np.maximum(spectrum.values * spectrum.trust**2 - alone @ spectrum.vectors**2, 0)
    return (spectrum.vectors * values) @ spectrum.vectors.T + pairs


def _without(gram: Matrix, direction: NDArray[np.float64]) -> Matrix:
    """The Gram with the direction projected out on both sides."""
    moved = gram - np.outer(direction, direction @ gram)
    return moved - np.outer(moved @ direction, direction)


def _over_catalogue(encoder: Matrix, decoder: Matrix, rule: SumRule, items: tuple[str, ...]) -> ItemFactors:
    """The tables of the head, spread over the catalogue; of items outside the head popularity alone is known."""
    tables = np.zeros((2, len(items), encoder.shape[1]), dtype=np.float32)
    tables[:, rule.head] = encoder, decoder
    weights = np.zeros(len(items), dtype=np.float32)
    weights[rule.head] = rule.weights / rule.weights.max()
    if rule.deflate:
        tail = np.setdiff1d(np.flatnonzero(rule.released_counts > 0), rule.head)
        unit = rule.weights.max() / np.linalg.norm(rule.head_counts * rule.weights)
        tables[1, tail, -1] = unit * rule.released_counts[tail]
        weights[tail] = np.finfo(np.float32).tiny  # known, and no part of a customer's length
    return ItemFactors(
        item_ids=items,
        encoder=tables[0],
        factors=tables[1],
        item_weights=weights,
        popularity=np.maximum(rule.released_counts, 0).astype(np.float32),
    )
