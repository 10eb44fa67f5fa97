"""What the API answers and takes, as types: a test holds them equal to its OpenAPI document."""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

Purpose: TypeAlias = Literal["any", "discover", "buy_again"]
Task: TypeAlias = Literal["any", "discover"]
Reason: TypeAlias = Literal["bought_before", "model", "popular", "similar_to_context"]
EventStatus: TypeAlias = Literal["accepted", "duplicate", "conflict", "return", "suppressed", "invalid"]
FeedbackStatus: TypeAlias = Literal["accepted", "duplicate", "conflict", "unknown", "invalid"]
FeedbackType: TypeAlias = Literal["impression", "click", "purchase"]
ExportKind: TypeAlias = Literal["catalogue", "recommendations"]
ExportState: TypeAlias = Literal["working", "done", "failed", "cancelled", "expired", "withdrawn"]
ImportKind: TypeAlias = Literal["purchases", "catalogue"]
FileFormat: TypeAlias = Literal["csv", "jsonl", "parquet"]
ImportState: TypeAlias = Literal["uploading", "working", "done", "failed", "cancelled", "expired"]
ModelStatus: TypeAlias = Literal["candidate", "live", "retired", "withdrawn"]


SubjectKind: TypeAlias = Literal["objection", "restriction", "rectification", "merge"]
MergeStatus: TypeAlias = Literal["acknowledged", "restricted", "unsettled"]
DsrType: TypeAlias = Literal["erasure", "access", "portability"]
DsrStatus: TypeAlias = Literal["pending", "in_progress", "completed", "cancelled"]
CorrectionStatus: TypeAlias = Literal["corrected", "deleted", "unknown", "invalid", "restricted"]


class RecommendedItem(TypedDict):
    """One item of a list."""

    item_id: str
    name: str
    score: float
    reason: Reason


class RecommendationList(TypedDict):
    """A list for a customer or a basket, best first."""

    items: list[RecommendedItem]
    task: Purpose
    personalized: bool
    version: str | None
    generated_at: str
    degraded: bool
    recommendation_id: str | None
    context_used: NotRequired[bool | None]


class BatchAnswer(TypedDict):
    """One list a customer, in the order they were asked for."""

    results: list[RecommendationList]


class ItemList(TypedDict):
    """A list that is the same for everybody, best first."""

    items: list[RecommendedItem]
    version: str | None
    generated_at: str
    recommendation_id: str | None


class Price(TypedDict, total=False):
    """Bounds of a price, all of which hold; at least one."""

    lt: float | None
    lte: float | None
    gt: float | None
    gte: float | None


class Attribute(TypedDict):
    """An attribute and its value."""

    name: str
    value: str


# `and`, `or` and `not` are words of Python, so the fields are in a call.
Filter = TypedDict(
    "Filter",
    {
        "in_stock": Literal[True] | None,
        "category": str | None,
        "price": Price | None,
        "attribute": Attribute | None,
        "and": "list[Filter] | None",
        "or": "list[Filter] | None",
        "not": "Filter | None",
    },
    total=False,
)
"""One condition; `and` and `or` join several."""


class ShownItem(TypedDict):
    """An item of the catalogue."""

    item_id: str
    name: str
    category: str
    price: float | None
    stock: int | None
    attributes: dict[str, str]


class ItemFields(TypedDict, total=False):
    """What can be said of an item."""

    name: str
    category: str
    price: float | None
    stock: int | None
    attributes: dict[str, str]


class Event(TypedDict):
    """One purchase, with its time as in 2026-01-31T12:00:00Z."""

    event_id: str
    user_id: str
    item_id: str
    timestamp: str
    quantity: NotRequired[float]
    recommendation_id: NotRequired[str | None]


class EventResult(TypedDict):
    """What became of one event."""

    event_id: str | None
    status: EventStatus
    error: NotRequired[str | None]
    attributed: NotRequired[bool | None]


class EventResults(TypedDict):
    """What became of every event, in order, and how often each status came."""

    results: list[EventResult]
    counts: dict[str, int]


class FeedbackEvent(TypedDict):
    """What became of one item of a list, with its time as in 2026-01-31T12:00:00Z."""

    recommendation_id: str
    type: FeedbackType
    item_id: str
    event_id: str
    timestamp: str


class FeedbackResult(TypedDict):
    """What became of one row of feedback."""

    event_id: str | None
    status: FeedbackStatus
    error: NotRequired[str | None]


class FeedbackResults(TypedDict):
    """What became of every row of feedback, in order, and how often each status came."""

    results: list[FeedbackResult]
    counts: dict[str, int]


class Counts(TypedDict):
    """Numbers of events, and of lists."""

    impressions: int
    clicks: int
    purchases: int
    lists_shown: int
    lists_clicked: int
    lists_bought: int


class ShareOfLists(TypedDict):
    """A share of the lists that were shown, with its 95 % interval."""

    value: float | None
    low: float
    high: float


class DifferenceOfShares(TypedDict):
    """The second version's share less the first's, with its 95 % interval; clear: it leaves out 0."""

    value: float | None
    low: float
    high: float
    clear: bool


class Rates(TypedDict):
    """What became of the lists of one version."""

    version: str
    totals: Counts
    clicked: ShareOfLists
    bought: ShareOfLists


class RatesAnswer(TypedDict):
    """Every version, oldest first."""

    versions: list[Rates]
    counted: str


class ComparisonAnswer(TypedDict):
    """Two versions beside each other."""

    first: Rates
    second: Rates
    clicked: DifferenceOfShares
    bought: DifferenceOfShares
    counted: str


class ImportBadRow(TypedDict):
    """A row that was not taken: its number, and why."""

    row: int
    reason: str


class ImportStatus(TypedDict):
    """How far an import has come, and what became of its rows so far."""

    import_id: str
    kind: ImportKind
    format: FileFormat
    dry_run: bool
    state: ImportState
    size: int
    offset: int
    created_at: str
    rows: int
    counts: dict[str, int]
    counted: str
    bad_rows: list[ImportBadRow]
    error: str | None


class ExportStatus(TypedDict):
    """How far an export has come."""

    export_id: str
    kind: ExportKind
    format: FileFormat
    state: ExportState
    created_at: str
    size: int
    sha256: str
    error: str | None


class ErasureAccepted(TypedDict):
    """The acknowledgement of an erasure."""

    request_id: str
    state: str
    received_at: str
    due_at: str
    subject_salt: str


class ErasureSummary(TypedDict):
    """How far an erasure has come, and how long it may take."""

    request_id: str
    state: str
    received_at: str
    due_at: str
    days_left: int
    overdue: bool
    extension: str
    attempts: int
    problem: str
    next_attempt_at: str | None
    stuck: bool


class ErasureStatus(ErasureSummary):
    """How far an erasure has come, and what was done."""

    notified: bool | None
    details: dict[str, Any]


class ConsentAnswer(TypedDict):
    """What a fresh consent changed."""

    lifted: str | None


class LineageVersion(TypedDict):
    """A version that was made with the customer."""

    version: str
    status: ModelStatus
    trainer: str
    created_at: str
    private: bool
    epsilon: float | str | None
    slot: int | None
    in_experiment: bool


class BackupKept(TypedDict):
    """A backup that may hold the customer, sealed."""

    name: str
    kept_until: str


class Lineage(TypedDict):
    """Where a customer is; exact, and for the operator alone."""

    history: bool
    suppressed: bool
    terms: int
    merged_accounts: int
    versions: list[LineageVersion]
    cache: list[str]
    exports_with_lists: list[str]
    files_of_the_customer: list[str]
    requests: list[str]
    uploads_of_purchases: list[str]
    webhook_messages: str
    backups: list[BackupKept]
    counted: str


class ErasureList(TypedDict):
    """Erasures, oldest first; how many there are is exact, and for the operator alone."""

    erasures: list[ErasureSummary]
    counted: str


# `from` is a word of Python, so the fields are in a call.
LogConsistency = TypedDict("LogConsistency", {"from": int, "to": int, "proof": list[str]})
"""That the log of one size is the beginning of that of another."""


class LogInclusion(TypedDict):
    """That a receipt is in the log of this size."""

    index: int
    size: int
    leaf: str
    proof: list[str]


class ModelSummary(TypedDict):
    """One version of a model."""

    version: str
    status: ModelStatus
    trainer: str
    created_at: str
    privacy: dict[str, Any]
    metrics: dict[str, Any]


class ModelDetail(ModelSummary):
    """One version of a model, and how far it is published."""

    customers: int | None
    published: int | None
    counted: str


class ModelList(TypedDict):
    """Every version, oldest first, and the one that is served."""

    live: str | None
    models: list[ModelSummary]


class ModelComparison(TypedDict):
    """A version and the live one on a sample of the customers: exact numbers, for the operator alone."""

    live: str
    version: str
    task: Task
    customers: int
    overlap20: float
    first_differs: float
    coverage_live: float
    coverage_version: float
    counted: str


class Experiment(TypedDict):
    """A version that a share of the customers gets, in per cent."""

    name: str
    version: str
    share: int
    salt: str


class ExperimentStatus(TypedDict):
    """The experiment that runs, if one does, and the version that everybody else gets."""

    live: str | None
    experiment: Experiment | None


class Liveness(TypedDict):
    """The process answers."""

    live: bool


class Check(TypedDict):
    """What one part says of itself: a word for programs, and a sentence."""

    state: str
    says: str


class Startup(TypedDict):
    """Whether the process can begin, and what each part says."""

    started: bool
    checks: dict[str, Check]


class Readiness(TypedDict):
    """Whether lists can be served, and what each part says."""

    ready: bool
    checks: dict[str, Check]


WebhookEvent: TypeAlias = Literal[
    "erasure.completed", "erasure.due_soon", "erasure.stuck", "model.promoted", "opendsr.status", "webhook.test"
]
"""What a webhook is told of; tests come on demand alone."""


class Webhook(TypedDict):
    """Whom to tell of what."""

    webhook_id: str
    url: str
    events: list[WebhookEvent]
    created_at: str


class WebhookList(TypedDict):
    """Every webhook, oldest first."""

    webhooks: list[Webhook]


class QueuedMessage(TypedDict):
    """A message that a worker sends next."""

    delivery_id: str


class DeadLetter(TypedDict):
    """A message that was given up."""

    delivery_id: str
    webhook_id: str
    event: WebhookEvent
    attempts: int
    problem: str


class DeadLetterList(TypedDict):
    """Every message that was given up, oldest first."""

    dead_letters: list[DeadLetter]


class LimitStatus(TypedDict):
    """Whether an objection or a restriction is in force."""

    kind: SubjectKind
    in_force: bool


class CorrectionRow(TypedDict):
    """One purchase as it should be; what is left out stays as it is."""

    event_id: str
    delete: NotRequired[bool]
    item_id: NotRequired[str | None]
    timestamp: NotRequired[str | None]
    quantity: NotRequired[float | None]


class CorrectionResult(TypedDict):
    """What became of one correction."""

    event_id: str
    status: CorrectionStatus


class CorrectionResults(TypedDict):
    """What became of each correction, in order, and how often each status came."""

    results: list[CorrectionResult]
    counts: dict[CorrectionStatus, int]


class MergeAnswer(TypedDict):
    """What became of a merge of two accounts."""

    status: MergeStatus


class HeldPurchases(TypedDict):
    """How many purchases, and from when to when."""

    count: int
    first: str | None
    last: str | None


class HeldSummary(TypedDict):
    """How much of what is held of a customer."""

    purchases: HeldPurchases
    sums: list[dict[str, Any]]
    lists: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    purposes: list[str]
    legal_basis: str
    exports_with_lists: int
    not_held: list[str]
    counted: str


class SubjectFile(TypedDict):
    """How far a file with everything held of one customer has come."""

    export_id: str
    state: ExportState
    created_at: str
    size: int
    sha256: str


class SupportedIdentity(TypedDict):
    """An identity that requests in the form of OpenDSR may name."""

    identity_type: Literal["controller_customer_id"]
    identity_format: Literal["raw"]


class DsrIdentity(TypedDict):
    """Whom a request in the form of OpenDSR is about: the shop's own id."""

    identity_type: Literal["controller_customer_id"]
    identity_value: str
    identity_format: Literal["raw"]


class DsrDiscovery(TypedDict):
    """What of OpenDSR is supported."""

    api_version: str
    supported_identities: list[SupportedIdentity]
    supported_subject_request_types: list[DsrType]
    processor_certificate: str


class DsrAccepted(TypedDict):
    """The acknowledgement of a request in the form of OpenDSR."""

    controller_id: str
    expected_completion_time: str
    received_time: str
    encoded_request: str
    subject_request_id: str


class DsrState(TypedDict):
    """How far such a request has come."""

    controller_id: str
    expected_completion_time: str
    subject_request_id: str
    request_status: DsrStatus
    api_version: str
    results_url: str | None


class DsrCancelled(TypedDict):
    """The acknowledgement of a cancellation."""

    controller_id: str
    received_time: str
    subject_request_id: str
    api_version: str
