"""What counts as right, and for whom: a protocol is made once and asked about every model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.errors import InputError
from recsys.evaluation.bootstrap import Estimate, bootstrap_interval
from recsys.evaluation.metrics import EMPTY, Lists, PerUser, ndcg_at_k, recall_at_k
from recsys.types import Task

Scores: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
Scorer: TypeAlias = Callable[[NDArray[np.int64]], Scores]
"""From positions of customers (n,) to scores (n, n_items): higher is better, -inf is never shown."""

CELLS = 1 << 21
"""Scores that are in memory at one time (16 MiB as float64): large catalogues get small batches."""

METRICS: dict[str, Callable[[Lists, sp.csr_matrix], PerUser]] = {"recall": recall_at_k, "ndcg": ndcg_at_k}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Protocol:
    """The customers that are evaluated, what is right for them, and what must not be shown to them."""

    task: Task
    users: NDArray[np.int64]
    """(n_evaluated,): positions of customers, ascending."""
    targets: sp.csr_matrix
    """(n_evaluated, n_items): an entry for every right item."""
    mask: sp.csr_matrix
    """(n_evaluated, n_items): an entry for every item that must not be shown."""
    without_target: int
    """Customers left out because nothing is right for them."""
    without_history: int
    """Customers left out because they have targets but no purchase to go by."""

    @classmethod
    def build(cls, train: sp.csr_matrix, test: sp.csr_matrix, task: Task) -> "Protocol":
        """The protocol of a task.

        Any: the right items are those bought in `test`. Discover: those of them that were not bought in `train`, and
        what was bought in `train` must not be shown.

        Args:
            train: (n_users, n_items) what the model may go by
            test: (n_users, n_items) what came later, or was held out
            task: what the list is for

        Raises:
            InputError: the shapes differ, or no customer is left to evaluate.
        """
        if train.shape != test.shape:
            msg = f"expected train and test of one shape, got {train.shape} and {test.shape}; take both from one split"
            raise InputError(msg)
        bought, later = _pattern(train), _pattern(test)
        mask = bought if task is Task.DISCOVER else sp.csr_matrix(bought.shape, dtype=np.int8)
        targets = _pattern(later - later.multiply(mask))
        has_target, has_history = np.diff(targets.indptr) > 0, np.diff(bought.indptr) > 0
        users = np.flatnonzero(has_target & has_history)
        if not len(users):
            msg = "expected customers with purchases on both sides of the split, got none; split elsewhere"
            raise InputError(msg)
        return cls(
            task=task,
            users=users,
            targets=targets[users],
            mask=mask[users],
            without_target=int((~has_target).sum()),
            without_history=int((has_target & ~has_history).sum()),
        )

    def evaluate(self, scorer: Scorer, *, k: int = 20, rng: np.random.Generator) -> dict[str, Estimate]:
        """Each metric's mean over the customers with its 95 % bootstrap interval, as `recall@20` and `ndcg@20`."""
        values = self.per_user(scorer, k=k)
        return {name: bootstrap_interval(value, rng=rng) for name, value in values.items()}

    def per_user(self, scorer: Scorer, *, k: int = 20) -> dict[str, PerUser]:
        """Each metric's value for every evaluated customer, in the order of `users`.

        For a paired comparison of two models, hand the differences of their values to `bootstrap_interval`.

        Raises:
            InputError: k is below 1, or the scores have another shape or hold NaN.
        """
        if k < 1:
            msg = f"expected lists of at least one item, got k = {k}; 20 is usual"
            raise InputError(msg)
        lists = np.concatenate([self._lists(scorer, batch, k) for batch in self._batches()])
        return {f"{name}@{k}": metric(lists, self.targets) for name, metric in METRICS.items()}

    def _batches(self) -> Iterator[slice]:
        """Slices of `users` whose scores fit into memory."""
        size = max(1, CELLS // self.targets.shape[1])
        return (slice(start, start + size) for start in range(0, len(self.users), size))

    def _lists(self, scorer: Scorer, batch: slice, k: int) -> Lists:
        """(n_batch, k): the best items of a batch of customers."""
        users, mask = self.users[batch], self.mask[batch]
        scores = np.array(scorer(users), dtype=np.float64)
        if scores.shape != mask.shape or np.isnan(scores).any():
            msg = f"expected scores of shape {mask.shape} without NaN, got {scores.shape}; check the scorer"
            raise InputError(msg)
        scores[np.repeat(np.arange(len(users)), np.diff(mask.indptr)), mask.indices] = -np.inf
        return top_lists(scores, k)


def top_lists(scores: NDArray[np.float64], k: int) -> Lists:
    """(n, k): positions of the k best scores of each row, best first; the lower position wins a tie, -inf is left out.

    A stable sort of every row gives the same; a test holds the two equal. This one sorts k scores a row.
    """
    places = min(k, scores.shape[1])
    least = np.partition(scores, -places, axis=1)[:, -places, None]
    above, tied = scores > least, scores == least
    chosen = above | (tied & (np.cumsum(tied, axis=1) <= places - above.sum(axis=1, keepdims=True)))
    items = np.nonzero(chosen)[1].reshape(len(scores), places)
    best = np.take_along_axis(scores, items, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    lists = np.full((len(scores), k), EMPTY, dtype=np.int64)
    lists[:, :places] = np.where(best > -np.inf, items, EMPTY)[np.arange(len(items))[:, None], order]
    return lists


def _pattern(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """The matrix with 1 for every entry that is not zero, in canonical form."""
    pattern = sp.csr_matrix(matrix, dtype=np.float32, copy=True)
    pattern.sum_duplicates()
    pattern.eliminate_zeros()
    pattern.sort_indices()
    pattern.data[:] = 1
    return pattern.astype(np.int8)
