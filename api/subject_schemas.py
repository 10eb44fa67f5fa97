"""What travels over HTTP about the rights of a customer beside erasure."""

from pydantic import ConfigDict, Field

from api.schemas import EventId, Incoming, ItemId, Outgoing, Timestamp
from recsys.data.corrections import CorrectionStatus
from recsys.data.imported import MAX_QUANTITY
from recsys.data.subject_request import SubjectKind

MAX_CORRECTIONS = 1000


class LimitStatus(Outgoing):
    """Whether an objection or a restriction is in force: the same for everybody, known or not."""

    kind: SubjectKind
    in_force: bool


class CorrectionRow(Incoming):
    """One purchase as it should be; what is left out stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"event_id": "order-1001-line-1", "item_id": "sku-8", "quantity": 2}}
    )

    event_id: EventId = Field(description="Which purchase: the id that it was posted with.")
    delete: bool = Field(default=False, description="Whether the purchase was never made.")
    item_id: ItemId | None = None
    timestamp: Timestamp | None = None
    quantity: float | None = Field(default=None, gt=0, le=MAX_QUANTITY, allow_inf_nan=False)


class CorrectionBody(Incoming):
    """Purchases of one customer as they should be, made in order."""

    corrections: list[CorrectionRow] = Field(min_length=1, max_length=MAX_CORRECTIONS)


class CorrectionResult(Outgoing):
    """What became of one correction."""

    event_id: str
    status: CorrectionStatus


class CorrectionResults(Outgoing):
    """What became of each correction, in order, and how often each status came."""

    results: list[CorrectionResult]
    counts: dict[CorrectionStatus, int]
