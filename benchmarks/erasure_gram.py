"""Erasure from the exact sum beside a training that never saw the customer: digests, distances, CPU time, certificate.

Digests are compared in batches of 1, 10, 100 and 1,000 customers, on MovieLens 1M and in more batches on the
best-selling items of UCI Online Retail: the one side subtracts, the other starts from nothing, with its customers in
another order and on another number of threads. The whole catalogues of Online Retail and of Complete Journey follow,
with how well first purchases are found there.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy import linalg
from threadpoolctl import threadpool_limits

from benchmarks.datasets import onlineretail, recall20
from benchmarks.erasure_data import Customers, Shop, best_selling, most_bought, recall_and_ndcg, receraser, timed
from benchmarks.erasure_peers import N_FACTORS, QUICK_ITEMS
from benchmarks.grocery import CUT, Grocer
from benchmarks.grocery import recall20 as grocer_recall20
from pipelines.evaluate import by_model
from recsys.data.complete_journey import read_complete_journey
from recsys.models.customer import GRID
from recsys.models.erasable import leading
from recsys.models.factors import ItemFactors
from recsys.models.ranking import model_scores
from recsys.models.subspace_form import certified, product

QUICK_FACTORS = 64
SMALL_FACTORS = 128
"""What `privrec train` makes, and what is made on the two shops."""
SIZES = (1, 10, 100, 1000)
SMALL_BATCHES = 24
"""Of each size and number of threads, on the best-selling items of Online Retail."""
SMALL_ITEMS = 800
"""What 192 pairs of trainings can be done on in a minute."""
SEQUENCE, LOOKED_AT = 1000, 100
REPEATED = 3


def figures(data: Path, *, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    rows = receraser(data)
    if quick:
        items = most_bought(rows["train"], QUICK_ITEMS)
        rows = {name: part[:, items] for name, part in rows.items()}
    shop = Shop.of(rows["train"], QUICK_FACTORS if quick else N_FACTORS)
    found = quality(shop, rows["test"])
    found |= digests(shop, best_sellers(data), 1 if quick else SMALL_BATCHES)
    found |= distances(shop) | speed(shop) | certificate(shop)
    found |= sequence(shop, *((20, 10) if quick else (SEQUENCE, LOOKED_AT)))
    return found if quick else found | online_retail(data) | complete_journey()


def quality(shop: Shop, test: sp.csr_matrix) -> dict[str, float]:
    """Recall and NDCG of the test rows."""
    found = recall_and_ndcg(model_scores(shop.model().factors, shop.purchased), shop.purchased, test)
    users = float((np.diff(test.indptr) > 0).sum())
    return {f"ml1m.gram.{name}": value for name, value in found.items()} | {"ml1m.gram.users": users}


def best_sellers(data: Path) -> Shop:
    """The best-selling items of UCI Online Retail, what was bought before its test."""
    train = onlineretail(data).train
    return Shop.of(best_selling(train, SMALL_ITEMS), SMALL_FACTORS)


def digests(shop: Shop, other: Shop, each: int) -> dict[str, float]:
    """How often subtracting gives the digest of never having been there; half of all customers in one batch, too."""
    rng = np.random.default_rng(0)
    equal = [*_compared(shop, 1, rng), *_compared(other, each, rng)]
    half = _equal(shop, rng.permutation(shop.n_customers)[: shop.n_customers // 2], 1, rng)
    return {
        "gram.digest_equal_fraction": float(np.mean(equal)),
        "gram.digest_batches": len(equal),
        "half.digest_equal": float(half),
    }


def _compared(shop: Shop, each: int, rng: np.random.Generator) -> Iterator[bool]:
    for size in (size for size in SIZES if size < shop.n_customers):
        for threads in (1, 2):
            for _ in range(each):
                yield _equal(shop, rng.choice(shop.n_customers, size, replace=False), threads, rng)


def _equal(shop: Shop, erased: Customers, threads: int, rng: np.random.Generator) -> bool:
    """Whether the digests are equal: the one side on so many threads, the other on one or two."""
    with threadpool_limits(threads):
        unlearned = shop.without(erased).digest
    with threadpool_limits(3 - threads):
        return unlearned == shop.never_with(erased, rng).digest


def distances(shop: Shop) -> dict[str, float]:
    """How far the scores are from those of a training without one customer, as a part of how far they were before."""
    rng = np.random.default_rng(1)
    erased = rng.choice(shop.n_customers, 1)
    without, never = shop.without(erased), shop.never_with(erased, rng)
    return {"gram.residual_fraction": _distance(without, never) / _distance(shop.model().factors, never)}


def _distance(one: ItemFactors, other: ItemFactors) -> float:
    return float(np.linalg.norm(one.encoder @ one.factors.T - other.encoder @ other.factors.T))


def speed(shop: Shop, prefix: str = "gram") -> dict[str, float]:
    """CPU time of an erasure of one and of 1,000, and of a training to the same digest: medians, on one thread.

    Not a number if the digest is another.
    """
    rng = np.random.default_rng(2)
    taken: dict[str, list[float]] = {"erase": [], "train": [], "erase1000": []}
    with threadpool_limits(1):
        for _ in range(REPEATED):
            erased = rng.choice(shop.n_customers, max(SIZES), replace=False)
            unlearned, seconds = timed(lambda one=erased[:1]: shop.without(one).digest)  # type: ignore[misc]
            taken["erase"].append(seconds)
            trained, seconds = timed(lambda one=erased[:1]: shop.never_with(one, rng).digest)  # type: ignore[misc]
            taken["train"].append(seconds if trained == unlearned else math.nan)
            taken["erase1000"].append(timed(lambda many=erased: shop.without(many).digest)[1])  # type: ignore[misc]
    erase, train, many = (float(np.median(taken[name])) for name in ("erase", "train", "erase1000"))
    return {
        f"{prefix}.erase_cpu_seconds": erase,
        f"{prefix}.train_cpu_seconds": train,
        f"{prefix}.speedup_single": train / erase,
        f"{prefix}.cost_1000_over_one": many / erase,
    }


def certificate(shop: Shop) -> dict[str, float]:
    """What the certificate costs beside a training, and how far its bounds are above what they bound.

    The residual is computed in full; the true angle is not known, so the angle to what another solver finds (all of the
    spectrum, by divide and conquer) stands for it.
    """
    gram = shop.everybody.gram / GRID**2
    with threadpool_limits(1):
        train = timed(lambda: shop.never_with(np.array([0]), np.random.default_rng(0)).digest)[1]
        found = leading(gram, shop.n_factors)
        check = timed(lambda: certified(shop.everybody.gram, GRID**2, found.vectors, found.values, found.gap))
    (residual, bound), seconds = check
    left = product(shop.everybody.gram, found.vectors) / GRID**2 - found.vectors * found.values
    _, everything = linalg.eigh(gram, driver="evd")
    other = everything[:, ::-1][:, : len(found.values)]
    angle = np.linalg.norm(other - found.vectors @ (found.vectors.T @ other), 2)
    return {
        "gram.certificate.cpu_seconds": seconds,
        "gram.certificate.cost_over_retrain": seconds / train,
        "gram.certificate.bound": bound,
        "gram.certificate.residual_over_true": residual / float(np.linalg.norm(left, 2)),
        "gram.certificate.bound_over_angle_to_another_solver": bound / float(angle),
    }


def sequence(shop: Shop, length: int, step: int) -> dict[str, float]:
    """Customers subtracted one by one: how often, now and then, the digest is that of a training without them."""
    rng = np.random.default_rng(3)
    order, left, equal = rng.permutation(shop.n_customers)[:length], shop, []
    for place, customer in enumerate(order, start=1):
        left = Shop(shop.purchased, left.everybody.subtract(shop.purchased[[customer]]), shop.n_factors)
        if place % step == 0:
            equal.append(left.model().factors.digest == shop.never_with(order[:place], rng).digest)
    return {"sequential.digest_equal_fraction": float(np.mean(equal)), "sequential.compared": len(equal)}


def online_retail(data: Path) -> dict[str, float]:
    """First purchases on the whole catalogue of UCI Online Retail."""
    task = onlineretail(data)
    shop = Shop.of(task.train, SMALL_FACTORS)
    return {"onlineretail.gram.recall20": recall20(task, shop.model().factors)} | _whole(shop, "onlineretail.gram")


def complete_journey() -> dict[str, float]:
    """First purchases of product types on Complete Journey."""
    grocer = Grocer.until(read_complete_journey().log, CUT)
    shop = Shop.of(grocer.train, SMALL_FACTORS)
    found = grocer_recall20(grocer.new, by_model(shop.model().factors, grocer.habits))
    return {"completejourney.gram.new.recall20": found} | _whole(shop, "completejourney.gram")


def _whole(shop: Shop, prefix: str) -> dict[str, float]:
    equal = [*_compared(shop, 1, np.random.default_rng(5))]
    return speed(shop, prefix) | {
        f"{prefix}.items": shop.purchased.shape[1],
        f"{prefix}.digest_equal_fraction": float(np.mean(equal)),
        f"{prefix}.digest_batches": len(equal),
    }
