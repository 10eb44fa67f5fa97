"""Both lists of a customer from a model, without scoring most items where the model allows it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.factors import ItemFactors
from recsys.models.fold_in import FoldIn
from recsys.models.repeat import share_of_model
from recsys.models.top_k import Positions, TopK, Vector
from recsys.types import Task

Scalar = TypeVar("Scalar", bound=np.generic)

TRIALS, TRIAL_BASKET = 25, 10
"""Made-up customers whom both ways of searching are timed on when a model is loaded, and how many items each has."""
ONE = np.ones(1, dtype=np.float32)
"""What popularity is multiplied with, so that it is a model of one factor."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """A list: positions in the catalogue, scores, and whether each was bought before."""

    items: Positions
    scores: Vector
    bought: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the search said about one customer."""

    items: Positions
    """The best of those that were not bought"""
    scores: Vector
    own: Vector
    """The scores of what was bought; -inf for items that the model does not know"""
    lowest: float
    """Of all items"""

    @property
    def highest(self) -> float:
        """The best score of all items; -inf if none is known."""
        return float(max(self.scores.max(initial=-np.inf), self.own.max(initial=-np.inf)))


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    """A model, ready to make lists. Holds nothing of any customer. Safe to share between threads."""

    model: ItemFactors
    fold_in: FoldIn
    search: TopK
    popular: TopK
    """For customers of whom the model knows nothing."""
    length: int
    """How many items a list holds."""

    @classmethod
    def of(cls, model: ItemFactors, *, length: int) -> "Ranker":
        """For lists of this length by this model.

        Whether its search leaves items out is decided by timing both ways on made-up customers.
        """
        known = (model.item_weights > 0) if model.n_factors else (model.popularity > 0)
        fold_in = FoldIn.of(model)
        return cls(
            model,
            fold_in,
            TopK.timed(model.factors, known, _typical_vectors(fold_in), length),
            TopK(model.popularity[:, None], known),
            length,
        )

    def lists(self, own: sp.csr_matrix) -> Iterator[dict[Task, Ranked]]:
        """Both lists of each customer: own repeats with the model, and the model alone without what was bought.

        Args:
            own: (n_customers, n_items) habits, as wide as the catalogue: items newer than the model come after its own

        Guarantees:
            - A customer's lists are the same bits alone and in a batch.

        Tested by: tests/recsys/serving/test_ranker.py::test_lists_are_the_same_alone_and_in_a_batch
        """
        n_known = len(self.model.item_ids)
        baskets = _rows(own.indices.astype(np.int64), own)
        habits = _rows(own.data, own)
        for found, basket, habit in zip(self._found(own[:, :n_known]), baskets, habits, strict=True):
            scores = np.full(len(basket), -np.inf, dtype=np.float32)
            scores[basket < n_known] = found.own
            yield {Task.ANY: self._with_repeats(found, basket, scores, habit), Task.DISCOVER: _new(found)}

    def _found(self, bought: sp.csr_matrix) -> Iterator[Found]:
        """What the search says about each customer, given what they bought of the model's items."""
        baskets = _rows(bought.indices.astype(np.int64), bought)
        vectors = self.fold_in.vectors(bought)
        if len(vectors) == 1:
            yield self._alone(vectors[0], baskets[0])
            return
        best = self.search.top_k_batch(vectors, self.length, bought)
        lowest = -self.search.top_k_batch(-vectors, 1).scores[:, 0]
        for vector, basket, items, scores, low in zip(vectors, baskets, best.items, best.scores, lowest, strict=True):
            there = scores > -np.inf
            own = self.search.scores(vector, basket)
            yield self._or_popular(Found(items[there].astype(np.int64), scores[there], own, float(low)), vector, basket)

    def _alone(self, vector: Vector, basket: Positions) -> Found:
        """As `_found`, of one customer."""
        return self._or_popular(self._search(self.search, vector, basket), vector, basket)

    def _or_popular(self, found: Found, vector: Vector, basket: Positions) -> Found:
        """What was found; what is popular if the model says the same, 0, of all items."""
        if found.highest > 0 or found.lowest < 0 or (self.model.factors @ vector).any():
            return found
        return self._search(self.popular, ONE, basket)

    def _search(self, search: TopK, vector: Vector, basket: Positions) -> Found:
        items, scores = search.top_k(vector, self.length, excluded=basket)
        return Found(items, scores, search.scores(vector, basket), search.lowest(vector))

    def _with_repeats(self, found: Found, basket: Positions, own: Vector, habits: Vector) -> Ranked:
        """The list of both: as `with_own_repeats` ranks all items, of those alone that can be in it."""
        items = np.concatenate([found.items, basket])
        bought = np.arange(len(items)) >= len(found.items)
        share = share_of_model(np.concatenate([found.scores, own]), found.lowest, found.highest)
        share[bought] += habits
        order = np.lexsort((items, -share))[: self.length]
        return Ranked(items[order], share[order], bought[order])


def _rows(values: NDArray[Scalar], matrix: sp.csr_matrix) -> list[NDArray[Scalar]]:
    """The values that are stored, row by row."""
    return [values[start:stop] for start, stop in pairwise(matrix.indptr.tolist())]


def _new(found: Found) -> Ranked:
    """The list of what was not bought."""
    return Ranked(found.items, found.scores, np.zeros(len(found.items), dtype=np.bool_))


def _typical_vectors(fold_in: FoldIn) -> NDArray[np.float32]:
    """(TRIALS, n_factors): vectors of customers who buy popular items at random; made from released counts."""
    counts = fold_in.model.popularity.astype(np.float64) + np.finfo(np.float32).tiny
    chance, rng = np.cumsum(counts / counts.sum()), np.random.default_rng(0)
    baskets = np.searchsorted(chance / chance[-1], rng.random((TRIALS, TRIAL_BASKET)))
    return np.stack([fold_in.vector(np.unique(basket)) for basket in baskets])
