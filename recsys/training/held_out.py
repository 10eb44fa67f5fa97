"""Customers whom a model does not see, what it is worth to each of them, and what may be spent on telling.

Who is held out depends on the customer's own key alone, so that one customer more or less moves nobody to another
group. Each customer is then either trained on or asked about, and pays for one of the two. What is booked is both, one
after the other: the next training may take everybody, and a ledger that is too high harms nobody.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import StrEnum
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from recsys.data.interactions import PurchaseLog
from recsys.data.split import split_each_history
from recsys.errors import PrivacyParameterError
from recsys.evaluation.protocol import METRICS, Protocol
from recsys.models.factors import ItemFactors
from recsys.models.fold_in import fold_in
from recsys.models.ranking import vector_scores
from recsys.privacy.accounting import epsilon_of, mu_of
from recsys.training.terms import TrainConfig
from recsys.types import Task, UserKey

K = 20
"""Length of the lists, as everywhere in the field."""
NAMES = tuple(f"{name}@{K}" for name in METRICS)
HELD_OUT = 0.1
"""The part of the customers in each group, as in `privrec evaluate`."""


class Group(StrEnum):
    """What customers can be held out for. No customer is in two groups."""

    METRICS = "metrics"
    """Published metrics are over these."""
    SELECTION = "selection"
    """Candidates are compared on these."""


def group_of(user_key: UserKey) -> Group | None:
    """The group of the customer, if they are in one: a function of the key alone, the same for good.

    Guarantees:
        - One customer more or less moves no other customer to another group.

    Tested by: tests/recsys/training/test_held_out.py::test_one_customer_more_moves_nobody_to_another_group
    """
    draw = int.from_bytes(blake2b(user_key, digest_size=8, person=b"held out").digest(), "big") / 2**64
    place = int(draw / HELD_OUT)
    return tuple(Group)[place] if place < len(Group) else None


def hold_out(
    keys: Sequence[UserKey], log: PurchaseLog, groups: Collection[Group]
) -> tuple[list[UserKey], PurchaseLog, dict[Group, PurchaseLog]]:
    """The keys and purchases to train on, and the purchases of each group that is held out."""
    if not groups:
        return list(keys), log, {}
    group = np.array([group_of(key) for key in keys], dtype=object)
    held_out = {each: log.of_users(np.flatnonzero(group == each)) for each in groups}
    trained_on = np.flatnonzero([each not in groups for each in group])
    return [keys[row] for row in trained_on.tolist()], log.of_users(trained_on), held_out


def metric_values(model: ItemFactors, held_out: PurchaseLog) -> NDArray[np.float64]:
    """(n_asked, n_metrics): each metric, in the order of NAMES, of each customer with two different items or more.

    Each is asked about the last fifth of the different items that they bought, of which no earlier one is shown.

    Guarantees:
        - Every value is within [0, 1].
        - A customer's row depends on that customer's purchases and on the model only, bit for bit.

    Tested by: tests/recsys/training/test_held_out.py
    """
    split = split_each_history(held_out)
    known, later = split.train.interactions().matrix, split.test.interactions().matrix
    if not later.nnz:
        return np.empty((0, len(METRICS)))
    protocol, vectors = Protocol.build(known, later, Task.DISCOVER), fold_in(model, known)
    rows = range(len(protocol.users))
    return np.array([_alone(protocol, row, model, vectors) for row in rows]).clip(0, 1)


def set_aside(config: TrainConfig, share: float) -> tuple[TrainConfig, float]:
    """The training with the rest of its budget, and the mu of what is set aside: both together cost what it did.

    Args:
        config: the training
        share: the part of mu² for what is released about held-out customers

    Raises:
        PrivacyParameterError: the model carries no noise: how well it does would tell about the customers in it.
    """
    budget = config.plan.budget
    if math.isinf(budget.epsilon):
        msg = (
            "expected a private model to release more about, got one without noise: how well it does tells about the "
            "customers in it; use another --trainer or a finite --epsilon, or leave --publish-metrics and "
            "--select-factors out"
        )
        raise PrivacyParameterError(msg)
    total = mu_of(budget.epsilon, budget.delta)
    rest = replace(config, epsilon=epsilon_of(total * math.sqrt(1 - share), budget.delta))
    # What the rest really leaves: its epsilon went through a search, and the ledger allows for no error of one.
    return rest, math.sqrt(total**2 - mu_of(rest.epsilon, budget.delta) ** 2)


def _alone(protocol: Protocol, row: int, model: ItemFactors, vectors: NDArray[np.float32]) -> list[float]:
    """One customer's metrics, from a computation that nobody else is in.

    In a product of matrices the last bit of a row can depend on how many rows there are, and a tie in the ranking on
    that bit: one customer more would move the metrics of others.
    """
    one = slice(row, row + 1)
    single = replace(protocol, users=protocol.users[one], targets=protocol.targets[one], mask=protocol.mask[one])
    values = single.per_user(lambda users: vector_scores(model, vectors[users]), k=K)
    return [float(value[0]) for value in values.values()]
