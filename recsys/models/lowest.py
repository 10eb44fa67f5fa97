"""The least score of all items, for each customer of a batch.

Items stand in the order of their lengths ||v||, and whatever comes after an item scores no less than -||z|| ||v||.
Where popularity makes items long and their scores high, that leaves out nothing: then one product with all items is
the fastest way, of which only the least score of each group of items is kept. Products in float32 decide only who is
looked at: groups that come within their rounding error of the least are scored once more in float64.
"""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Exact = NDArray[np.float64]
Places = NDArray[np.int64]

BLOCK, LARGEST_BLOCK = 1024, 4096
"""Items at a time: the scores of a hundred customers stay within two megabytes."""
GROUP = 16
"""Items of a group: one stands for all while the least score is looked for."""


def lowest(table: Vectors, lengths: Exact, vectors: Vectors, slack: Exact) -> Vectors:
    """(n_customers,): each one's least score; inf if there are no items.

    Args:
        table: (n_items, n_factors)
        lengths: (n_items,) of the items, falling
        vectors: (n_customers, n_factors) of a hundred customers or so
        slack: (n_customers,) twice what a product in float32 can lose

    Guarantees:
        - The bits of the least of all scores, each a product in float64 rounded to float32.

    Tested by: tests/recsys/models/test_lowest.py::test_the_least_is_that_of_all_scores
    """
    who, rows = _candidates(table, lengths, vectors, slack)
    scores = np.vecdot(table[rows].astype(np.float64), vectors[who].astype(np.float64)) + 0.0  # -0 becomes 0
    found = np.full(len(vectors), np.inf, dtype=np.float32)
    np.minimum.at(found, who, scores.astype(np.float32))
    return found


def _candidates(table: Vectors, lengths: Exact, vectors: Vectors, slack: Exact) -> tuple[Places, Places]:
    """Customers and rows, such that the row of each customer's least score is among them."""
    own = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
    least, start, width = np.full(len(vectors), np.inf), 0, BLOCK
    seen: list[tuple[Places, int, int, Vectors]] = []
    while start < len(table):
        active = np.flatnonzero(-own * lengths[start] <= least + slack)
        if not len(active):
            break
        groups = _least_of_groups(vectors[active] @ table[start : start + width].T)
        least[active] = np.minimum(least[active], groups.min(axis=1))
        seen.append((active, start, min(width, len(table) - start), groups))
        start, width = start + width, min(2 * width, LARGEST_BLOCK)
    enough = np.nextafter((least + slack).astype(np.float32), np.float32(np.inf))
    return _members(seen, enough)


def _least_of_groups(scores: Vectors) -> Vectors:
    """(n, groups): the least score of the columns g, g + groups, g + 2 groups, ..., which are GROUP at most."""
    n_groups = -(-scores.shape[1] // GROUP)
    whole = scores.shape[1] // n_groups * n_groups
    least = scores[:, :whole].reshape(len(scores), -1, n_groups).min(axis=1)
    rest = scores[:, whole:]
    least[:, : rest.shape[1]] = np.minimum(least[:, : rest.shape[1]], rest)
    return least


def _members(seen: list[tuple[Places, int, int, Vectors]], enough: Vectors) -> tuple[Places, Places]:
    """Customers and rows of the groups that are low enough."""
    customers, rows = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for active, start, width, groups in seen:
        who, group = np.nonzero(groups <= enough[active][:, None])
        columns = group[:, None] + groups.shape[1] * np.arange(GROUP)
        there = columns < width
        customers.append(np.broadcast_to(active[who][:, None], columns.shape)[there])
        rows.append(start + columns[there])
    return np.concatenate(customers), np.concatenate(rows)
