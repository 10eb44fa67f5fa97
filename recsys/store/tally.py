"""How feedback is counted: a pure function, for every store.

A list counts as clicked or bought from only if it was shown, whichever was told first: a share is one of lists that
were seen.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recsys.types import FeedbackEntry, FeedbackStatus, FeedbackTotals, FeedbackType

SHOWN, CLICKED, BOUGHT = 1, 2, 4
BITS = {FeedbackType.IMPRESSION: SHOWN, FeedbackType.CLICK: CLICKED, FeedbackType.PURCHASE: BOUGHT}
EVENTS = {
    FeedbackType.IMPRESSION: FeedbackTotals(impressions=1),
    FeedbackType.CLICK: FeedbackTotals(clicks=1),
    FeedbackType.PURCHASE: FeedbackTotals(purchases=1),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What a batch changes."""

    statuses: list[FeedbackStatus] = field(default_factory=list)
    events: dict[bytes, FeedbackEntry] = field(default_factory=dict)
    """What is counted now, by event."""
    lists: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """What was seen of each list that something new is known of, and when it expires."""
    added: dict[tuple[bytes, int], FeedbackTotals] = field(default_factory=lambda: defaultdict(FeedbackTotals))
    """To the totals of the lists that each version made on a day."""


def tally(entries: Sequence[FeedbackEntry], events: Mapping[bytes, bytes], lists: Mapping[bytes, int]) -> Tally:
    """What the entries change, of which the first with an event counts.

    Args:
        entries: the batch
        events: the contents of the entries' events that were counted before
        lists: what was seen of the entries' lists before
    """
    done = Tally()
    for entry in entries:
        content = done.events[entry.event].content if entry.event in done.events else events.get(entry.event)
        if content is not None:
            same = content == entry.content
            done.statuses.append(FeedbackStatus.DUPLICATE if same else FeedbackStatus.CONFLICT)
            continue
        done.statuses.append(FeedbackStatus.ACCEPTED)
        done.events[entry.event] = entry
        _count(done, entry, lists.get(entry.list_id, 0))
    return done


def _count(done: Tally, entry: FeedbackEntry, before: int) -> None:
    before, _ = done.lists.get(entry.list_id, (before, 0))
    after = before | BITS[entry.type]
    done.added[entry.model, entry.day] += EVENTS[entry.type] + _newly(before, after)
    if after != before:
        done.lists[entry.list_id] = (after, entry.expires_at)


def _newly(before: int, after: int) -> FeedbackTotals:
    """What a list adds to the totals when more becomes known of it."""
    shown, clicked, bought = (
        _has(after, bits) - _has(before, bits) for bits in (SHOWN, SHOWN | CLICKED, SHOWN | BOUGHT)
    )
    return FeedbackTotals(lists_shown=shown, lists_clicked=clicked, lists_bought=bought)


def _has(seen: int, bits: int) -> int:
    return int(seen & bits == bits)
