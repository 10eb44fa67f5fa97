"""What the parts of the erasure benchmark share: the splits, a shop with its sum, and the metrics."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.erasable import Erasable, erasable_factors, erasable_rule
from recsys.models.factors import ItemFactors
from recsys.models.gram import GramSum

Matrix = NDArray[np.float64]
Customers = NDArray[np.int64]
"""Positions of customers."""
Made = TypeVar("Made")

LIST = 20


class Scores(Protocol):
    """A model as its lists are made from it."""

    def scores(self, purchased: sp.csr_matrix) -> Matrix:
        """(n_customers, n_items): of every item, for customers who bought this."""


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

    @property
    def n_customers(self) -> int:
        """How many customers there are."""
        return int(self.purchased.shape[0])

    def model(self) -> Erasable:
        """The model of everybody."""
        return erasable_factors(self.everybody, self.n_factors)

    def without(self, erased: Customers) -> ItemFactors:
        """The model after the customers were subtracted."""
        return erasable_factors(self.everybody.subtract(self.purchased[erased]), self.n_factors).factors

    def never_with(self, erased: Customers, rng: np.random.Generator) -> ItemFactors:
        """The model of a training that never saw the customers, the others in a new order."""
        others = rng.permutation(np.setdiff1d(np.arange(self.n_customers), erased))
        return erasable_factors(nobody(self.purchased.shape[1]).add(self.purchased[others]), self.n_factors).factors


def nobody(n_items: int) -> GramSum:
    """The sum over nobody."""
    return GramSum.empty(tuple(map(str, range(n_items))), erasable_rule(n_items))


def receraser(data: Path) -> dict[str, sp.csr_matrix]:
    """(6040, 3706) each: the train, validation and test rows of RecEraser's split."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only benchmarks read without times

    table = pq.read_table(data / "ml1m_receraser.parquet")
    user, item, split = (table[name].to_numpy(zero_copy_only=False) for name in ("user", "item", "split"))
    shape = (int(user.max()) + 1, int(item.max()) + 1)
    return {
        name: sp.csr_matrix((np.ones(int(of.sum()), np.float32), (user[of], item[of])), shape)
        for name in ("train", "valid_inferred", "test")
        for of in [split == name]
    }


def best_selling(purchased: sp.csr_matrix, n_items: int) -> sp.csr_matrix:
    """The purchases of the items that most customers bought."""
    return purchased[:, most_bought(purchased, n_items)]


def most_bought(purchased: sp.csr_matrix, n_items: int) -> NDArray[np.int64]:
    """The positions of the items that most customers bought, rising."""
    return np.sort(np.argsort(-np.asarray(purchased.sum(axis=0)).ravel(), kind="stable")[:n_items])


def recall_and_ndcg(scores: NDArray[np.floating], known: sp.csr_matrix, wanted: sp.csr_matrix) -> dict[str, float]:
    """Recall@20 and NDCG@20, means over the customers of whom something is wanted; what is known is not listed.

    Recall is hits over the number of wanted items; NDCG is against the best order of as many as fit.
    """
    tested = np.flatnonzero(np.diff(wanted.indptr))
    listed = np.array(scores[tested])
    listed[known[tested].nonzero()] = -np.inf
    best = np.argsort(-listed, axis=1, kind="stable")[:, :LIST]
    hits = np.take_along_axis(wanted[tested].toarray() > 0, best, axis=1)
    n_wanted = np.diff(wanted.indptr)[tested]
    gains = 1 / np.log2(np.arange(2, best.shape[1] + 2))
    ideal = np.cumsum(gains)[np.minimum(n_wanted, len(gains)) - 1]
    return {"recall20": float((hits.sum(axis=1) / n_wanted).mean()), "ndcg20": float((hits @ gains / ideal).mean())}


def distance(one: Scores, other: Scores, purchased: sp.csr_matrix) -> float:
    """The Frobenius norm of the difference of the scores, for customers who bought this.

    What a model does not know counts as 0.
    """
    first, second = (np.nan_to_num(model.scores(purchased), neginf=0.0) for model in (one, other))
    return float(np.linalg.norm(first - second))


def timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """What the work makes, and its CPU seconds."""
    started = time.process_time()
    made = work()
    return made, time.process_time() - started
