"""Splits of a purchase log for evaluation: by time, by customer, and the dense core that papers measure on."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.data.interactions import PurchaseLog
from recsys.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Split:
    """Two logs with the same users and items, so that positions agree."""

    train: PurchaseLog
    test: PurchaseLog


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeldOutCustomers:
    """Customers to train on, and customers the model never sees. All three logs have the same items."""

    train: PurchaseLog
    fold_in: PurchaseLog
    """What the model is shown of the held-out customers."""
    target: PurchaseLog
    """What it must find: other items of the same customers (same `users` as `fold_in`)."""


def temporal_split(log: PurchaseLog, *, fraction: float = 0.8) -> Split:
    """The earliest `fraction` of the purchases to train on and the later ones to test on.

    All purchases at the instant of the cut are in `train`, so that no basket is on both sides.

    Raises:
        InputError: the fraction is not between 0 and 1, or nothing is later than the cut.
    """
    _check_fraction(fraction)
    if not len(log):
        msg = "expected purchases to split by time, got none; read a file with at least one purchase"
        raise InputError(msg)
    times = np.sort(log.purchases["timestamp"])
    # Rounded first, because 0.55 * 100 is 55.00000000000001.
    split = split_at(log, int(times[max(math.ceil(round(fraction * len(times), 6)), 1) - 1]))
    if not len(split.test):
        msg = "expected purchases after the cut, got none: too many have the latest time; choose a smaller fraction"
        raise InputError(msg)
    return split


def split_at(log: PurchaseLog, moment_ms: int) -> Split:
    """The purchases up to and including the moment (milliseconds since 1970, UTC) to train on, the later to test on."""
    early = log.purchases["timestamp"] <= moment_ms
    return Split(train=log.where(early), test=log.where(~early))


def split_each_history(log: PurchaseLog, *, fraction: float = 0.8) -> Split:
    """Each customer's first `fraction` of distinct items, in the order of first purchase, and the others.

    All purchases of an item by a customer are on one side. Which side depends on that customer's own history and on
    nothing else, so that one customer more or less moves no other. Who bought one item has it in `train`.

    Raises:
        InputError: the fraction is not between 0 and 1.
    """
    _check_fraction(fraction)
    items, user, item = log.items, log.user_index, log.purchases["item"]
    in_time = np.lexsort((item, log.purchases["timestamp"], user))
    pairs, first, pair = np.unique((user * len(items) + item)[in_time], return_index=True, return_inverse=True)
    owner = pairs // len(items)
    n_items = np.bincount(owner, minlength=len(log.users))
    place = np.empty(len(pairs), dtype=np.int64)
    place[np.lexsort((first, owner))] = np.arange(len(pairs)) - np.repeat(np.cumsum(n_items) - n_items, n_items)
    n_early = np.maximum(np.minimum(np.rint(fraction * n_items), n_items - 1), 1)
    early = np.empty(len(log), dtype=np.bool_)
    early[in_time] = (place < n_early[owner])[pair]
    return Split(train=log.where(early), test=log.where(~early))


def k_core(log: PurchaseLog, minimum: int) -> PurchaseLog:
    """The largest part of the log where each customer has `minimum` distinct items and each item as many customers.

    Users and items outside it are gone from the lists, and positions are given anew. The result depends on every
    customer's data: it is for measuring, not for a private release.

    Raises:
        InputError: nothing is left.
    """
    purchased = log.interactions().matrix.astype(np.bool_).tocoo()
    user, item = purchased.row, purchased.col
    inside = np.ones(len(user), dtype=np.bool_)
    while True:
        rich = np.bincount(user[inside], minlength=len(log.users)) >= minimum
        sold = np.bincount(item[inside], minlength=len(log.items)) >= minimum
        survives = inside & rich[user] & sold[item]
        if survives.sum() == inside.sum():
            break
        inside = survives
    return _not_empty(log.where(rich[log.user_index] & sold[log.purchases["item"]]).compact(), minimum)


def _not_empty(log: PurchaseLog, minimum: int) -> PurchaseLog:
    """The log, if it holds a purchase."""
    if not len(log):
        msg = f"expected customers and items with at least {minimum} of the other, got none; choose a smaller minimum"
        raise InputError(msg)
    return log


def heldout_customers_split(
    log: PurchaseLog, *, n_or_fraction: float, fold_in: float = 0.8, rng: np.random.Generator
) -> HeldOutCustomers:
    """Randomly chosen customers held out of training, the distinct items of each divided into fold-in and target.

    Strong generalisation (Liang et al. 2018, "Variational Autoencoders for Collaborative Filtering"). Only customers
    with two distinct items or more are held out; each keeps at least one item on either side. All purchases of an item
    by a customer are on one side.

    Args:
        log: the purchases
        n_or_fraction: how many customers to hold out (an int), or which fraction of all customers (a float below 1)
        fold_in: the fraction of a held-out customer's distinct items that the model is shown
        rng: makes every choice

    Raises:
        InputError: a fraction is not between 0 and 1, or there are too few customers with two items.
    """
    _check_fraction(fold_in)
    chosen = _choose(log, n_or_fraction, rng)
    held_out = log.of_users(chosen)
    shown = _shown(held_out, fold_in, rng)
    return HeldOutCustomers(
        train=log.of_users(np.setdiff1d(np.arange(len(log.users)), chosen)),
        fold_in=held_out.where(shown),
        target=held_out.where(~shown),
    )


def _choose(log: PurchaseLog, n_or_fraction: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """The positions of the customers to hold out, sorted."""
    if isinstance(n_or_fraction, float):
        _check_fraction(n_or_fraction)
    wanted = n_or_fraction if isinstance(n_or_fraction, int) else round(n_or_fraction * len(log.users))
    eligible = np.flatnonzero(np.diff(log.interactions().matrix.indptr) >= 2)  # noqa: PLR2004 - one item for each side
    most = max(min(len(eligible), len(log.users) - 1), 0)
    if not 1 <= wanted <= most:
        who = "with two distinct items or more, and one left to train on"
        msg = f"expected to hold out 1 to {most} customers ({who}), got {wanted}; choose another number or fraction"
        raise InputError(msg)
    return np.sort(rng.choice(eligible, size=wanted, replace=False))


def _shown(held_out: PurchaseLog, fold_in: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(n_purchases,): which purchases are of fold-in items."""
    matrix = held_out.interactions().matrix
    n_items = np.diff(matrix.indptr)
    n_shown = np.clip(np.rint(fold_in * n_items), 1, n_items - 1)
    user = np.repeat(np.arange(len(n_items)), n_items)
    shuffled = np.lexsort((rng.random(matrix.nnz), user))
    rank = np.empty(matrix.nnz, dtype=np.int64)
    rank[shuffled] = np.arange(matrix.nnz) - matrix.indptr[:-1][user]
    pair = np.searchsorted(
        user * matrix.shape[1] + matrix.indices,
        held_out.user_index * matrix.shape[1] + held_out.purchases["item"],
    )
    return np.asarray((rank < n_shown[user])[pair])


def _check_fraction(fraction: float) -> None:
    """Nothing, if the fraction is strictly between 0 and 1."""
    if not 0 < fraction < 1:
        msg = f"expected a fraction between 0 and 1, got {fraction}; 0.8 is usual"
        raise InputError(msg)
