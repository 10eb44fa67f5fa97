"""What travels over HTTP, as pydantic models: OpenAPI is generated from them."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SkipValidation,
    WithJsonSchema,
)

from recsys.clock import isoformat
from recsys.data.imported import FIRST_YEAR, LAST_YEAR, MAX_QUANTITY
from recsys.erasure.rules import MAX_REASON
from recsys.identifiers import MAX_ID_BYTES, check_event_id, check_item_id, check_user_id, is_line
from recsys.types import EventStatus, ModelStatus, Purpose, Reason, Task

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

MAX_EVENTS = 1000
"""Rows in one request: with the longest ids they still fit into the largest body."""

INTERNAL = "internal, not private"
"""Said of exact numbers about customers: for the operator's eyes, never for a page or a report."""


def parse_rfc3339(value: object) -> datetime:
    """The moment in the text.

    Raises:
        ValueError: it is no date and time with a timezone, or lies outside 1970 to 2099. The text is not repeated.
    """
    if not isinstance(value, str) or not RFC_3339.fullmatch(value):
        msg = "a time is written as in 2026-01-31T12:00:00Z, with its timezone"
        raise ValueError(msg)
    moment = datetime.fromisoformat(value.upper())
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        msg = f"a time lies in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise ValueError(msg)
    return moment


Timestamp = Annotated[
    datetime,
    BeforeValidator(parse_rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "RFC 3339, with a timezone"}),
]
Moment = Annotated[datetime, PlainSerializer(isoformat), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time in an answer, in the one spelling of privrec."""

ID_SCHEMA = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES})
UserId = Annotated[str, AfterValidator(check_user_id), ID_SCHEMA]
ItemId = Annotated[str, AfterValidator(check_item_id), ID_SCHEMA]
EventId = Annotated[str, AfterValidator(check_event_id), ID_SCHEMA]
"""Ids in normal form. Their checks raise InputError, which pydantic passes on as it is."""


def check_line(text: str) -> str:
    """The text, if it is one line.

    Raises:
        ValueError: it holds control characters or half a surrogate pair, which a database, or a terminal that shows the
            receipt, would trip over.
    """
    if not is_line(text):
        msg = "a text is one line without control characters and half surrogate pairs"
        raise ValueError(msg)
    return text


Line = Annotated[str, AfterValidator(check_line)]


class Outgoing(BaseModel):
    """The base of every answer: reads the attributes of the value that it shows."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Incoming(BaseModel):
    """The base of everything that is sent: types as documented, and no field that is not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ErrorBody(Outgoing):
    """What went wrong."""

    code: str = Field(description="One word for programs.")
    message: str = Field(description="What was expected, what came, and what to do.")
    request_id: str = Field(description="Names this request in the operator's log; also in the header X-Request-ID.")


class ErrorEnvelope(Outgoing):
    """The form of every error."""

    error: ErrorBody


RecommendationId = Annotated[
    str | None,
    Field(
        description="What `POST /v1/feedback` names. Of a list, not of a request: a list that is kept keeps it until "
        "it is made anew. Nothing in it is about the customer. Null where no model made the list."
    ),
]


MAX_LIST_ID = 64
"""Longer than any id of a list: what is longer is not read."""
ListId = Annotated[str, Field(max_length=MAX_LIST_ID, description="The `recommendation_id` of an answer.")]


class RecommendedItem(Outgoing):
    """One item of a list."""

    item_id: str
    name: str
    score: float
    reason: Reason = Field(
        description="Why it is here, in words that a customer can be shown; `similar_to_context`: for the page's item."
    )


class RecommendationList(Outgoing):
    """A ranked list, best first. An unknown customer gets one of the same form, with what is popular."""

    items: list[RecommendedItem]
    task: Purpose
    personalized: bool = Field(description="Whether the customer's own purchases, or the basket, were used.")
    version: str | None = Field(
        description="The model that made the list; null while no model is live, and to buy again, which needs none."
    )
    generated_at: Moment
    degraded: bool = Field(description="Whether the cache was down, so that the list was computed for this request.")
    recommendation_id: RecommendationId
    context_used: bool | None = Field(
        default=None,
        exclude_if=lambda used: used is None,
        description="Whether the list was moved toward the context; false where no model knows that item, and to buy "
        "again. Present if a context was given.",
    )


class EventRow(Incoming):
    """One purchase."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "event_id": "order-1001-line-1",
                "user_id": "customer-42",
                "item_id": "sku-7",
                "timestamp": "2026-01-31T12:00:00Z",
                "quantity": 1,
            }
        }
    )

    event_id: EventId = Field(description="Unique within the customer: the same event sent twice is taken once.")
    user_id: UserId = Field(description="At most 256 bytes in UTF-8, without control characters.")
    item_id: ItemId = Field(description="An item of the catalogue.")
    timestamp: Timestamp
    quantity: float = Field(
        default=1.0,
        ge=-MAX_QUANTITY,
        le=MAX_QUANTITY,
        allow_inf_nan=False,
        description="Zero or less is a return: counted, and not taken as a purchase.",
    )
    recommendation_id: ListId | None = Field(
        default=None, description="Of the list that led to it, if one did: the purchase counts as feedback about it."
    )


class EventBatch(Incoming):
    """Purchases of any customers. Each row is judged alone: one that cannot be used does not stop the others."""

    # Not validated here, so that a bad row costs only itself; the documentation still shows the row's strict form.
    events: list[SkipValidation[EventRow]] = Field(max_length=MAX_EVENTS)


class EventResult(Outgoing):
    """What became of one row."""

    event_id: str | None = Field(description="As it was sent; null where it cannot be read.")
    status: EventStatus
    error: str | None = Field(
        default=None, exclude_if=lambda error: error is None, description="What to do about it, if anything."
    )
    attributed: bool | None = Field(
        default=None,
        exclude_if=lambda attributed: attributed is None,
        description="Whether it counts for the list that the row names, if it names one.",
    )


class EventResults(Outgoing):
    """What became of every row, in the order they were sent, and how often each status came."""

    results: list[EventResult]
    counts: dict[EventStatus, int]


class ErasureBody(Incoming):
    """A customer's wish to be forgotten."""

    model_config = ConfigDict(json_schema_extra={"example": {"user_id": "customer-42", "reason": "customer request"}})

    user_id: UserId = Field(description="At most 256 bytes in UTF-8, without control characters.")
    reason: Line = Field(
        default="customer request",
        min_length=1,
        max_length=MAX_REASON,
        description="Shown in the receipt: no personal data.",
    )
    release: bool = Field(
        default=False, description="Spend privacy budget on releasing the affected models again at once."
    )


class ErasureAccepted(Outgoing):
    """The acknowledgement: from now on nothing personal of the customer is served."""

    request_id: str
    state: str
    received_at: Moment
    due_at: Moment
    subject_salt: str = Field(
        description="For the customer alone, and only now: shows that the receipt is theirs. Empty if asked for before."
    )


class ModelSummary(Outgoing):
    """One version of a model."""

    version: str
    status: ModelStatus
    trainer: str
    created_at: Moment
    privacy: dict[str, Any] = Field(description="The guarantee in full, and what it does not cover.")
    metrics: dict[str, Any]


class ModelDetail(ModelSummary):
    """One version of a model, and how far it is published."""

    customers: int | None = Field(description="How many customers there are; null without a cache.")
    published: int | None = Field(description="Whose lists of this version are ready now; null without a cache.")
    counted: str = Field(default=INTERNAL, description="What the two numbers are: exact, for the operator alone.")


class ModelComparison(Outgoing):
    """Lists of a version beside those of the live one, for a sample of the customers; nobody was shown them."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "live": "f0" * 16,
                "version": "0f" * 16,
                "task": "any",
                "customers": 1000,
                "overlap20": 0.75,
                "first_differs": 0.2,
                "coverage_live": 0.4,
                "coverage_version": 0.5,
                "counted": INTERNAL,
            }
        }
    )

    live: str
    version: str
    task: Task
    customers: int = Field(description="How many customers are in the sample.")
    overlap20: float = Field(description="Of the first 20 items, the mean share that both lists have.")
    first_differs: float = Field(description="The share of customers whose first item is another one.")
    coverage_live: float = Field(description="The share of the items on sale that are in the live version's lists.")
    coverage_version: float = Field(description="The share of the items on sale that are in the version's lists.")
    counted: str = Field(default=INTERNAL, description="What the numbers are: exact, for the operator alone.")


class ModelList(Outgoing):
    """Every version, oldest first, and the one that is served."""

    live: str | None
    models: list[ModelSummary]


class Liveness(Outgoing):
    """The process answers."""

    live: bool = True


class Check(Outgoing):
    """What one part says of itself."""

    state: str = Field(description="One word for programs.")
    says: str = Field(description="What that means, and what to do.")


CHECKS_EXAMPLE = {"cache": {"state": "degraded", "says": "lists are computed on request: the cache does not answer"}}


class Startup(Outgoing):
    """Whether the process can begin, and what each part says."""

    started: bool
    checks: dict[str, Check] = Field(examples=[{"model": {"state": "ok", "says": "the live model is loaded"}}])


class Readiness(Outgoing):
    """Whether recommendations can be served, and what each part says."""

    ready: bool
    checks: dict[str, Check] = Field(examples=[CHECKS_EXAMPLE])
