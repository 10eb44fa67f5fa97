"""The forms of erasures that are followed, and of what can be changed of them."""

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas import INTERNAL, Incoming, Line, Moment, Outgoing, UserId
from recsys.erasure.rules import MAX_REASON
from recsys.types import ModelStatus


class Shown(StrEnum):
    """Which erasures are listed."""

    OPEN = "open"
    OVERDUE = "overdue"
    STUCK = "stuck"
    ALL = "all"


class ErasureSummary(Outgoing):
    """How far an erasure has come, and how long it may take."""

    request_id: str
    state: str
    received_at: Moment
    due_at: Moment
    days_left: int = Field(description="Whole days until it is due; negative when overdue.")
    overdue: bool = Field(description="Whether it is open though its time has run out.")
    extension: str = Field(description="Why it may take two months more; empty: it may not.")
    attempts: int = Field(description="How often a step failed since it last went on.")
    problem: str = Field(description="Why the last attempt failed.")
    next_attempt_at: Moment | None = Field(description="Nothing is tried before; null: at once.")
    stuck: bool = Field(description="The worker gave it up: it goes on when it is told to be tried again.")


class ErasureStatus(ErasureSummary):
    """How far an erasure has come, and what was done."""

    notified: bool | None = Field(
        description="Whether the webhooks took every message about it, or these were given up; null before the receipt."
    )
    details: dict[str, Any] = Field(description="What the finished steps found and did; no customer id.")


class ErasureList(Outgoing):
    """Erasures, oldest first."""

    erasures: list[ErasureSummary]
    counted: str = Field(default=INTERNAL, description="Whose wishes they are is not said; how many is exact.")


class ExtensionBody(Incoming):
    """Why a request takes longer than a month."""

    model_config = Incoming.model_config | ConfigDict(
        json_schema_extra={"example": {"reason": "purchases in three systems have to be brought together"}}
    )

    reason: Line = Field(min_length=1, max_length=MAX_REASON, description="For the record: no personal data.")


class LineageVersion(Outgoing):
    """A version that was made with the customer."""

    version: str
    status: ModelStatus
    trainer: str
    created_at: str = Field(description="The day.")
    private: bool = Field(description="Whether it promises an (epsilon, delta).")
    epsilon: float | str | None
    slot: int | None = Field(description="Of the cache; null: it is not kept warm.")
    in_experiment: bool


class BackupKept(Outgoing):
    """A backup of the operator's that may hold the customer, sealed."""

    name: str
    kept_until: str = Field(description="The last day.")


class Lineage(Outgoing):
    """Where a customer is."""

    history: bool = Field(description="Whether there are purchases.")
    suppressed: bool
    terms: int = Field(description="In how many sums the customer is.")
    merged_accounts: int = Field(description="How many accounts were merged into the customer's.")
    versions: list[LineageVersion]
    cache: list[str] = Field(description="What each slot holds: nothing, a tombstone, or lists.")
    exports_with_lists: list[str] = Field(description="Files that may hold a list of the customer.")
    files_of_the_customer: list[str] = Field(description="Files with everything held of the customer.")
    requests: list[str] = Field(description="The customer's objection, restriction, rectifications and merges.")
    uploads_of_purchases: list[str] = Field(description="Files that may hold a purchase of the customer.")
    webhook_messages: str
    backups: list[BackupKept] = Field(description="PRIVREC_BACKUPS, and until when each may hold the customer.")
    counted: str = Field(description="What all of this is: exact, for the operator alone.")


class ConsentBody(Incoming):
    """A customer who was erased and comes back."""

    model_config = Incoming.model_config | ConfigDict(json_schema_extra={"example": {"user_id": "customer-42"}})

    user_id: UserId = Field(description="At most 256 bytes in UTF-8, without control characters.")


class ConsentAnswer(Outgoing):
    """What a fresh consent changed."""

    lifted: str | None = Field(description="The erasure that keeps the customer out no longer; null: none did.")
