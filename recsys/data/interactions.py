"""Who bought what: a log of purchases with times, and the customer-by-item matrix made from it."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.data.history import EMPTY_HISTORY, History, Purchases


@dataclass(frozen=True, slots=True, eq=False)
class PurchaseLog:
    """Every purchase of every customer, in the order of customers.

    `item` in `purchases` is a position in `items`; customer u's purchases are `purchases[offsets[u]:offsets[u + 1]]`.
    """

    users: tuple[str, ...]
    """(n_users,): sorted ids, as the source names them (a store names customers by the hex of their key)."""
    items: tuple[str, ...]
    """(n_items,): the public catalogue."""
    offsets: NDArray[np.int64]
    """(n_users + 1,)"""
    purchases: Purchases
    """(n_purchases,): dtype PURCHASE"""

    def __len__(self) -> int:
        """The number of purchases."""
        return len(self.purchases)

    @property
    def user_index(self) -> NDArray[np.int64]:
        """(n_purchases,): the position of each purchase's customer in `users`."""
        return np.repeat(np.arange(len(self.users)), np.diff(self.offsets))

    def history(self, user_index: int) -> History:
        """One customer's purchases."""
        return History(self.purchases[self.offsets[user_index] : self.offsets[user_index + 1]])

    def where(self, keep: NDArray[np.bool_]) -> "PurchaseLog":
        """The log of the purchases that `keep` (n_purchases,) marks; users and items stay, so positions still agree."""
        counts = np.bincount(self.user_index[keep], minlength=len(self.users))
        return PurchaseLog(self.users, self.items, np.concatenate([[0], np.cumsum(counts)]), self.purchases[keep])

    def of_users(self, user_index: NDArray[np.int64]) -> "PurchaseLog":
        """The log of these customers alone, in the order of the sorted positions `user_index`; the items stay."""
        keep = np.zeros(len(self.users), dtype=np.bool_)
        keep[user_index] = True
        offsets = np.concatenate([[0], np.cumsum(np.diff(self.offsets)[keep])])
        users = tuple(self.users[index] for index in np.flatnonzero(keep))
        return PurchaseLog(users, self.items, offsets, self.purchases[keep[self.user_index]])

    def compact(self) -> "PurchaseLog":
        """The log without customers and items that no purchase names; positions are given anew, in the same order."""
        sold = np.bincount(self.purchases["item"], minlength=len(self.items)) > 0
        log = self.of_users(np.flatnonzero(np.diff(self.offsets)))
        log.purchases["item"] = (np.cumsum(sold) - 1)[log.purchases["item"]]
        return replace(log, items=tuple(self.items[index] for index in np.flatnonzero(sold)))

    @classmethod
    def build(
        cls, users: Sequence[str], items: Sequence[str], user_index: NDArray[np.int64], purchases: Purchases
    ) -> "PurchaseLog":
        """The log of purchases in any order; `user_index` (n_purchases,) names each one's customer in `users`."""
        order = np.lexsort((purchases["event"], purchases["item"], purchases["timestamp"], user_index))
        offsets = np.concatenate([[0], np.cumsum(np.bincount(user_index, minlength=len(users)))])
        return cls(tuple(users), tuple(items), offsets, purchases[order])

    @classmethod
    def from_histories(cls, users: Sequence[str], items: Sequence[str], histories: Sequence[History]) -> "PurchaseLog":
        """The log of these customers' histories."""
        offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories], dtype=np.int64)])
        everything = np.concatenate([EMPTY_HISTORY.purchases, *(history.purchases for history in histories)])
        return cls(tuple(users), tuple(items), offsets, everything)

    def interactions(self) -> "Interactions":
        """How often each customer bought each item."""
        ones = np.ones(len(self), dtype=np.float32)
        shape = (len(self.users), len(self.items))
        return Interactions(
            self.users, self.items, sp.csr_matrix((ones, (self.user_index, self.purchases["item"])), shape=shape)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """The customer-by-item matrix: entry (u, i) is how often customer u bought item i."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    matrix: sp.csr_matrix
    """(n_users, n_items) float32, canonical (sorted, no duplicates, no stored zeros), read-only."""

    def __post_init__(self) -> None:
        """Bring the matrix into canonical form and make it read-only."""
        matrix = sp.csr_matrix(self.matrix, dtype=np.float32)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        matrix.sort_indices()
        for array in (matrix.data, matrix.indices, matrix.indptr):
            array.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    @property
    def digest(self) -> str:
        """The SHA-256 of users, items and matrix, in hex. It commits to private data: keep it where the data are."""
        state = hashlib.sha256("\0".join((*self.users, "", *self.items)).encode())
        for array in (self.matrix.indptr.astype("<i8"), self.matrix.indices.astype("<i8"), self.matrix.data):
            state.update(array.tobytes())
        return state.hexdigest()

    def without(self, users: Collection[str]) -> "Interactions":
        """The retain set: the same matrix without these customers' rows."""
        keep = [index for index, user in enumerate(self.users) if user not in users]
        return Interactions(tuple(self.users[index] for index in keep), self.items, self.matrix[keep])

    def items_of(self, user_index: int) -> NDArray[np.int32]:
        """The sorted positions of the items that the customer bought."""
        return self.matrix.indices[self.matrix.indptr[user_index] : self.matrix.indptr[user_index + 1]]
