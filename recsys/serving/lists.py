"""The lists of a batch of customers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import scipy.sparse as sp

from recsys.data.history import EMPTY_HISTORY, History
from recsys.evaluation.protocol import top_lists
from recsys.models.factors import ItemFactors
from recsys.models.list_order import EMPTY
from recsys.models.repeat import habits
from recsys.serving.ranker import Ranked, Ranker
from recsys.types import Reason, Task

DEFAULT_LENGTH, DEFAULT_TASK = 20, Task.ANY
"""What the request without parameters asks for: it is asked for most."""
LIST_LENGTH = 100
"""The most items that a request can ask for."""
KEPT_LENGTH = 24
"""How many items of each list are kept in the cache. A longer list is computed on request: it is seldom asked for, and
kept for everybody it would double what a customer takes of the cache's memory."""
PARTS = 10_000
"""A score is told in ten-thousandths: enough to rank by, and few enough to read."""
BY_BOUGHT = (Reason.MODEL, Reason.BOUGHT_BEFORE)
"""The reason, by whether the item was bought before."""

Row = tuple[int, float, Reason]
"""Position in the catalogue, score, reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedLists:
    """Both lists of one customer, valid for one version of the model and one revision of the history."""

    version: str
    revision: int
    recommendation_id: str
    generated_at: datetime
    lists: dict[Task, tuple[Row, ...]]

    def kept(self) -> "CachedLists":
        """As the cache keeps them."""
        return replace(self, lists={task: rows[:KEPT_LENGTH] for task, rows in self.lists.items()})


def told(score: float) -> float:
    """The score as an answer tells it."""
    return round(score * PARTS) / PARTS


def own_habits(histories: Sequence[History], n_items: int) -> sp.csr_matrix:
    """(n_customers, n_items): the habits in each customer's history; 0 for what was never bought."""
    purchases = np.concatenate([EMPTY_HISTORY.purchases, *(history.purchases for history in histories)])
    rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    return habits(purchases, rows, (len(histories), n_items))


def grown_habits(histories: Sequence[History], n_items: int) -> sp.csr_matrix:
    """As `own_habits`, and wider where something was bought that came after these items."""
    newest = max((int(history.purchases["item"].max()) for history in histories if len(history)), default=-1)
    return own_habits(histories, max(n_items, newest + 1))


def personal_lists(
    model: ItemFactors, own: sp.csr_matrix, ranker: Ranker | None = None
) -> list[dict[Task, tuple[Row, ...]]]:
    """Both lists of each customer: own repeats with the model, and the model alone without what was bought.

    Args:
        model: the live model
        own: (n_customers, n_items) habits, as wide as the catalogue: items newer than the model come after its own
        ranker: made from this model, where one is at hand
    """
    lists = (ranker or Ranker.of(model, length=LIST_LENGTH)).lists(own)
    rows = {task: _rows(ranked) for task, ranked in lists.items()}
    return [{task: rows[task][customer] for task in Task} for customer in range(own.shape[0])]


def popular_list(model: ItemFactors) -> tuple[Row, ...]:
    """The list for whoever has no personal one: by released counts."""
    best = top_lists(model.popularity[None].astype(np.float64), LIST_LENGTH)[0]
    return tuple(
        (int(item), float(model.popularity[item]), Reason.POPULAR)
        for item in best
        if item >= 0 and model.popularity[item] > 0
    )


def _rows(ranked: Ranked) -> list[tuple[Row, ...]]:
    """The lists with a reason for each item."""
    lengths = (ranked.items != EMPTY).sum(axis=1).tolist()
    customers = zip(ranked.items.tolist(), ranked.scores.tolist(), ranked.bought.tolist(), lengths, strict=True)
    return [
        tuple(zip(items[:n], scores[:n], [BY_BOUGHT[before] for before in bought[:n]], strict=True))
        for items, scores, bought, n in customers
    ]
