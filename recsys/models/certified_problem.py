"""Implicit-feedback factorisation as a convex problem with one optimum, whoever solves it and from wherever.

    L(X, V) = sum over bought (1 - x_u v_j)^2 + a sum over all (x_u v_j)^2 + sum_u l_u |x_u|^2 + sum_j l_j |v_j|^2

with l_u = p (|S_u| + a m) and l_j = p (c_j + a n): the weights of Hu, Koren and Volinsky 2008 on an unobserved entry of
`a`, and penalties that grow with what there is of somebody. In the scores M = X V^T the first two sums are strongly
convex, and the least of the last two over all factors of M is 2 |D_u^1/2 M D_v^1/2|_*, a nuclear norm (Srebro, Rennie
and Jaakkola 2004). So with columns enough there is one M, and nothing of the way to it is left in it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

PAIRS = 8192
"""Purchases whose scores are made at a time: both gathered tables stay in the second cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The two settings of the problem; public, never made from purchases."""

    unobserved: float = 0.3
    """What an entry that nobody bought weighs against one that somebody did. It makes the problem convex."""
    penalty: float = 0.7
    """Of the lengths of the factors, as a part of the `edge`: it decides how many columns the solution has."""


USUAL = Weights()
"""The best on validation purchases of MovieLens (docs/decisions/0027-certified-als.md)."""


@dataclass(frozen=True)
class Problem:
    """The purchases of everybody who bought something, and the weights."""

    bought: sp.csr_matrix
    """(n, m) of ones; every row has some."""
    weights: Weights

    @classmethod
    def of(cls, purchased: sp.csr_matrix, weights: Weights) -> "Problem":
        """The problem of these purchases; whoever bought nothing is left out."""
        bought = sp.csr_matrix(purchased[np.diff(purchased.indptr) > 0], dtype=np.float64, copy=True)
        bought.sum_duplicates()
        bought.data[:] = 1.0
        return cls(bought, weights)

    @cached_property
    def penalty(self) -> float:
        """p: the setting times the edge: as far as singular values of as many random purchases reach, scaled alike.

        It is made from three whole numbers, so that the same purchases give the same bits in any order.
        """
        (n, m), bought = self.bought.shape, self.bought.nnz
        edge = (n**0.5 + m**0.5) * bought**0.5 / (bought + self.weights.unobserved * n * m)
        return float(self.weights.penalty * edge)

    @cached_property
    def customer_penalties(self) -> Vector:
        """(n,): l_u."""
        lengths = np.diff(self.bought.indptr)
        return np.asarray(self.penalty * (lengths + self.weights.unobserved * self.bought.shape[1]))

    @cached_property
    def item_penalties(self) -> Vector:
        """(m,): l_j."""
        return np.asarray(self.penalty * (self.counts + self.weights.unobserved * self.bought.shape[0]))

    @cached_property
    def counts(self) -> Vector:
        """(m,): customers of each item."""
        return np.bincount(self.bought.indices, minlength=self.bought.shape[1]).astype(np.float64)

    @cached_property
    def by_item(self) -> sp.csr_matrix:
        """(m, n): the purchases, items first."""
        return self.bought.T.tocsr()

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        """(nnz,): whose purchase each is."""
        return np.repeat(np.arange(self.bought.shape[0], dtype=np.int32), np.diff(self.bought.indptr))

    def at_purchases(self, customers: NDArray[np.floating], items: NDArray[np.floating]) -> NDArray[np.floating]:
        """(nnz,): x_u v_j of every purchase."""
        scores = np.empty(self.bought.nnz, dtype=items.dtype)
        for start in range(0, len(scores), PAIRS):
            part = slice(start, start + PAIRS)
            left, right = customers[self.rows[part]], items[self.bought.indices[part]]
            np.einsum("ij,ij->i", left, right, out=scores[part])
        return scores

    def table(self, values: NDArray[np.floating]) -> sp.csr_matrix:
        """(n, m): these values where the purchases are."""
        return sp.csr_matrix((values, self.bought.indices, self.bought.indptr), self.bought.shape, copy=False)

    def objective(self, customers: Matrix, items: Matrix, missing: Vector | None = None) -> float:
        """L; whoever has x_u v_j - 1 of every purchase at hand gives it, for it is most of the work."""
        left = self.at_purchases(customers, items) - 1 if missing is None else missing
        everywhere = np.vdot(customers.T @ customers, items.T @ items)
        lengths = self.customer_penalties @ (customers**2).sum(axis=1) + self.item_penalties @ (items**2).sum(axis=1)
        return float(left @ left + self.weights.unobserved * everywhere + lengths)
