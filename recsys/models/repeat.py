"""Own repeats: what a customer buys again and again. The person's own data, so it costs no privacy budget."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.data.history import Purchases
from recsys.models.ranking import Scores

MODEL_SHARE = 0.9
"""Below a purchase on the customer's latest day: what was just bought comes before what was never bought."""
DAY_MS = 24 * 3600 * 1000
HALF_LIFE_DAYS = 182.0
"""Half a year. Chosen on earlier cuts of groceries and Online Retail, where 17 to 39 weeks were level and less than 13
was worse (benchmarks/LOG.md)."""


def habits(
    purchases: Purchases, user_index: NDArray[np.int64], shape: tuple[int, int], *, half_life: float = HALF_LIFE_DAYS
) -> sp.csr_matrix:
    """(n_customers, n_items): on how many days each customer bought each item, a day counting less the older it is.

    A day is as old as it lies before that customer's latest one, which counts 1. So a row depends on that customer's
    purchases alone, and not on when it is asked for. Units, rows of a receipt and quantities do not count.

    Args:
        purchases: (n_purchases,) of all customers
        user_index: (n_purchases,) the position of each purchase's customer
        shape: (n_customers, n_items)
        half_life: days after which a day counts half

    Guarantees:
        - A row depends on that customer's purchases only, bit for bit: it costs no privacy budget.

    Tested by: tests/recsys/models/test_repeat.py::test_habits_depend_on_that_customers_purchases_alone
    """
    day = purchases["timestamp"] // DAY_MS
    order = np.lexsort((day, purchases["item"], user_index))
    user, item, day = user_index[order], purchases["item"][order], day[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1]) | (day[1:] != day[:-1])
    latest = np.full(shape[0], np.iinfo(np.int64).min)
    np.maximum.at(latest, user, day)
    user, item, day = user[first], item[first], day[first]
    # However old, it was bought: nothing is rounded to 0.
    weight = np.maximum(0.5 ** ((latest[user] - day) / half_life), np.finfo(np.float32).tiny)
    return sp.csr_matrix((weight.astype(np.float32), (user, item)), shape=shape)


def with_own_repeats(scores: Scores, own: NDArray[np.float32]) -> Scores:
    """(n_customers, n_items): habits and the model added up, its best item worth MODEL_SHARE of a purchase.

    Args:
        scores: (n_customers, n_items) of a model; -inf where it knows nothing
        own: (n_customers, n_items) the customers' `habits`, 0 for what was never bought
    """
    known = habits_and_model(scores, scores.max(axis=1, keepdims=True, initial=-np.inf), own)
    return np.where(np.isfinite(scores) | (own > 0), known, -np.inf).astype(np.float32)


def habits_and_model(scores: Scores, highest: Scores, own: NDArray[np.float32]) -> Scores:
    """(n_customers, n): as `with_own_repeats`, for some items of each customer.

    What the model says against an item that was bought does not count, nor what it does not know.

    Args:
        scores: (n_customers, n) of the items; -inf where the model knows nothing
        highest: (n_customers, 1) of all items
        own: (n_customers, n) the customers' habits in them, 0 for what was never bought
    """
    share = MODEL_SHARE * scores.astype(np.float64) / np.where(highest > 0, highest, np.float32(1))
    share = np.maximum(share, np.finfo(np.float32).min)  # beside a highest score of nearly nothing
    return np.asarray(np.where(own > 0, np.maximum(share, 0) + own, share), dtype=np.float32)
