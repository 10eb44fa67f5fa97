"""Purchases, posted as they happen."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import Body

from api.auth import guarded_router
from api.errors import documented
from api.rows import check_row, count_statuses, readable_event_id
from api.schemas import EventBatch, EventResult, EventResults, EventRow
from api.services import Serving
from recsys.serving.feedback import FeedbackDesk
from recsys.serving.recommender import Recommender
from recsys.types import EventStatus, FeedbackEvent, FeedbackStatus, FeedbackType, Purchase, Scope

router = guarded_router(Scope.WRITE, tag="events")

ADVICE: Mapping[EventStatus, str] = {
    EventStatus.INVALID: "expected an item of the catalogue, got another; add it first or correct the item_id",
    EventStatus.CONFLICT: "expected what this event_id came with before, got other content; the first stays",
    EventStatus.SUPPRESSED: "expected a customer who is neither erased nor restricted, got another; send nothing more",
}
"""What is said of a well-formed row that was not taken."""
KEPT = {EventStatus.ACCEPTED, EventStatus.DUPLICATE}
"""The purchase is in the history."""
COUNTED = {FeedbackStatus.ACCEPTED, FeedbackStatus.DUPLICATE}
"""A list has the purchase among its feedback."""


@router.post(
    "/v1/events",
    summary="Record purchases",
    responses=documented([400, 401, 403, 413, 422, 500, 503]),
)
def post_events(serving: Serving, batch: Annotated[EventBatch, Body()]) -> EventResults:
    """One result a row, in the order they were sent.

    Rows are judged one by one, and what is accepted counts in the customer's very next list. Sending a batch again is
    safe: an event that is known already is a `duplicate`, and one with other content than before a `conflict`.
    """
    checked = [check_row(EventRow, row) for row in batch.events]
    usable = [row for row in checked if isinstance(row, EventRow)]
    statuses = record(serving.recommender, usable)
    attributed = iter(attribute(serving.feedback, usable, statuses))
    recorded = iter(statuses)
    results = [
        result(row, next(recorded), attributed=next(attributed))
        if isinstance(event, EventRow)
        else result(row, EventStatus.INVALID, error=event)
        for row, event in zip(batch.events, checked, strict=True)
    ]
    return EventResults(results=results, counts=count_statuses(EventStatus, (each.status for each in results)))


def record(recommender: Recommender, events: Sequence[EventRow]) -> list[EventStatus]:
    """What became of each event, in the order given; one call takes all customers, so that all are kept or none."""
    positions: dict[str, list[int]] = defaultdict(list)
    for position, event in enumerate(events):
        positions[event.user_id].append(position)
    batch = {user_id: [purchase(events[position]) for position in rows] for user_id, rows in positions.items()}
    statuses = recommender.record(batch) if batch else {}
    pairs = (pair for user_id, rows in positions.items() for pair in zip(rows, statuses[user_id], strict=True))
    return [status for _, status in sorted(pairs)]


def purchase(event: EventRow) -> Purchase:
    """The row as a line of a history."""
    return Purchase(
        item_id=event.item_id,
        timestamp=event.timestamp,
        quantity=event.quantity,
        event_id=event.event_id,
    )


def attribute(desk: FeedbackDesk, events: Sequence[EventRow], statuses: Sequence[EventStatus]) -> list[bool | None]:
    """Whether each event counts for the list that it names; None for those that name none.

    A duplicate is counted as well as the first: the process may have died in between.
    """
    named = [
        position
        for position, (event, status) in enumerate(zip(events, statuses, strict=True))
        if event.recommendation_id is not None and status in KEPT
    ]
    told = desk.record([bought(events[position]) for position in named]) if named else []
    counted = dict(zip(named, told, strict=True))
    return [
        None if event.recommendation_id is None else counted.get(position) in COUNTED
        for position, event in enumerate(events)
    ]


def bought(event: EventRow) -> FeedbackEvent:
    """The purchase as feedback about its list."""
    return FeedbackEvent(
        recommendation_id=event.recommendation_id or "",
        type=FeedbackType.PURCHASE,
        item_id=event.item_id,
        event_id=event.event_id,
        timestamp=event.timestamp,
    )


def result(
    row: object, status: EventStatus, *, attributed: bool | None = None, error: str | None = None
) -> EventResult:
    """What became of the row as it was sent."""
    return EventResult(
        event_id=readable_event_id(row), status=status, error=error or ADVICE.get(status), attributed=attributed
    )
