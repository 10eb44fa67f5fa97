"""The sum without noise beside implicit's ALS and EASE: Recall@20, and the CPU time that a training takes.

MovieLens 1M (held-out customers, split 0) and Online Retail (first purchases, temporal 80/20). ALS has the best of
twelve settings and EASE of three, on the validation customers of MovieLens and on an earlier cut of Online Retail's
training part; the sum has its defaults on both. CPU seconds are of the whole process, medians of runs that alternate.
BLAS has the threads that it is started with; ALS asks for one BLAS thread and brings threads of its own.
"""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import scipy.sparse as sp

from benchmarks.datasets import MINIMUM, Task20, ease, ml1m, onlineretail, recall20
from benchmarks.report import options, report
from recsys.models.als import ALSConfig, train_als
from recsys.models.factors import ItemFactors
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig

RUNS = 5
ALS_GRID = [
    ALSConfig(factors=f, regularization=r, alpha=a) for f in (32, 64, 128) for r in (1.0, 10.0) for a in (1.0, 5.0)
]
EASE_GRID = (100.0, 300.0, 1000.0)
QUICK_CORE = 40
QUICK_CUSTOMERS = 100


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pair:
    """One data set twice: to choose the peers' settings on, and to measure on."""

    validation: Task20
    test: Task20


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    report("speed", speed(chosen.data, quick=chosen.quick), chosen, seeds=[0])


def speed(data: Path, *, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    figures: dict[str, float] = {}
    for name, pair in pairs(data, quick=quick).items():
        als = max(ALS_GRID[:2] if quick else ALS_GRID, key=lambda config: als_recall(pair.validation, config))
        ridge = max(EASE_GRID[1:2] if quick else EASE_GRID, key=lambda each: ease_recall(pair.validation, each))
        figures |= recalls(name, pair.test, als, ridge) | times(name, pair.test, als, runs=1 if quick else RUNS)
    return figures


def pairs(data: Path, *, quick: bool) -> dict[str, Pair]:
    """The data sets by name."""
    core = QUICK_CORE if quick else MINIMUM
    films = [ml1m(data, split=0, validation=validation) for validation in (True, False)]
    goods = [onlineretail(data, core=core, earlier=earlier) for earlier in (True, False)]
    if quick:
        films = [fewer(task) for task in films]
    return {
        "ml1m": Pair(validation=films[0], test=films[1]),
        "onlineretail": Pair(validation=goods[0], test=goods[1]),
    }


def recalls(name: str, task: Task20, als: ALSConfig, regularization: float) -> dict[str, float]:
    """Recall@20 of the three without noise, the settings of ALS and EASE, and the sum's recall over theirs."""
    found = {
        "gram": recall20(task, train_gram(task.train, task.items)),
        "als": als_recall(task, als),
        "ease": ease_recall(task, regularization),
    }
    return {f"no_noise.{method}.recall20.{name}": value for method, value in found.items()} | {
        f"no_noise.gram_over_als.{name}": found["gram"] / found["als"],
        f"no_noise.gram_over_ease.{name}": found["gram"] / found["ease"],
        f"no_noise.als.factors.{name}": als.factors,
        f"no_noise.als.regularization.{name}": als.regularization,
        f"no_noise.als.alpha.{name}": als.alpha,
        f"no_noise.ease.regularization.{name}": regularization,
    }


def times(name: str, task: Task20, als: ALSConfig, *, runs: int) -> dict[str, float]:
    """Median CPU seconds of both, one after the other so many times, and the one over the other."""
    gram_seconds, als_seconds = [], []
    for _ in range(runs):
        gram_seconds.append(cpu_seconds(lambda: train_gram(task.train, task.items)))
        als_seconds.append(cpu_seconds(lambda: train_als(task.train, task.items, als)))
    gram, peer = statistics.median(gram_seconds), statistics.median(als_seconds)
    return {
        f"speed.gram_cpu_seconds.{name}": gram,
        f"speed.als_cpu_seconds.{name}": peer,
        f"speed.gram_over_als_cpu.{name}": gram / peer,
    }


def cpu_seconds(train: Callable[[], ItemFactors]) -> float:
    """CPU seconds of all threads of this process while the model is trained."""
    started = time.process_time()
    train()
    return time.process_time() - started


def train_gram(train: sp.csr_matrix, items: tuple[str, ...]) -> ItemFactors:
    """The sum's model without noise, under the defaults."""
    return fit(train, items, Terms.under(TrainConfig(epsilon=math.inf))).factors


def als_recall(task: Task20, config: ALSConfig) -> float:
    """Recall@20 of implicit's ALS."""
    return recall20(task, train_als(task.train, task.items, config))


def ease_recall(task: Task20, regularization: float) -> float:
    """Recall@20 of EASE."""
    return float(task.protocol.per_user(ease(task.train, task.known, regularization))["recall@20"].mean())


def fewer(task: Task20) -> Task20:
    """The task with fewer customers to train on."""
    return replace(task, train=task.train[:QUICK_CUSTOMERS])


if __name__ == "__main__":
    main()
