"""Two models that the peers of the erasure benchmark are made from: EASE with its downdate, and ALS by exact sweeps."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy import linalg

from benchmarks.erasure_data import Customers, Matrix

EASE_REGULARIZATION = 1000.0
"""The best of nine from 100 to 2,000 on the validation rows."""
ALS_FACTORS, ALS_REGULARIZATION, ALS_BACKGROUND = 32, 0.0145, 0.3
"""Where ALS has one optimum and comes near it in some dozens of sweeps (research: rank 27)."""
SWEEPS = 80


@dataclass(frozen=True, slots=True, eq=False)
class Ease:
    """EASE (Steck 2019) as P = (X^T X + lambda I)^-1: a customer scores x - x P / diag P."""

    inverse: Matrix

    def scores(self, purchased: sp.csr_matrix) -> Matrix:
        """(n_customers, n_items)."""
        own = purchased.astype(np.float64)
        return np.asarray(own.toarray() - (own @ self.inverse) / np.diag(self.inverse))


def train_ease(purchased: sp.csr_matrix, regularization: float = EASE_REGULARIZATION) -> Ease:
    """EASE of these customers."""
    gram = np.asarray((purchased.T @ purchased).toarray(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += regularization
    return Ease(linalg.inv(gram, assume_a="pos"))


def downdate(model: Ease, purchased: sp.csr_matrix, erased: Customers) -> Ease:
    """EASE without these customers, by Woodbury's identity: exact up to rounding."""
    rows = purchased[erased].astype(np.float64)
    image = np.asarray(rows @ model.inverse)
    small = np.eye(len(erased)) - np.asarray(rows @ image.T)
    return Ease(model.inverse + image.T @ linalg.solve(small, image, assume_a="sym"))


@dataclass(frozen=True, slots=True, eq=False)
class Sweeps:
    """Item factors of implicit ALS (Hu, Koren and Volinsky 2008) with ridges by frequency; customers are solved for."""

    items: Matrix

    def customers(self, purchased: sp.csr_matrix) -> Matrix:
        """(n_customers, n_factors)."""
        return _solved(purchased.astype(np.float64), self.items)

    def scores(self, purchased: sp.csr_matrix) -> Matrix:
        """(n_customers, n_items)."""
        return np.asarray(self.customers(purchased) @ self.items.T)


def train_als(purchased: sp.csr_matrix, sweeps: int) -> Sweeps:
    """ALS of these customers, always from the same random start."""
    start = 0.1 * np.random.default_rng(0).standard_normal((purchased.shape[1], ALS_FACTORS))
    return swept(Sweeps(start), purchased, sweeps)


def swept(model: Sweeps, purchased: sp.csr_matrix, sweeps: int) -> Sweeps:
    """The model after so many more sweeps over these customers, in float64."""
    rows = purchased.astype(np.float64)
    columns = rows.T.tocsr()
    for _ in range(sweeps):
        model = Sweeps(_solved(columns, _solved(rows, model.items)))
    return model


def _solved(rows: sp.csr_matrix, others: Matrix) -> Matrix:
    """(n_rows, n_factors): least of S (1 - xv)^2 + background * all (xv)^2 + ridge * x^2, for each row."""
    upper, lower = np.triu_indices(others.shape[1])
    systems = np.empty((rows.shape[0], others.shape[1], others.shape[1]))
    systems[:, upper, lower] = systems[:, lower, upper] = rows @ (others[:, upper] * others[:, lower])
    systems += ALS_BACKGROUND * (others.T @ others)
    ridges = ALS_REGULARIZATION * (np.diff(rows.indptr) + ALS_BACKGROUND * len(others))
    systems[:, range(others.shape[1]), range(others.shape[1])] += ridges[:, None]
    return np.asarray(np.linalg.solve(systems, (rows @ others)[:, :, None])[:, :, 0])
