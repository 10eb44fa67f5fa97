"""The table of the demo: six rankers on two tasks, and whether privacy left anything beyond popularity."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.console import NOT_PRIVATE, console
from pipelines.evaluate import Division, Row, by_model, by_own_repeats, compare, print_rows
from recsys.evaluation.bootstrap import Estimate, bootstrap_interval
from recsys.evaluation.protocol import Protocol
from recsys.models.factors import ItemFactors
from recsys.models.popularity import popularity_model
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Task, Trainer

KEYS = {
    "DP popularity": "dp_popularity",
    "own repeats": "own_repeats",
    "private model": "private",
    "private model with own repeats": "private_own_repeats",
    "same model, no noise": "no_noise",
    "implicit ALS, not private": "als",
}
"""The rankers by the names that people and results files know them by."""


@dataclass(frozen=True, slots=True)
class DemoTable:
    """The rows, and the gain of the private model over DP popularity on first purchases, customer by customer."""

    rows: list[Row]
    gain: Estimate

    def show(self) -> None:
        """Print the table and what it says."""
        print_rows(self.rows)
        console.print(f"For first purchases the private model {self.verdict()}")
        console.print("A household's own repeats cost no privacy: only that household ever sees them.")
        console.print(f"[dim]These figures are {NOT_PRIVATE}.[/dim]")

    def verdict(self) -> str:
        """Whether the private model adds anything to popularity at this number of customers, as the interval says."""
        gain = f"{self.gain.mean:+.4f} Recall@20, 95 % interval {self.gain.low:+.4f} to {self.gain.high:+.4f}"
        if self.gain.low > 0:
            return f"beats DP popularity: {gain}."
        return f"adds nothing to DP popularity that could be told from chance ({gain}): the households are too few."

    def figures(self) -> dict[str, float]:
        """Every number of the table, by key."""
        found = {
            f"demo.{KEYS[row.ranker]}.{row.task.value}.{metric.replace('@', '')}": estimate
            for row in self.rows
            for metric, estimate in row.metrics.items()
        } | {"demo.private_over_popularity.discover.recall20": self.gain}
        ends = {f"{key}.{end}": getattr(estimate, end) for key, estimate in found.items() for end in ("low", "high")}
        return {key: estimate.mean for key, estimate in found.items()} | ends


def compare_all(
    released: ItemFactors, division: Division, items: tuple[str, ...], *, step: Callable[[str], None]
) -> DemoTable:
    """The released model beside popularity from the same release, own repeats, and two models without privacy."""
    known = division.known
    floor = popularity_model(released.popularity.astype(float), released.item_ids)
    step("the same model without noise")
    exact = fit(division.train, items, Terms.under(TrainConfig(epsilon=math.inf))).factors
    step("implicit ALS")
    als = fit(division.train, items, Terms.under(TrainConfig(trainer=Trainer.ALS))).factors
    popular, private = by_model(floor, known), by_model(released, known)
    scorers = (
        popular,
        by_own_repeats(floor, known),
        private,
        by_own_repeats(released, known),
        by_model(exact, known),
        by_model(als, known),
    )
    rows = compare(dict(zip(KEYS, scorers, strict=True)), division, list(Task), step=step)
    discover = Protocol.build(known, division.later, Task.DISCOVER)
    difference = discover.per_user(private)["recall@20"] - discover.per_user(popular)["recall@20"]
    return DemoTable(rows, bootstrap_interval(difference, rng=np.random.default_rng(0)))
