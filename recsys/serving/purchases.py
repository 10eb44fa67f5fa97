"""Purchases as they come in: each into its customer's history, and then out of date what was computed before."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat

import numpy as np

from recsys.clock import milliseconds
from recsys.data.history import Merge, Purchases, event_digest, purchases_array
from recsys.fence import CacheFence
from recsys.ports import Catalogue, Histories, Pseudonyms
from recsys.types import EventStatus, Purchase, UserKey

LARGEST_QUANTITY = float(np.finfo(np.float32).max)
"""What a history can hold."""


class PurchaseDesk:
    """Takes purchases. Safe to share between threads."""

    def __init__(
        self, *, pseudonyms: Pseudonyms, catalogue: Catalogue, histories: Histories, fence: CacheFence
    ) -> None:
        """A desk over these stores."""
        self._pseudonyms = pseudonyms
        self._catalogue = catalogue
        self._histories = histories
        self._fence = fence
        self._positions: dict[str, int] = {}

    def record(self, events: Mapping[str, Sequence[Purchase]]) -> dict[str, list[EventStatus]]:
        """Take purchases into the customers' histories; one status per purchase, in order. The next answer counts them.

        That is so in every process: it returns when no list of before can be served any more (recsys/fence.py).

        Raises:
            StorageError: the database refused; nothing was taken.
        """
        self._learn_items(purchase.item_id for purchases in events.values() for purchase in purchases)
        keys = {user_id: self._pseudonyms.user_key(user_id) for user_id in events}
        statuses = {
            user_id: [self._screen(purchase) for purchase in purchases] for user_id, purchases in events.items()
        }
        usable: dict[UserKey, list[Purchase]] = defaultdict(list)  # by key: two spellings of an id are one customer
        for user_id, purchases in events.items():
            pairs = zip(purchases, statuses[user_id], strict=True)
            usable[keys[user_id]] += [purchase for purchase, status in pairs if status is EventStatus.ACCEPTED]
        merges = self._histories.append({key: self._array(purchases) for key, purchases in usable.items() if purchases})
        self._fence.forget(key for key, merge in merges.items() if merge is not None)
        outcomes = {key: _outcomes(merge, len(usable[key])) for key, merge in merges.items()}
        return {user_id: _settled(statuses[user_id], outcomes.get(keys[user_id], iter(()))) for user_id in events}

    def _learn_items(self, item_ids: Iterable[str]) -> None:
        """Read the catalogue again if it may have grown by one of these items."""
        if any(item_id not in self._positions for item_id in item_ids):
            self._positions = {item.item_id: place for place, item in enumerate(self._catalogue.items())}

    def _screen(self, purchase: Purchase) -> EventStatus:
        """What can be said about a purchase before the history is read."""
        if purchase.item_id not in self._positions or not abs(purchase.quantity) <= LARGEST_QUANTITY:
            return EventStatus.INVALID
        return EventStatus.ACCEPTED if purchase.quantity > 0 else EventStatus.RETURN

    def _array(self, purchases: Sequence[Purchase]) -> Purchases:
        return purchases_array(
            timestamp=[milliseconds(purchase.timestamp) for purchase in purchases],
            item=[self._positions[purchase.item_id] for purchase in purchases],
            quantity=[purchase.quantity for purchase in purchases],
            event=np.array([event_digest(purchase.event_id) for purchase in purchases], dtype=np.uint64),
        )


def _outcomes(merge: Merge | None, n_purchases: int) -> Iterator[EventStatus]:
    """What the history says about each purchase that was given to it; None: its customer is suppressed."""
    if merge is None:
        return repeat(EventStatus.SUPPRESSED, n_purchases)
    return map(_outcome, merge.duplicate, merge.conflict)


def _settled(statuses: list[EventStatus], outcomes: Iterator[EventStatus]) -> list[EventStatus]:
    """The statuses once the history has spoken about those that were acceptable."""
    return [next(outcomes) if status is EventStatus.ACCEPTED else status for status in statuses]


def _outcome(duplicate: bool, conflict: bool) -> EventStatus:  # noqa: FBT001 - two masks of one merge
    if conflict:
        return EventStatus.CONFLICT
    return EventStatus.DUPLICATE if duplicate else EventStatus.ACCEPTED
