"""Generated shops: who bought what, and rules that a sum can be built with, the extreme ones too."""

from collections.abc import Collection, Sequence

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.models.customer import GRID, NO_DIRECTIONS, SumRule, customer_terms, customer_vectors

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


def directions(n_items: int) -> st.SearchStrategy[NDArray[np.float64]]:
    """(n_items, 1 to 3): orthonormal up to the grid, as they are made; or integers of any kind, which bind as well."""
    number = st.sampled_from([-GRID, -1.0, 0.0, 1.0, GRID]) | st.integers(-int(GRID), int(GRID)).map(float)
    rows = st.integers(1, 3).flatmap(
        lambda n: st.lists(st.lists(number, min_size=n, max_size=n), min_size=n_items, max_size=n_items)
    )
    sizes = st.tuples(st.integers(0, 100), st.integers(1, min(3, n_items)))
    return rows.map(np.array) | sizes.map(lambda size: orthonormal(n_items, size[1], np.random.default_rng(size[0])))


def orthonormal(n_items: int, n_directions: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n_items, n_directions): as near to orthonormal as integers on the grid are."""
    return np.asarray(np.round(np.linalg.qr(rng.normal(size=(n_items, n_directions)))[0] * GRID))


def rules(n_items: int, *, beside_directions: bool | None = None) -> st.SearchStrategy[SumRule]:
    """Rules over released counts as noise may leave them: large, small, zero, negative.

    Args:
        n_items: of the catalogue
        beside_directions: whether the rules have directions; None: some have and some have none
    """
    count = st.floats(-1e5, 1e9) | st.integers(-3, 100).map(float) | st.sampled_from([0.0, -1e9, 1e9])
    none, some = st.just(NO_DIRECTIONS), directions(n_items)
    return st.builds(
        SumRule,
        released_counts=st.lists(count, min_size=n_items, max_size=n_items).map(np.array),
        head_size=st.integers(1, n_items + 2),
        exponent=st.sampled_from([-0.1, 0.0, -0.5, -1.0]),
        deflate=st.booleans(),
        directions={None: none | some, False: none, True: some}[beside_directions],
        released_customers=st.floats(-100, 1e6),
    )


@st.composite
def shops(
    draw: st.DrawFn, *, max_items: int = 12, max_customers: int = 6, beside_directions: bool | None = None
) -> tuple[list[Basket], SumRule, int]:
    """The baskets of some customers, a rule, and the number of items."""
    n_items = draw(st.integers(1, max_items))
    customers = draw(st.lists(baskets(n_items), max_size=max_customers))
    return customers, draw(rules(n_items, beside_directions=beside_directions)), n_items


def vectors_in_the_gram(purchased: sp.csr_matrix, rule: SumRule) -> NDArray[np.float64]:
    """(n_customers, head): x, whichever of the two it is under this rule."""
    return customer_terms(purchased, rule).residuals if rule.n_directions else customer_vectors(purchased, rule)
