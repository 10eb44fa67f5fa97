"""Generated shops: who bought what, and rules that a sum can be built with, the extreme ones too."""

from collections.abc import Collection, Sequence

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from recsys.models.customer import SumRule

Basket = frozenset[int]


def purchases_of(baskets: Sequence[Collection[int]], n_items: int) -> sp.csr_matrix:
    """(n_customers, n_items): customer u bought the items of basket u, once."""
    matrix = np.zeros((len(baskets), n_items), dtype=np.float32)
    for row, basket in enumerate(baskets):
        matrix[row, list(basket)] = 1
    return sp.csr_matrix(matrix)


def catalogue(n_items: int) -> tuple[str, ...]:
    """The names of the items."""
    return tuple(f"i{index}" for index in range(n_items))


def baskets(n_items: int) -> st.SearchStrategy[Basket]:
    """What one customer bought: nothing, something, everything."""
    return st.frozensets(st.integers(0, n_items - 1)) | st.just(frozenset(range(n_items)))


def rules(n_items: int) -> st.SearchStrategy[SumRule]:
    """Rules over released counts as noise may leave them: large, small, zero, negative."""
    count = st.floats(-1e5, 1e9) | st.integers(-3, 100).map(float) | st.sampled_from([0.0, -1e9, 1e9])
    return st.builds(
        SumRule,
        released_counts=st.lists(count, min_size=n_items, max_size=n_items).map(np.array),
        head_size=st.integers(1, n_items + 2),
        exponent=st.sampled_from([-0.1, 0.0, -0.5, -1.0]),
        deflate=st.booleans(),
    )


@st.composite
def shops(draw: st.DrawFn, *, max_items: int = 12, max_customers: int = 6) -> tuple[list[Basket], SumRule, int]:
    """The baskets of some customers, a rule, and the number of items."""
    n_items = draw(st.integers(1, max_items))
    customers = draw(st.lists(baskets(n_items), max_size=max_customers))
    return customers, draw(rules(n_items)), n_items
