"""Erasure from the exact sum beside a training that never saw the customer, on MovieLens 1M under RecEraser's split.

Trained on the split's train rows alone; settings were chosen on its valid_inferred rows (docs/decisions/0022).
Recall@20 is hits over the number of test items, NDCG@20 against the best order of as many as fit. Digests are compared
in batches of 1, 10, 100 and 1,000 customers, on MovieLens and in more batches on UCI Online Retail: the one side
subtracts, the other starts from nothing, with its customers in another order and on another number of threads.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.datasets import onlineretail
from benchmarks.report import Options, options, report
from recsys.models.erasable import erasable_factors, erasable_rule
from recsys.models.factors import ItemFactors
from recsys.models.gram import GramSum
from recsys.models.ranking import model_scores

N_FACTORS = 896
"""The best of 512, 768, 896 and 1,024 on the validation rows."""
SMALL_FACTORS = 128
SIZES = (1, 10, 100, 1000)
SMALL_BATCHES = 24
"""Of each size and number of threads, on Online Retail."""
SMALL_ITEMS = 800
"""The best-selling ones there: what 192 pairs of trainings can be done on in a minute."""
QUICK_ITEMS = 300
SEQUENCE, LOOKED_AT = 1000, 100
LIST = 20


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """Purchases, and the sum of all of them."""

    purchased: sp.csr_matrix
    everybody: GramSum
    n_factors: int

    @classmethod
    def of(cls, purchased: sp.csr_matrix, n_factors: int) -> "Shop":
        """The shop of these purchases."""
        return cls(purchased, nobody(purchased.shape[1]).add(purchased), n_factors)

    def without(self, erased: NDArray[np.int64]) -> ItemFactors:
        """The model after the customers were subtracted."""
        return erasable_factors(self.everybody.subtract(self.purchased[erased]), self.n_factors).factors

    def never_with(self, erased: NDArray[np.int64], rng: np.random.Generator) -> ItemFactors:
        """The model of a training that never saw the customers, the others in a new order."""
        others = rng.permutation(np.setdiff1d(np.arange(self.purchased.shape[0]), erased))
        return erasable_factors(nobody(self.purchased.shape[1]).add(self.purchased[others]), self.n_factors).factors


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    rows = receraser(chosen.data)
    train = best_selling(rows["train"], QUICK_ITEMS) if chosen.quick else rows["train"]
    shop = Shop.of(train, 64 if chosen.quick else N_FACTORS)
    figures = quality(shop, rows) if not chosen.quick else {}
    figures |= digests(shop, small(chosen), chosen)
    figures |= distances(shop) | speed(shop) | sequence(shop, chosen)
    report("erasure", figures, chosen, seeds=[0])


def nobody(n_items: int) -> GramSum:
    """The sum over nobody."""
    return GramSum.empty(tuple(map(str, range(n_items))), erasable_rule(n_items))


def receraser(data: Path) -> dict[str, sp.csr_matrix]:
    """(6040, 3706) each: the rows of RecEraser's split."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only benchmarks read without times

    table = pq.read_table(data / "ml1m_receraser.parquet")
    user, item, split = (table[name].to_numpy(zero_copy_only=False) for name in ("user", "item", "split"))
    shape = (int(user.max()) + 1, int(item.max()) + 1)
    return {
        name: sp.csr_matrix((np.ones(int(of.sum()), np.float32), (user[of], item[of])), shape)
        for name in ("train", "test")
        for of in [split == name]
    }


def best_selling(purchased: sp.csr_matrix, n_items: int) -> sp.csr_matrix:
    """The purchases of the items that most customers bought."""
    return purchased[:, np.sort(np.argsort(-np.asarray(purchased.sum(axis=0)).ravel(), kind="stable")[:n_items])]


def small(chosen: Options) -> Shop:
    """The best-selling items of UCI Online Retail, what was bought before its test."""
    return Shop.of(best_selling(onlineretail(chosen.data).train, SMALL_ITEMS), SMALL_FACTORS)


def quality(shop: Shop, rows: dict[str, sp.csr_matrix]) -> dict[str, float]:
    """Recall@20 and NDCG@20 of the test rows, over the customers who have some."""
    scores = model_scores(erasable_factors(shop.everybody, shop.n_factors).factors, rows["train"])
    scores[rows["train"].nonzero()] = -np.inf
    tested = np.flatnonzero(np.diff(rows["test"].indptr))
    best = np.argsort(-scores[tested], axis=1, kind="stable")[:, :LIST]
    hits = np.take_along_axis(rows["test"][tested].toarray() > 0, best, axis=1)
    n_test = np.diff(rows["test"].indptr)[tested]
    gains = 1 / np.log2(np.arange(2, LIST + 2))
    ideal = np.cumsum(gains)[np.minimum(n_test, LIST) - 1]
    return {
        "ml1m.gram.recall20": float((hits.sum(axis=1) / n_test).mean()),
        "ml1m.gram.ndcg20": float((hits @ gains / ideal).mean()),
        "ml1m.gram.users": len(tested),
    }


def digests(shop: Shop, other: Shop, chosen: Options) -> dict[str, float]:
    """How often subtracting gives the digest of never having been there; half of all customers in one batch, too."""
    rng = np.random.default_rng(0)
    each = 1 if chosen.quick else SMALL_BATCHES
    equal = [*_compared(shop, 1, rng), *_compared(other, each, rng)]
    n_customers = shop.purchased.shape[0]
    half = _equal(shop, rng.permutation(n_customers)[: n_customers // 2], 1, rng)
    return {
        "gram.digest_equal_fraction": float(np.mean(equal)),
        "gram.digest_batches": len(equal),
        "half.digest_equal": float(half),
    }


def _compared(shop: Shop, each: int, rng: np.random.Generator) -> Iterator[bool]:
    n_customers = shop.purchased.shape[0]
    for size in (size for size in SIZES if size < n_customers):
        for threads in (1, 2):
            for _ in range(each):
                yield _equal(shop, rng.choice(n_customers, size, replace=False), threads, rng)


def _equal(shop: Shop, erased: NDArray[np.int64], threads: int, rng: np.random.Generator) -> bool:
    """Whether the digests are equal: the one side on so many threads, the other on one or two."""
    with threadpool_limits(threads):
        unlearned = shop.without(erased).digest
    with threadpool_limits(3 - threads):
        return unlearned == shop.never_with(erased, rng).digest


def distances(shop: Shop) -> dict[str, float]:
    """How far the scores are from those of a training without one customer, as a part of how far they were before."""
    rng = np.random.default_rng(1)
    erased = rng.choice(shop.purchased.shape[0], 1)
    without, never = shop.without(erased), shop.never_with(erased, rng)
    before = erasable_factors(shop.everybody, shop.n_factors).factors
    return {"gram.residual_fraction": _distance(without, never) / _distance(before, never)}


def _distance(one: ItemFactors, other: ItemFactors) -> float:
    return float(np.linalg.norm(one.encoder @ one.factors.T - other.encoder @ other.factors.T))


def speed(shop: Shop) -> dict[str, float]:
    """CPU time of an erasure and of a training to the same digest, medians of three; not a number if it is another."""
    rng = np.random.default_rng(2)
    taken: dict[str, list[float]] = {"erase": [], "train": []}
    with threadpool_limits(1):
        for _ in range(3):
            erased = rng.choice(shop.purchased.shape[0], 1)
            started = time.process_time()
            unlearned = shop.without(erased).digest
            between = time.process_time()
            equal = unlearned == shop.never_with(erased, rng).digest
            taken["train"].append(time.process_time() - between if equal else math.nan)
            taken["erase"].append(between - started)
    erase, train = (float(np.median(taken[name])) for name in ("erase", "train"))
    return {
        "gram.erase_cpu_seconds": erase,
        "gram.train_cpu_seconds": train,
        "gram.speedup_single": train / erase,
    }


def sequence(shop: Shop, chosen: Options) -> dict[str, float]:
    """Customers subtracted one by one: how often, now and then, the digest is that of a training without them."""
    rng = np.random.default_rng(3)
    length, step = (20, 10) if chosen.quick else (SEQUENCE, LOOKED_AT)
    order, content, equal = rng.permutation(shop.purchased.shape[0])[:length], shop.everybody, []
    for place, customer in enumerate(order, start=1):
        content = content.subtract(shop.purchased[[customer]])
        if place % step == 0:
            unlearned = erasable_factors(content, shop.n_factors).factors.digest
            equal.append(unlearned == shop.never_with(order[:place], rng).digest)
    return {"sequential.digest_equal_fraction": float(np.mean(equal)), "sequential.compared": len(equal)}


if __name__ == "__main__":
    main()
