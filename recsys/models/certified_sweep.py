"""One side of the factors, exactly, where the other is given: a ridge problem for each customer or item.

Their matrices are A = a V^T V + sum over bought v v^T + l I. Solving for one side and then the other is alternating
least squares; their inverses are what Newton's method eliminates the customers by and is preconditioned with.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.certified_problem import Matrix, Problem, Vector

BLOCK = 1024
"""Matrices that are made and solved at a time."""


def customers_of(problem: Problem, items: Matrix) -> Matrix:
    """(n, d): the customers' best factors beside these items."""
    return _solved(problem.bought, items, problem.customer_penalties, problem.weights.unobserved)


def items_of(problem: Problem, customers: Matrix) -> Matrix:
    """(m, d): the items' best factors beside these customers."""
    return _solved(problem.by_item, customers, problem.item_penalties, problem.weights.unobserved)


def swept(problem: Problem, items: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """Customers and items after so many sweeps over both; the customers are the best beside the items."""
    customers = customers_of(problem, items)
    for _ in range(count):
        items = items_of(problem, customers)
        customers = customers_of(problem, items)
    return customers, items


def inverses(
    bought: sp.csr_matrix, other: NDArray[np.floating], penalties: Vector, unobserved: float
) -> NDArray[np.floating]:
    """(rows, d, d): the inverse of every row's matrix, in the precision of the other side."""
    found = np.empty((bought.shape[0], other.shape[1], other.shape[1]), dtype=other.dtype)
    for start in range(0, len(found), BLOCK):
        found[start : start + BLOCK] = np.linalg.inv(_matrices(bought, other, penalties, unobserved, start))
    return found


def _solved(bought: sp.csr_matrix, other: Matrix, penalties: Vector, unobserved: float) -> Matrix:
    wanted = bought @ other
    for start in range(0, len(wanted), BLOCK):
        part = slice(start, start + BLOCK)
        matrices = _matrices(bought, other, penalties, unobserved, start)
        wanted[part] = np.linalg.solve(matrices, wanted[part][..., None])[..., 0]
    return np.asarray(wanted)


def _matrices(
    bought: sp.csr_matrix, other: NDArray[np.floating], penalties: Vector, unobserved: float, start: int
) -> NDArray[np.floating]:
    """(at most BLOCK, d, d): the matrices of the rows from `start` on."""
    everywhere = unobserved * (other.T @ other)
    bounds = bought.indptr[start : start + BLOCK + 1]
    matrices = np.empty((len(bounds) - 1, *everywhere.shape), dtype=other.dtype)
    for row, (first, last) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        own = other[bought.indices[first:last]]
        np.dot(own.T, own, out=matrices[row])
    matrices += everywhere
    diagonal = np.arange(other.shape[1])
    matrices[:, diagonal, diagonal] += penalties[start : start + BLOCK, None].astype(other.dtype)
    return matrices
