"""One step of `benchmarks.synthetic` in a process of its own: grow the shop, or train on it. Prints figures as JSON.

python -m benchmarks.synthetic_worker grow DATA SHOP CUSTOMERS PURCHASES | train SHOP EPSILON | size SHOP PART HEAD
"""

import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.datasets import Task20, fold, ml1m, recall20
from recsys.evaluation.protocol import Protocol
from recsys.models.factorise import item_factors
from recsys.models.gram import GramSum, release_gram
from recsys.models.popularity import popularity_model
from recsys.training.fit import fit, fit_again, released_rule
from recsys.training.terms import N_FACTORS, Terms, TrainConfig
from recsys.types import Task

ITEMS = 20_000
SHARES = (0.75, 0.25)
"""Of the first and the second parent's likes."""
BATCH = 4096
"""Customers grown at once."""

Offsets = NDArray[np.int64]
"""(n_films + 1,): film f has the variants offsets[f] to offsets[f + 1]."""


def grow(data: Path, shop: Path, customers: int, purchases: int) -> dict[str, float]:
    """The shop's shape; the shop itself is written to a file."""
    rng = np.random.default_rng(0)
    task = ml1m(data, split=0, validation=False)
    held_out = sp.csr_matrix(task.known + task.later)
    offsets = variants(np.asarray(task.train.sum(axis=0)).ravel())
    per_like = purchases / (customers * task.train.nnz / task.train.shape[0])
    train = grown(task.train, offsets, customers, per_like, rng)
    known, later = fold(grown(held_out, offsets, held_out.shape[0], per_like, rng), rng)
    parts = {"train": train, "known": known, "later": later}
    arrays = {f"{name}.{key}": getattr(part, key) for name, part in parts.items() for key in ("indices", "indptr")}
    np.savez(shop, **arrays)
    return {
        "customers": customers,
        "items": ITEMS,
        "purchases": float(train.data.sum(dtype=np.float64)),
        "pairs": train.nnz,
        "held_out": known.shape[0],
    }


def variants(likes: NDArray[np.float32]) -> Offsets:
    """How many variants each film has, added up: one, and a part of the others that goes with the root of its likes."""
    share = np.cumsum(np.sqrt(likes.astype(np.float64)))
    extra = np.rint(share / share[-1] * (ITEMS - len(likes))).astype(np.int64)
    return np.concatenate([[0], extra + np.arange(1, len(likes) + 1)])


def grown(
    parents: sp.csr_matrix, offsets: Offsets, customers: int, per_like: float, rng: np.random.Generator
) -> sp.csr_matrix:
    """(customers, ITEMS): how often each grown customer bought each variant."""
    parts = []
    for start in range(0, customers, BATCH):
        first = np.arange(start, min(start + BATCH, customers))
        second = rng.integers(parents.shape[0], size=len(first))
        pairs = [
            purchases_of(parents[parent], share, per_like, rng)
            for parent, share in zip((first % parents.shape[0], second), SHARES, strict=True)
        ]
        rows, films = (np.concatenate(column) for column in zip(*pairs, strict=True))
        n_variants = offsets[films + 1] - offsets[films]
        rank = np.floor(1 / (1 - rng.random(len(films)) * n_variants / (n_variants + 1))).astype(np.int64) - 1
        items = offsets[films] + np.minimum(rank, n_variants - 1)
        ones = np.ones(len(items), dtype=np.float32)
        parts.append(sp.csr_matrix((ones, (rows, items)), shape=(len(first), ITEMS)))
    return sp.csr_matrix(sp.vstack(parts, format="csr"))


def purchases_of(
    likes: sp.csr_matrix, share: float, per_like: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Customer and film of each purchase that comes from this share of the likes."""
    kept = rng.random(likes.nnz) < share
    rows = np.repeat(np.arange(likes.shape[0]), np.diff(likes.indptr))[kept]
    times = 1 + rng.poisson(max(per_like - 1, 0), size=len(rows))
    return np.repeat(rows, times), np.repeat(likes.indices[kept].astype(np.int64), times)


def train(shop: Path, epsilon: float) -> dict[str, float]:
    """What training at this epsilon takes, and the recall of held-out customers."""
    task = read(shop)
    wall, cpu = time.perf_counter(), time.process_time()
    entropy = np.random.default_rng(0).bytes
    fitted = fit(task.train, task.items, Terms.under(TrainConfig(epsilon=epsilon)), entropy=entropy)
    seconds, cpu_seconds, peak = time.perf_counter() - wall, time.process_time() - cpu, peak_gb()
    popular = popularity_model(fitted.factors.popularity.astype(np.float64), task.items)
    same_sum = without_noise(task, fitted.content) if fitted.content else {}
    return same_sum | {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_gb": peak,
        "head": float(len(fitted.content.rule.head)) if fitted.content else 0.0,
        "recall20": recall20(task, fitted.factors),
        "popularity_recall20": recall20(task, popular),
    }


def without_noise(task: Task20, content: GramSum) -> dict[str, float]:
    """The recall of the same sum, of the same items, without noise: with as many factors, and with all of them."""
    gram = release_gram(content.gram, 0.0)
    factorise = partial(item_factors, gram, content.rule, task.items, noise_scale=0.0)
    numbers = {"same_sum_recall20": N_FACTORS, "same_sum_all_recall20": len(content.rule.head)}
    return {name: recall20(task, factorise(n_factors=number)) for name, number in numbers.items()}


def size(shop: Path, part: int, head: int) -> dict[str, float]:
    """CPU seconds of training at epsilon 1 on one of so many parts of the customers, with a head of this size."""
    task = read(shop)
    purchased = task.train[: task.train.shape[0] // part]
    terms, entropy = Terms.under(TrainConfig(epsilon=1.0)), np.random.default_rng(0).bytes
    started = time.process_time()
    rule = replace(released_rule(purchased, terms, entropy=entropy), head_size=head)
    content = GramSum.empty(task.items, rule).add(purchased)
    added = time.process_time()
    fit_again(content, terms, entropy=entropy)
    return {
        "cpu_seconds": time.process_time() - started,
        "sum_cpu_seconds": added - started,
        "purchases": purchased.nnz,
    }


def read(shop: Path) -> Task20:
    """The shop in a file."""
    with np.load(shop) as arrays:
        train, known, later = (
            _matrix(arrays[f"{name}.indices"], arrays[f"{name}.indptr"]) for name in ("train", "known", "later")
        )
    items = tuple(f"variant-{number}" for number in range(ITEMS))
    protocol = Protocol.build(known, later, Task.DISCOVER)
    return Task20(items=items, train=train, known=known, later=later, protocol=protocol)


def _matrix(indices: NDArray[np.int32], indptr: NDArray[np.int32]) -> sp.csr_matrix:
    """(n_customers, ITEMS): one for what was bought."""
    return sp.csr_matrix((np.ones(len(indices), dtype=np.float32), indices, indptr), shape=(len(indptr) - 1, ITEMS))


def peak_gb() -> float:
    """The largest resident memory of this process, in GB (10^9 bytes).

    Linux hands the peak of getrusage down from a parent to what it starts; VmHWM is of this program alone.
    """
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e9


def main() -> None:
    """Do one step and print its figures."""
    step, *arguments = sys.argv[1:]
    if step == "grow":
        data, shop, customers, purchases = arguments
        figures = grow(Path(data).resolve(), Path(shop), int(customers), int(purchases))
    elif step == "train":
        figures = train(Path(arguments[0]), float(arguments[1]))
    else:
        figures = size(Path(arguments[0]), int(arguments[1]), int(arguments[2]))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
