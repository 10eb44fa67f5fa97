"""Private trainers beside models without privacy, on MovieLens 1M: Recall@20 of customers that no model ever saw.

Ratings of 4 and more are purchases, customers with at least 5, the whole catalogue of 3,706. Held-out validation and
test customers, 80/20 fold-in, add or remove one customer, delta = 1e-6, every release accounted. Settings are the
defaults, the same for every split and epsilon; the peers' are chosen on the validation customers of split 0 alone.
"""

import math

import numpy as np

from benchmarks.datasets import Task20, ml1m, recall20
from benchmarks.report import options, report
from recsys.models.als import ALSConfig, train_als
from recsys.models.factorise import autoencoder
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Trainer

EPSILONS = (1.0, 2.0, 4.0, 8.0)
SPLITS = 3
DRAWS = 3
DELTA = 1e-6
ALS_GRID = [
    ALSConfig(factors=f, regularization=r, alpha=a) for f in (32, 64, 128) for r in (1.0, 10.0) for a in (1.0, 5.0)
]
EASE_GRID = (100.0, 300.0, 1000.0)


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    splits = [ml1m(chosen.data, split=split, validation=False) for split in range(1 if chosen.quick else SPLITS)]
    draws = range(1 if chosen.quick else DRAWS)
    figures: dict[str, float] = {}
    for trainer in (Trainer.POPULARITY, Trainer.GRAM):
        for epsilon in EPSILONS[2:3] if chosen.quick else (*EPSILONS, math.inf):
            values = [private_recall(task, trainer, epsilon, draw) for task in splits for draw in draws]
            stem = (
                f"ml1m.{trainer}.recall20.eps{epsilon:g}" if math.isfinite(epsilon) else f"ml1m.{trainer}.recall20.inf"
            )
            figures |= {stem: float(np.mean(values)), f"{stem}.standard_deviation": float(np.std(values))}
    if not chosen.quick:
        figures |= without_privacy(splits, ml1m(chosen.data, split=0, validation=True))
    report("private_training", figures, chosen, seeds=[*range(SPLITS), *draws])


def private_recall(task: Task20, trainer: Trainer, epsilon: float, draw: int) -> float:
    """Recall@20 of one training under its whole budget; a seed makes the run repeatable, as no release may be."""
    terms = Terms.under(TrainConfig(trainer=trainer, epsilon=epsilon, delta=DELTA))
    return recall20(task, fit(task.train, task.items, terms, entropy=np.random.default_rng(draw).bytes).factors)


def without_privacy(splits: list[Task20], validation: Task20) -> dict[str, float]:
    """Implicit's ALS and EASE, each with the setting that was best on the validation customers."""
    als = max(ALS_GRID, key=lambda config: recall20(validation, train_als(validation.train, validation.items, config)))
    ease = max(EASE_GRID, key=lambda regularization: ease_recall(validation, regularization))
    return {
        "ml1m.als.recall20.inf": float(
            np.mean([recall20(task, train_als(task.train, task.items, als)) for task in splits])
        ),
        "ml1m.als.factors": als.factors,
        "ml1m.als.regularization": als.regularization,
        "ml1m.als.alpha": als.alpha,
        "ml1m.ease.recall20.inf": float(np.mean([ease_recall(task, ease) for task in splits])),
        "ml1m.ease.regularization": ease,
    }


def ease_recall(task: Task20, regularization: float) -> float:
    """Recall@20 of EASE (Steck 2019), at full rank."""
    gram = (task.train.T @ task.train).toarray().astype(np.float64)
    weights = autoencoder(gram, regularization)
    values = task.protocol.per_user(lambda users: np.asarray(task.known[users] @ weights))
    return float(values["recall@20"].mean())


if __name__ == "__main__":
    main()
