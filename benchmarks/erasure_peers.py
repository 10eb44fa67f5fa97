"""Other ways to forget, and ours, under one split: RecEraser's of MovieLens 1M, trained on its train rows.

Of every method: quality before and after 100 customers are erased, beside a full training without them; CPU seconds of
an erasure; and how far its scores are from a full training of its base, as a part of how far the base's own scores
were before: 0 is exact, 1 is as far as doing nothing. For the methods by shards, whose models are not the base's, also
how far they are from the same method trained from nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from benchmarks.erasure_bases import SWEEPS, Sweeps, downdate, swept, train_als, train_ease
from benchmarks.erasure_data import (
    Customers,
    Matrix,
    Scores,
    distance,
    most_bought,
    nobody,
    recall_and_ndcg,
    receraser,
    timed,
)
from benchmarks.erasure_shards import RecEraser, receraser_model, sisa
from recsys.models.erasable import erasable_factors
from recsys.models.factors import ItemFactors
from recsys.models.gram import GramSum
from recsys.models.ranking import model_scores

N_FACTORS = 896
"""The best of 512, 768, 896 and 1,024 on the validation rows."""
SIZES = (1, 100)
WARM = (1, 5)
"""Sweeps."""
COMPARED = 1000
"""Customers whose scores are compared, of those who stay."""
QUICK_ITEMS = 300

Kept = TypeVar("Kept", bound=Scores)
Train = Callable[[sp.csr_matrix], Kept]
Erase = Callable[[Kept, Customers], Scores]


@dataclass(frozen=True, slots=True, eq=False)
class Ours:
    """The model of an exact sum."""

    content: GramSum
    factors: ItemFactors

    @classmethod
    def of(cls, content: GramSum, n_factors: int) -> "Ours":
        """The model of this sum."""
        return cls(content, erasable_factors(content, n_factors).factors)

    def scores(self, purchased: sp.csr_matrix) -> Matrix:
        """(n_customers, n_items)."""
        return np.asarray(model_scores(self.factors, purchased), dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Comparison:
    """What is trained on, what is to be found, and who is erased."""

    train: sp.csr_matrix
    valid: sp.csr_matrix
    test: sp.csr_matrix
    erased: Mapping[int, Customers]
    n_factors: int
    sweeps: int

    def staying(self, size: int) -> Customers:
        """The positions of those who stay."""
        return np.setdiff1d(np.arange(self.train.shape[0]), self.erased[size])

    def compared(self, size: int) -> sp.csr_matrix:
        """The purchases of some who stay."""
        staying = self.staying(size)
        return self.train[np.random.default_rng(0).choice(staying, min(COMPARED, len(staying)), replace=False)]

    def quality(self, model: Scores, size: int = 0) -> dict[str, float]:
        """Recall and NDCG of the test rows, of those who stay."""
        who = self.staying(size) if size else np.arange(self.train.shape[0])
        return recall_and_ndcg(model.scores(self.train[who]), self.train[who], self.test[who])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Base(Generic[Kept]):
    """A model trained in full: with everybody, and without those who are erased."""

    before: Kept
    never: Mapping[int, Kept]
    seconds: float
    moved: dict[int, float] = field(default_factory=dict)
    """How far apart their scores are: what doing nothing leaves."""

    @classmethod
    def trained(cls, train: Train[Kept], on: Comparison) -> "Base[Kept]":
        """Trained on this comparison's purchases."""
        before, seconds = timed(lambda: train(on.train))
        never = {size: train(on.train[on.staying(size)]) for size in on.erased}
        moved = {size: distance(before, never[size], on.compared(size)) for size in never}
        return cls(before=before, never=never, seconds=seconds, moved=moved)

    def itself(self, name: str, on: Comparison) -> dict[str, float]:
        """What a full training costs, and how good it is."""
        last = max(self.never)
        found = {"train_cpu_seconds": self.seconds} | on.quality(self.before)
        found |= {f"retrained{last}.{key}": value for key, value in on.quality(self.never[last], last).items()}
        return named(f"peers.{name}", found)


def figures(data: Path, *, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    on = comparison(data, quick=quick)
    with threadpool_limits(1):
        return with_ease(on) | with_als(on) | with_ours(on)


def comparison(data: Path, *, quick: bool) -> Comparison:
    """RecEraser's split, and who is erased, at random."""
    rows = receraser(data)
    if quick:
        items = most_bought(rows["train"], QUICK_ITEMS)
        rows = {name: part[:, items] for name, part in rows.items()}
    rng = np.random.default_rng(4)
    erased = {size: rng.choice(rows["train"].shape[0], size, replace=False) for size in SIZES}
    return Comparison(
        train=rows["train"],
        valid=rows["valid_inferred"],
        test=rows["test"],
        erased=erased,
        n_factors=64 if quick else N_FACTORS,
        sweeps=10 if quick else SWEEPS,
    )


def with_ease(on: Comparison) -> dict[str, float]:
    """EASE, its downdate, doing nothing, and the shards of EASE."""
    base = Base.trained(train_ease, on)
    shards, sisa_seconds = timed(lambda: sisa(on.train))
    alike, receraser_seconds = timed(lambda: receraser_model(on.train, on.valid))
    return {
        **base.itself("ease", on),
        **compared("do_nothing", base.before, lambda model, _: model, base, on),
        **compared("ease_downdate", base.before, lambda model, erased: downdate(model, on.train, erased), base, on),
        "peers.sisa.train_cpu_seconds": sisa_seconds,
        **compared("sisa", shards, lambda model, erased: model.without(on.train, erased), base, on),
        "peers.receraser.train_cpu_seconds": receraser_seconds,
        **compared("receraser", alike, lambda model, erased: model.without(on.train, on.valid, erased), base, on),
        **from_nothing(alike, on),
    }


def from_nothing(before: RecEraser, on: Comparison) -> dict[str, float]:
    """How far RecEraser's erasure is from its own training without the customers: partition and all."""
    found = {}
    for size, erased in on.erased.items():
        staying, asked = on.staying(size), on.compared(size)
        never = receraser_model(on.train[staying], on.valid[staying])
        left = distance(before.without(on.train, on.valid, erased), never, asked)
        found[f"peers.receraser.own_residual{size}"] = left / distance(before, never, asked)
    return found


def with_als(on: Comparison) -> dict[str, float]:
    """ALS, and some more sweeps from where it was."""
    base = Base.trained(lambda purchased: train_als(purchased, on.sweeps), on)
    least = min(on.erased)
    found = base.itself("als", on)
    for sweeps in WARM:
        found |= compared(f"warm_als{sweeps}", base.before, warm(on, sweeps), base, on)
    # What more sweeps move where nobody is erased: nothing below it can be told.
    still = distance(base.before, swept(base.before, on.train, max(WARM)), on.compared(least))
    return found | {f"peers.als.unconverged{least}": still / base.moved[least]}


def warm(on: Comparison, sweeps: int) -> Erase[Sweeps]:
    """So many sweeps over those who stay, from the factors of everybody."""
    everybody = np.arange(on.train.shape[0])
    return lambda model, erased: swept(model, on.train[np.setdiff1d(everybody, erased)], sweeps)


def with_ours(on: Comparison) -> dict[str, float]:
    """The model of an exact sum, from which the customers are subtracted."""

    def train(purchased: sp.csr_matrix) -> Ours:
        return Ours.of(nobody(purchased.shape[1]).add(purchased), on.n_factors)

    def erase(model: Ours, erased: Customers) -> Ours:
        return Ours.of(model.content.subtract(on.train[erased]), on.n_factors)

    base = Base.trained(train, on)
    return base.itself("gram", on) | compared("gram", base.before, erase, base, on)


def compared(name: str, before: Kept, erase: Erase[Kept], base: Base[Any], on: Comparison) -> dict[str, float]:
    """A method beside the full training of its base."""
    found, last = dict(on.quality(before)), max(on.erased)
    for size, erased in on.erased.items():
        after, seconds = timed(lambda erased=erased: erase(before, erased))  # type: ignore[misc]
        found[f"erase{size}_cpu_seconds"] = seconds
        found[f"residual{size}"] = distance(after, base.never[size], on.compared(size)) / base.moved[size]
        if size == last:
            found |= {f"after{size}.{key}": value for key, value in on.quality(after, size).items()}
    return named(f"peers.{name}", found)


def named(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    """The figures, each key with the prefix."""
    return {f"{prefix}.{key}": value for key, value in figures.items()}
