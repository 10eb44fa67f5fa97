"""From what is released beside public directions to item factors. All of it is post-processing: it costs no budget.

What is known of the Gram of whole customers, G = sum of u u^T without popularity, comes in three parts:

    in the directions   Q A Q^T   from the latent Gram: few numbers, so little noise
    across              C Q^T     from the cross product: every item, those outside the head too
    beside them         R         from the Gram of what the directions leave, on the head

1. A and R are de-noised as in `factorise`. A counts by how much of it is more than each item going with itself: where
   attributes say nothing about taste, it says nothing.
2. C is projected off the directions, and each of its numbers is shrunk by what its column and its item's popularity let
   one expect beside the noise (empirical Bayes).
3. The parts, each weighted by how much of a customer's length it stands for, add up to a Gram of low rank: its ridge
   regression gives two item tables, and popularity comes back as one more factor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from recsys.models.attributes import ItemAttributes, directions
from recsys.models.customer import GRID, SumRule
from recsys.models.factorise import denoise, unweighted, weight_of_popularity
from recsys.models.factors import ItemFactors

Matrix = NDArray[np.float64]

N_DIRECTIONS = 50
"""40 to 60 were level. This and what follows was chosen on MovieLens validation customers (benchmarks/LOG.md)."""
EXPONENT = -0.15
"""An item that c customers bought weighs c^EXPONENT beside directions."""
LATENT_FACTOR = 1.2
"""What is seen in the directions counts for a little more than its length: its noise is the smallest."""
RESIDUAL_LENGTH = 0.6
"""How much of a customer's unit length counts as lying beside the directions and popularity."""
RIDGE = 1 / 250
"""Ridge regularisation in parts of the number of customers."""
FULL_RELIABILITY = 0.4
"""From here on the latent Gram counts in full. On MovieLens and Online Retail most of it, and half of it, is of items
that go together, on groceries next to nothing."""
LEAST_EVIDENCE = 1.5
"""A column of the cross product counts if it rises above its noise by this many standard deviations."""
LARGEST_RANK = 200
"""Eigenvectors of the residual Gram at most."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Released:
    """The three matrices as released, in units where one customer's term has norm 1, and their noise."""

    latent: Matrix
    cross: Matrix
    gram: Matrix
    latent_scale: float
    """Standard deviation of the noise on the diagonal."""
    cross_scale: float
    """Standard deviation of the noise."""
    gram_scale: float
    """Standard deviation of the noise on the diagonal."""


def public_directions(attributes: ItemAttributes, rule: SumRule, n: int = N_DIRECTIONS) -> Matrix:
    """(n_items, at most n): directions for the rule, as integers on the grid.

    Args:
        attributes: of the catalogue
        rule: the rule, without directions yet
        n: how many
    """
    weights = rule.catalogue_weights / rule.catalogue_weights.max()
    counts = rule.catalogue_counts / rule.catalogue_counts.max()
    popularity = rule.unit_catalogue_direction
    return np.round(directions(attributes.features(), np.sqrt(counts) * weights, popularity, n) * GRID)


def subspace_factors(released: Released, rule: SumRule, items: tuple[str, ...], *, n_factors: int) -> ItemFactors:
    """The model: `n_factors` factors at most, and one for popularity."""
    popularity = rule.unit_catalogue_direction
    basis, gram = _gram(released, rule, popularity)
    ridge = RIDGE * max(rule.released_customers, 1.0)
    values, vectors = linalg.eigh(gram, driver="evd")
    kept = np.flatnonzero(values > 0)[::-1][:n_factors]
    factors = basis @ vectors[:, kept]
    gains = values[kept] / (values[kept] + ridge)
    encoder = factors * gains
    encoder -= np.outer(popularity, popularity @ encoder)
    decoder = factors * unweighted(popularity, rule.catalogue_weights)
    weight = weight_of_popularity(rule.mean_overlap(rule.released_customers))
    shared = popularity / rule.catalogue_weights * rule.catalogue_weights.max()
    tables = np.column_stack([encoder, weight * popularity]), np.column_stack([decoder, shared])
    return _over_catalogue(*tables, rule, items)


def _gram(released: Released, rule: SumRule, popularity: NDArray[np.float64]) -> tuple[Matrix, Matrix]:
    """An orthonormal basis (n_items, k) and the Gram within it (k, k)."""
    public = rule.directions / GRID
    latent = denoise(released.latent, released.latent_scale)
    inside = public @ latent.vectors
    across, loadings = _cross(released, rule, public, popularity, latent.vectors)
    beside, values = _residual(released, rule, popularity)
    basis = linalg.qr(np.column_stack([inside, beside, across]), mode="economic")[0]
    own = basis.T @ inside
    length = _latent_length(released, rule, public)
    gram = length**2 * (own * latent.values) @ own.T
    gram += (basis.T @ beside * values) @ (basis.T @ beside).T
    shared = length * (basis.T @ across) @ (own @ loadings).T
    return basis, gram + shared + shared.T


def _latent_length(released: Released, rule: SumRule, public: Matrix) -> float:
    """What a customer's unit vector counts for within the directions.

    Its mean length there, which Q^T C sums up, times z z^T; less where the directions are not reliable.
    """
    length = np.einsum("ij,ij->", public, released.cross) / max(float(np.trace(released.latent)), 1.0)
    reliability = _reliability(float(length), rule, public)
    return float(np.clip(LATENT_FACTOR * length, 0.0, 1.0)) * np.sqrt(min(1.0, reliability / FULL_RELIABILITY))


def _reliability(length: float, rule: SumRule, public: Matrix) -> float:
    """The part of customers' squared length within the directions that is not due to each item by itself.

    If what customers buy did not depend on what else they buy, the squared length would be the mean of what the items
    have within the directions, over purchases.
    """
    purchases = np.maximum(rule.released_counts, 0) * rule.catalogue_weights**2
    alone = purchases @ (public**2).sum(axis=1) / max(purchases.sum(), 1.0)
    return max(0.0, 1 - alone / length**2) if length > 0 else 0.0


def _cross(
    released: Released, rule: SumRule, public: Matrix, popularity: NDArray[np.float64], kept: Matrix
) -> tuple[Matrix, Matrix]:
    """What items have beside the directions and popularity (n_items, k), and with which kept directions (kept, k)."""
    cross = released.cross @ kept
    cross -= public @ (public.T @ cross)
    cross -= np.outer(popularity, popularity @ cross)
    expected = np.sqrt(rule.catalogue_counts) * rule.catalogue_weights
    expected /= expected.mean()
    variance = released.cross_scale**2
    evidence = cross.T @ (cross * expected[:, None]) - expected.sum() * variance * np.eye(cross.shape[1])
    signal, loadings = linalg.eigh(evidence / (expected**2).sum())
    above = signal > LEAST_EVIDENCE * variance * np.sqrt(2 / (expected**2).sum())
    prior = expected[:, None] * signal[above]
    return cross @ loadings[:, above] * (prior / (prior + variance)), loadings[:, above]


def _residual(released: Released, rule: SumRule, popularity: NDArray[np.float64]) -> tuple[Matrix, NDArray[np.float64]]:
    """Eigenvectors over the catalogue (n_items, k) and eigenvalues of what the directions leave.

    A value counts by how far its vector can be trusted. Where the noise reaches further than the ridge, all are scaled
    down by the square of how much further.
    """
    head = popularity[rule.head] / np.linalg.norm(popularity[rule.head])
    gram = released.gram - np.outer(head, head @ released.gram)
    gram -= np.outer(gram @ head, head)
    spectrum = denoise(gram, released.gram_scale)
    vectors = np.zeros((len(popularity), min(len(spectrum.values), LARGEST_RANK)))
    vectors[rule.head] = spectrum.vectors[:, ::-1][:, :LARGEST_RANK]
    ridge = RIDGE * max(rule.released_customers, 1.0)
    trust = min(1.0, ridge / max(RESIDUAL_LENGTH**2 * spectrum.edge, np.finfo(float).tiny)) ** 2
    values = (spectrum.trust * spectrum.values)[::-1][:LARGEST_RANK]
    return vectors, RESIDUAL_LENGTH**2 * trust * values


def _over_catalogue(encoder: Matrix, decoder: Matrix, rule: SumRule, items: tuple[str, ...]) -> ItemFactors:
    """The tables in the units that a customer's vector is encoded in."""
    largest = rule.catalogue_weights.max()
    return ItemFactors(
        item_ids=items,
        encoder=encoder.astype(np.float32),
        factors=decoder.astype(np.float32),
        item_weights=(rule.catalogue_weights / largest).astype(np.float32),
        popularity=np.maximum(rule.released_counts, 0).astype(np.float32),
    )
