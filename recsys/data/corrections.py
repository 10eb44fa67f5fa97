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
    purchases, statuses, pairs = history.purchases.copy(), [], []
    for correction in corrections:
        at = np.flatnonzero(purchases["event"] == np.uint64(event_digest(correction.event_id)))
        if not len(at):
            statuses.append(CorrectionStatus.UNKNOWN)
            continue
        before = int(purchases["item"][at[0]])
        purchases, status = _without(purchases, at[0]) if correction.delete else _changed(purchases, at[0], correction)
        pairs.append((before, before if correction.item is None else correction.item))
        statuses.append(status)
    after = History(purchases) if len(purchases) else EMPTY_HISTORY
    return Corrected(after, tuple(statuses), _moves(after, pairs))


def moved(term: Items, moves: bytes) -> Items:
    """The distinct items of a term, once the corrections are made in it too; sorted.

    A purchase that was corrected leaves the term if the customer bought its old item no other time.
    """
    items = {int(item) for item in term}
    for before, after, is_gone in json.loads(moves):
        if before in items:
            items.add(after)
        if is_gone:
            items.discard(before)
    return np.array(sorted(items), dtype=np.int32)


def _moves(after: History, pairs: list[tuple[int, int]]) -> bytes:
    """Old and new item of each, and whether the history has the old one no more."""
    left = set(after.items.tolist())
    kept = [(before, now if now in left else before, before not in left) for before, now in pairs]
    return json.dumps(kept).encode()


def _without(purchases: Purchases, at: np.intp) -> tuple[Purchases, CorrectionStatus]:
    return np.delete(purchases, at), CorrectionStatus.DELETED


def _changed(purchases: Purchases, at: np.intp, correction: Correction) -> tuple[Purchases, CorrectionStatus]:
    for name in ("item", "timestamp", "quantity"):
        value = getattr(correction, name)
        if value is not None:
            purchases[name][at] = value
    return purchases, CorrectionStatus.CORRECTED
