"""CPU time of a list that is not in the cache: fold-in and the exact 24 best, beside implicit on the same factors.

Three ways to the list of one customer, in turns: ours; plain, which is our fold-in, one product with all items and an
argpartition; and implicit's `recommend(recalculate_user=True)`, with its own fold-in. What the customer bought is left
out by all. Then lists for a batch of customers whose vectors are known, beside `recommend` of implicit for a batch.

Models: implicit's ALS, and the sum without noise and at epsilon 4, of MovieLens 1M and Online Retail; and made-up
catalogues of 100,000 items x 64 factors whose customers buy 20 items each, popular ones first:

    synthetic             lengths fall as rank^-0.5; ALS's ridge
    synthetic_popularity  the same under the sum, with popularity as one factor that makes up most of an item's length
    synthetic_flat        all items equally long: nothing can be left out, and the search has to notice

`speedup_over_implicit` is of `synthetic`; `worst_slowdown` is the largest ratio of ours to implicit, over all models,
and `worst_slowdown_to_plain` that of ours to plain. Plain breaks ties as they fall and has other last bits in its
scores than ours, which takes some microseconds for that. Lists of both tasks, `lists_us`, are what publishing makes for
each customer of a batch: fold-in, own repeats, 24 items each. One thread; figures are medians of runs over the same
customers.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from benchmarks.datasets import Task20, ml1m, onlineretail
from benchmarks.report import options, report
from recsys.models.als import ALSConfig
from recsys.models.factors import ItemFactors
from recsys.serving.lists import KEPT_LENGTH, LIST_LENGTH
from recsys.serving.ranker import Ranker
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Trainer

K = 24
RUNS = 15
CUSTOMERS, BATCH = 200, 512
ITEMS, FACTORS, BASKET = 100_000, 64, 20
TOPICS = 200
QUICK = 20
"""A smoke run has so many times fewer items and runs twice."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Case:
    """A model, and customers with something that it knows: (n_customers, n_items)."""

    model: ItemFactors
    customers: sp.csr_matrix


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    report("miss", miss(chosen.data, quick=chosen.quick), chosen, seeds=[0])


def miss(data: Path, *, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    figures: dict[str, float] = {}
    slowdown = {"plain": 0.0, "implicit": 0.0}
    with threadpool_limits(limits=1):
        for name, make in cases(data, quick=quick).items():
            found = measured(make(), runs=2 if quick else RUNS)
            slowdown = {peer: max(most, found["ours_us"] / found[f"{peer}_us"]) for peer, most in slowdown.items()}
            figures |= {f"miss.{key}.{name}": value for key, value in found.items()}
    return figures | {
        "miss.speedup_over_implicit": figures["miss.speedup_over_implicit.synthetic"],
        "miss.worst_slowdown": slowdown["implicit"],
        "miss.worst_slowdown_to_plain": slowdown["plain"],
    }


def cases(data: Path, *, quick: bool) -> dict[str, Callable[[], Case]]:
    """What is measured, by name."""
    tasks: dict[str, Callable[[], Task20]] = {
        "ml1m": partial(ml1m, data, split=0, validation=False),
        "onlineretail": partial(onlineretail, data),
    }
    trained = {
        "als": TrainConfig(epsilon=math.inf, trainer=Trainer.ALS),
        "gram": TrainConfig(epsilon=math.inf),
        "gram_eps4": TrainConfig(epsilon=4.0),
    }
    n_items = ITEMS // QUICK if quick else ITEMS
    found: dict[str, Callable[[], Case]] = {
        f"{model}.{task}": partial(trained_case, load, config)
        for task, load in tasks.items()
        for model, config in trained.items()
    }
    return found | {
        "synthetic": partial(synthetic, n_items, exponent=0.5, popularity=False),
        "synthetic_popularity": partial(synthetic, n_items, exponent=0.5, popularity=True),
        "synthetic_flat": partial(synthetic, n_items, exponent=0.0, popularity=False),
    }


def trained_case(load: Callable[[], Task20], config: TrainConfig) -> Case:
    """The model of a data set, and those who are asked about."""
    task = load()
    model = fit(task.train, task.items, Terms.under(config)).factors
    known = sp.csr_matrix(task.known)
    return Case(model=model, customers=drawn(known[np.flatnonzero(known @ model.item_weights)]))


def drawn(customers: sp.csr_matrix) -> sp.csr_matrix:
    """BATCH customers, some of them more than once if there are fewer; values are 1."""
    chosen = np.random.default_rng(0).permutation(max(customers.shape[0], BATCH))[:BATCH] % customers.shape[0]
    some = customers[chosen].astype(np.float32)
    some.data[:] = 1
    return some


def synthetic(n_items: int, *, exponent: float, popularity: bool) -> Case:
    """A made-up model whose items lie around topics, and customers of it."""
    rng = np.random.default_rng(0)
    rank = rng.permutation(n_items) + 1.0
    topics = rng.normal(size=(TOPICS, FACTORS))
    factors = topics[rng.integers(0, TOPICS, n_items)] + rng.normal(size=(n_items, FACTORS))
    factors *= (rank**-exponent / np.linalg.norm(factors, axis=1))[:, None]
    if popularity:
        factors[:, -1] = 3 * rank**-exponent
    model = ItemFactors(
        item_ids=tuple(map(str, range(n_items))),
        encoder=factors.astype(np.float32),
        factors=factors.astype(np.float32),
        item_weights=np.ones(n_items, dtype=np.float32),
        popularity=(1e6 * rank**-0.8).astype(np.float32),
        regularization=0.0 if popularity else ALSConfig().regularization,
    )
    return Case(model=model, customers=made_up(model.popularity.astype(np.float64), rng))


def made_up(popularity: np.ndarray, rng: np.random.Generator) -> sp.csr_matrix:
    """BATCH customers who buy BASKET items or a few fewer, popular ones first."""
    bought = rng.choice(len(popularity), size=(BATCH, BASKET), p=popularity / popularity.sum())
    rows = np.repeat(np.arange(BATCH), BASKET)
    customers = sp.csr_matrix((np.ones(bought.size, np.float32), (rows, bought.ravel())), (BATCH, len(popularity)))
    customers.data[:] = 1
    return customers


def measured(case: Case, *, runs: int) -> dict[str, float]:
    """Microseconds of CPU time for a list, each way, and their ratios."""
    ranker, peer = Ranker.of(case.model, length=LIST_LENGTH), implicit_of(case.model)
    published = replace(ranker, length=KEPT_LENGTH)
    vectors = ranker.fold_in.vectors(case.customers)
    peer.user_factors = vectors
    alone = [sp.csr_matrix(case.customers[row]) for row in range(CUSTOMERS)]
    baskets = [row.indices.astype(np.int64) for row in alone]
    unknown = np.flatnonzero(case.model.item_weights == 0)
    everybody = np.arange(BATCH)
    found = medians(
        {
            "ours_us": lambda: [ours(ranker, basket) for basket in baskets],
            "plain_us": lambda: [plain(ranker, unknown, basket) for basket in baskets],
            "implicit_us": lambda: [peer.recommend(0, row, N=K, recalculate_user=True) for row in alone],
        },
        runs,
        customers=CUSTOMERS,
    )
    found |= medians(
        {
            "lists_us": lambda: published.lists(case.customers),
            "batch_us": lambda: ranker.search.top_k_batch(vectors, K, case.customers),
            "implicit_batch_us": lambda: peer.recommend(everybody, case.customers, N=K),
        },
        runs,
        customers=BATCH,
    )
    return found | {
        "speedup_over_implicit": found["implicit_us"] / found["ours_us"],
        "slowdown_to_plain": found["ours_us"] / found["plain_us"],
        "batch_speedup_over_implicit": found["implicit_batch_us"] / found["batch_us"],
        "leaves_items_out": float(ranker.search.pruned),
    }


def ours(ranker: Ranker, basket: np.ndarray) -> np.ndarray:
    """The list of the product."""
    return ranker.search.top_k(ranker.fold_in.vector(basket), K, excluded=basket)[0]


def plain(ranker: Ranker, unknown: np.ndarray, basket: np.ndarray) -> np.ndarray:
    """The list from every item's score, in the shortest way that numpy has."""
    scores = ranker.model.factors @ ranker.fold_in.vector(basket)
    scores[unknown] = -np.inf
    scores[basket] = -np.inf
    best = np.argpartition(scores, -K)[-K:]
    return best[np.argsort(-scores[best], kind="stable")]


def implicit_of(model: ItemFactors) -> AlternatingLeastSquares:
    """implicit's model of the same item factors."""
    peer = AlternatingLeastSquares(
        factors=model.n_factors, regularization=model.regularization or ALSConfig().regularization, num_threads=1
    )
    peer.item_factors = np.array(model.factors)
    return peer


def medians(ways: Mapping[str, Callable[[], object]], runs: int, *, customers: int) -> dict[str, float]:
    """Median microseconds of CPU time for one customer, of runs that alternate; a first run warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 1):
        for name in sorted(ways, reverse=bool(run % 2)):  # nobody always comes after the same
            started = time.process_time()
            ways[name]()
            seconds[name].append((time.process_time() - started) / customers)
    return {name: 1e6 * statistics.median(each[1:]) for name, each in seconds.items()}


if __name__ == "__main__":
    main()
