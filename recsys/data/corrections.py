"""Corrections of single purchases: what they make of a history, and of the terms that were made from it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from recsys.data.history import EMPTY_HISTORY, History, Purchases, event_digest

Items = NDArray[np.int32]


class CorrectionStatus(StrEnum):
    """What became of one correction."""

    CORRECTED = "corrected"
    DELETED = "deleted"
    UNKNOWN = "unknown"
    """The customer has no purchase with this event id."""
    INVALID = "invalid"
    """The item is not in the catalogue, or the quantity is none of a purchase."""
    RESTRICTED = "restricted"
    """Nothing of this customer may be changed: lift the restriction first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """One purchase as it should be; what is None stays as it is."""

    event_id: str
    delete: bool = False
    item: int | None = None
    """Position in the catalogue."""
    timestamp: int | None = None
    """Milliseconds since 1970 (UTC)."""
    quantity: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A history after corrections, what became of each, and what they change in a term made from the history before."""

    history: History
    statuses: tuple[CorrectionStatus, ...]
    moves: bytes

    @property
    def changed(self) -> bool:
        """Whether anything is different now."""
        return any(status in {CorrectionStatus.CORRECTED, CorrectionStatus.DELETED} for status in self.statuses)


def corrected(history: History, corrections: Sequence[Correction]) -> Corrected:
    """The history once each correction is made, in order."""
    purchases, statuses = history.purchases.copy(), []
    for correction in corrections:
        at = np.flatnonzero(purchases["event"] == np.uint64(event_digest(correction.event_id)))
        if not len(at):
            statuses.append(CorrectionStatus.UNKNOWN)
            continue
        purchases, status = _without(purchases, at[0]) if correction.delete else _changed(purchases, at[0], correction)
        statuses.append(status)
    after = History(purchases) if len(purchases) else EMPTY_HISTORY
    return Corrected(after, tuple(statuses), moves_between(history, after))


def moved(term: Items, moves: bytes) -> Items:
    """The distinct items of a term, once the corrections are made in it too; sorted.

    A purchase that was corrected leaves the term if the customer bought its old item no other time.
    """
    items, made = {int(item) for item in term}, json.loads(moves)
    gone = {before for before, _, is_gone in made if is_gone}
    added = {after for before, after, _ in made if before in items}
    return np.array(sorted((items | added) - gone), dtype=np.int32)


def moves_between(before: History, after: History) -> bytes:
    """Old and new item of each purchase that has another, or is no more; and whether the old one is left elsewhere."""
    left, now = set(after.items.tolist()), _items_by_event(after)
    pairs = [(item, now.get(event, item)) for event, item in _items_by_event(before).items()]
    moves = [(old, new, old not in left) for old, new in pairs if new != old or old not in left]
    return json.dumps(moves).encode()


def _items_by_event(history: History) -> dict[int, int]:
    return dict(zip(history.purchases["event"].tolist(), history.purchases["item"].tolist(), strict=True))


def _without(purchases: Purchases, at: np.intp) -> tuple[Purchases, CorrectionStatus]:
    return np.delete(purchases, at), CorrectionStatus.DELETED


def _changed(purchases: Purchases, at: np.intp, correction: Correction) -> tuple[Purchases, CorrectionStatus]:
    for name in ("item", "timestamp", "quantity"):
        value = getattr(correction, name)
        if value is not None:
            purchases[name][at] = value
    return purchases, CorrectionStatus.CORRECTED
