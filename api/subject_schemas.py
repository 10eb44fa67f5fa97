"""What travels over HTTP about the rights of a customer beside erasure."""

from typing import Any

from pydantic import ConfigDict, Field

from api.schemas import EventId, Incoming, ItemId, Moment, Outgoing, Timestamp, UserId
from recsys.data.account_merge import MergeStatus
from recsys.data.corrections import CorrectionStatus
from recsys.data.export_job import ExportState
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


class MergeBody(Incoming):
    """Two accounts of one customer: the first goes into the second."""

    model_config = Incoming.model_config | ConfigDict(
        json_schema_extra={"example": {"user_id": "customer-41", "into_user_id": "customer-42"}}
    )

    user_id: UserId = Field(description="The account that goes: afterwards as one that never was.")
    into_user_id: UserId = Field(description="The account that stays.")


class MergeAnswer(Outgoing):
    """What became of the merge: the same for everybody, known or not."""

    status: MergeStatus = Field(
        description="acknowledged: in force, as far as there is anything to take along. restricted, unsettled: nothing "
        "changed; a restriction has to be lifted first, or sums to follow an earlier correction: seconds."
    )


class HeldPurchases(Outgoing):
    """How many purchases, and from when to when."""

    count: int
    first: Moment | None
    last: Moment | None


class HeldSummary(Outgoing):
    """How much of what is held of a customer: the same form for everybody, known or not."""

    purchases: HeldPurchases
    sums: list[dict[str, Any]] = Field(description="Each sum with a term, its versions, and the items in the term.")
    lists: list[dict[str, Any]] = Field(description="Each list that lies ready, with its version.")
    requests: list[dict[str, Any]] = Field(
        description="Objections, restrictions, rectifications, merges; an erasure is followed by its own id alone."
    )
    purposes: list[str]
    legal_basis: str = Field(description="As the controller states it.")
    exports_with_lists: int = Field(
        description="Files with lists of customers that lie here; whose lists is told by none, and the next erasure "
        "ends all of them."
    )
    not_held: list[str]
    counted: str = Field(description="What the numbers are: exact, for the operator and the customer alone.")


class SubjectFile(Outgoing):
    """How far a file with everything held of one customer has come."""

    export_id: str
    state: ExportState = Field(
        description="working, done; failed, cancelled and expired are ends without a file, and so is withdrawn: the "
        "customer was erased after it was asked for."
    )
    created_at: Moment
    size: int = Field(description="Bytes of the file; 0 while there is none.")
    sha256: str = Field(description="Of the file, in hex; empty while there is none.")
