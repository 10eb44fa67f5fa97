"""What the items look like in an answer now, so that a finished answer of before is known by its items."""

import threading

from recsys.ports import Catalogue
from recsys.serving.rendered import item_starts
from recsys.types import CatalogueItem

BEGIN, END = b'{"item_id":', b',"score":'
"""Around what an answer says of an item. Neither can stand inside a text: a text has no quote without a backslash."""


class ShownItems:
    """The items that are in the shop, as answers show them. Safe to share between threads.

    Guarantees:
        - No answer is covered that names an item which was deleted or renamed before the last refresh.

    Tested by: tests/recsys/serving/test_shown_items.py::test_an_answer_with_a_changed_item_is_not_covered
    """

    def __init__(self, catalogue: Catalogue) -> None:
        """The items of this catalogue; none before the first refresh."""
        self._catalogue, self._refreshing = catalogue, threading.Lock()
        self._revision = -1
        self._by_position: dict[int, bytes | None] = {}
        self._shown: frozenset[bytes] = frozenset()

    def refresh(self) -> None:
        """Read what has changed in the catalogue: one cheap read if nothing has."""
        with self._refreshing:
            self._revision, changes = self._catalogue.changed_since(self._revision)
            found = {position: _shown(item) for position, item in changes}
            if any(self._by_position.get(position) != text for position, text in found.items()):
                self._by_position |= found
                self._shown = frozenset(text for text in self._by_position.values() if text is not None)

    def covers(self, answer: bytes) -> bool:
        """Whether every item of the answer is in the shop, under the name that the answer gives it."""
        _, *items = answer.split(BEGIN)
        return self._shown.issuperset([item.partition(END)[0] for item in items])


def _shown(item: CatalogueItem) -> bytes | None:
    """What an answer says of the item; None for one that was deleted."""
    if item.deleted:
        return None
    [start] = item_starts([(item.item_id, item.name or item.item_id)])
    return start.encode().removeprefix(BEGIN).removesuffix(END)
