"""Erasure from ALS at its optimum beside trainings without the customers, on MovieLens 1M under RecEraser's split.

Trained on the split's train rows alone; settings were chosen on its valid_inferred rows (docs/decisions/0027). Digests
are compared in batches of 1, 10, 100 and 1,000 customers and of half of them, on MovieLens, and in more batches on UCI
Online Retail: one side starts from the published model, the other from random numbers, with its customers in another
order and on another number of threads. Plain ALS is what the same code's sweeps take from a random start to the bound
of the erasure; it converges linearly, and what is left after PLAIN_SWEEPS is reckoned, by the fastest rate seen.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.datasets import onlineretail
from benchmarks.erasure_data import best_selling, recall_and_ndcg, receraser, timed
from recsys.models.certified_als import CertifiedALS, certified_als, items_in
from recsys.models.certified_outside import norm
from recsys.models.certified_problem import Matrix, Problem, Weights
from recsys.models.certified_solver import looked_at, optimum, outside_of, random_start
from recsys.models.certified_sweep import customers_of, items_of
from recsys.models.factors import ItemFactors
from recsys.models.ranking import model_scores

N_FACTORS = 96
SMALL_FACTORS = 32
SMALL_ITEMS = 200
"""The best-selling ones of Online Retail: what 192 pairs of trainings can be done on in some minutes."""
SIZES = (1, 10, 100, 1000)
SMALL_BATCHES = 25
"""Of each size and number of threads, on Online Retail."""
QUICK_ITEMS = 60
CHECKS = 5
"""Of a certificate, for a median."""
PLAIN_SWEEPS = 300
"""The last third of them tells how much one gains."""
SEQUENCE, LOOKED_AT = 1000, 100
"""Customers erased one by one, and how often the digest is compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """Purchases, and the model of all of them."""

    purchased: sp.csr_matrix
    n_factors: int
    model: CertifiedALS

    @classmethod
    def of(cls, purchased: sp.csr_matrix, n_factors: int) -> "Shop":
        """The shop of these purchases."""
        return cls(purchased, n_factors, _model(purchased, n_factors))

    def without(self, erased: NDArray[np.int64]) -> CertifiedALS:
        """The model after an erasure."""
        return _model(self.others(erased), self.n_factors, before=self.model.factors)

    def never_with(self, erased: NDArray[np.int64], seed: int) -> CertifiedALS:
        """The model of a training that never saw the customers, the others in a new order."""
        others = self.others(erased)
        return _model(others[np.random.default_rng(seed).permutation(others.shape[0])], self.n_factors, seed=seed)

    def others(self, erased: NDArray[np.int64]) -> sp.csr_matrix:
        """What everybody else bought."""
        return self.purchased[np.setdiff1d(np.arange(self.purchased.shape[0]), erased)]


def _model(
    purchased: sp.csr_matrix, n_factors: int, *, seed: int = 0, before: ItemFactors | None = None
) -> CertifiedALS:
    names = tuple(map(str, range(purchased.shape[1])))
    return certified_als(purchased, names, n_factors=n_factors, seed=seed, before=before)


def figures(data: Path, *, quick: bool) -> dict[str, float]:
    """Quality and CPU time, by name."""
    rows, shop = receraser(data), _movies(data, quick=quick)
    with threadpool_limits(1):
        found = speed(shop, sweeps=20 if quick else PLAIN_SWEEPS)
    return found if quick else found | quality(shop, rows)


def compared(data: Path, *, quick: bool) -> dict[str, float]:
    """Digests, by name."""
    small = best_selling(onlineretail(data).train, QUICK_ITEMS if quick else SMALL_ITEMS)
    other = Shop.of(small, SMALL_FACTORS)
    found = digests(_movies(data, quick=quick), other, each=1 if quick else SMALL_BATCHES)
    return found | sequence(other, length=10 if quick else SEQUENCE, step=5 if quick else LOOKED_AT)


def _movies(data: Path, *, quick: bool) -> Shop:
    train = receraser(data)["train"]
    return Shop.of(best_selling(train, QUICK_ITEMS), SMALL_FACTORS) if quick else Shop.of(train, N_FACTORS)


def quality(shop: Shop, rows: dict[str, sp.csr_matrix]) -> dict[str, float]:
    """Recall@20 and NDCG@20 of the test rows, over the customers who have some."""
    found = recall_and_ndcg(model_scores(shop.model.factors, rows["train"]), rows["train"], rows["test"])
    return {f"ml1m.als.{name}": value for name, value in found.items()} | {
        "ml1m.als.columns": shop.model.certificate.columns
    }


def digests(shop: Shop, small: Shop, *, each: int) -> dict[str, float]:
    """How often an erasure gives the digest of never having been there; half of all customers in one batch, too."""
    rng = np.random.default_rng(0)
    equal = [*_compared(shop, 1, (1,), rng), *_compared(small, each, (1, 2), rng)]
    n_customers = shop.purchased.shape[0]
    half = _equal(shop, rng.permutation(n_customers)[: n_customers // 2], 1, seed=1)
    return {
        "als.digest_equal_fraction": float(np.mean(equal)),
        "als.digest_batches": len(equal),
        "als.half_digest_equal": float(half),
    }


def _compared(shop: Shop, each: int, threads: tuple[int, ...], rng: np.random.Generator) -> Iterator[bool]:
    n_customers = shop.purchased.shape[0]
    for size in (size for size in SIZES if size < n_customers):
        for count in threads:
            for seed in range(1, each + 1):
                yield _equal(shop, rng.choice(n_customers, size, replace=False), count, seed)


def _equal(shop: Shop, erased: NDArray[np.int64], threads: int, seed: int) -> bool:
    """Whether the digests are equal: the one side on so many threads, the other on one or two."""
    with threadpool_limits(threads):
        unlearned = shop.without(erased).factors.digest
    with threadpool_limits(3 - threads):
        return unlearned == shop.never_with(erased, seed).factors.digest


def speed(shop: Shop, *, sweeps: int) -> dict[str, float]:
    """CPU time of erasing one customer, of a training to the same digest and of plain ALS; how near the scores come."""
    erased = np.random.default_rng(2).choice(shop.purchased.shape[0], 1)
    unlearned, erase = timed(lambda: shop.without(erased))
    retrained, retrain = timed(lambda: shop.never_with(erased, 7))
    problem = Problem.of(shop.others(erased), Weights())
    near = items_in(shop.model.factors, shop.model.factors.item_ids)
    swept, plain = _plain(problem, near, unlearned.certificate.bound, sweeps)
    equal = unlearned.factors.digest == retrained.factors.digest
    check, tightness = _check(problem, unlearned)
    before = shop.model.factors
    return {
        "als.residual_fraction": 0.0
        if equal
        else _distance(unlearned.factors, retrained.factors) / _distance(before, retrained.factors),
        "als.erase_cpu_seconds": erase,
        "als.retrain_cpu_seconds": retrain if equal else math.nan,
        "als.plain_cpu_seconds": plain,
        "als.plain_measured_cpu_seconds": swept.seconds,
        "als.plain_measured_bound": swept.bound,
        "als.speedup_single": plain / erase,
        "als.retrain_speedup_single": retrain / erase,
        "als.bound": unlearned.certificate.bound,
        "als.certificate.cpu_seconds": check,
        "certificate.cost_over_retrain": check / retrain,
        "als.certificate.cost_over_plain": check / plain,
        "als.certificate.tightness": tightness,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """What plain sweeps came to."""

    seconds: float
    """CPU time of all of them."""
    bound: float
    """Where the last one ended."""
    gain: float
    """How much a sweep took off the logarithm of the bound, over the last third."""


def _plain(problem: Problem, near: Matrix, bound: float, sweeps: int) -> tuple[Swept, float]:
    """What sweeps alone came to from a random start, and the CPU seconds until this bound, which are reckoned.

    By what a sweep gains near the solution, from the published items, if that is more than what it gained at last.
    """
    far = _swept(problem, random_start(problem.bought.shape[1], near.shape[1], 0), sweeps)
    gain = max(far.gain, _swept(problem, near, sweeps).gain)
    return far, far.seconds * (1 + max(np.log(far.bound / bound), 0.0) / gain / sweeps)


def _swept(problem: Problem, items: Matrix, sweeps: int) -> Swept:
    customers, seconds, bounds = customers_of(problem, items), 0.0, []
    for place in range(1, sweeps + 1):
        started = time.process_time()
        items = items_of(problem, customers)
        customers = customers_of(problem, items)
        seconds += time.process_time() - started
        if place in {sweeps - sweeps // 3, sweeps}:
            bounds.append(looked_at(problem, customers, items).bound)
    return Swept(seconds=seconds, bound=bounds[1], gain=float(np.log(bounds[0] / bounds[1])) / (sweeps // 3))


def _check(problem: Problem, model: CertifiedALS) -> tuple[float, float]:
    """CPU seconds of the certificate alone, and how many times the true distance its bound is.

    It is of the published items, on their grid: there the distance can be measured. The exact scores are those of a
    search from there.
    """
    start = items_in(model.factors, model.factors.item_ids)
    customers = customers_of(problem, start)
    seconds = []
    for _ in range(CHECKS):
        started = time.process_time()
        point = looked_at(problem, customers, start)
        norm(outside_of(problem, point))
        seconds.append(time.process_time() - started)
    exact = optimum(problem, start, enough=lambda _, bound: bound < point.bound / 1e3, most_columns=N_FACTORS)
    left, right = exact.spaces.factors(problem)
    return float(np.median(seconds)), point.bound / _between((point.customers, point.items), (left, right))


def _distance(one: ItemFactors, other: ItemFactors) -> float:
    """Of the items' scores with each other, which no turn of the columns changes."""
    left, right = (table.astype(np.float64) for table in (one.encoder, other.encoder))
    return _between((left, left), (right, right))


def _between(one: tuple[Matrix, Matrix], other: tuple[Matrix, Matrix]) -> float:
    """|A B^T - C D^T|_F, without either product."""
    left, right = np.hstack([one[0], -other[0]]), np.hstack([one[1], other[1]])
    rests = [np.asarray(np.linalg.qr(table, mode="r")) for table in (left, right)]
    return float(np.linalg.norm(rests[0] @ rests[1].T))


def sequence(shop: Shop, *, length: int, step: int) -> dict[str, float]:
    """Customers erased one by one: how often, now and then, the digest is that of a training without them."""
    order, equal = np.random.default_rng(3).permutation(shop.purchased.shape[0])[:length], []
    model = shop.model
    for place in range(1, length + 1):
        model = replace(shop, model=model).without(order[:place])
        if place % step == 0:
            equal.append(model.factors.digest == shop.never_with(order[:place], place).factors.digest)
    return {"als.sequential.digest_equal_fraction": float(np.mean(equal)), "als.sequential.compared": len(equal)}
