"""What the item of a page does for a customer's list: Recall@20 of the next purchase, by the weight of the page's item.

Customers whom the model never saw; of each the latest purchase is to be found, the one before is the page, and the
earlier ones are known. MovieLens 1M (ratings of 4 and 5) and Online Retail (first purchases), without noise and at
epsilon 8. The weight is chosen on validation customers; the figures are those of test customers.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.datasets import HELD_OUT, LIKED, MINIMUM
from benchmarks.report import options, report
from recsys.evaluation.metrics import recall_at_k
from recsys.evaluation.protocol import top_lists
from recsys.models.factors import ItemFactors
from recsys.models.fold_in import FoldIn
from recsys.models.ranking import vector_scores
from recsys.serving.context import toward
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
EPSILONS = (math.inf, 8.0)
SPLITS = 3
K = 20


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pages:
    """Customers on a page: what is known of them, where they are, and what they take next."""

    items: tuple[str, ...]
    train: sp.csr_matrix
    known: sp.csr_matrix
    page: NDArray[np.int64]
    taken: NDArray[np.int64]


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    figures: dict[str, float] = {}
    for name, purchases in {"ml1m": ml1m(chosen.data), "onlineretail": onlineretail(chosen.data)}.items():
        for epsilon in EPSILONS[:1] if chosen.quick else EPSILONS:
            for which in ("validation", "test"):
                splits = [pages(purchases, split, which) for split in range(1 if chosen.quick else SPLITS)]
                stem = f"{name}.{which}.eps{epsilon:g}"
                figures |= {f"{stem}.{key}.recall20": value for key, value in measured(splits, epsilon).items()}
    report("context", figures, chosen, seeds=list(range(SPLITS)))


def ml1m(data: Path) -> sp.csr_matrix:
    """(n_customers, n_items): the place of each film among those that the customer liked, the first one 1."""
    table = pq.read_table(data / "ml1m.parquet", columns=["user", "item", "rating", "seq"]).drop_null()
    liked = table.filter(pc.greater_equal(table["rating"], LIKED))
    return in_order(liked, by="seq")


def onlineretail(data: Path) -> sp.csr_matrix:
    """(n_customers, n_items): the place of each product among the customer's first purchases, the first one 1."""
    table = pq.read_table(data / "onlineretail.parquet", columns=["user", "item", "quantity", "timestamp"])
    return in_order(table.filter(pc.greater(table["quantity"], 0)), by="timestamp")


def in_order(purchases: pa.Table, *, by: str) -> sp.csr_matrix:
    """(n_customers, n_items): the place of each item in the customer's order; customers with enough items alone."""
    user, item = (np.unique(purchases[name].to_numpy(), return_inverse=True)[1] for name in ("user", "item"))
    order = np.lexsort((purchases[by].to_numpy(), user))
    pair = user[order] * (item.max() + 1) + item[order]
    first = np.sort(np.unique(pair, return_index=True)[1])
    user, item = user[order][first], item[order][first]
    begins = np.searchsorted(user, user)
    places = sp.csr_matrix((np.arange(len(user)) - begins + 1.0, (user, item)))
    return places[np.diff(places.indptr) >= MINIMUM]


def pages(places: sp.csr_matrix, split: int, which: str) -> Pages:
    """Some held-out customers at their last purchase but one, and all others to train on."""
    order = np.random.default_rng(split).permutation(places.shape[0])
    asked = places[order[:HELD_OUT] if which == "validation" else order[HELD_OUT : 2 * HELD_OUT]]
    lengths = np.diff(asked.indptr)
    before_last = asked.data - np.repeat(lengths, lengths)
    known = asked.copy()
    known.data = (before_last < -1).astype(np.float64)
    known.eliminate_zeros()
    return Pages(
        items=tuple(map(str, range(places.shape[1]))),
        train=places[np.sort(order[2 * HELD_OUT :])].astype(np.float32),
        known=known,
        page=asked.indices[before_last == -1].astype(np.int64),
        taken=asked.indices[before_last == 0].astype(np.int64),
    )


def measured(splits: list[Pages], epsilon: float) -> dict[str, float]:
    """Mean Recall@20 by weight; by the page alone; and with the page's item as one more purchase."""
    found: dict[str, list[float]] = {}
    for seed, task in enumerate(splits):
        entropy = np.random.default_rng(seed).bytes
        model = fit(task.train, task.items, Terms.under(TrainConfig(epsilon=epsilon)), entropy=entropy).factors
        for key, vectors in ways(model, task).items():
            found.setdefault(key, []).append(recall(model, task, vectors))
    return {key: float(np.mean(values)) for key, values in found.items()}


def ways(model: ItemFactors, task: Pages) -> dict[str, NDArray[np.float32]]:
    """The vectors that are compared, (n_asked, n_factors) each."""
    fold_in = FoldIn.of(model)
    customers = fold_in.vectors(task.known)
    items = np.stack([fold_in.vector(np.array([page])) for page in task.page])
    here = sp.csr_matrix((np.ones(len(task.page)), (range(len(task.page)), task.page)), shape=task.known.shape)
    blended = {
        f"weight{weight:g}": np.stack([toward(*pair, weight=weight) for pair in zip(customers, items, strict=True)])
        for weight in WEIGHTS
    }
    return blended | {"page_alone": items, "as_purchase": fold_in.vectors(sp.csr_matrix(task.known + here))}


def recall(model: ItemFactors, task: Pages, vectors: NDArray[np.float32]) -> float:
    """Mean Recall@20 of what was taken next, among what is neither known nor the page's item."""
    scores = vector_scores(model, vectors).astype(np.float64)
    scores[task.known.nonzero()] = -np.inf
    customers = np.arange(len(task.page))
    scores[customers, task.page] = -np.inf
    targets = sp.csr_matrix((np.ones(len(customers)), (customers, task.taken)), shape=task.known.shape)
    return float(recall_at_k(top_lists(scores, K), targets).mean())


if __name__ == "__main__":
    main()
