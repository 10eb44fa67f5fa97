"""A customer's purchase history: a sorted, read-only record array of 24 bytes a purchase."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.errors import ArtifactError

PURCHASE = np.dtype([("timestamp", "<i8"), ("item", "<i4"), ("quantity", "<f4"), ("event", "<u8")])
"""One purchase: milliseconds since 1970 (UTC), position in the catalogue, quantity, digest of the event id."""

Purchases = NDArray[np.void]
"""An array of dtype PURCHASE."""


def event_digest(event_id: str) -> int:
    """The 64-bit digest that stands for an event id within one customer's history.

    Two ids of one customer share a digest with probability n²/2^65 (n = 100,000 purchases: 3e-10); the later purchase
    would then be reported as a conflict, not lost silently.
    """
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "little")


def purchases_array(*, timestamp: ArrayLike, item: ArrayLike, quantity: ArrayLike, event: ArrayLike) -> Purchases:
    """The columns as one record array of dtype PURCHASE."""
    items = np.asarray(item)
    array = np.empty(len(items), dtype=PURCHASE)
    array["timestamp"], array["item"], array["quantity"], array["event"] = timestamp, items, quantity, event
    return array


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The purchases of one customer, sorted by time, item and event: equal histories have equal bytes."""

    purchases: Purchases

    def __post_init__(self) -> None:
        """Put the purchases in canonical order and make them read-only."""
        order = np.lexsort((self.purchases["event"], self.purchases["item"], self.purchases["timestamp"]))
        ordered = self.purchases[order]
        ordered.flags.writeable = False
        object.__setattr__(self, "purchases", ordered)

    def __len__(self) -> int:
        """The number of purchases."""
        return len(self.purchases)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same purchases."""
        return isinstance(other, History) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        """A hash of the bytes."""
        return hash(self.to_bytes())

    @property
    def items(self) -> NDArray[np.int32]:
        """The distinct items bought, as sorted catalogue positions."""
        return np.unique(self.purchases["item"])

    def until(self, moment_ms: int) -> "History":
        """The purchases up to and including the moment (milliseconds since 1970, UTC)."""
        return History(self.purchases[self.purchases["timestamp"] <= moment_ms])

    def to_bytes(self) -> bytes:
        """The purchases as bytes; personal data, to be sealed before it is stored."""
        return self.purchases.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "History":
        """The history that `to_bytes` wrote.

        Raises:
            ArtifactError: the length is no multiple of a purchase's.
        """
        if len(data) % PURCHASE.itemsize:
            msg = (
                f"expected a history of {PURCHASE.itemsize} bytes a purchase, got {len(data)} bytes; the record was cut"
            )
            raise ArtifactError(msg)
        return cls(np.frombuffer(data, dtype=PURCHASE))


EMPTY_HISTORY = History(np.empty(0, dtype=PURCHASE))


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """A history with new purchases in it, and what became of each: (n_new,) masks; neither set means accepted."""

    history: History
    duplicate: NDArray[np.bool_]
    conflict: NDArray[np.bool_]

    @property
    def accepted(self) -> int:
        """How many of the new purchases are in the history now and were not before."""
        return int(np.count_nonzero(~(self.duplicate | self.conflict)))


def merge(history: History, new: Purchases) -> Merge:
    """The history with the new purchases in it.

    A purchase whose event is known already is a duplicate if all else is equal and a conflict if not; neither changes
    the history. Of several new purchases with one event the first counts.
    """
    everything = np.concatenate([history.purchases, new])
    _, first, group = np.unique(everything["event"], return_index=True, return_inverse=True)
    original = first[group][len(history) :]
    seen_before = original != np.arange(len(history), len(everything))
    same = everything[original] == new
    fresh = new[~seen_before]
    merged = History(np.concatenate([history.purchases, fresh])) if len(fresh) else history
    return Merge(merged, seen_before & same, seen_before & ~same)
