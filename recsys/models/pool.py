"""Who can still be among the best items of each customer in a batch, while block after block of items is scored."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

SIDE = 16
"""Of how many items one stands for all while the k-th best score is looked for."""
MANY = 4
"""With more than so many times k good items for each customer, a block raises what is good enough by itself."""
CROWD, LEAST_CROWD = 16, 1024
"""A customer for whom a block has more than so many times k good items, and more than so many, is left out of the
batch: all rows of the pool are as wide as the widest."""


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """Which rows must not be in whose list."""

    who: Rows
    rows: Rows

    @classmethod
    def of(cls, excluded: sp.csr_matrix | None, row: Rows, n_rows: int) -> "Hidden":
        """What is stored in `excluded` (n_customers, n_items), where it has a row: one below `n_rows`."""
        if excluded is None:
            return cls(row[:0], row[:0])
        who, rows = np.repeat(np.arange(excluded.shape[0]), np.diff(excluded.indptr)), row[excluded.indices]
        return cls(who[rows < n_rows], rows[rows < n_rows])

    def of_one(self, customer: int) -> Rows:
        """What must not be in this customer's list."""
        return self.rows[self.who == customer]

    def hide(self, scores: NDArray[np.float32], active: Rows, start: int) -> None:
        """Mark them in the scores (n_active, width) of the rows from `start` on."""
        here = np.flatnonzero((self.rows >= start) & (self.rows < start + scores.shape[1]))
        place = np.searchsorted(active, self.who[here])
        present = active[np.minimum(place, len(active) - 1)] == self.who[here]
        scores[place[present], self.rows[here[present]] - start] = -np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Who can still be among the best of each customer in a batch."""

    scores: NDArray[np.float32]
    """(n_customers, width): -inf where there is nobody"""
    rows: Rows
    """(n_customers, width)"""
    least: NDArray[np.float64]
    """(n_customers,): what scores less is not among the best"""

    @classmethod
    def of(cls, customers: Mask) -> "Pool":
        """With nobody in it yet; customers who are marked False are left out."""
        n = len(customers)
        return cls(np.zeros((n, 0), np.float32), np.zeros((n, 0), np.int64), np.where(customers, -np.inf, np.inf))

    def joined(
        self, active: Rows, scores: NDArray[np.float32], start: int, k: int, slack: NDArray[np.float64]
    ) -> "Pool":
        """The pool with those of the scores (n_active, width) of the rows from `start` on that are good enough."""
        least = self.least.copy()
        good = _at_least(scores, least[active])
        if np.count_nonzero(good) > MANY * k * len(active):  # as in the first block, and where short items are best
            least[active] = np.maximum(least[active], kth_of_rows(scores, k) - slack[active])
            good = _at_least(scores, least[active])
        who, column = np.divmod(np.flatnonzero(good), scores.shape[1])
        n = len(least)
        crowded = np.bincount(active[who], minlength=n) > max(CROWD * k, LEAST_CROWD)
        if crowded.any():
            least[crowded] = np.inf
            who, column = who[~crowded[active[who]]], column[~crowded[active[who]]]
        everybody = active[who]
        joined = np.hstack([self.scores, padded(everybody, n, scores[who, column], np.float32(-np.inf))])
        rows = np.hstack([self.rows, padded(everybody, n, start + column, np.int64(0))])
        if joined.shape[1] >= k:
            least = np.maximum(least, np.partition(joined, -k, axis=1)[:, -k] - slack)
        return Pool(joined, rows, least).packed()

    def packed(self) -> "Pool":
        """The pool without those who are not good enough any more."""
        kept = _at_least(self.scores, self.least)
        who = np.nonzero(kept)[0]
        n = len(self.least)
        scores = padded(who, n, self.scores[kept], np.float32(-np.inf))
        return Pool(scores, padded(who, n, self.rows[kept], np.int64(0)), self.least)

    @property
    def left_out(self) -> Rows:
        """Customers for whom so many are as good as the best that the others would wait for them."""
        return np.flatnonzero(self.least == np.inf)

    def pairs(self) -> tuple[Rows, Rows]:
        """Customers and rows of all who are in the pool, customer by customer."""
        who, column = np.nonzero(self.scores > -np.inf)
        return who, self.rows[who, column]


def kth(scores: NDArray[np.float32], k: int) -> float:
    """As `kth_of_rows`, of one row (width,), in fewer steps."""
    n = len(scores)
    if n < k:
        return -np.inf
    if n >= 2 * SIDE * k:
        scores, n = scores[: n // SIDE * SIDE].reshape(SIDE, -1).max(axis=0), n // SIDE
    else:
        scores = scores.copy()
    scores.partition(n - k)
    return float(scores[n - k])


def kth_of_rows(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """(n,): for each row a score that k of its items reach, the k-th best or a little less; -inf if there are fewer."""
    n, width = scores.shape
    if width < k:
        return np.full(n, np.float32(-np.inf))
    if width >= 2 * SIDE * k:  # of columns of SIDE items, only the best: seldom are two of the k in one
        scores = scores[:, : width // SIDE * SIDE].reshape(n, SIDE, -1).max(axis=1)
    return np.partition(scores, -k, axis=1)[:, -k]


def _at_least(scores: NDArray[np.float32], least: NDArray[np.float64]) -> Mask:
    """(n, width): who scores at least what its row asks for, and may be in the list."""
    # In float32, and no higher: comparing in float64 would copy all scores.
    floor = np.nextafter(least.astype(np.float32), np.float32(-np.inf))
    return np.asarray(scores >= np.maximum(floor, -np.finfo(np.float32).max)[:, None])


def padded(who: Rows, n: int, values: NDArray[Scalar], filler: Scalar, width: int = 0) -> NDArray[Scalar]:
    """(n, most of one, or width): each customer's values in a row, for values that stand customer by customer."""
    counts = np.bincount(who, minlength=n)
    place = np.arange(len(who)) - np.repeat(np.cumsum(counts) - counts, counts)
    padded = np.full((n, counts.max(initial=width)), filler, dtype=values.dtype)
    padded[who, place] = values
    return padded
