"""What shops say became of lists, and what it says of the versions that made them.

Rules:
    1. Nothing of feedback is kept by customer: a list is known by a digest of its random id, and whose it was is
       written nowhere. So an erasure finds nothing here to erase, and no answer can depend on who was erased.
    2. Feedback about a list is taken until 60 days after the day it was made. Digests are kept as long, so
       that an event never counts twice.
    3. The totals are exact, and so for the operator alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Self

from recsys.clock import EPOCH, Clock, isoformat
from recsys.errors import NotFoundError
from recsys.evaluation.proportions import Difference, Share, difference, share
from recsys.ports import Catalogue, Feedback, Registry, Seals
from recsys.serving.products import ProductReader
from recsys.serving.recommendation_ids import Issued, model_mark, read_id
from recsys.types import FeedbackEntry, FeedbackEvent, FeedbackStatus, FeedbackTotals

START = EPOCH.date()
LIFETIME = timedelta(days=61)
"""From the beginning of the day on which a list was made. It is kept in the cache for 30 days at most, and somebody who
saw it on the last of them has 30 to buy."""
CONTENT_BYTES = 8
"""Enough to tell an event from another under the same id, which nobody gains by."""


class FeedbackDesk:
    """Takes feedback. Safe to share between threads."""

    def __init__(self, *, seals: Seals, catalogue: Catalogue, feedback: Feedback, clock: Clock) -> None:
        """A desk over these stores."""
        self._seals, self._feedback, self._clock = seals, feedback, clock
        self._reader = ProductReader(catalogue)

    def record(self, events: Sequence[FeedbackEvent]) -> list[FeedbackStatus]:
        """What became of each event, in order; sending them again changes nothing.

        Guarantees:
            - An event counts once, whichever way and how often it comes.
            - What is kept and what is answered is the same whoever the list was for.

        Tested by:
            tests/api/test_feedback.py::test_a_purchase_can_name_its_list_and_counts_once_whichever_way_it_comes
            tests/api/test_feedback.py::test_the_list_of_an_erased_customer_is_like_any_other

        Raises:
            StorageError: the database refused; nothing was counted.
        """
        known = self._reader.read().positions
        judged = [self._judge(event, known=event.item_id in known) for event in events]
        entries = [each for each in judged if isinstance(each, FeedbackEntry)]
        counted = iter(self._feedback.count(entries, self._clock()) if entries else [])
        return [next(counted) if isinstance(each, FeedbackEntry) else each for each in judged]

    def _judge(self, event: FeedbackEvent, *, known: bool) -> FeedbackEntry | FeedbackStatus:
        """The event as a store takes it; or why it is not taken."""
        issued = read_id(self._seals, event.recommendation_id)
        if issued is None or self._clock() >= issued.day + LIFETIME:
            return FeedbackStatus.UNKNOWN
        return self._entry(event, issued) if known else FeedbackStatus.INVALID

    def _entry(self, event: FeedbackEvent, issued: Issued) -> FeedbackEntry:
        list_id = self._seals.tag(b"list" + event.recommendation_id.encode())
        content = "\0".join((event.type, event.item_id, isoformat(event.timestamp.astimezone(UTC))))
        return FeedbackEntry(
            event=self._seals.tag(b"event" + list_id + event.event_id.encode()),
            content=self._seals.tag(b"content" + list_id + content.encode())[:CONTENT_BYTES],
            list_id=list_id,
            model=issued.model,
            day=(issued.day.date() - START).days,
            type=event.type,
            expires_at=int((issued.day + LIFETIME).timestamp()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionRates:
    """What became of the lists of one version: exact, and so for the operator alone."""

    version: str
    totals: FeedbackTotals
    clicked: Share
    """Of the lists that were shown, those that led to a click."""
    bought: Share
    """Of the lists that were shown, those that led to a purchase."""

    @classmethod
    def of(cls, version: str, totals: FeedbackTotals) -> Self:
        """The rates of a version."""
        return cls(
            version=version,
            totals=totals,
            clicked=share(totals.lists_clicked, totals.lists_shown),
            bought=share(totals.lists_bought, totals.lists_shown),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two versions, and by how much the second's shares are above the first's."""

    first: VersionRates
    second: VersionRates
    clicked: Difference
    bought: Difference


def version_rates(feedback: Feedback, registry: Registry, since: date = START) -> tuple[VersionRates, ...]:
    """The rates of every version, oldest first, over the lists that were made on this day (UTC) or later."""
    totals = feedback.totals((since - START).days)
    return tuple(
        VersionRates.of(version.version, totals.get(model_mark(version.version), FeedbackTotals()))
        for version in registry.versions()
    )


def compare(first: str, second: str, *, feedback: Feedback, registry: Registry, since: date = START) -> Comparison:
    """The two versions beside each other, over the lists that were made on this day (UTC) or later.

    Raises:
        NotFoundError: there is no such version.
    """
    rates = {each.version: each for each in version_rates(feedback, registry, since)}
    if not {first, second} <= rates.keys():
        msg = "expected the names of two model versions, got one that there is none of; list them: GET /v1/models"
        raise NotFoundError(msg)
    one, other = rates[first], rates[second]
    return Comparison(
        first=one,
        second=other,
        clicked=difference(one.clicked, other.clicked),
        bought=difference(one.bought, other.bought),
    )
