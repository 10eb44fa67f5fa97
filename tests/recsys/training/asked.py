"""Customers to ask about, models to ask, and what the answers are checked with."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from recsys.data.history import purchases_array
from recsys.data.interactions import PurchaseLog
from recsys.models.factors import ItemFactors

FALSE_ALARM = 1e-6
N_ITEMS = 8
HISTORIES = st.lists(
    st.lists(st.tuples(st.integers(0, N_ITEMS - 1), st.integers(0, 5)), min_size=1, max_size=8), min_size=1, max_size=6
)
"""Customers' purchases as (item, time)."""


def shop_of(histories: list[list[tuple[int, int]]]) -> PurchaseLog:
    """Each customer's purchases as (item, time)."""
    user = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    item, time = np.array([pair for history in histories for pair in history], dtype=np.int64).reshape(-1, 2).T
    purchases = purchases_array(timestamp=time, item=item, quantity=np.ones(len(item)), event=np.arange(len(item)))
    names = tuple(f"u{number}" for number in range(len(histories)))
    return PurchaseLog.build(names, tuple("abcdefgh"), user, purchases)


def model_of(seed: int) -> ItemFactors:
    """Some model of the eight items."""
    rng = np.random.default_rng(seed)
    tables = rng.normal(size=(2, N_ITEMS, 3)).astype(np.float32)
    ones = np.ones(N_ITEMS, dtype=np.float32)
    ids = tuple("abcdefgh")
    return ItemFactors(item_ids=ids, encoder=tables[0], factors=tables[1], item_weights=ones, popularity=ones)


def by_popularity() -> ItemFactors:
    """The items in the order of the alphabet, for everybody."""
    nothing, popularity = np.zeros((N_ITEMS, 0), dtype=np.float32), np.arange(N_ITEMS, 0, -1, dtype=np.float32)
    weights = np.zeros(N_ITEMS, dtype=np.float32)
    return ItemFactors(
        item_ids=tuple("abcdefgh"), encoder=nothing, factors=nothing, item_weights=weights, popularity=popularity
    )


def squared_norm(difference: NDArray[np.int64]) -> int:
    """Of integers, exactly."""
    return sum(int(value) ** 2 for value in difference)


def is_gaussian(draws: NDArray[np.float64], sigma: float) -> bool:
    """Whether neither Kolmogorov and Smirnov nor the sum of squares find anything against N(0, sigma²)."""
    standard = draws / sigma
    below = stats.chi2.cdf((standard**2).sum(), df=len(standard))
    return bool(min(stats.kstest(standard, "norm").pvalue, 2 * min(below, 1 - below)) > FALSE_ALARM / 2)
