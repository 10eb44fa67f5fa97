"""The best of the items that a mask allows, exactly: the mask goes in before the best are chosen."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.evaluation.protocol import top_lists
from recsys.models.factors import ItemFactors
from recsys.models.fold_in import FoldIn
from recsys.models.ranking import Scores, model_scores, vector_scores
from recsys.models.repeat import with_own_repeats
from recsys.serving.lists import Row
from recsys.serving.products import Mask
from recsys.types import Reason, Task


def popular_rows(model: ItemFactors, allowed: Mask, n: int) -> tuple[Row, ...]:
    """The allowed items that sell most, by released counts; none that was not seen to sell."""
    counts = model.popularity
    scores = np.where(allowed[: len(counts)] & (counts > 0), counts, -np.inf).astype(np.float32)
    return _best(scores, n, other=Reason.POPULAR)


def folded(fold_in: FoldIn, items: NDArray[np.integer]) -> NDArray[np.float32]:
    """(n_factors,): the vector of whoever bought these items; zeros if the model knows nothing of any of them."""
    return fold_in.vector(items[items < len(fold_in.model.item_ids)])


def basket_rows(fold_in: FoldIn, basket: NDArray[np.int64], allowed: Mask, n: int) -> tuple[Row, ...] | None:
    """The allowed items that go best with a basket; None if the model knows nothing of the basket.

    The basket is folded in as a customer's purchases are. Nothing but the model and the basket goes in.
    """
    vector = folded(fold_in, basket)
    return vector_rows(fold_in.model, vector, allowed, n) if vector.any() else None


def vector_rows(model: ItemFactors, vector: NDArray[np.float32], allowed: Mask, n: int) -> tuple[Row, ...]:
    """The allowed items that score best for the vector (n_factors,)."""
    scores = vector_scores(model, vector[None])[0]
    return _best(np.where(allowed[: len(scores)], scores, -np.inf).astype(np.float32), n)


def own_rows(model: ItemFactors, own: sp.csr_matrix, allowed: Mask, n: int, *, task: Task) -> tuple[Row, ...]:
    """The allowed items that fit a customer best.

    Args:
        model: the live model
        own: (1, n_items) the customer's habits, as wide as the catalogue
        allowed: (n_items,) what may be in the list
        n: how many
        task: what the list is for

    Guarantees:
        - It is the customer's whole ranking without what is not allowed, cut at n, however little is allowed.

    Tested by: tests/recsys/serving/test_masked.py::test_a_masked_list_is_the_whole_ranking_without_what_is_not_allowed
    """
    return habit_and_model_rows(model_scores(model, own[:, : len(model.item_ids)]), own, allowed, n, task=task)


def habit_and_model_rows(said: Scores, own: sp.csr_matrix, allowed: Mask, n: int, *, task: Task) -> tuple[Row, ...]:
    """As `own_rows`, where it is known what the model says: (1, n_items of the model)."""
    bought = own.toarray()
    scores = np.full(own.shape, -np.inf, dtype=np.float32)
    scores[:, : said.shape[1]] = said
    if task is Task.ANY:
        scores = with_own_repeats(scores, bought)
    else:
        scores[bought > 0] = -np.inf
    return _best(np.where(allowed, scores[0], -np.inf).astype(np.float32), n, bought=bought[0] > 0)


def habit_rows(own: sp.csr_matrix, allowed: Mask, n: int) -> tuple[Row, ...]:
    """The allowed items that a customer bought, the strongest habit first: that customer's purchases alone."""
    bought = own.toarray()[0]
    return _best(np.where(allowed & (bought > 0), bought, -np.inf).astype(np.float32), n, bought=bought > 0)


def _best(scores: Scores, n: int, *, bought: Mask | None = None, other: Reason = Reason.MODEL) -> tuple[Row, ...]:
    best = top_lists(scores[None].astype(np.float64), n)[0] if len(scores) else ()
    return tuple(
        (int(item), float(scores[item]), Reason.BOUGHT_BEFORE if bought is not None and bought[item] else other)
        for item in best
        if item >= 0
    )
