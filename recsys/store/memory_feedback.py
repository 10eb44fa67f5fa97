"""Feedback in memory. Import it from `recsys.store.memory`."""

import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from recsys.store.tally import tally
from recsys.types import FeedbackEntry, FeedbackStatus, FeedbackTotals


class MemoryFeedback:
    """Satisfies `ports.Feedback`."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._events: dict[bytes, tuple[bytes, int]] = {}
        self._lists: dict[bytes, tuple[int, int]] = {}
        self._totals: dict[tuple[bytes, int], FeedbackTotals] = {}
        self._writing = threading.Lock()

    def count(self, entries: Sequence[FeedbackEntry], now: datetime) -> list[FeedbackStatus]:
        """Whether each entry is counted now, was before, or came before with other content."""
        with self._writing:
            for kept in (self._events, self._lists):
                for key in [key for key, (_, expires_at) in kept.items() if expires_at < now.timestamp()]:
                    del kept[key]
            events = {event: content for event, (content, _) in self._events.items()}
            done = tally(entries, events, {list_id: seen for list_id, (seen, _) in self._lists.items()})
            self._events |= {event: (entry.content, entry.expires_at) for event, entry in done.events.items()}
            self._lists |= done.lists
            for made, added in done.added.items():
                self._totals[made] = self._totals.get(made, FeedbackTotals()) + added
        return done.statuses

    def totals(self, since: int = 0) -> dict[bytes, FeedbackTotals]:
        """The totals by mark of a version, of lists that were made on this day or later."""
        found: dict[bytes, FeedbackTotals] = defaultdict(FeedbackTotals)
        for (model, day), totals in self._totals.items():
            if day >= since:
                found[model] += totals
        return dict(found)
