"""Every port in memory: real implementations, for tests and for trying things out, and the reference for the others."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from recsys.clock import Clock, utc_now
from recsys.data.history import EMPTY_HISTORY, History, Merge, Purchases, merge
from recsys.data.subject_request import LIMITS, SubjectKind, SubjectRequest
from recsys.erasure.rules import advanced, cancelled, check_finished, is_erased
from recsys.evidence.log import Enter
from recsys.evidence.merkle import Node, covering
from recsys.serving.products import no_item
from recsys.store.memory_cache import MemoryCache
from recsys.store.memory_exports import MemoryExports
from recsys.store.memory_feedback import MemoryFeedback
from recsys.store.memory_imports import MemoryImports
from recsys.store.memory_operations import MemoryApiKeys, MemoryFences, MemoryLedgerLog, MemoryRegistry
from recsys.store.memory_webhooks import MemoryWebhooks, Outbox
from recsys.store.rules import (
    another_works,
    check_sums_cover,
    completed,
    holds_suppressed,
    log_is_cut,
    merge_items,
    no_receipt,
    no_request,
    no_sum,
    put_among,
    sum_exists,
    told_of,
)
from recsys.types import (
    Backlog,
    CatalogueItem,
    CustomerState,
    ErasureRequest,
    ErasureState,
    Json,
    UserKey,
    WebhookEvent,
)

__all__ = [
    "MemoryApiKeys",
    "MemoryCache",
    "MemoryCatalogue",
    "MemoryErasures",
    "MemoryExports",
    "MemoryFeedback",
    "MemoryFences",
    "MemoryHistories",
    "MemoryImports",
    "MemoryLedgerLog",
    "MemoryReceiptLog",
    "MemoryRegistry",
    "MemoryState",
    "MemorySums",
    "MemoryWebhooks",
]


@dataclass(slots=True)
class MemoryState:
    """What histories, sums and erasures share, as they share a database elsewhere; one writer at a time."""

    histories: dict[UserKey, tuple[int, History]] = field(default_factory=dict)
    suppressed: set[UserKey] = field(default_factory=set)
    sums: dict[str, bytes] = field(default_factory=dict)
    terms: dict[str, dict[UserKey, bytes]] = field(default_factory=dict)
    requests: dict[str, tuple[ErasureRequest, UserKey]] = field(default_factory=dict)
    subject_requests: dict[str, tuple[SubjectRequest, UserKey]] = field(default_factory=dict)
    holds: dict[UserKey, str] = field(default_factory=dict)
    """The request that keeps each suppressed customer out."""
    warned: set[str] = field(default_factory=set)
    receipts: dict[str, bytes] = field(default_factory=dict)
    nodes: dict[Node, bytes] = field(default_factory=dict)
    checkpoints: list[str] = field(default_factory=list)
    outbox: Outbox = field(default_factory=Outbox)
    writing: threading.RLock = field(default_factory=threading.RLock)
    working: threading.Lock = field(default_factory=threading.Lock)

    def request(self, request_id: str) -> ErasureRequest:
        """The request, or NotFoundError."""
        if request_id not in self.requests:
            raise no_request()
        return self.requests[request_id][0]

    def holding(self, user_key: UserKey) -> dict[str, bytes]:
        """The customer's terms, by sum."""
        return {sum_id: terms[user_key] for sum_id, terms in self.terms.items() if user_key in terms}

    def limited(self, *kinds: SubjectKind) -> set[UserKey]:
        """Whose processing is limited in one of these ways."""
        return {key for request, key in self.subject_requests.values() if request.kind in kinds}

    @property
    def unserved(self) -> set[UserKey]:
        """Who is served nothing personal, and is in no training."""
        return self.suppressed | self.limited(*LIMITS)


class MemoryCatalogue:
    """Satisfies `ports.Catalogue`."""

    def __init__(self) -> None:
        """Begin with no items."""
        self._items: dict[str, CatalogueItem] = {}
        self._revisions: dict[str, int] = {}
        self._writing = threading.RLock()

    def add_items(self, items: Sequence[CatalogueItem]) -> None:
        """Add the items that are new, in order; update name and category of the others where they are not empty."""
        with self._writing:
            self._keep(merge_items(self._items, items))

    def items(self) -> tuple[CatalogueItem, ...]:
        """Every item, by position."""
        return tuple(self._items.values())

    def put_item(self, item: CatalogueItem) -> bool:
        """Put one item; whether it is new."""
        return self.put_items([item]) == [None]

    def put_items(self, items: Sequence[CatalogueItem]) -> list[CatalogueItem | None]:
        """Add each item, or replace the one with its id; what was there before each."""
        with self._writing:
            before, after = put_among(self._items, items)
            self._keep(after)
            return before

    def change_item(self, item_id: str, change: Callable[[CatalogueItem], CatalogueItem]) -> CatalogueItem:
        """The item after the change, or NotFoundError."""
        with self._writing:
            before = self._items.get(item_id)
            if before is None or before.deleted:
                raise no_item()
            self._keep({**self._items, item_id: change(before)})
            return self._items[item_id]

    def changed_since(self, revision: int) -> tuple[int, tuple[tuple[int, CatalogueItem], ...]]:
        """The revision, and the items with positions that changed after the given one."""
        with self._writing:
            changed = enumerate(self._items.values())
            latest = max(self._revisions.values(), default=0)
            return latest, tuple(pair for pair in changed if self._revisions[pair[1].item_id] > revision)

    def _keep(self, after: dict[str, CatalogueItem]) -> None:
        following = max(self._revisions.values(), default=0) + 1
        changed = [item_id for item_id, item in after.items() if item != self._items.get(item_id)]
        self._revisions.update(dict.fromkeys(changed, following))
        self._items = after


class MemoryHistories:
    """Satisfies `ports.Histories`."""

    def __init__(self, state: MemoryState | None = None) -> None:
        """Share the state, or have one of its own."""
        self._state = state or MemoryState()

    def append(self, batch: Mapping[UserKey, Purchases]) -> dict[UserKey, Merge | None]:
        """Merge purchases into the customers' histories; None for one who is erased or restricted."""
        with self._state.writing:
            refused = self._state.suppressed | self._state.limited(SubjectKind.RESTRICTION)
            merges = {key: None if key in refused else merge(self.history(key), new) for key, new in batch.items()}
            for key, done in merges.items():
                if done and done.accepted:
                    revision, _ = self._state.histories.get(key, (0, EMPTY_HISTORY))
                    self._state.histories[key] = (revision + 1, done.history)
        return merges

    def state(self, user_key: UserKey) -> CustomerState:
        """Whether the customer is known or suppressed, and the revision of the history."""
        if user_key in self._state.unserved:
            erased = user_key in self._state.suppressed
            return CustomerState(known=False, suppressed=True, revision=0, erased=erased)
        revision, _ = self._state.histories.get(user_key, (0, EMPTY_HISTORY))
        return CustomerState(known=revision > 0, suppressed=False, revision=revision)

    def history(self, user_key: UserKey) -> History:
        """The customer's purchases; empty for an unknown customer."""
        return self._state.histories.get(user_key, (0, EMPTY_HISTORY))[1]

    def scan(self, after: UserKey | None = None) -> Iterator[tuple[UserKey, int, History]]:
        """Every customer's key, revision and history, in the order of keys; without the suppressed."""
        for key, (revision, history) in sorted(self._state.histories.items(), key=lambda item: item[0]):
            if key > (after or b"") and key not in self._state.unserved and len(history):
                yield key, revision, history


class MemorySums:
    """Satisfies `ports.Sums`."""

    def __init__(self, state: MemoryState | None = None) -> None:
        """Share the state, or have one of its own."""
        self._state = state or MemoryState()

    def create_sum(self, sum_id: str, content: bytes, terms: Iterable[tuple[UserKey, bytes]]) -> None:
        """Keep a new sum and every customer's term, or neither."""
        with self._state.writing:
            if sum_id in self._state.sums:
                raise sum_exists()
            kept = dict(terms)
            if not self._state.unserved.isdisjoint(kept):
                raise holds_suppressed()
            self._state.sums[sum_id], self._state.terms[sum_id] = content, kept

    def load_sum(self, sum_id: str) -> bytes:
        """The content of a sum, or NotFoundError."""
        if sum_id not in self._state.sums:
            raise no_sum()
        return self._state.sums[sum_id]

    def latest_sum(self) -> str | None:
        """The id of the sum that was created last."""
        return next(reversed(self._state.sums), None)

    def terms_of(self, user_key: UserKey) -> dict[str, bytes]:
        """The customer's term in every sum that holds one, by sum id."""
        return self._state.holding(user_key)

    def terms_in(self, sum_id: str) -> Iterator[tuple[UserKey, bytes]]:
        """Every customer's term in the sum, in the order of keys."""
        yield from sorted(self._state.terms.get(sum_id, {}).items(), key=lambda item: item[0])


class MemoryErasures:
    """Satisfies `ports.Erasures`."""

    @contextmanager
    def working(self) -> Iterator[None]:
        """A block that only one worker is in at a time; StateLockedError for another."""
        if not self._state.working.acquire(blocking=False):
            raise another_works()
        try:
            yield
        finally:
            self._state.working.release()

    def __init__(self, state: MemoryState | None = None, clock: Clock = utc_now) -> None:
        """Share the state, or have one of its own."""
        self._state, self._clock = state or MemoryState(), clock

    def suppress(self, request: ErasureRequest, user_key: UserKey) -> ErasureRequest:
        """The request, recorded together with the suppression; the customer's earlier request if there is one."""
        with self._state.writing:
            if user_key in self._state.holds:
                return self._state.request(self._state.holds[user_key])
            self._state.suppressed.add(user_key)
            self._state.holds[user_key] = request.request_id
            self._state.requests[request.request_id] = (request, user_key)
        return request

    def erase_customers(self, details: Mapping[str, Mapping[str, Json]], sums: Mapping[str, bytes]) -> None:
        """Destroy the customers' histories and terms, replace the sums, and set state ERASED: all or nothing."""
        state = self._state
        with state.writing:
            waiting = {each: state.requests[each][1] for each in details if not is_erased(state.request(each))}
            if not waiting:
                return
            check_sums_cover(set(sums), {sum_id for key in waiting.values() for sum_id in state.holding(key)})
            if not sums.keys() <= state.sums.keys():
                raise no_sum()
            after = {each: advanced(state.request(each), ErasureState.ERASED, details[each]) for each in waiting}
            for request_id, user_key in waiting.items():
                self._set(after[request_id])
                self._destroy(user_key)
            state.sums.update(sums)

    def advance(self, request_id: str, state: ErasureState, details: Mapping[str, Json]) -> None:
        """Set the state and merge the details; going back or leaving a step out is a StateError."""
        with self._state.writing:
            self._set(advanced(self._state.request(request_id), state, details))

    def finish(self, request_id: str, enter: Enter, details: Mapping[str, Json]) -> bytes:
        """The receipt that is kept and logged from now on: this one, or the one that was there already."""
        state, log = self._state, MemoryReceiptLog(self._state)
        with state.writing:
            if request_id not in state.receipts:
                size, _ = log.latest()
                entry = enter(size, log.nodes(covering((0, size))))
                self.advance(request_id, ErasureState.RECEIPTED, details)
                state.nodes.update(entry.nodes)
                state.checkpoints.append(entry.checkpoint)
                state.receipts[request_id] = entry.receipt
                state.outbox.write(WebhookEvent.ERASURE_COMPLETED, completed(request_id), self._clock())
            return state.receipts[request_id]

    def change(self, request_id: str, rule: Callable[[ErasureRequest], ErasureRequest]) -> ErasureRequest:
        """The request after the rule; webhooks are told if it is stuck now."""
        with self._state.writing:
            before = self._state.request(request_id)
            after = rule(before)
            self._set(after)
            if after.stuck and not before.stuck:
                self._state.outbox.write(WebhookEvent.ERASURE_STUCK, told_of(after), self._clock())
            return after

    def cancel(self, request_id: str) -> UserKey:
        """The customer of a request that is cancelled, and suppressed no longer."""
        with self._state.writing:
            self._set(cancelled(self._state.request(request_id)))
            user_key = self._state.requests[request_id][1]
            if self._state.holds.get(user_key) == request_id:
                self._let_in(user_key)
            return user_key

    def holding(self, user_key: UserKey) -> ErasureRequest | None:
        """The request that keeps the customer out; None if none does."""
        held = self._state.holds.get(user_key)
        return None if held is None else self._state.request(held)

    def lift(self, user_key: UserKey) -> ErasureRequest | None:
        """The finished request that no longer keeps the customer out; None if none did."""
        with self._state.writing:
            if user_key not in self._state.holds:
                return None
            request = self._state.request(self._state.holds[user_key])
            check_finished(request)
            self._let_in(user_key)
            return request

    def warn(self, before: datetime) -> int:
        """How many open requests webhooks are told of now: due before this moment, once each."""
        with self._state.writing:
            near = [request for request, _ in self.pending() if request.due_at <= before]
            told = [request for request in near if request.request_id not in self._state.warned]
            for request in told:
                self._state.outbox.write(WebhookEvent.ERASURE_DUE_SOON, told_of(request), self._clock())
                self._state.warned.add(request.request_id)
            return len(told)

    def request(self, request_id: str) -> ErasureRequest:
        """The request, or NotFoundError."""
        return self._state.request(request_id)

    def requests(self) -> tuple[ErasureRequest, ...]:
        """Every request, oldest first."""
        return tuple(request for request, _ in self._state.requests.values())

    def count(self) -> int:
        """How many requests there ever were."""
        return len(self._state.requests)

    def pending(self) -> tuple[tuple[ErasureRequest, UserKey], ...]:
        """The requests that are open, oldest first, each with its customer."""
        return tuple(pair for pair in self._state.requests.values() if pair[0].is_open)

    def customers(self) -> tuple[tuple[ErasureRequest, UserKey], ...]:
        """Every request, oldest first, each with its customer."""
        return tuple(self._state.requests.values())

    def backlog(self) -> Backlog:
        """How much is open."""
        requests, now = [request for request, _ in self.pending()], self._clock()
        return Backlog(
            pending=len(requests),
            oldest=min((request.received_at for request in requests), default=None),
            due=min((request.due_at for request in requests), default=None),
            overdue=sum(request.due_at < now for request in requests),
            stuck=sum(request.stuck for request in requests),
        )

    def receipt(self, request_id: str) -> bytes:
        """The signed receipt, or NotFoundError."""
        request = self._state.request(request_id)
        if request_id not in self._state.receipts:
            raise no_receipt(request)
        return self._state.receipts[request_id]

    def suppressed(self) -> Iterator[UserKey]:
        """Every customer who is suppressed, in the order of keys."""
        yield from sorted(self._state.suppressed)

    def _set(self, request: ErasureRequest) -> None:
        self._state.requests[request.request_id] = (request, self._state.requests[request.request_id][1])

    def _let_in(self, user_key: UserKey) -> None:
        self._state.suppressed.discard(user_key)
        del self._state.holds[user_key]

    def _destroy(self, user_key: UserKey) -> None:
        self._state.histories.pop(user_key, None)
        for request_id in [each for each, (_, key) in self._state.subject_requests.items() if key == user_key]:
            del self._state.subject_requests[request_id]
        for terms in self._state.terms.values():
            terms.pop(user_key, None)


class MemoryReceiptLog:
    """Satisfies `ports.ReceiptLog`."""

    def __init__(self, state: MemoryState | None = None) -> None:
        """Share the state, or have one of its own."""
        self._state = state or MemoryState()

    def latest(self) -> tuple[int, str]:
        """How many receipts there are, and the checkpoint that was signed with the last."""
        checkpoints = self._state.checkpoints
        return len(checkpoints), checkpoints[-1] if checkpoints else ""

    def nodes(self, wanted: Sequence[Node]) -> dict[Node, bytes]:
        """The hashes of complete subtrees, or ArtifactError."""
        if not self._state.nodes.keys() >= set(wanted):
            raise log_is_cut()
        return {node: self._state.nodes[node] for node in wanted}
