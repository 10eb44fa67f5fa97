"""The best of the items that a mask allows, exactly: the mask goes in before the best are chosen."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.evaluation.protocol import top_lists
from recsys.models.factors import ItemFactors
from recsys.models.repeat import habits_and_model
from recsys.models.top_k import Positions
from recsys.serving.lists import BY_BOUGHT, Row
from recsys.serving.products import Mask
from recsys.serving.ranker import NOBODY, Ranker, Scores
from recsys.types import Reason, Task


def popular_rows(model: ItemFactors, allowed: Mask, n: int) -> tuple[Row, ...]:
    """The allowed items that sell most, by released counts; none that was not seen to sell."""
    counts = model.popularity
    return _best(np.where(allowed[: len(counts)] & (counts > 0), counts, NOBODY), n, Reason.POPULAR)


def basket_rows(ranker: Ranker, basket: Positions, allowed: Mask, n: int) -> tuple[Row, ...] | None:
    """The allowed items that go best with a basket; None if the model knows nothing of the basket.

    The basket is folded in as a customer's purchases are. Nothing but the model and the basket goes in.
    """
    vector = ranker.folded(basket)
    return vector_rows(ranker, vector, allowed, n) if vector.any() else None


def vector_rows(ranker: Ranker, vector: Scores, allowed: Mask, n: int) -> tuple[Row, ...]:
    """The allowed items that score best for the vector (n_factors,)."""
    search, vector, _ = ranker.search_for(vector)
    items, scores = search.top_k(vector, n, allowed=allowed)
    return _rows(items, scores, np.zeros(len(items), dtype=np.bool_))


def own_rows(ranker: Ranker, own: sp.csr_matrix, allowed: Mask, n: int, *, task: Task) -> tuple[Row, ...]:
    """The allowed items that fit a customer best.

    Args:
        ranker: of the live model
        own: (1, n_items) the customer's habits, as wide as the catalogue
        allowed: (n_items,) what may be in the list
        n: how many
        task: what the list is for

    Guarantees:
        - It is the customer's whole ranking without what is not allowed, cut at n, however little is allowed.

    Tested by: tests/recsys/serving/test_masked.py::test_a_masked_list_is_the_whole_ranking_without_what_is_not_allowed
    """
    return customers_rows(ranker, ranker.folded(own.indices), own, allowed, n, task=task)


def customers_rows(
    ranker: Ranker, vector: Scores, own: sp.csr_matrix, allowed: Mask, n: int, *, task: Task
) -> tuple[Row, ...]:
    """As `own_rows`, with another vector (n_factors,) than that of the customer's purchases."""
    search, vector, highest = ranker.search_for(vector)
    bought = own.indices.astype(np.int64)
    known = bought < len(ranker.model.item_ids)
    items, scores = search.top_k(vector, n, excluded=bought[known], allowed=allowed)
    if task is Task.DISCOVER:
        return _rows(items, scores, np.zeros(len(items), dtype=np.bool_))
    said = np.full(len(bought), NOBODY)
    said[known] = search.scores(vector, bought[known])
    share = habits_and_model(
        np.concatenate([said, scores])[None],
        np.full((1, 1), highest),
        np.concatenate([own.data, np.zeros_like(scores)])[None],
    )[0]
    items = np.concatenate([bought, items])
    order = np.lexsort((items, -share))
    order = order[allowed[items[order]]][:n]
    return _rows(items[order], share[order], order < len(bought))


def habit_rows(own: sp.csr_matrix, allowed: Mask, n: int) -> tuple[Row, ...]:
    """The allowed items that a customer bought, the strongest habit first: that customer's purchases alone."""
    bought = own.toarray()[0]
    return _best(np.where(allowed & (bought > 0), bought, NOBODY), n, Reason.BOUGHT_BEFORE)


def _best(scores: Scores, n: int, reason: Reason) -> tuple[Row, ...]:
    best = top_lists(scores[None].astype(np.float64), n)[0] if len(scores) else ()
    return tuple((int(item), float(scores[item]), reason) for item in best if item >= 0)


def _rows(items: Positions, scores: Scores, bought: NDArray[np.bool_]) -> tuple[Row, ...]:
    reasons = [BY_BOUGHT[before] for before in bought.tolist()]
    return tuple(zip(items.tolist(), scores.tolist(), reasons, strict=True))
