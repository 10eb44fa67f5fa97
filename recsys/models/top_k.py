"""The exact k best items for a customer's vector, without looking at most items where the model allows it.

An item's score is z · v. Items stand in the order of ||v||, so whatever comes after an item whose ||z|| ||v|| is below
the k-th best score found so far cannot be among the best (LEMP: Teflioudi, Gemulla and Mykytiuk 2015). What this leaves
is bounded once more, by z' · v' in a few leading directions of the item table and by the lengths of what these leave
(FEXIPRO: Li et al. 2017). Popularity, which gives all items some length along one direction, is the first of them.

Products in float32 decide only who is looked at: whoever comes within their rounding error of the k-th best is scored
once more in float64, rounded to float32. That score depends on the vector and the item alone, so a list is the same
bits whichever way it was found, alone or in a batch.
"""

import math
import statistics
import time
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.errors import ArtifactError, InputError
from recsys.models.list_order import EMPTY_KEY, items_of, keys_of, scores_of
from recsys.models.pool import Hidden, Pool, kth, padded

Vector = NDArray[np.float32]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

LARGEST = 1e18
"""No vector may be longer: the product of two stays within float32."""
SMALLEST_SLACK = 1e-36
"""Covers what float32 loses below its normal range."""
DIRECTIONS = 23
"""Leading directions that bound a score, with the length of the rest: 15 were worse where it is hard, 31 level
(benchmarks/LOG.md)."""
FIRST = 512
"""Items that are scored before anything is left out: enough for a good k-th score (benchmarks/LOG.md)."""
SHORT = 4096
"""Up to so many items it is faster to score all that are long enough than to bound them once more."""
BATCH = 128
"""Customers at a time: their scores of a block of items stay within a megabyte."""
BLOCK = 2048
FEW = 8
"""Where at most one item of so many is allowed, those are scored and no others."""


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The best items of a batch of customers, best first; the lower position wins a tie."""

    items: Positions
    """(n_customers, k): positions in the catalogue; EMPTY where there are no more"""
    scores: Vector
    """(n_customers, k): -inf where there are no more"""


class TopK:
    """The items of a model, ordered for search. Holds nothing of any customer. Safe to share between threads."""

    def __init__(self, factors: NDArray[np.float32], known: Mask | None = None, *, pruned: bool = True) -> None:
        """A search over these items.

        Args:
            factors: (n_items, n_factors)
            known: (n_items,) which items can be in a list; None: all
            pruned: whether one customer's search leaves items out; what it finds is the same

        Raises:
            ArtifactError: a factor is not finite, or an item longer than LARGEST.
        """
        positions = np.arange(len(factors)) if known is None else np.flatnonzero(known)
        table = factors[positions].astype(np.float64)
        lengths = np.sqrt((table**2).sum(axis=1))
        if not (lengths <= LARGEST).all():
            msg = f"expected finite item factors of length {LARGEST:g} at most, got others; train the model again"
            raise ArtifactError(msg)
        order = np.argsort(-lengths, kind="stable")
        self.pruned = pruned
        self._items = positions[order]
        self._row = np.full(len(factors), len(order))
        self._row[self._items] = np.arange(len(order))
        self._table = np.ascontiguousarray(factors[self._items])
        self._columns = np.asfortranarray(self._table)
        self._falling = -lengths[order]
        self._longest = float(lengths.max(initial=0))
        self._rotation, self._coarse = _leading(table[order])
        self._rounding = (factors.shape[1] + 32) * 2.0**-23  # twice what a float32 product of this length can lose

    @classmethod
    def timed(cls, factors: NDArray[np.float32], known: Mask | None, typical: NDArray[np.float32], k: int) -> "TopK":
        """A search that leaves items out if that is faster for typical vectors (n, n_factors), by the median."""
        search = cls(factors, known)
        pruned, plain = _medians(search, typical, k)
        search.pruned = pruned < plain
        if search.pruned:  # the columns would be a second copy that is hardly read
            search._columns = search._table
        return search

    def __len__(self) -> int:
        """How many items can be in a list."""
        return len(self._items)

    def top_k(
        self, vector: Vector, k: int, *, excluded: Positions | None = None, allowed: Mask | None = None
    ) -> tuple[Positions, Vector]:
        """Positions and scores of the k best items, best first, fewer if there are no more; lower positions win ties.

        Args:
            vector: (n_factors,)
            k: how many
            excluded: positions that must not be in the list
            allowed: (n_items,) which items may be in the list; None: all

        Raises:
            InputError: the vector has another shape, is not finite or longer than LARGEST; k is below 1.

        Guarantees:
            - The same list and the same bits of every score as a stable sort of all scores, leaving items out or not.

        Tested by: tests/recsys/models/test_top_k.py::test_the_best_are_those_of_a_sort_of_all_scores
        """
        length = self._length(vector, k)
        hidden = self._row[:0] if excluded is None else self._rows(excluded)
        return self._best(vector, k, length, hidden, None if allowed is None else allowed[self._items])

    def scores(self, vectors: NDArray[np.float32], items: Positions) -> Vector:
        """(len(items),): the scores of these items, the same bits as in a list; -inf for those that are in none.

        Args:
            vectors: (n_factors,) for all, or (len(items), n_factors) one for each
            items: positions
        """
        rows = self._row[items]
        known = rows < len(self)
        found = np.full(len(items), -np.inf, dtype=np.float32)
        found[known] = self._exact(vectors if vectors.ndim == 1 else vectors[known], rows[known])
        return found

    def top_k_batch(self, vectors: NDArray[np.float32], k: int, excluded: sp.csr_matrix | None = None) -> Best:
        """The k best items of every customer: the same bits as `top_k` of each.

        Args:
            vectors: (n_customers, n_factors)
            k: how many
            excluded: (n_customers, n_items) what is stored must not be in that customer's list

        Raises:
            InputError: the vectors have another shape, are not finite or longer than LARGEST; k is below 1.

        Guarantees:
            - The same lists and the same bits of every score as `top_k` of each customer.

        Tested by: tests/recsys/models/test_top_k.py::test_rounding_does_not_decide_which_way_finds_what
        """
        lengths = np.array([self._length(vector, k) for vector in vectors])
        found = np.full((len(vectors), k), EMPTY_KEY)
        for start in range(0, len(vectors), BATCH):
            chunk = slice(start, start + BATCH)
            hidden = Hidden.of(None if excluded is None else excluded[chunk], self._row, len(self))
            keys, alone = self._batch_keys(np.ascontiguousarray(vectors[chunk]), k, lengths[chunk], hidden)
            found[chunk, : keys.shape[1]] = keys
            for row in alone:
                items, scores = self._best(
                    vectors[start + row], k, float(lengths[start + row]), hidden.of_one(row), None
                )
                found[start + row, : len(items)] = keys_of(scores, items)
        return Best(items_of(found), scores_of(found))

    def _length(self, vector: Vector, k: int) -> float:
        """How long the vector is, if it can be searched for."""
        if k < 1:
            msg = f"expected lists of at least one item, got k = {k}; 20 is usual"
            raise InputError(msg)
        if vector.shape != self._table.shape[1:] or vector.dtype != np.float32:
            msg = (
                f"expected a float32 vector of {self._table.shape[1]} factors, "
                f"got {vector.dtype} {vector.shape}; fold in with the same model"
            )
            raise InputError(msg)
        wide = vector.astype(np.float64)  # float32 would take a very short one for 0
        squared = float(wide @ wide)
        if not squared <= LARGEST**2:
            msg = f"expected a finite vector of length {LARGEST:g} at most, got another; check the fold-in"
            raise InputError(msg)
        return math.sqrt(squared)

    def _best(
        self, vector: Vector, k: int, length: float, hidden: Positions, shown: Mask | None
    ) -> tuple[Positions, Vector]:
        """As `top_k`, by rows: `hidden` are rows, and `shown` (len(self),) is by row."""
        if not length:
            return self._first(k, hidden, shown)
        slack = 2 * (length * self._longest * self._rounding + SMALLEST_SLACK)
        rows = self._candidates(vector, k, length, slack, hidden, shown)
        scores, items = self._exact(vector, rows), self._items[rows]
        order = np.lexsort((items, -scores))[:k]
        return items[order], scores[order]

    def _first(self, k: int, hidden: Positions, shown: Mask | None) -> tuple[Positions, Vector]:
        """What a vector of zeros finds: every score is 0, so the lowest positions are best."""
        there = np.ones(len(self), dtype=np.bool_) if shown is None else shown.copy()
        there[hidden] = False
        items = np.sort(self._items[there])[:k]
        return items, np.zeros(len(items), dtype=np.float32)

    def _exact(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> Vector:
        """The scores of rows of the table; `vector` is one for all, or one for each."""
        # One product for each row, so it has the same bits whatever else is scored beside it. And -0 becomes 0.
        found = np.vecdot(self._table.take(rows, axis=0).astype(np.float64), vector.astype(np.float64))
        return (found + 0.0).astype(np.float32)

    def _rows(self, items: Positions) -> Positions:
        """Where those of the items stand that can be in a list."""
        rows = self._row[items]
        return rows if len(self) == len(self._row) else rows[rows < len(self)]

    def _candidates(
        self, vector: Vector, k: int, length: float, slack: float, hidden: Positions, shown: Mask | None
    ) -> Positions:
        """Rows among which the k best are, for a vector of this length."""
        if shown is not None and np.count_nonzero(shown) <= len(self) // FEW:
            rows = np.flatnonzero(shown)
            rows = rows[~np.isin(rows, hidden)]
            return rows[_near(self._table[rows] @ vector, k, slack)]
        if not self.pruned or len(self) <= FIRST:
            return _near(self._block(vector, 0, len(self), hidden, shown), k, slack)
        return self._bounded(vector, k, length, slack, hidden, shown)

    def _bounded(
        self, vector: Vector, k: int, length: float, slack: float, hidden: Positions, shown: Mask | None
    ) -> Positions:
        """As `_candidates`: the longest items first, then whoever could still be among the best by its bound."""
        scores = self._block(vector, 0, FIRST, hidden, shown)
        least = kth(scores, k) - slack
        reach = self._reach(least, length)
        if reach <= SHORT:
            rest = self._block(vector, FIRST, max(FIRST, reach), hidden, shown)
            return _near(np.concatenate([scores, rest]), k, slack)
        rows, size = np.arange(FIRST), FIRST
        bound = self._bound(vector, reach, hidden, shown)
        while len(ahead := _from(bound, least)):
            if size > FIRST and len(ahead) > len(self) // FEW:  # to gather them takes longer than to score all
                return _near(self._block(vector, 0, len(self), hidden, shown), k, slack)
            if len(ahead) > size:
                ahead = ahead[bound[ahead] >= kth(bound[ahead], size)]
            rows = np.concatenate([rows, ahead])
            scores = np.concatenate([scores, self._table.take(ahead, axis=0) @ vector])
            bound[ahead] = -np.inf
            least, size = kth(scores, k) - slack, 4 * size
        return rows[_from(scores, least)]

    def _bound(self, vector: Vector, reach: int, hidden: Positions, shown: Mask | None) -> Vector:
        """(reach,): no item scores more than this; -inf for the first rows and for who must not be in the list."""
        rotated = vector @ self._rotation
        directions = len(self._coarse) - 1
        rest = np.sqrt((rotated[directions:] ** 2).sum(keepdims=True))
        bound = np.concatenate([rotated[:directions], rest]).astype(np.float32) @ self._coarse[:, :reach]
        bound[:FIRST] = -np.inf
        bound[hidden[hidden < reach]] = -np.inf
        if shown is not None:
            bound[~shown[:reach]] = -np.inf
        return np.asarray(bound)

    def _block(self, vector: Vector, start: int, stop: int, hidden: Positions, shown: Mask | None) -> Vector:
        """(stop - start,): scores of these rows, -inf where an item must not be in the list."""
        if stop - start == len(self):
            scores = self._columns @ vector  # faster by column than by row
        else:
            scores = self._table[start:stop] @ vector
            hidden = hidden[(hidden >= start) & (hidden < stop)] - start
        scores[hidden] = -np.inf
        if shown is not None:
            scores[~shown[start:stop]] = -np.inf
        return scores

    def _reach(self, least: float, length: float) -> int:
        """How many rows could score `least`, by their length alone; all, where it is 0 or less."""
        return int(np.searchsorted(self._falling, -least / length, side="right"))

    def _batch_keys(
        self, vectors: NDArray[np.float32], k: int, lengths: NDArray[np.float64], hidden: Hidden
    ) -> tuple[NDArray[np.uint64], Positions]:
        """(n_customers, k or fewer): the sorted keys of the best items of a few customers; and who was left out."""
        slack = 2 * (lengths * self._longest * self._rounding + SMALLEST_SLACK)
        pool = Pool.of(lengths > 0)
        start = 0
        while start < len(self):
            active = np.flatnonzero(self._reaches(pool.least, lengths) > start)
            if not len(active):
                break
            stop = min(len(self), start + min(max(start, BLOCK), 4 * BLOCK))
            scores = vectors[active] @ self._table[start:stop].T
            hidden.hide(scores, active, start)
            pool = pool.joined(active, scores, start, k, slack)
            start = stop
        who, rows = pool.pairs()
        keys = keys_of(self._exact(vectors[who], rows), self._items[rows])
        return np.sort(padded(who, len(vectors), keys, EMPTY_KEY), axis=1)[:, :k], pool.left_out

    def _reaches(self, least: NDArray[np.float64], lengths: NDArray[np.float64]) -> Positions:
        """As `_reach`, of each customer; none, for those who are left out."""
        return np.searchsorted(self._falling, -least / np.maximum(lengths, np.finfo(np.float64).tiny), side="right")


def _from(scores: Vector, least: float) -> Positions:
    """Who scores this or more, and may be in the list."""
    return (scores >= least if least > -np.inf else scores > -np.inf).nonzero()[0]


def _near(scores: Vector, k: int, slack: float) -> Positions:
    """Who is among the k best, or so close that rounding decides."""
    return _from(scores, kth(scores, k) - slack)


def _leading(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """A rotation that puts the leading directions first; the items' parts along them, and the lengths of the rest."""
    rotation = np.linalg.eigh(table.T @ table)[1][:, ::-1]
    rotated = table @ rotation
    directions = min(DIRECTIONS, table.shape[1])
    rest = np.sqrt((rotated[:, directions:] ** 2).sum(axis=1))
    return rotation, np.vstack([rotated[:, :directions].T, rest]).astype(np.float32)


def _medians(search: TopK, typical: NDArray[np.float32], k: int) -> tuple[float, float]:
    """Median seconds of a search that leaves items out, and of one that does not."""
    ways = {pruned: [_seconds(search, vector, k, pruned=pruned) for vector in typical] for pruned in (True, False)}
    return statistics.median(ways[True]), statistics.median(ways[False])


def _seconds(search: TopK, vector: Vector, k: int, *, pruned: bool) -> float:
    search.pruned = pruned
    started = time.perf_counter()
    search.top_k(vector, k)
    return time.perf_counter() - started
