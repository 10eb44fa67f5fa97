"""From rows as a source has them to a purchase log: returns, duplicates and conflicts are told apart and counted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from recsys.data.history import purchases_array
from recsys.data.interactions import PurchaseLog
from recsys.types import CatalogueItem, IngestReport

UNMAPPED = -1
"""The `item_index` of a row without a usable item."""

AT_ONCE = 1 << 16
"""Rows that are in memory as Python objects at one time."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadResult:
    """What a reader read: the purchases, what became of every row, and the items that were bought."""

    log: PurchaseLog
    report: IngestReport
    catalogue: tuple[CatalogueItem, ...]
    """In the order of `log.items`."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """The columns of a source, checked and numbered but for the rules of `assemble`; all arrays are (n_rows,)."""

    users: tuple[str, ...]
    """Sorted ids."""
    items: tuple[str, ...]
    """Sorted ids."""
    user_index: Indices
    item_index: Indices
    """UNMAPPED where the row has no usable item."""
    timestamp: Indices
    """Milliseconds since 1970 (UTC)."""
    quantity: NDArray[np.float32]
    event: NDArray[np.uint64] | None = None
    """Digests of event ids; None: every purchase gets its natural id (see `natural_event_ids`)."""

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.user_index)

    def where(self, keep: NDArray[np.bool_]) -> "Rows":
        """The rows that `keep` marks."""
        return Rows(
            users=self.users,
            items=self.items,
            user_index=self.user_index[keep],
            item_index=self.item_index[keep],
            timestamp=self.timestamp[keep],
            quantity=self.quantity[keep],
            event=None if self.event is None else self.event[keep],
        )


def assemble(rows: Rows) -> tuple[PurchaseLog, IngestReport]:
    """The log of the purchases among the rows, and the report that accounts for every row.

    A row without an item is unmapped; of the others, one with a quantity of zero or less is a return; of the others,
    the first row with an event id of a customer is accepted, and a later one is a duplicate if it says the same and a
    conflict if not. Customers and items without an accepted purchase are not in the log.
    """
    unmapped = rows.item_index == UNMAPPED
    returns = ~unmapped & (rows.quantity <= 0)
    bought = rows.where(~(unmapped | returns))
    event = event_digests(natural_event_ids(bought)) if bought.event is None else bought.event
    duplicate, conflict = repeated(bought, event)
    log = _log(bought, event, ~(duplicate | conflict))
    counted = {"duplicates": duplicate, "conflicts": conflict, "returns": returns, "unmapped": unmapped}
    counts = {name: int(np.count_nonzero(mask)) for name, mask in counted.items()}
    return log, IngestReport(rows=len(rows), accepted=len(log), **counts)


def _log(rows: Rows, event: NDArray[np.uint64], keep: NDArray[np.bool_]) -> PurchaseLog:
    """The log of the rows that `keep` marks."""
    kept = rows.where(keep)
    purchases = purchases_array(
        timestamp=kept.timestamp, item=kept.item_index, quantity=kept.quantity, event=event[keep]
    )
    return PurchaseLog.build(kept.users, kept.items, kept.user_index, purchases).compact()


def repeated(rows: Rows, event: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows repeat an event of their customer: with the same content (duplicates), and with another (conflicts).

    `recsys.data.history.merge` is the same rule for one customer; a test holds the two equal.
    """
    first = earliest_equal(rows.user_index, event)
    again = first != np.arange(len(rows))
    same = np.ones(len(rows), dtype=np.bool_)
    for column in (rows.item_index, rows.timestamp, rows.quantity):
        same &= column[first] == column
    return again & same, again & ~same


def natural_event_ids(rows: Rows) -> Iterator[str]:
    """An event id for each row, made from the purchase itself, so that the same file read twice adds nothing.

    It names the item, the time in milliseconds, the quantity (the bits of the float32 as an integer: one spelling on
    every platform), and how many equal rows of the same customer come before.
    """
    bits = rows.quantity.view(np.int32)
    number = occurrences(rows.user_index, rows.item_index, rows.timestamp, bits)
    for item, moment, quantity, count in python_rows(rows.item_index, rows.timestamp, bits, number):
        yield f"{rows.items[item]}\x1f{moment}\x1f{quantity}\x1f{count}"


def python_rows(*columns: NDArray[np.integer]) -> Iterator[tuple[int, ...]]:
    """The rows of some columns as tuples of Python integers, which format faster than numpy's."""
    for start in range(0, len(columns[0]), AT_ONCE):
        yield from zip(*(column[start : start + AT_ONCE].tolist() for column in columns), strict=True)


def event_digests(event_ids: Iterable[str]) -> NDArray[np.uint64]:
    """`recsys.data.history.event_digest` of every id."""
    ids = iter(event_ids)
    parts = [np.empty(0, dtype="<u8")]
    while digests := b"".join(blake2b(text.encode(), digest_size=8).digest() for text in islice(ids, AT_ONCE)):
        parts.append(np.frombuffer(digests, dtype="<u8"))
    return np.concatenate(parts)


def occurrences(*keys: NDArray[np.generic]) -> Indices:
    """(n_rows,): how many earlier rows have the same keys."""
    order, start = _runs(*keys)
    count = np.empty(len(order), dtype=np.int64)
    count[order] = np.arange(len(order)) - start
    return count


def earliest_equal(*keys: NDArray[np.generic]) -> Indices:
    """(n_rows,): the position of the earliest row with the same keys (its own, if there is none before)."""
    order, start = _runs(*keys)
    earliest = np.empty(len(order), dtype=np.int64)
    earliest[order] = order[start]
    return earliest


def _runs(*keys: NDArray[np.generic]) -> tuple[Indices, Indices]:
    """A stable order that brings equal rows together, and for each place in it the place where its run starts."""
    order = np.lexsort(keys)
    opens = np.zeros(len(order), dtype=np.bool_)
    opens[:1] = True
    for key in keys:
        ordered = key[order]
        opens[1:] |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(opens)[np.cumsum(opens) - 1]
