"""Offline evaluation: several rankers, one protocol, one table.

Internal, not private: the metrics are computed on customers' purchases without noise. They are for the shop's own eyes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from pipelines.attributes import Coverage
from pipelines.console import NOT_PRIVATE, console, print_table
from recsys.data.attributes import AttributeTable
from recsys.data.interactions import PurchaseLog
from recsys.data.split import heldout_customers_split, temporal_split
from recsys.errors import InputError
from recsys.evaluation.bootstrap import Estimate
from recsys.evaluation.protocol import Protocol, Scorer
from recsys.models.factors import ItemFactors
from recsys.models.ranking import Scores, model_scores
from recsys.models.repeat import habits, with_own_repeats
from recsys.privacy.accounting import check_parameters
from recsys.training.described import item_attributes, require_use
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Json, Splitting, Task

HELD_OUT = 0.1
"""The part of the customers that the protocol heldout-customers keeps out of training."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Division:
    """Three matrices (n_customers, n_items) over the same items."""

    train: sp.csr_matrix
    """What models are trained on."""
    known: sp.csr_matrix
    """What is known of the customers that are asked about: their habits."""
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
        values: dict[str, Json] = {
            name: {"mean": e.mean, "low": e.low, "high": e.high, "n": e.n} for name, e in self.metrics.items()
        }
        return {"ranker": self.ranker, "task": self.task.value, "metrics": values}


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The rows of one evaluation and how they were made."""

    protocol: Splitting
    core: int
    k: int
    rows: tuple[Row, ...]
    not_possible: str = ""
    """Why there are no rows, if there are none."""
    coverage: Coverage | None = None
    """Of the items by attributes, if some were used."""

    def to_json(self) -> dict[str, Json]:
        """The evaluation for a script."""
        rows: list[Json] = [row.to_json() for row in self.rows]
        return {
            "protocol": self.protocol.value,
            "core": self.core,
            "note": self.not_possible or NOT_PRIVATE,
            "rows": rows,
            **({"attributes": self.coverage.to_json()} if self.coverage else {}),
        }

    def show(self) -> None:
        """Print the tables and what they are."""
        print_rows(self.rows, k=self.k)
        if self.coverage:
            self.coverage.show()
        console.print(f"[dim]{self.not_possible or f'These figures are {NOT_PRIVATE}'}.[/dim]")


def divide(log: PurchaseLog, splitting: Splitting, *, seed: int) -> Division:
    """The log, divided.

    Raises:
        InputError: nothing is left on one side.
    """
    if splitting is Splitting.TEMPORAL:
        split = temporal_split(log)
        train = split.train.interactions().matrix
        return Division(train=train, known=habits_of(split.train), later=split.test.interactions().matrix)
    held_out = heldout_customers_split(log, n_or_fraction=HELD_OUT, rng=np.random.default_rng(seed))
    return Division(
        train=held_out.train.interactions().matrix,
        known=habits_of(held_out.fold_in),
        later=held_out.target.interactions().matrix,
    )


def habits_of(log: PurchaseLog) -> sp.csr_matrix:
    """(n_customers, n_items): the habits in a log."""
    return habits(log.purchases, log.user_index, (len(log.users), len(log.items)))


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
            rows.append(
                Row(ranker=name, task=task, metrics=protocol.evaluate(scorer, k=k, rng=np.random.default_rng(seed)))
            )
    return rows


def by_model(model: ItemFactors, known: sp.csr_matrix) -> Scorer:
    """Ranks by the model alone."""
    return lambda users: model_scores(model, known[users])


def by_own_repeats(model: ItemFactors, known: sp.csr_matrix) -> Scorer:
    """Ranks by the customer's habits and the model together."""

    def score(users: np.ndarray) -> Scores:
        own = known[users]
        return with_own_repeats(model_scores(model, own), own.toarray())

    return score


def evaluate_if_possible(
    log: PurchaseLog,
    config: TrainConfig,
    splitting: Splitting,
    *,
    attributes: AttributeTable | None = None,
    k: int = 20,
) -> Evaluation:
    """One trainer's metrics on both tasks; no rows, and the reason, where the purchases cannot be divided."""
    try:
        rows = evaluate_log(log, [config], splitting, list(Task), attributes=attributes, k=k, seed=config.seed)
    except InputError as error:
        return Evaluation(protocol=splitting, core=1, k=k, rows=(), not_possible=f"not evaluated: {error}")
    return Evaluation(protocol=splitting, core=1, k=k, rows=tuple(rows))


WHAT_COUNTS = "any: buy again or anything, repeats count; discover: first purchases only"


def print_rows(rows: Sequence[Row], *, k: int = 20) -> None:
    """One table: a row for each ranker and task, the tasks apart."""
    cells: list[list[str]] = []
    for task in dict.fromkeys(row.task for row in rows):
        cells += [[task.value, row.ranker, *_cells(row, k)] for row in rows if row.task is task]
        cells.append([])
    print_table(WHAT_COUNTS, ["task", "ranker", f"Recall@{k}", "95 %", f"NDCG@{k}", "95 %"], cells, left=2)


def evaluate_log(
    log: PurchaseLog,
    configs: Sequence[TrainConfig],
    splitting: Splitting,
    tasks: Sequence[Task],
    *,
    attributes: AttributeTable | None = None,
    k: int = 20,
    seed: int = 0,
    step: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Each trainer on one division of the log; a row more with own repeats where the task counts them.

    Attributes of the items go to the trainer that uses them.

    Raises:
        InputError: too little is left to train or to test on, or no trainer uses the attributes.
        PrivacyParameterError: an epsilon or a delta makes no promise.
    """
    require_use(configs)
    division, items = divide(log, splitting, seed=seed), log.items
    rows = []
    for config in configs:
        check_parameters(config.epsilon, config.delta, division.train.shape[0])
        step(f"training {config.trainer}")
        described = item_attributes(config, attributes, items) if config.directions else None
        model = fit(division.train, items, Terms.under(config), attributes=described, seed=seed).factors
        plain, with_repeats = by_model(model, division.known), by_own_repeats(model, division.known)
        rows += compare({config.trainer.value: plain}, division, tasks, k=k, seed=seed, step=step)
        if Task.ANY in tasks:
            name = f"{config.trainer.value} with own repeats"
            rows += compare({name: with_repeats}, division, [Task.ANY], k=k, seed=seed, step=step)
    return rows


def _cells(row: Row, k: int) -> list[str]:
    estimates = (row.metrics[f"recall@{k}"], row.metrics[f"ndcg@{k}"])
    return [cell for e in estimates for cell in (f"{e.mean:.4f}", f"{e.low:.4f}-{e.high:.4f}")]
