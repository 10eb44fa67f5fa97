"""Item factors without noise, from the purchases themselves: their Gram is never made, and time is linear in them.

1. Customer u is the row w_S ||w_S||^-CUSTOMER_EXPONENT: who bought more says more, and no bound is needed.
2. The leading eigenvectors of the rows' Gram without popularity, by power iteration on a block of random vectors
   (Halko, Martinsson and Tropp 2011, algorithm 4.4): products of a sparse matrix with a few columns.
3. The ridge autoencoder with zero diagonal (EASE, Steck 2019) within them, and popularity as one more factor.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import linalg

from recsys.models.customer import SumRule
from recsys.models.factorise import Matrix, Spectrum, weight_of_popularity, with_popularity
from recsys.models.factors import ItemFactors

EXPONENT = -0.25
"""An item that c customers bought weighs c^EXPONENT. This and what follows was level on the validation customers of
MovieLens and on earlier cuts of Online Retail and groceries (benchmarks/LOG.md)."""
CUSTOMER_EXPONENT = 0.5
"""Between rows as they are and rows of unit length. What privacy bounds costs a lot here: unit length loses."""
REGULARIZATION = 15.0
ITERATIONS = 8
OVERSAMPLING = 16
"""Columns beyond those asked for; with fewer iterations or columns recall begins to fall."""
NEGLIGIBLE = 1e-6
"""An eigenvalue below this part of the largest is rounding."""


def spectral_factors(
    purchased: sp.csr_matrix,
    rule: SumRule,
    items: tuple[str, ...],
    *,
    n_factors: int,
    regularization: float = REGULARIZATION,
) -> ItemFactors:
    """The model: `n_factors` factors at most, and one for popularity. The same bytes for the same purchases.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        rule: which items are covered and what they weigh
        items: (n_items,) the catalogue
        n_factors: the rank of what is kept beside popularity
        regularization: of the ridge, in units of the mean diagonal of the rows' Gram
    """
    rows = customer_rows(purchased, rule)
    popularity = rule.unit_direction.astype(np.float32)
    diagonal = float((rows.data.astype(np.float64) ** 2).sum() - ((rows @ popularity).astype(np.float64) ** 2).sum())
    ridge = max(regularization * diagonal / max(len(popularity), 1), np.finfo(float).tiny)
    encoder, decoder = spectral_autoencoder(leading_spectrum(rows, popularity, n_factors), ridge)
    shared = weight_of_popularity(rule.mean_overlap(purchased.shape[0]))
    return with_popularity(encoder, decoder / rule.weights[:, None] * rule.weights.max(), rule, items, shared)


def customer_rows(purchased: sp.csr_matrix, rule: SumRule) -> sp.csr_matrix:
    """(n_customers, head): w_S ||w_S||^-CUSTOMER_EXPONENT, in float32."""
    bought = purchased[:, rule.head]
    weights = rule.weights[bought.indices]
    customer = np.repeat(np.arange(bought.shape[0]), np.diff(bought.indptr))
    length = np.sqrt(np.bincount(customer, weights**2, minlength=bought.shape[0]))
    scaled = weights * length[customer] ** -CUSTOMER_EXPONENT
    return sp.csr_matrix((scaled.astype(np.float32), bought.indices, bought.indptr), bought.shape)


def leading_spectrum(rows: sp.csr_matrix, popularity: NDArray[np.float32], count: int) -> Spectrum:
    """The `count` leading eigenvectors, and values, of rows^T rows with `popularity` projected out on both sides."""
    size = min(count + OVERSAMPLING, rows.shape[1])
    across = rows.T.tocsr()
    # A fixed start, so that equal purchases give equal factors; what it is does not matter.
    block = np.random.default_rng(0).standard_normal((rows.shape[1], size)).astype(np.float32)
    for _ in range(ITERATIONS):
        block = _without(across @ (rows @ _without(block, popularity)), popularity)
        block = linalg.qr(block, mode="economic", check_finite=False)[0]
    seen = (rows @ _without(block, popularity)).astype(np.float64)
    values, vectors = linalg.eigh(seen.T @ seen)
    kept = values[-count:] > NEGLIGIBLE * values[-1:]
    return Spectrum((block @ vectors[:, -count:])[:, kept], values[-count:][kept], 0.0)


def autoencoder(gram: Matrix, regularization: float) -> Matrix:
    """(m, m): B of least ||X - X B||² + lambda ||B||² with zero diagonal, for X^T X = gram (Steck 2019, equation 8)."""
    inverse = linalg.inv(gram + regularization * np.eye(len(gram)), assume_a="pos")
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def spectral_autoencoder(spectrum: Spectrum, regularization: float) -> tuple[Matrix, Matrix]:
    """Encoder and decoder (m, k): `autoencoder` of the spectrum, exact for every item that the customer did not buy.

    With P = (G + lambda I)^-1 and gains g = values / (values + lambda), lambda P = I - V g V^T, so
    B = (V g V^T - diag h) / (1 - h) with h the diagonal of V g V^T. The part with diag h only lowers items that were
    bought.
    """
    gains = spectrum.values / (spectrum.values + regularization)
    leverage = (spectrum.vectors**2) @ gains
    return spectrum.vectors * gains, spectrum.vectors / (1 - leverage)[:, None]


def _without(block: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.float32]:
    """The columns of the block with the direction projected out."""
    return block - np.outer(direction, direction @ block)
