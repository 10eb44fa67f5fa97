"""The data sets of the benchmarks, as they are measured on."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from pipelines.evaluate import by_model
from recsys.data.readers import Columns, read_purchases
from recsys.data.split import k_core, temporal_split
from recsys.evaluation.protocol import Protocol, Scorer
from recsys.models.attributes import ItemAttributes
from recsys.models.factors import ItemFactors
from recsys.models.spectral import autoencoder
from recsys.types import Task

LIKED = 4
"""Ratings from here on count as purchases (Liang et al. 2018)."""
MINIMUM = 5
YEAR = re.compile(r"\((\d{4})\)\s*$")
WORD = re.compile(r"[a-z]{3,}")
HELD_OUT = 600
"""Customers for validation, and as many for the test."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Task20:
    """What a model is trained on, what it is shown of those who are asked about, and what it must find."""

    items: tuple[str, ...]
    train: sp.csr_matrix
    known: sp.csr_matrix
    later: sp.csr_matrix
    protocol: Protocol


def onlineretail(data: Path, *, core: int = MINIMUM, earlier: bool = False) -> Task20:
    """UCI Online Retail: first purchases, temporal 80/20, customers and items with at least `core` of the other.

    `earlier` divides the part to train on once more, to choose settings on what comes before the test.
    """
    log = k_core(read_purchases(data / "onlineretail.parquet", Columns(quantity="quantity")).log, core)
    split = temporal_split(log)
    if earlier:
        split = temporal_split(split.train)
    train, later = split.train.interactions().matrix, split.test.interactions().matrix
    return Task20(
        items=log.items, train=train, known=train, later=later, protocol=Protocol.build(train, later, Task.DISCOVER)
    )


def ml1m(data: Path, *, split: int, validation: bool) -> Task20:
    """MovieLens 1M: 600 validation or test customers that the model never saw, 80/20 fold-in, the whole catalogue."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only benchmarks read without times

    table = pq.read_table(data / "ml1m.parquet", columns=["user", "item", "rating"])
    users, items, ratings = (table[name].to_numpy() for name in ("user", "item", "rating"))
    catalogue, item = np.unique(items, return_inverse=True)
    liked = ratings >= LIKED
    _, user = np.unique(users[liked], return_inverse=True)
    bought = sp.csr_matrix((np.ones(len(user), np.float32), (user, item[liked])), (user.max() + 1, len(catalogue)))
    bought = bought[np.diff(bought.indptr) >= MINIMUM]
    rng = np.random.default_rng(1000 + split)
    order = rng.permutation(bought.shape[0])
    asked = order[:HELD_OUT] if validation else order[HELD_OUT : 2 * HELD_OUT]
    known, later = fold(bought[asked], rng)
    return Task20(
        items=tuple(map(str, catalogue)),
        train=bought[np.sort(order[2 * HELD_OUT :])],
        known=known,
        later=later,
        protocol=Protocol.build(known, later, Task.DISCOVER),
    )


def ml1m_attributes(data: Path, items: tuple[str, ...]) -> ItemAttributes:
    """What a stranger knows of MovieLens' films: their genres and the year in their title."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only benchmarks read without times

    films = {str(row["item"]): row for row in pq.read_table(data / "ml1m_items.parquet").to_pylist()}
    titles = [films[item]["title"] for item in items]
    years = [float(found[1]) if (found := YEAR.search(title)) else math.nan for title in titles]
    return ItemAttributes(
        labels={"genre": [films[item]["genres"].split("|") for item in items]}, numbers={"year": years}
    )


def onlineretail_attributes(data: Path, items: tuple[str, ...]) -> ItemAttributes:
    """What a stranger knows of Online Retail's products: the words of their descriptions."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only benchmarks read without times

    rows = pq.read_table(data / "onlineretail_items.parquet").to_pylist()
    words = {str(row["item"]): WORD.findall((row["description"] or "").lower()) for row in rows}
    return ItemAttributes(labels={"word": [words.get(item, []) for item in items]})


def recall20(task: Task20, model: ItemFactors) -> float:
    """Mean Recall@20 of a model on a task."""
    return float(task.protocol.per_user(by_model(model, task.known))["recall@20"].mean())


def ease(train: sp.csr_matrix, known: sp.csr_matrix, regularization: float) -> Scorer:
    """Ranks by EASE (Steck 2019) at full rank; values count as bought or not.

    Args:
        train: (n_customers, n_items) what it is trained on
        known: (n_asked, n_items) what is known of those who are asked about
        regularization: of its ridge
    """
    bought, own = (sp.csr_matrix(matrix, dtype=np.float64, copy=True) for matrix in (train, known))
    bought.data[:] = own.data[:] = 1
    weights = autoencoder((bought.T @ bought).toarray(), regularization)
    return lambda users: np.asarray(own[users] @ weights)


def fold(bought: sp.csr_matrix, rng: np.random.Generator) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """80 % of each customer's items at random, and the others."""
    shown = np.ones(bought.nnz, dtype=bool)
    for start, stop in zip(bought.indptr, bought.indptr[1:], strict=False):
        shown[start + rng.permutation(stop - start)[: max(1, round(0.2 * (stop - start)))]] = False
    known, later = bought.copy(), bought.copy()
    known.data, later.data = shown.astype(np.float32), (~shown).astype(np.float32)
    known.eliminate_zeros()
    later.eliminate_zeros()
    return known, later
