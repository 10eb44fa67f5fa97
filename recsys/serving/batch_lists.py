"""Both lists of many customers at once, for publishing: the lists of `Ranker.lists`, as arrays."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.pool import padded
from recsys.models.repeat import share_of_model
from recsys.models.top_k import Best, Vector
from recsys.serving.ranker import Ranked, Ranker
from recsys.types import Task

Items = NDArray[np.int32]
Shares = NDArray[np.float32]
NOBODY = np.float32(-np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class RankedBatch:
    """One list of each customer, (n_customers, length): `counts` says how long each is, the rest is filling."""

    items: Items
    scores: Shares
    bought: NDArray[np.bool_]
    counts: NDArray[np.int64]


def batch_lists(ranker: Ranker, own: sp.csr_matrix) -> dict[Task, RankedBatch]:
    """Both lists of each customer.

    Args:
        ranker: of the live model
        own: (n_customers, n_items) habits, as wide as the catalogue: items newer than the model come after its own

    Guarantees:
        - The same bits as `Ranker.lists`.

    Tested by: tests/recsys/serving/test_batch_lists.py::test_a_batch_is_what_each_customer_gets_alone
    """
    vectors, bought = _vectors(ranker, own)
    best = ranker.search.top_k_batch(vectors, ranker.length, bought)
    lowest = -ranker.search.top_k_batch(-vectors, 1).scores[:, 0]
    scores = _own_scores(ranker, own, vectors)
    highest = np.fmax(best.scores.max(axis=1), _highest(own, scores))
    lists = {Task.ANY: _with_repeats(own, best, scores, lowest, highest), Task.DISCOVER: _new(best)}
    for row in np.flatnonzero(~((highest > 0) | (lowest < 0))):  # the model says nothing: what is popular is listed
        [alone] = ranker.lists(own[row])
        for task, ranked in alone.items():
            _put(lists[task], int(row), ranked)
    return lists


def _vectors(ranker: Ranker, own: sp.csr_matrix) -> tuple[NDArray[np.float32], sp.csr_matrix]:
    """The customers' vectors, and what they bought of the model's items."""
    bought = own[:, : len(ranker.model.item_ids)]
    return ranker.fold_in.vectors(bought), bought


def _own_scores(ranker: Ranker, own: sp.csr_matrix, vectors: NDArray[np.float32]) -> Shares:
    """(n stored): the model's score of every item that was bought, -inf where it knows nothing of the item."""
    who = np.repeat(np.arange(own.shape[0]), np.diff(own.indptr))
    known = own.indices < len(ranker.model.item_ids)
    scores = np.full(len(who), NOBODY)
    scores[known] = ranker.search.scores_of(vectors[who[known]], own.indices[known].astype(np.int64))
    return scores


def _highest(own: sp.csr_matrix, scores: Shares) -> Shares:
    """(n_customers,): the best score of what each bought; -inf for nothing."""
    highest = np.full(own.shape[0], NOBODY)
    np.maximum.at(highest, np.repeat(np.arange(own.shape[0]), np.diff(own.indptr)), scores)
    return highest


def _with_repeats(own: sp.csr_matrix, best: Best, scores: Shares, lowest: Vector, highest: Vector) -> RankedBatch:
    """Habits and the model added up, and the best of both kept."""
    n, length = best.items.shape
    who = np.repeat(np.arange(n), np.diff(own.indptr))
    new = np.where(best.items >= 0, share_of_model(best.scores, lowest[:, None], highest[:, None]), NOBODY)
    again = share_of_model(scores, lowest[who], highest[who]) + own.data
    shares = np.hstack([new, padded(who, n, again, NOBODY)])
    items = np.hstack([best.items, padded(who, n, own.indices.astype(np.int32), np.int32(-1))])
    return _sorted(shares, items, np.arange(shares.shape[1]) >= length, length)


def _sorted(shares: Shares, items: Items, bought: NDArray[np.bool_], length: int) -> RankedBatch:
    """The best of each row: higher shares first, then lower positions."""
    keys = np.sort(_falling(shares) << np.uint64(32) | (items.astype(np.uint32) << np.uint32(1) | bought), axis=1)
    keys = keys[:, :length]
    low = keys.astype(np.uint32)
    scores = _rising(keys)
    return RankedBatch(
        (low >> np.uint32(1)).astype(np.int32), scores, (low & np.uint32(1)).astype(np.bool_), (scores > NOBODY).sum(1)
    )


def _falling(shares: Shares) -> NDArray[np.uint64]:
    """Integers that fall where the shares rise."""
    bits = (shares + np.float32(0)).view(np.uint32)  # -0 becomes 0: the two are one score
    return np.where(bits >> 31, bits, bits ^ np.uint32(0x7FFFFFFF)).astype(np.uint64)


def _rising(keys: NDArray[np.uint64]) -> Shares:
    """The shares that `_falling` hid in the upper half."""
    bits = (keys >> np.uint64(32)).astype(np.uint32)
    return np.where(bits >> 31, bits, bits ^ np.uint32(0x7FFFFFFF)).view(np.float32)


def _new(best: Best) -> RankedBatch:
    """The list of what was not bought."""
    return RankedBatch(
        best.items.copy(), best.scores.copy(), np.zeros(best.items.shape, dtype=np.bool_), (best.scores > NOBODY).sum(1)
    )


def _put(batch: RankedBatch, row: int, ranked: Ranked) -> None:
    """Replace one customer's list."""
    count = len(ranked.items)
    batch.items[row, :count], batch.scores[row, :count] = ranked.items, ranked.scores
    batch.bought[row, :count], batch.counts[row] = ranked.bought, count
