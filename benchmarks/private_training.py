"""Private trainers beside models without privacy: recall, groceries, a large synthetic shop, speed, and an audit.

MovieLens 1M: ratings of 4 and more are purchases, customers with at least 5, the whole catalogue of 3,706. Held-out
validation and test customers, 80/20 fold-in, add or remove one customer, delta = 1e-6, every release accounted.
Settings are the defaults, the same for every split and epsilon; they and the peers' were chosen on the validation
customers of split 0 alone. `gram` knows the public genres and years of the films, `gram_ids` nothing but their ids.

Online Retail, first purchases, under the settings of MovieLens: `gram` knows the words of the descriptions.

How far the defaults reach: epsilon 0.5 to 16, and MovieLens with 1,000 customers to train on (`small`).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.datasets import Task20, ml1m, ml1m_attributes, onlineretail, onlineretail_attributes, recall20
from benchmarks.grocery import grocery
from benchmarks.report import Options, options, report
from benchmarks.speed import ALS_GRID, EASE_GRID, als_recall, ease_recall, speed
from benchmarks.synthetic import synthetic
from pipelines.audit import audit_epsilon_ratio
from recsys.models.attributes import ItemAttributes
from recsys.privacy.plan import USUAL_CUSTOMERS
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Trainer

EPSILONS = (1.0, 2.0, 4.0, 8.0)
FAR_EPSILONS = (0.5, 16.0)
SMALL = 1000
"""Customers of a small shop."""
SPLITS = 3
DRAWS = 3
DELTA = 1e-6
PRIVATE = {
    "popularity": Trainer.POPULARITY,
    "gram": Trainer.GRAM,
    "gram_ids": Trainer.GRAM,
    "dp_als": Trainer.DP_ALS,
    "dp_sgd": Trainer.DP_SGD,
}
SUMS = ("popularity", "gram", "gram_ids")
"""What is asked about at the ends of the range of epsilon, too, and on a small shop."""
WITHOUT_NOISE = ("popularity", "gram")
"""What has a figure without noise, too: the peers that take steps are not meant for it."""
FULL_PAIRS, QUICK_PAIRS = 8000, 100
"""Pairs of trainings that are audited, with a canary and without: for a bound near the claim, and for a smoke run."""


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    figures = movielens(chosen) | online_retail(chosen)
    figures |= grocery(quick=chosen.quick)
    figures |= synthetic(chosen.data, quick=chosen.quick)
    figures |= speed(chosen.data, quick=chosen.quick)
    pairs = QUICK_PAIRS if chosen.quick else FULL_PAIRS
    figures["audit.epsilon_ratio"] = audit_epsilon_ratio(n_pairs=pairs)
    figures["audit.epsilon_ratio.directions"] = audit_epsilon_ratio(n_pairs=pairs, attributes=True)
    report("private_training", figures, chosen, seeds=[*range(SPLITS), *range(DRAWS)])


def movielens(chosen: Options) -> dict[str, float]:
    """Every trainer over splits and draws, and what is not private beside them."""
    splits = [ml1m(chosen.data, split=split, validation=False) for split in range(1 if chosen.quick else SPLITS)]
    attributes = ml1m_attributes(chosen.data, splits[0].items)
    figures = private_trainers("ml1m", splits, attributes, quick=chosen.quick)
    if chosen.quick:
        return figures
    small = [replace(split, train=split.train[:SMALL]) for split in splits]
    figures |= private_trainers("small", small, attributes, names=SUMS)
    return figures | without_privacy(splits, ml1m(chosen.data, split=0, validation=True))


def online_retail(chosen: Options) -> dict[str, float]:
    """Every trainer over draws."""
    task = onlineretail(chosen.data)
    attributes = onlineretail_attributes(chosen.data, task.items)
    return private_trainers("onlineretail", [task], attributes, quick=chosen.quick)


def private_trainers(
    data: str,
    tasks: list[Task20],
    attributes: ItemAttributes,
    *,
    names: Sequence[str] = tuple(PRIVATE),
    quick: bool = False,
) -> dict[str, float]:
    """Recall@20 of every trainer at every epsilon."""
    figures: dict[str, float] = {}
    for name in names:
        for epsilon in EPSILONS[2:3] if quick else epsilons(name):
            draws = range(1 if quick or math.isinf(epsilon) else DRAWS)
            figures |= _over(tasks, draws, f"{data}.{name}", epsilon, attributes if name == "gram" else None)
    return figures


def epsilons(name: str) -> tuple[float, ...]:
    """What a trainer is asked about."""
    far = FAR_EPSILONS if name in SUMS else ()
    return (*EPSILONS, *far, *([math.inf] if name in WITHOUT_NOISE else []))


def private_recall(
    task: Task20,
    trainer: Trainer,
    epsilon: float,
    draw: int,
    attributes: ItemAttributes | None = None,
    *,
    expected_customers: int = USUAL_CUSTOMERS,
) -> float:
    """Recall@20 of one training under its whole budget; a seed makes the run repeatable, as no release may be."""
    known = attributes is not None and math.isfinite(epsilon)
    config = TrainConfig(
        trainer=trainer, epsilon=epsilon, delta=DELTA, attributes=known, expected_customers=expected_customers
    )
    terms = Terms.under(config)
    entropy = np.random.default_rng(draw).bytes
    return recall20(task, fit(task.train, task.items, terms, attributes=attributes, entropy=entropy).factors)


def without_privacy(splits: list[Task20], validation: Task20) -> dict[str, float]:
    """Implicit's ALS and EASE, each with the setting that was best on the validation customers."""
    als = max(ALS_GRID, key=lambda config: als_recall(validation, config))
    regularization = max(EASE_GRID, key=lambda each: ease_recall(validation, each))
    return {
        "ml1m.als.recall20.inf": _mean(lambda task: als_recall(task, als), splits),
        "ml1m.als.factors": als.factors,
        "ml1m.als.regularization": als.regularization,
        "ml1m.als.alpha": als.alpha,
        "ml1m.ease.recall20.inf": _mean(lambda task: ease_recall(task, regularization), splits),
        "ml1m.ease.regularization": regularization,
    }


def _over(
    tasks: list[Task20], draws: range, stem: str, epsilon: float, attributes: ItemAttributes | None
) -> dict[str, float]:
    """Mean and standard deviation of a trainer's recall, and the wall seconds of a training with its evaluation."""
    data, name = stem.split(".")
    expected, start = SMALL if data == "small" else USUAL_CUSTOMERS, time.perf_counter()
    values = [
        private_recall(task, PRIVATE[name], epsilon, draw, attributes, expected_customers=expected)
        for task in tasks
        for draw in draws
    ]
    seconds = (time.perf_counter() - start) / len(values)
    key = f"{stem}.recall20." + (f"eps{epsilon:g}" if math.isfinite(epsilon) else "inf")
    print(f"{key}  {np.mean(values):.4f}  {seconds:.1f} s", flush=True)
    return {key: float(np.mean(values)), f"{key}.standard_deviation": float(np.std(values)), f"{key}.seconds": seconds}


def _mean(figure: Callable[[Task20], float], splits: list[Task20]) -> float:
    return float(np.mean([figure(task) for task in splits]))


if __name__ == "__main__":
    main()
