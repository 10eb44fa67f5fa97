"""Lists that are moved toward the item of a page: by the model, the item and the customer's own purchases alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.serving.lists import Row
from recsys.serving.masked import customers_rows, popular_rows, vector_rows
from recsys.serving.products import Mask
from recsys.serving.ranker import Ranker
from recsys.types import Reason, Task

Vector = NDArray[np.float32]

CONTEXT_WEIGHT = 1.0
"""Of the item, beside the customer: both count the same. From 0.75 to 1.5 was level on validation customers of
MovieLens and Online Retail, without noise and at epsilon 8 (benchmarks/LOG.md)."""


def toward(customer: Vector, item: Vector, weight: float = CONTEXT_WEIGHT) -> Vector:
    """(n_factors,): the customer's vector and the item's, brought to the customer's length, added up by weight.

    The item's own, where the model knows nothing of the customer.
    """
    wide, wide_item = customer.astype(np.float64), item.astype(np.float64)
    length, item_length = np.linalg.norm(wide), np.linalg.norm(wide_item)
    if not length or not item_length:
        return customer if length else item
    return (wide + wide_item * (weight * length / item_length)).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Context:
    """What moves a list: the item of a page, as the model knows it. And which items may be in the list.

    Guarantees:
        - In the list of a customer or a basket, those items have the context for their reason that would not be in it
          without the context and were not bought before, and no others.

    Tested by: tests/recsys/serving/test_context.py::test_an_item_that_is_there_because_of_the_context_says_so
    """

    ranker: Ranker
    item: Vector
    """(n_factors,): zeros where there is none, or the model knows nothing of it; then nothing is moved."""
    allowed: Mask
    n: int

    @classmethod
    def of(cls, ranker: Ranker, items: NDArray[np.int64], allowed: Mask, n: int) -> "Context":
        """The context of the item at this position, or of none."""
        return cls(ranker=ranker, item=ranker.folded(items), allowed=allowed, n=n)

    @property
    def known(self) -> bool:
        """Whether there is an item that the model knows something of."""
        return bool(self.item.any())

    def customers_rows(self, own: sp.csr_matrix, *, task: Task) -> tuple[Row, ...]:
        """The allowed items that fit a customer best who looks at the item.

        Args:
            own: (1, n_items) the customer's habits, as wide as the catalogue
            task: what the list is for
        """

        def ranked(vector: Vector) -> tuple[Row, ...]:
            return customers_rows(self.ranker, vector, own, self.allowed, self.n, task=task)

        return self._moved(self.ranker.folded(own.indices), ranked)

    def basket_rows(self, basket: NDArray[np.int64]) -> tuple[Row, ...] | None:
        """The allowed items that go best with a basket and the item; None if the model knows nothing of the basket."""
        vector = self.ranker.folded(basket)
        return self._moved(vector, self._best) if vector.any() else None

    def nobodys_rows(self) -> tuple[Row, ...]:
        """The allowed items for whoever has no list: those that go with the item, then what is popular."""
        near = [row for row in self._best(self.item) if row[1] > 0] if self.known else []
        others = self.allowed.copy()
        others[[item for item, _, _ in near]] = False
        return (*_marked(near, ()), *popular_rows(self.ranker.model, others, self.n)[: self.n - len(near)])

    def _moved(self, vector: Vector, ranked: Callable[[Vector], tuple[Row, ...]]) -> tuple[Row, ...]:
        """The list for this vector beside the item; its reasons are told by the list for the vector alone."""
        without = ranked(vector)
        return _marked(ranked(toward(vector, self.item)), without) if self.known else without

    def _best(self, vector: Vector) -> tuple[Row, ...]:
        return vector_rows(self.ranker, vector, self.allowed, self.n)


def _marked(rows: Sequence[Row], without: Sequence[Row]) -> tuple[Row, ...]:
    """The rows, with the context as the reason of those that are not in the list without it."""
    there = {item for item, _, _ in without}
    return tuple(
        (item, score, Reason.SIMILAR_TO_CONTEXT if reason is Reason.MODEL and item not in there else reason)
        for item, score, reason in rows
    )
