"""The record: what is sold, who bought what, and what became of lists."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from recsys.data.history import History, Merge, Purchases
from recsys.types import CatalogueItem, CustomerState, FeedbackEntry, FeedbackStatus, FeedbackTotals, UserKey


class Catalogue(Protocol):
    """The public list of products. Positions are given once and never change."""

    def add_items(self, items: Sequence[CatalogueItem]) -> None:
        """Add the items that are new, in order; update name and category of the others where they are not empty."""

    def items(self) -> tuple[CatalogueItem, ...]:
        """Every item, by position; those that were deleted keep theirs."""

    def put_item(self, item: CatalogueItem) -> bool:
        """Put one item, as `put_items`; whether it is new."""

    def put_items(self, items: Sequence[CatalogueItem]) -> list[CatalogueItem | None]:
        """Add each item, or replace everything but the position of the one with its id, in one transaction.

        Returns:
            What was there before each of them, in the order given; None for one that is new.
        """

    def change_item(self, item_id: str, change: Callable[[CatalogueItem], CatalogueItem]) -> CatalogueItem:
        """The item after the change, which is made in one transaction with the reading of what was there.

        Raises:
            NotFoundError: no such item, or it was deleted.
        """

    def changed_since(self, revision: int) -> tuple[int, tuple[tuple[int, CatalogueItem], ...]]:
        """The catalogue's revision, and the items with positions that changed after the given one.

        Every write that changes anything raises the revision; -1 asks for every item. One cheap read where nothing
        changed: it is asked for with every request.
        """


class Histories(Protocol):
    """Purchase histories: one sealed record per customer, under the customer's own data key."""

    def append(self, batch: Mapping[UserKey, Purchases]) -> dict[UserKey, Merge | None]:
        """Merge purchases into the customers' histories, in one transaction; None for one who is erased or restricted.

        Nothing of such a customer is taken.
        The revision of a customer goes up by one where at least one purchase was accepted.

        Raises:
            StorageError: the disk is full or the database refused; nothing of the batch is there.
        """

    def state(self, user_key: UserKey) -> CustomerState:
        """Whether the customer is known or suppressed, and the revision of the history. One indexed read."""

    def history(self, user_key: UserKey) -> History:
        """The customer's purchases; empty for an unknown customer.

        Raises:
            ArtifactError: the record does not open: it was changed, or the keys are another installation's.
        """

    def scan(self, after: UserKey | None = None) -> Iterator[tuple[UserKey, int, History]]:
        """Every customer's key, revision and history, in the order of keys; without the suppressed.

        Left out are also those whose purchases were all deleted.

        Args:
            after: begin behind this key; nothing is read before the first customer is asked for
        """


class Feedback(Protocol):
    """What became of lists: totals for each version, and for a bounded time what was counted. No customer is in it."""

    def count(self, entries: Sequence[FeedbackEntry], now: datetime) -> list[FeedbackStatus]:
        """Whether each entry is counted now, was before, or came before with other content: in order, one transaction.

        What has expired by now is deleted.

        Raises:
            StorageError: the database refused; nothing was counted.
        """

    def totals(self, since: int = 0) -> dict[bytes, FeedbackTotals]:
        """The totals by mark of a version, of lists that were made on this day or later (days since 1970)."""
