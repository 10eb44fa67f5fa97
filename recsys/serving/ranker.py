"""Both lists of customers from a model, without scoring most items where the model allows it."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.factors import ItemFactors
from recsys.models.fold_in import FoldIn
from recsys.models.list_order import EMPTY, EMPTY_KEY, items_of, keys_of, scores_of
from recsys.models.pool import padded
from recsys.models.repeat import habits_and_model
from recsys.models.top_k import Positions, TopK
from recsys.types import Task

Scores = NDArray[np.float32]

TRIALS, TRIAL_BASKET = 25, 10
"""Made-up customers whom both ways of searching are timed on when a model is loaded, and how many items each has."""
NOBODY = np.float32(-np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Lists, best first, of one length: (n_customers, length) each."""

    items: Positions
    """Positions in the catalogue; EMPTY where a list is shorter"""
    scores: Scores
    """-inf where a list is shorter"""
    bought: NDArray[np.bool_]
    """Whether the customer bought the item before"""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the search said about customers."""

    items: Positions
    """(n_customers, length): the best of those that were not bought; EMPTY where there are no more"""
    scores: Scores
    own: Scores
    """(n_customers, largest basket): the scores of what was bought; -inf for what the model does not know"""

    @property
    def highest(self) -> Scores:
        """(n_customers,): of all items; -inf if none is known."""
        return np.maximum(self.scores[:, 0], self.own.max(axis=1, initial=NOBODY))

    def replace(self, customers: Positions, other: "Found") -> None:
        """Put what was found of these customers in place of what is here."""
        for name in ("items", "scores", "own"):
            getattr(self, name)[customers] = getattr(other, name)


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    """A model, ready to make lists. Holds nothing of any customer. Safe to share between threads."""

    model: ItemFactors
    fold_in: FoldIn
    search: TopK
    popular: TopK
    """Popularity as a model of one factor, for customers of whom the model knows nothing."""
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

    def lists(self, own: sp.csr_matrix) -> dict[Task, Ranked]:
        """Both lists of each customer: own repeats with the model, and the model alone without what was bought.

        Args:
            own: (n_customers, n_items) habits, as wide as the catalogue: items newer than the model come after its own

        Guarantees:
            - A customer's lists are the same bits alone and in a batch.

        Tested by: tests/recsys/serving/test_ranker.py::test_lists_are_the_same_alone_and_in_a_batch
        """
        vectors = self.fold_in.vectors(self._known(own))
        found = self._found(self.search, vectors, own, width=0)
        silent = np.flatnonzero(self._says_nothing(found, vectors))
        if len(silent):
            one = np.ones((len(silent), 1), dtype=np.float32)
            found.replace(silent, self._found(self.popular, one, own[silent], width=found.own.shape[1]))
        never = np.zeros(found.items.shape, dtype=np.bool_)
        return {Task.ANY: self._with_repeats(found, own), Task.DISCOVER: Ranked(found.items, found.scores, never)}

    def folded(self, items: NDArray[np.integer]) -> Scores:
        """(n_factors,): the vector of whoever bought these items; zeros if the model knows nothing of any of them."""
        return self.fold_in.vector(items[items < len(self.model.item_ids)])

    def search_for(self, vector: Scores) -> tuple[TopK, Scores, np.float32]:
        """What to search in, for which vector, and the highest score of all items; -inf if none is known.

        It is by popularity where the model says the same, 0, about all items.
        """
        highest = _highest(self.search, vector)
        if highest > 0 or (self.model.factors @ vector).any():
            return self.search, vector, highest
        one = np.ones(1, dtype=np.float32)
        return self.popular, one, _highest(self.popular, one)

    def _known(self, own: sp.csr_matrix) -> sp.csr_matrix:
        """The habits in items that are not newer than the model."""
        n_known = len(self.model.item_ids)
        return own if own.shape[1] == n_known else own[:, :n_known]

    def _found(self, search: TopK, vectors: Scores, own: sp.csr_matrix, *, width: int) -> Found:
        """What the search says about each customer; baskets are padded to this width at least."""
        known = self._known(own)
        if len(vectors) == 1:  # a search for one can be bounded further
            items, scores = np.full((1, self.length), EMPTY), np.full((1, self.length), NOBODY)
            best = search.top_k(vectors[0], self.length, excluded=known.indices.astype(np.int64))
            items[0, : len(best[0])], scores[0, : len(best[1])] = best
        else:
            found = search.top_k_batch(vectors, self.length, known)
            items, scores = found.items, found.scores
        return Found(items, scores, self._own_scores(search, vectors, own, width))

    def _own_scores(self, search: TopK, vectors: Scores, own: sp.csr_matrix, width: int) -> Scores:
        """(n_customers, largest basket): what the search says about what was bought."""
        who, scores = _customers(own), np.full(own.nnz, NOBODY)
        known = np.flatnonzero(own.indices < len(self.model.item_ids))
        scores[known] = search.scores(vectors[who[known]], own.indices[known])
        return padded(who, own.shape[0], scores, NOBODY, width)

    def _says_nothing(self, found: Found, vectors: Scores) -> NDArray[np.bool_]:
        """(n_customers,): of whom the model says the same, 0, about all items, those that are in no list too."""
        nothing = found.highest <= 0
        doubtful = np.flatnonzero(nothing & vectors.any(axis=1))
        nothing[doubtful] = [not (self.model.factors @ vectors[customer]).any() for customer in doubtful]
        return nothing

    def _with_repeats(self, found: Found, own: sp.csr_matrix) -> Ranked:
        """The lists of both: as `with_own_repeats` ranks all items, of those alone that can be in them."""
        who, n = _customers(own), own.shape[0]
        baskets = padded(who, n, own.indices.astype(np.int64), np.int64(EMPTY))
        items, scores = np.hstack([found.items, baskets]), np.hstack([found.scores, found.own])
        habits = np.hstack([np.zeros_like(found.scores), padded(who, n, own.data, np.float32(0))])
        share = habits_and_model(scores, found.highest[:, None], habits)
        bought = np.arange(items.shape[1]) >= self.length
        keys = np.where(items == EMPTY, EMPTY_KEY, keys_of(share, 2 * items + bought))
        keys = np.sort(keys, axis=1)[:, : self.length]
        found_items = items_of(keys)  # EMPTY is -1 in either
        return Ranked(found_items >> 1, scores_of(keys), (found_items & 1 > 0) & (found_items >= 0))


def _highest(search: TopK, vector: Scores) -> np.float32:
    _, best = search.top_k(vector, 1)
    return best[0] if len(best) else NOBODY


def _customers(own: sp.csr_matrix) -> Positions:
    """(own.nnz,): whose each stored value is."""
    return np.repeat(np.arange(own.shape[0]), np.diff(own.indptr))


def _typical_vectors(fold_in: FoldIn) -> NDArray[np.float32]:
    """(TRIALS, n_factors): vectors of customers who buy popular items at random; made from released counts."""
    counts = fold_in.model.popularity.astype(np.float64) + np.finfo(np.float32).tiny
    chance, rng = np.cumsum(counts / counts.sum()), np.random.default_rng(0)
    baskets = np.searchsorted(chance / chance[-1], rng.random((TRIALS, TRIAL_BASKET)))
    return np.stack([fold_in.vector(np.unique(basket)) for basket in baskets])
