"""The values that cross rooms. Standard library only; every one is immutable.

A customer's id from outside is a `user_id: str`. Inside, a customer is a `UserKey`: 16 bytes of a keyed hash of the id,
so that no store, cache, file or log holds the id itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeAlias

UserKey = NewType("UserKey", bytes)
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class Task(StrEnum):
    """What a list of recommendations is for."""

    ANY = "any"
    """Buy again or anything: what the customer bought before may come back."""
    DISCOVER = "discover"
    """First purchases only: what the customer bought before is left out."""


class Purpose(StrEnum):
    """What a list may be asked for: the tasks, and a customer's own habits alone."""

    ANY = "any"
    DISCOVER = "discover"
    BUY_AGAIN = "buy_again"
    """Only what the customer bought before. It needs no model and no one else's data, so it is no model's task."""


class Trainer(StrEnum):
    """How a model is made."""

    GRAM = "gram"
    """The private sum: item factors in closed form under user-level differential privacy."""
    DP_ALS = "dp_als"
    """Alternating least squares under user-level differential privacy (AdaDPALS): the published reference."""
    DP_SGD = "dp_sgd"
    """Gradient descent under user-level differential privacy, through torch and Opacus."""
    POPULARITY = "popularity"
    """Counts under differential privacy: the same list for everybody."""
    ALS = "als"
    """Implicit-feedback ALS without privacy: the baseline."""
    ALS_CERTIFIED = "als_certified"
    """The same at its optimum, without privacy: an erasure ends where a training that never saw the customer does."""


class Splitting(StrEnum):
    """How purchases are divided into what a model may go by and what it is asked about."""

    TEMPORAL = "temporal"
    """The first 80 % of the purchases in time, and the later ones of the same customers."""
    HELDOUT_CUSTOMERS = "heldout-customers"
    """Customers the model never saw: 80 % of each one's items to go by, the others to find."""


class Reason(StrEnum):
    """Why an item is in a list, in words that a customer can be shown."""

    BOUGHT_BEFORE = "bought_before"
    MODEL = "model"
    POPULAR = "popular"
    SIMILAR_TO_CONTEXT = "similar_to_context"


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueItem:
    """One product of the public catalogue."""

    item_id: str
    name: str = ""
    category: str = ""
    price: float | None = None
    """In the shop's one currency; None: not known."""
    stock: int | None = None
    """Pieces that can be sold; None: not counted, which is as good as in stock."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Names with values, in the order of names."""
    deleted: bool = False
    """Whether it is out of the shop: never recommended, and still named by the purchases of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchase:
    """One line of a customer's history. `event_id` is unique within the customer and makes the write idempotent."""

    item_id: str
    timestamp: datetime
    quantity: float = 1.0
    event_id: str


class FileFormat(StrEnum):
    """How the rows of a file are written that is taken in or handed out."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class EventStatus(StrEnum):
    """What became of one posted event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    RETURN = "return"
    SUPPRESSED = "suppressed"
    INVALID = "invalid"


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestReport:
    """What an ingestion did with the rows it was given: the counts add up to `rows`."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    returns: int = 0
    """Rows with a quantity of zero or less: counted, and not taken as purchases."""
    suppressed: int = 0
    """Rows of customers who were erased: refused."""
    unmapped: int = 0
    """Rows without a usable item."""

    def __add__(self, other: "IngestReport") -> "IngestReport":
        """The report of both ingestions together."""
        return IngestReport(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


class FeedbackType(StrEnum):
    """What became of an item of a list."""

    IMPRESSION = "impression"
    CLICK = "click"
    PURCHASE = "purchase"


class FeedbackStatus(StrEnum):
    """What became of one row of feedback."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    """Its list is none of this installation, or too old: nobody is told which."""
    INVALID = "invalid"


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackEvent:
    """What a shop says about an item of a list; `event_id` is unique within the list."""

    recommendation_id: str
    type: FeedbackType
    item_id: str
    event_id: str
    timestamp: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackEntry:
    """What a store is given of it: digests that only this installation can make, and no customer."""

    event: bytes
    content: bytes
    list_id: bytes
    model: bytes
    """The mark of the version that made the list."""
    day: int
    """When it made it, in days since 1970."""
    type: FeedbackType
    expires_at: int
    """Seconds since 1970: from then on no feedback about the list is taken, so that nothing of it need be kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackTotals:
    """Events by type; and lists that were shown, and of those the ones that led to a click and to a purchase."""

    impressions: int = 0
    clicks: int = 0
    purchases: int = 0
    lists_shown: int = 0
    lists_clicked: int = 0
    lists_bought: int = 0

    def __add__(self, other: "FeedbackTotals") -> "FeedbackTotals":
        """The totals of both together."""
        return FeedbackTotals(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerState:
    """What the store says about a customer before anything is served.

    `revision` counts the changes of the history: a cached list is valid only for the revision it was computed from.
    """

    known: bool
    """Whether there is a history, of whoever is not suppressed."""
    suppressed: bool
    """Erased, restricted, or objecting to profiling: nothing personal is served."""
    revision: int
    erased: bool = False


class FenceState(StrEnum):
    """How far the cache may be trusted without the record being asked. Docs: docs/decisions/0012-the-fence.md."""

    SETTLED = "settled"
    """No cache is trusted, and no lease of before can still run."""
    RAISED = "raised"
    """No cache is trusted, but a lease of before may run for a moment."""
    CERTIFYING = "certifying"
    """A server is being told who was suppressed; it may take lists of this epoch, and no lease begins."""
    CERTIFIED = "certified"
    """The server knows every suppressed customer: leases may be taken."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The row of the record that says which server holds a cache to be trusted, and since which epoch."""

    epoch: int = 0
    state: FenceState = FenceState.SETTLED
    identity: str = ""
    """The run of the server that is certified or being certified; another run of the same server is another one."""

    def holds(self, identity: str) -> bool:
        """Whether what this run of a server was told will be known wherever lists of this epoch are served."""
        return bool(identity) and identity == self.identity

    def raised(self) -> "Fence":
        """The fence once the cache is found untrustworthy: everything of this epoch is worth nothing."""
        return Fence(self.epoch + 1, FenceState.RAISED)

    def settled(self) -> "Fence":
        """The fence once every lease of before has run out."""
        return Fence(self.epoch, FenceState.SETTLED)

    def certifying(self, identity: str, *, above: int = 0) -> "Fence":
        """The fence while this run of a server is filled, of an epoch that neither record nor server had before."""
        return Fence(max(self.epoch, above) + 1, FenceState.CERTIFYING, identity)

    def certified(self) -> "Fence":
        """The fence once the server is filled."""
        return Fence(self.epoch, FenceState.CERTIFIED, self.identity)


SLOTS = (0, 1)
"""The places for lists that each customer has in the cache: two versions can be warm at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A second version that some of the customers get, beside the live one for the others. Holds nothing of anybody.

    Who gets which is decided by a number that is drawn for each customer with the salt (`ports.Pseudonyms.draw`): a
    customer stays in one arm as long as the salt is the same.
    """

    name: str
    version: str
    share: int
    """Of the customers, in per cent, who get the version: 1 to 99."""
    salt: str

    def shows(self, draw: float) -> bool:
        """Whether a customer with this draw, in [0, 1), gets the version; a larger share takes nobody out."""
        return draw < self.share / 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Which version is served, which versions have a slot of the cache, and the experiment with both, if one runs."""

    live: str | None = None
    slots: tuple[str | None, str | None] = (None, None)
    experiment: Experiment | None = None

    def slot_of(self, version: str) -> int | None:
        """The version's slot, if it has one; the live version has."""
        return self.slots.index(version) if version in self.slots else None


@dataclass(frozen=True, slots=True)
class Permit:
    """What a writer of lists asked the cache for before it read any history: lists under an old permit are refused."""

    epoch: int
    stamp: int
    """How many times lists were declared out of date before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendation:
    """One item of a list."""

    item_id: str
    name: str
    score: float
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendations:
    """A ranked list, never without the version of the model that made it (None: no model is live)."""

    items: tuple[Recommendation, ...]
    task: Task | Purpose
    personalized: bool
    version: str | None
    generated_at: datetime
    degraded: bool = False
    """Whether the cache was down, so that the list was computed for this request."""
    context_used: bool | None = None
    """Whether the list was moved toward the item of the page; None where no item was given."""
    recommendation_id: str | None = None
    """What feedback about the list names; None where no model made it."""


class Period(StrEnum):
    """The time within which a privacy budget bounds what is given away of a customer."""

    LIFETIME = "lifetime"
    """For ever: everything that is released, however long the shop is run."""
    YEAR = "year"
    """Any 366 days on end, whenever they begin: who is a customer for N years is bounded by N budgets together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivacyBudget:
    """A total (epsilon, delta) under add/remove of one customer. `epsilon` may be infinite: no guarantee is claimed."""

    epsilon: float
    delta: float
    unit: str = "customer"
    neighboring_relation: str = "add_or_remove_one"
    period: Period = Period.LIFETIME


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivacySpend:
    """Gaussian releases: `noise_multiplier` is the noise's standard deviation over the sensitivity (mu = 1 / it)."""

    purpose: str
    statistic: str
    sensitivity: float
    noise_multiplier: float
    sum_id: str
    """The sum that the statistic is of."""
    sampling_probability: float = 1.0
    """Of each customer to be in a release: each is on a Poisson sample of its own. 1 is everybody."""
    count: int = 1
    """How many releases of the statistic, all with this noise."""


class ModelStatus(StrEnum):
    """Where a version stands: only its status ever changes."""

    CANDIDATE = "candidate"
    LIVE = "live"
    RETIRED = "retired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVersion:
    """A registered model. `version` is the digest of the manifest, so it names these bytes and no others."""

    version: str
    trainer: str
    created_at: datetime
    model_digest: str
    config: Mapping[str, Json]
    privacy: Mapping[str, Json]
    """The guarantee in full: budget, releases with sensitivities, and what is not covered."""
    sum_id: str | None = None
    """The sealed sum it was released from, if the trainer keeps one."""
    parent: str | None = None
    metrics: Mapping[str, Json] = field(default_factory=dict)
    status: ModelStatus = ModelStatus.CANDIDATE

    @property
    def certificate(self) -> Json:
        """How far it can be from the model of its exact sum; None where it is not a function of one alone."""
        return self.config.get("certificate")


class ErasureState(StrEnum):
    """How far an erasure has come. The states are passed in this order, and each step can be repeated.

    The rules are in `recsys.erasure.rules`.
    """

    SUPPRESSED = "suppressed"
    """Received and acknowledged: nothing personal is served from this moment."""
    ERASED = "erased"
    """Events, data key and the customer's terms in every sum are gone, in one transaction."""
    RELEASED = "released"
    """Models were released again, withdrawn, or bounded until the next release: the receipt says which."""
    PURGED = "purged"
    """Cached lists are gone and were read back."""
    VERIFIED = "verified"
    """What the steps before say was looked up again: in the record, the sums, the cache, the files and the models."""
    RECEIPTED = "receipted"
    """The signed receipt is written."""
    CANCELLED = "cancelled"
    """Taken back before anything was destroyed: the one state that is not on the way to the receipt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasureRequest:
    """One request to forget a customer. `subject` is a salted commitment: the salt goes to the customer alone."""

    request_id: str
    subject: str
    reason: str
    received_at: datetime
    due_at: datetime
    state: ErasureState
    release: bool
    """Whether the operator spends privacy budget on releasing the affected models again at once."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """What the finished steps found and did; no customer id."""
    attempts: int = 0
    """How often a step of it failed since it last went on."""
    problem: str = ""
    """Why the last attempt failed, in our words."""
    next_at: datetime | None = None
    """Nothing is tried before this moment; None: at once."""
    stuck: bool = False
    """Given up by the worker: it goes on when an operator says so, and until then the customer stays suppressed."""
    extension: str = ""
    """Why the operator took two months more (GDPR Art. 12(3)); empty: they did not."""

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do."""
        return self.state not in {ErasureState.RECEIPTED, ErasureState.CANCELLED}


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """That a customer is kept out from now on, because of this request; or is let in again."""

    user_key: UserKey
    request: ErasureRequest
    """As it came: how far it has come is the queue's to know."""
    lifted: bool = False
    """Whether the customer is let in again: the request was cancelled, or a fresh consent came."""

    @property
    def about(self) -> bytes:
        """What one entry is enough for: the customer, who has one erasure that holds at a time."""
        return self.user_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """The erasure requests that are open: how many, and the first two moments that matter (None: none)."""

    pending: int
    oldest: datetime | None
    """When the one that waits for longest came."""
    due: datetime | None
    """When the first of them is due."""
    overdue: int = 0
    """How many of them should have been finished by now."""
    stuck: int = 0
    """How many of them the worker gave up."""


class WebhookEvent(StrEnum):
    """What a webhook can be told of."""

    ERASURE_COMPLETED = "erasure.completed"
    ERASURE_DUE_SOON = "erasure.due_soon"
    """Told once of each request, some days before it is due."""
    ERASURE_STUCK = "erasure.stuck"
    """The worker gave a request up: somebody has to look at it."""
    MODEL_PROMOTED = "model.promoted"
    OPENDSR_STATUS = "opendsr.status"
    """To the callbacks of a request in the form of OpenDSR, and to no webhook that somebody made."""
    TEST = "webhook.test"
    """Sent on demand, whatever else the webhook is told of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """Whom to tell of what."""

    webhook_id: str
    url: str = field(repr=False)
    """May hold a secret of the receiver's."""
    events: frozenset[WebhookEvent]
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One message to one webhook, kept until the receiver took it."""

    delivery_id: str
    """The same at every attempt, so that a receiver can tell that it had the message."""
    webhook_id: str
    url: str = field(repr=False)
    event: WebhookEvent
    body: bytes
    attempts: int
    next_at: datetime
    dead: bool
    """Given up: it is sent again only when somebody asks for it."""
    problem: str
    """Why the last attempt failed, in our words."""


class Scope(StrEnum):
    """What an API key may do."""

    __hash__ = str.__hash__  # an enumeration's own is written in Python, and every request asks for one

    RECOMMEND = "recommend"
    WRITE = "write"
    ERASE = "erase"
    RIGHTS = "rights"
    OPERATE = "operate"
    METRICS = "metrics"
    AUDIT = "audit"


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """An API key as the store knows it: the secret itself is kept nowhere, only its hash."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked: bool = False
