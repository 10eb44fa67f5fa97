"""Offline evaluation: several rankers, one protocol, one table.

Internal, not private: the metrics are computed on customers' purchases without noise. They are for the shop's own eyes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy.sparse as sp

from recsys.data.interactions import PurchaseLog
from recsys.data.split import heldout_customers_split, temporal_split
from recsys.evaluation.bootstrap import Estimate
from recsys.evaluation.protocol import Protocol, Scorer
from recsys.models.factors import ItemFactors
from recsys.models.ranking import Scores, model_scores
from recsys.models.repeat import with_own_repeats
from recsys.types import Json, Task

NOT_PRIVATE = "internal, not private: computed on customers' purchases without noise; do not publish them"

HELD_OUT = 0.1
"""The part of the customers that the protocol heldout-customers keeps out of training."""


class Splitting(StrEnum):
    """How purchases are divided into what a model may go by and what it is asked about."""

    TEMPORAL = "temporal"
    """The first 80 % of the purchases in time, and the later ones of the same customers."""
    HELDOUT_CUSTOMERS = "heldout-customers"
    """Customers the model never saw: 80 % of each one's items to go by, the others to find."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Division:
    """Three matrices (n_customers, n_items) over the same items."""

    train: sp.csr_matrix
    """What models are trained on."""
    known: sp.csr_matrix
    """What is known of the customers that are asked about."""
    later: sp.csr_matrix
    """What they bought then; the rows are those of `known`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One ranker's metrics on one task."""

    ranker: str
    task: Task
    metrics: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Json]:
        """The row for a script."""
        values: dict[str, Json] = {name: {"mean": e.mean, "low": e.low, "high": e.high, "n": e.n} for name, e in self.metrics.items()}
        return {"ranker": self.ranker, "task": self.task.value, "metrics": values}


def divide(log: PurchaseLog, splitting: Splitting, *, seed: int) -> Division:
    """The log, divided.

    Raises:
        InputError: nothing is left on one side.
    """
    if splitting is Splitting.TEMPORAL:
        split = temporal_split(log)
        train = split.train.interactions().matrix
        return Division(train=train, known=train, later=split.test.interactions().matrix)
    held_out = heldout_customers_split(log, n_or_fraction=HELD_OUT, rng=np.random.default_rng(seed))
    return Division(
        train=held_out.train.interactions().matrix,
        known=held_out.fold_in.interactions().matrix,
        later=held_out.target.interactions().matrix,
    )


def compare(
    rankers: Mapping[str, Scorer],
    division: Division,
    tasks: Sequence[Task],
    *,
    k: int = 20,
    seed: int = 0,
    step: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every ranker's Recall@k and NDCG@k on every task, with 95 % bootstrap intervals."""
    rows = []
    for task in tasks:
        protocol = Protocol.build(division.known, division.later, task)
        for name, scorer in rankers.items():
            step(f"{name}, {task}")
            rows.append(Row(ranker=name, task=task, metrics=protocol.evaluate(scorer, k=k, rng=np.random.default_rng(seed))))
    return rows


def by_model(model: ItemFactors, known: sp.csr_matrix) -> Scorer:
    """Ranks by the model alone."""
    return lambda users: model_scores(model, known[users])


def by_own_repeats(model: ItemFactors, known: sp.csr_matrix) -> Scorer:
    """Ranks by what the customer bought before, and by the model among equals."""

    def score(users: np.ndarray) -> Scores:
        purchases = known[users]
        return with_own_repeats(model_scores(model, purchases), purchases.toarray())

    return score
