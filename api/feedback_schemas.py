"""What travels as feedback about lists, and the rates that it gives."""

from typing import Annotated

from pydantic import ConfigDict, Field, SkipValidation

from api.schemas import INTERNAL, MAX_EVENTS, EventId, Incoming, ItemId, ListId, Outgoing, Timestamp
from recsys.types import FeedbackStatus, FeedbackType


class FeedbackRow(Incoming):
    """What became of one item of a list."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "recommendation_id": "Qm9vIXQhZS1saX4B0lYAq3Yx0vH8b1c2d3e4f5g6",
                "type": "click",
                "item_id": "sku-7",
                "event_id": "page-view-81-click-1",
                "timestamp": "2026-01-31T12:00:00Z",
            }
        }
    )

    recommendation_id: ListId
    type: Annotated[FeedbackType, Field(strict=False)]
    item_id: ItemId = Field(description="An item of the catalogue.")
    event_id: EventId = Field(description="Unique within the list: the same event sent twice is counted once.")
    timestamp: Timestamp


class FeedbackBatch(Incoming):
    """Feedback about any lists. Each row is judged alone: one that cannot be used does not stop the others."""

    # As in EventBatch: a bad row costs only itself.
    events: list[SkipValidation[FeedbackRow]] = Field(max_length=MAX_EVENTS)


class FeedbackResult(Outgoing):
    """What became of one row."""

    event_id: str | None = Field(description="As it was sent; null where it cannot be read.")
    status: FeedbackStatus
    error: str | None = Field(
        default=None, exclude_if=lambda error: error is None, description="What to do about it, if anything."
    )


class FeedbackResults(Outgoing):
    """What became of every row, in the order they were sent, and how often each status came."""

    results: list[FeedbackResult]
    counts: dict[FeedbackStatus, int]


class Counts(Outgoing):
    """Numbers of events, and of lists."""

    impressions: int
    clicks: int
    purchases: int
    lists_shown: int = Field(description="Lists of which an impression was reported, each once.")
    lists_clicked: int = Field(description="Those of them that led to a click.")
    lists_bought: int = Field(description="Those of them that led to a purchase.")


class ShareOfLists(Outgoing):
    """A share of the lists that were shown, with Wilson's 95 % interval."""

    value: float | None = Field(description="Null where no list was shown.")
    low: float
    high: float


class DifferenceOfShares(Outgoing):
    """The second version's share less the first's, with Newcombe's 95 % interval."""

    value: float | None = Field(description="Null where one of them has no list that was shown.")
    low: float
    high: float
    clear: bool = Field(description="Whether the interval leaves out 0.")


class Rates(Outgoing):
    """What became of the lists of one version."""

    version: str
    totals: Counts
    clicked: ShareOfLists
    bought: ShareOfLists


class RatesAnswer(Outgoing):
    """Every version, oldest first."""

    versions: list[Rates]
    counted: str = Field(default=INTERNAL, description="What the numbers are: exact, for the operator alone.")


class ComparisonAnswer(Outgoing):
    """Two versions beside each other."""

    first: Rates
    second: Rates
    clicked: DifferenceOfShares
    bought: DifferenceOfShares
    counted: str = Field(default=INTERNAL, description="What the numbers are: exact, for the operator alone.")
