"""What became of the lists that were shown, and what that says of the versions that made them."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from fastapi import Body, Query

from api.auth import guarded_router
from api.errors import documented
from api.feedback_schemas import (
    ComparisonAnswer,
    FeedbackBatch,
    FeedbackResult,
    FeedbackResults,
    FeedbackRow,
    RatesAnswer,
)
from api.rows import check_row, count_statuses, readable_event_id
from api.services import Serving
from recsys.serving.feedback import START, compare, version_rates
from recsys.types import FeedbackEvent, FeedbackStatus, Scope

writing = guarded_router(Scope.WRITE, tag="feedback")
reading = guarded_router(Scope.OPERATE, tag="feedback")

Version = Annotated[str, Query(pattern="^[0-9a-f]{32}$", description="As in the list of versions.")]

Since = Annotated[
    date, Query(ge=START, description="Only lists that were made on this day (UTC) or later: when a comparison began.")
]

ADVICE: Mapping[FeedbackStatus, str] = {
    FeedbackStatus.INVALID: "expected an item of the catalogue, got another; add it first or correct the item_id",
    FeedbackStatus.CONFLICT: "expected what this event_id came with before, got other content; the first stays",
    FeedbackStatus.UNKNOWN: (
        "expected the recommendation_id of an answer of the last 60 days, got another; send it as it was answered"
    ),
}
"""What is said of a well-formed row that was not counted."""


@writing.post(
    "/v1/feedback",
    summary="Say what became of lists",
    responses=documented([400, 401, 403, 413, 422, 500, 503]),
)
def post_feedback(serving: Serving, batch: Annotated[FeedbackBatch, Body()]) -> FeedbackResults:
    """One result a row, in the order they were sent.

    Impressions, clicks and purchases of items of a list, which its `recommendation_id` names. They are counted by the
    version that made the list, and not kept by customer. Sending a batch again is safe. A purchase that is posted as an
    event can name its list there; under the same `event_id` it counts once.
    """
    checked = [check_row(FeedbackRow, row) for row in batch.events]
    counted = iter(serving.feedback.record([event_of(row) for row in checked if isinstance(row, FeedbackRow)]))
    results = [
        result(row, next(counted)) if isinstance(event, FeedbackRow) else result(row, FeedbackStatus.INVALID, event)
        for row, event in zip(batch.events, checked, strict=True)
    ]
    return FeedbackResults(results=results, counts=count_statuses(FeedbackStatus, (each.status for each in results)))


@reading.get(
    "/v1/feedback/rates",
    summary="Show what became of the lists of each version",
    responses=documented([401, 403, 422, 500, 503]),
)
def show_rates(serving: Serving, since: Since = START) -> RatesAnswer:
    """Of the lists that were shown, the shares that led to a click and to a purchase: a list counts once.

    The intervals take lists to be independent. A customer who saw several makes them a little too narrow.
    """
    workspace = serving.workspace
    return RatesAnswer.model_validate({"versions": version_rates(workspace.feedback, workspace.registry, since)})


@reading.get(
    "/v1/feedback/comparison",
    summary="Compare what became of the lists of two versions",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def show_comparison(serving: Serving, first: Version, second: Version, since: Since = START) -> ComparisonAnswer:
    """By how much the second version's shares are above the first's.

    It means something only if chance alone decided whose list came from which version, and if the day of the comparison
    was fixed before: whoever looks every day and stops at the first clear difference finds one too often.
    """
    workspace = serving.workspace
    found = compare(first, second, feedback=workspace.feedback, registry=workspace.registry, since=since)
    return ComparisonAnswer.model_validate(found)


def event_of(row: FeedbackRow) -> FeedbackEvent:
    """The row as the desk takes it."""
    return FeedbackEvent(
        recommendation_id=row.recommendation_id,
        type=row.type,
        item_id=row.item_id,
        event_id=row.event_id,
        timestamp=row.timestamp,
    )


def result(row: object, status: FeedbackStatus, error: str | None = None) -> FeedbackResult:
    """What became of the row as it was sent."""
    return FeedbackResult(event_id=readable_event_id(row), status=status, error=error or ADVICE.get(status))
