"""The items as answers show them now, and with them the finished answer of a list that was made before."""

import threading
from collections.abc import Sequence

from recsys.ports import Catalogue
from recsys.serving.lists import KEPT_LENGTH
from recsys.serving.packed_lists import first_list
from recsys.serving.rendered import DEFAULT_LENGTH, item_start, render_answer

GONE = b""
"""In the place of an item that was deleted."""
WHOLE = 2 * KEPT_LENGTH
"""Numbers of a list that may have been cut."""


class ShownItems:
    """The items of the shop, as answers show them. Safe to share between threads.

    Guarantees:
        - No answer names an item that was deleted before the last refresh, nor one by a name that it had before.

    Tested by: tests/recsys/serving/test_shown_items.py::test_an_answer_has_the_items_and_names_of_now
    """

    def __init__(self, catalogue: Catalogue) -> None:
        """The items of this catalogue; none before the first refresh."""
        self._catalogue, self._refreshing = catalogue, threading.Lock()
        self._revision = -1
        self._starts: list[bytes] = []

    def refresh(self) -> None:
        """Read what has changed in the catalogue: one cheap read if nothing has."""
        with self._refreshing:
            self._revision, changes = self._catalogue.changed_since(self._revision)
            if changes:
                new = max(position for position, _ in changes) + 1 - len(self._starts)
                starts = self._starts + [GONE] * new
                for position, item in changes:
                    starts[position] = GONE if item.deleted else item_start(item)
                self._starts = starts

    def answer(self, document: bytes, version_part: bytes) -> bytes | None:
        """The finished answer: the first items of the list that are in the shop, as many as are asked for.

        None if the route has to find other items: too many of the list are gone, one came after the last refresh, or
        its scores are beyond what an answer is made of here.
        """
        first = first_list(document)
        shown = None if first is None else self._shown(first.rows)
        if first is None or shown is None:
            return None
        return render_answer(*shown, version_part, made=first.made, recommendation_id=first.recommendation_id)

    def _shown(self, rows: tuple[int, ...]) -> tuple[Sequence[bytes], Sequence[int]] | None:
        """Beginning and number of each item that is shown."""
        try:
            starts = [*map(self._starts.__getitem__, rows[: 2 * DEFAULT_LENGTH : 2])]
            return (starts, rows[1 : 2 * DEFAULT_LENGTH : 2]) if all(starts) else self._on_sale(rows)
        except IndexError:
            return None

    def _on_sale(self, rows: tuple[int, ...]) -> tuple[Sequence[bytes], Sequence[int]] | None:
        """As `_shown`, where some are gone: the next ones take their places."""
        starts = [self._starts[item] for item in rows[0::2]]
        kept = [(start, said) for start, said in zip(starts, rows[1::2], strict=True) if start][:DEFAULT_LENGTH]
        if len(kept) < DEFAULT_LENGTH and len(rows) >= WHOLE:
            return None
        return [start for start, _ in kept], [said for _, said in kept]
