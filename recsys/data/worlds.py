"""Synthetic shops whose structure is known: for tests, and for examples that need no download."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.data.history import purchases_array
from recsys.data.interactions import PurchaseLog

DAY_MS = 86_400_000
OPENING_MS = 1_735_689_600_000
"""2025-01-01T00:00:00Z: when every synthetic shop opens."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class World:
    """A shop whose right answers are known: what a customer buys after `cut_ms` is what to recommend at that moment."""

    log: PurchaseLog
    cut_ms: int


def tiny_shop(
    rng: np.random.Generator,
    *,
    n_customers: int = 60,
    n_items: int = 40,
    n_groups: int = 4,
    purchases_per_customer: float = 20.0,
    loyalty: float = 0.8,
    skew: float = 0.8,
) -> PurchaseLog:
    """A year of purchases by customers with a taste: a synthetic shop.

    Customer u prefers group u mod n_groups, and item i belongs to group i mod n_groups. Items within a group are bought
    in proportion to 1 / (rank + 1)^skew, rank being the place of the item within its group.

    Args:
        rng: makes every choice
        n_customers: customers `u00`, `u01`, ...
        n_items: items `i00`, `i01`, ...; all are in the catalogue, bought or not
        n_groups: groups of taste
        purchases_per_customer: the mean of a Poisson distribution, to which one purchase is added
        loyalty: the probability that a purchase is from the preferred group, not from the whole shop
        skew: 0: all items of a group sell alike; 1: Zipf's law
    """
    user_index = np.repeat(np.arange(n_customers), 1 + rng.poisson(purchases_per_customer, n_customers))
    weights = 1 / (np.arange(n_items) // n_groups + 1.0) ** skew
    loyal = rng.random(len(user_index)) < loyalty
    taste = np.arange(n_items) % n_groups == (user_index % n_groups)[:, None]
    item = _draw(np.where(taste | ~loyal[:, None], weights, 0.0), rng)
    moment = OPENING_MS + rng.integers(365 * DAY_MS, size=len(user_index))
    return _log(n_customers, n_items, user_index, item, moment, quantity=1 + rng.poisson(0.3, len(user_index)))


def checkerboard(*, n_customers: int = 24, n_items: int = 20, n_groups: int = 2, gap: int = 5) -> World:
    """A shop without chance: customer u buys every item of group u mod n_groups, once, and nothing else.

    Every `gap`-th item of the group, starting from another one for each customer, is bought after the cut, the others
    before it. So each later purchase is of an item that all like-minded customers bought, and that this one lacks.
    """
    user_index, item = np.nonzero(np.arange(n_customers)[:, None] % n_groups == np.arange(n_items) % n_groups)
    late = (item // n_groups + user_index // n_groups) % gap == 0
    cut_ms = OPENING_MS + 200 * DAY_MS
    moment = np.where(late, cut_ms + DAY_MS, OPENING_MS) + item * DAY_MS
    log = _log(n_customers, n_items, user_index, item, moment, quantity=np.ones(len(item), dtype=np.int64))
    return World(log=log, cut_ms=cut_ms)


def _draw(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One position for each row of weights, in proportion to them."""
    cumulative = np.cumsum(weights, axis=1)
    return np.asarray((cumulative < rng.random((len(weights), 1)) * cumulative[:, -1:]).sum(axis=1))


def _log(
    n_customers: int,
    n_items: int,
    user_index: NDArray[np.int64],
    item: NDArray[np.int64],
    moment: NDArray[np.int64],
    quantity: NDArray[np.int64],
) -> PurchaseLog:
    """The log of the purchases, numbered for events."""
    events = np.arange(len(item), dtype=np.uint64)
    purchases = purchases_array(timestamp=moment, item=item, quantity=quantity, event=events)
    return PurchaseLog.build(_names("u", n_customers), _names("i", n_items), user_index, purchases)


def _names(letter: str, count: int) -> tuple[str, ...]:
    """Names that sort in the order of their numbers."""
    return tuple(f"{letter}{index:0{len(str(count - 1))}d}" for index in range(count))
