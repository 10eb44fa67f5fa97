"""The items as answers show them now, and with them the finished answer of a list that was made before."""

import threading

from recsys.ports import Catalogue
from recsys.serving.lists import DEFAULT_LENGTH, KEPT_LENGTH
from recsys.serving.packed_lists import first_list
from recsys.serving.rendered import item_ends, item_start, render_answer

GONE = b""
"""In the place of an item that was deleted."""


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

        None if the route has to find other items: too many of the list are gone, or one came after the last refresh.
        """
        made, name, items, text = first_list(document)
        ends = item_ends(text)
        try:
            starts = [*map(self._starts.__getitem__, items[:DEFAULT_LENGTH])]
            shown = (starts, ends) if all(starts) else self._on_sale(items, ends)
        except IndexError:
            return None
        return None if shown is None else render_answer(*shown, version_part, made, name)

    def _on_sale(self, items: tuple[int, ...], ends: list[bytes]) -> tuple[list[bytes], list[bytes]] | None:
        """Beginning and rest of those that are shown where some are gone: the next ones take their places."""
        starts = [self._starts[item] for item in items]
        kept = [place for place, start in enumerate(starts) if start][:DEFAULT_LENGTH]
        if len(kept) < DEFAULT_LENGTH and len(items) >= KEPT_LENGTH:
            return None
        return [starts[place] for place in kept], [ends[place] for place in kept]
