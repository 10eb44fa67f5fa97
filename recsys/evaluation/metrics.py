"""Ranking metrics for many customers at once. `k` is the width of the lists.

A list is a row of item positions, best first, without repeats; -1 marks a place that is left empty. Targets are a CSR
matrix (n_users, n_items) with an entry for every right item.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.errors import InputError

Lists = NDArray[np.int64]
PerUser = NDArray[np.float64]

EMPTY = -1
"""A place in a list that holds no item."""


def recall_at_k(lists: Lists, targets: sp.csr_matrix) -> PerUser:
    """(n_users,): the hits over min(k, number of targets), so that the best possible list has 1.

    Raises:
        InputError: a customer has no target, or lists and targets are of different customers.
    """
    return np.asarray(hits(lists, targets).sum(axis=1) / np.minimum(lists.shape[1], n_targets(targets)))


def ndcg_at_k(lists: Lists, targets: sp.csr_matrix) -> PerUser:
    """(n_users,): the sum of 1 / log2(place + 1) over the hits (places from 1), over that of the best possible list.

    Järvelin and Kekäläinen 2002, with gain 1 for every target.

    Raises:
        InputError: as `recall_at_k`.
    """
    k = lists.shape[1]
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(k, n_targets(targets)) - 1]
    return np.asarray(hits(lists, targets) @ discount / ideal)


def hits(lists: Lists, targets: sp.csr_matrix) -> NDArray[np.bool_]:
    """(n_users, k): whether each place holds a target of its customer."""
    n_users, n_items = targets.shape
    if len(lists) != n_users:
        msg = f"expected a list for each of {n_users} customers, got {len(lists)}; rank the customers of the targets"
        raise InputError(msg)
    right = np.repeat(np.arange(n_users), np.diff(targets.indptr)) * n_items + targets.indices
    return np.asarray(np.isin(np.arange(n_users)[:, None] * n_items + lists, right) & (lists != EMPTY))


def n_targets(targets: sp.csr_matrix) -> NDArray[np.int64]:
    """(n_users,): how many right items each customer has; at least one.

    Raises:
        InputError: a customer has none, so that no list could be right or wrong.
    """
    counts = np.asarray(np.diff(targets.indptr), dtype=np.int64)
    if not counts.all():
        msg = f"expected a target for every customer, got {(counts == 0).sum()} without; leave them out and count them"
        raise InputError(msg)
    return counts
