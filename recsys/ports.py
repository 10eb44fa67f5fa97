"""What the rooms above need from the outside world, as protocols.

`recsys.store` satisfies them with SQL, Redis and files; `recsys.store.memory` satisfies them in memory, and one set of
contract tests (`tests/contracts`) runs on both. A customer is always a `UserKey` here: `Pseudonyms` makes it from the
id.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from recsys.data.corrections import Corrected
from recsys.data.history import History, Merge, Purchases
from recsys.data.subject_request import SubjectKind, SubjectRequest
from recsys.evidence.log import Enter
from recsys.evidence.merkle import Node
from recsys.models.factors import ItemFactors
from recsys.types import (
    ApiKey,
    Backlog,
    CatalogueItem,
    CustomerState,
    Delivery,
    ErasureRequest,
    ErasureState,
    Experiment,
    FeedbackEntry,
    FeedbackStatus,
    FeedbackTotals,
    Fence,
    JournalEntry,
    Json,
    ModelVersion,
    Permit,
    Scope,
    Served,
    UserKey,
    Webhook,
)


class Pseudonyms(Protocol):
    """Turns ids into keys; needs the secret of this installation."""

    def user_key(self, user_id: str) -> UserKey:
        """16 bytes: a keyed hash of the id after Unicode normalisation (NFC).

        Raises:
            InputError: the id is empty, longer than 256 UTF-8 bytes, or holds control characters. The id is not
            repeated.
        """

    def draw(self, user_key: UserKey, salt: str) -> float:
        """A number in [0, 1) that stays with the customer while the salt is the same: a keyed hash of both."""


class Commitments(Protocol):
    """Commits to private data in documents that leave; needs the secret of this installation."""

    def commitment(self, data: bytes, salt: bytes) -> str:
        """64 hex digits that only this installation can compute from the data and the 16 bytes of salt."""


class Seals(Protocol):
    """Seals the values of the cache and the ids of answers; needs the secret of this installation."""

    def seal_value(self, plaintext: bytes, context: bytes) -> bytes:
        """The plaintext, encrypted and authenticated together with the context."""

    def open_value(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext that was sealed with this context.

        Raises:
            ArtifactError: the bytes were changed, or belong to another context or installation.
        """

    def tag(self, data: bytes) -> bytes:
        """16 bytes that only this installation can compute from the data."""


class Catalogue(Protocol):
    """The public list of products. Positions are given once and never change."""

    def add_items(self, items: Sequence[CatalogueItem]) -> None:
        """Add the items that are new, in order; update name and category of the others where they are not empty."""

    def items(self) -> tuple[CatalogueItem, ...]:
        """Every item, by position; those that were deleted keep theirs."""

    def put_item(self, item: CatalogueItem) -> bool:
        """Put one item, as `put_items`; whether it is new."""

    def put_items(self, items: Sequence[CatalogueItem]) -> list[CatalogueItem | None]:
        """Add each item, or replace everything but the position of the one with its id, in one transaction.

        Returns:
            What was there before each of them, in the order given; None for one that is new.
        """

    def change_item(self, item_id: str, change: Callable[[CatalogueItem], CatalogueItem]) -> CatalogueItem:
        """The item after the change, which is made in one transaction with the reading of what was there.

        Raises:
            NotFoundError: no such item, or it was deleted.
        """

    def changed_since(self, revision: int) -> tuple[int, tuple[tuple[int, CatalogueItem], ...]]:
        """The catalogue's revision, and the items with positions that changed after the given one.

        Every write that changes anything raises the revision; -1 asks for every item. One cheap read where nothing
        changed: it is asked for with every request.
        """


class Histories(Protocol):
    """Purchase histories: one sealed record per customer, under the customer's own data key."""

    def append(self, batch: Mapping[UserKey, Purchases]) -> dict[UserKey, Merge | None]:
        """Merge purchases into the customers' histories, in one transaction; None for one who is erased or restricted.

        Nothing of such a customer is taken.
        The revision of a customer goes up by one where at least one purchase was accepted.

        Raises:
            StorageError: the disk is full or the database refused; nothing of the batch is there.
        """

    def state(self, user_key: UserKey) -> CustomerState:
        """Whether the customer is known or suppressed, and the revision of the history. One indexed read."""

    def history(self, user_key: UserKey) -> History:
        """The customer's purchases; empty for an unknown customer.

        Raises:
            ArtifactError: the record does not open: it was changed, or the keys are another installation's.
        """

    def scan(self, after: UserKey | None = None) -> Iterator[tuple[UserKey, int, History]]:
        """Every customer's key, revision and history, in the order of keys; without the suppressed.

        Left out are also those whose purchases were all deleted.

        Args:
            after: begin behind this key; nothing is read before the first customer is asked for
        """


class Feedback(Protocol):
    """What became of lists: totals for each version, and for a bounded time what was counted. No customer is in it."""

    def count(self, entries: Sequence[FeedbackEntry], now: datetime) -> list[FeedbackStatus]:
        """Whether each entry is counted now, was before, or came before with other content: in order, one transaction.

        What has expired by now is deleted.

        Raises:
            StorageError: the database refused; nothing was counted.
        """

    def totals(self, since: int = 0) -> dict[bytes, FeedbackTotals]:
        """The totals by mark of a version, of lists that were made on this day or later (days since 1970)."""


class Sums(Protocol):
    """Sums before noise, sealed, each with the terms of the customers that are in it."""

    def create_sum(self, sum_id: str, content: bytes, terms: Iterable[tuple[UserKey, bytes]]) -> None:
        """Keep a new sum and every customer's term, in one transaction.

        Terms of customers who were suppressed meanwhile must not be passed, whatever for; the store refuses them.

        Raises:
            InputError: a term belongs to a suppressed customer; read the histories again and rebuild.
        """

    def load_sum(self, sum_id: str) -> bytes:
        """The content of a sum.

        Raises:
            NotFoundError: no such sum.
            ArtifactError: it does not open.
        """

    def latest_sum(self) -> str | None:
        """The id of the sum that was created last."""

    def terms_of(self, user_key: UserKey) -> dict[str, bytes]:
        """The customer's term in every sum that holds one, by sum id; empty of a sum that the customer left."""

    def terms_in(self, sum_id: str) -> Iterator[tuple[UserKey, bytes]]:
        """Every customer's term in the sum, in the order of keys; none, for a sum that there is none of."""


class Erasures(Protocol):
    """The durable queue of erasure requests."""

    def working(self) -> AbstractContextManager[None]:
        """A block that only one worker is in at a time, on whichever machine; it is free again when that one dies.

        Raises:
            StateLockedError: another worker is in it.
        """

    def suppress(self, request: ErasureRequest, user_key: UserKey) -> ErasureRequest:
        """Record the request and suppress the customer, in one transaction: the moment of acknowledgement.

        If a request of the same customer holds already, open or finished, nothing is written and that one comes back.
        One that was cancelled, or lifted by a fresh consent, holds no longer.
        """

    def erase_customers(self, details: Mapping[str, Mapping[str, Json]], sums: Mapping[str, bytes]) -> None:
        """Destroy history, data key and terms of each request's customer, replace the sums, and set state ERASED.

        One transaction; the details are merged into those of the request of that id. Freed pages are overwritten
        (SQLite: secure_delete) and the write-ahead log is truncated, so that the bytes are in no file. Doing it again
        changes nothing.
        """

    def advance(self, request_id: str, state: ErasureState, details: Mapping[str, Json]) -> None:
        """Set the state and merge the details. Doing it again changes nothing; going back is refused (StateError)."""

    def finish(self, request_id: str, enter: Enter, details: Mapping[str, Json]) -> bytes:
        """Enter the receipt in the log, keep it, and set state RECEIPTED; one that is there stays, and comes back.

        In the same transaction a message is written to every webhook that is told of `erasure.completed`.
        """

    def change(self, request_id: str, rule: Callable[[ErasureRequest], ErasureRequest]) -> ErasureRequest:
        """The request after the rule, in one transaction: when it is due and tried again, never how far it has come.

        In the same transaction webhooks are told of `erasure.stuck` where the rule makes it so.

        Raises:
            NotFoundError: no such request.
            Whatever the rule raises; nothing changed.
        """

    def cancel(self, request_id: str) -> UserKey:
        """The customer of a request that is cancelled, and suppressed no longer; doing it again changes nothing.

        Raises:
            NotFoundError: no such request.
            ErasureConflictError: something was destroyed already; nothing changed.
        """

    def holding(self, user_key: UserKey) -> ErasureRequest | None:
        """The request that keeps the customer out; None if none does. One indexed read."""

    def lift(self, user_key: UserKey) -> ErasureRequest | None:
        """The finished request that no longer keeps the customer out, because of a fresh consent; None if none did.

        What was destroyed stays so, and the request stays on record.

        Raises:
            ErasureConflictError: the request is still worked on; nothing changed.
        """

    def warn(self, before: datetime) -> int:
        """How many open requests webhooks are told of now (`erasure.due_soon`): due before this moment, once each."""

    def request(self, request_id: str) -> ErasureRequest:
        """The request.

        Raises:
            NotFoundError: no such request.
        """

    def requests(self) -> tuple[ErasureRequest, ...]:
        """Every request, oldest first."""

    def count(self) -> int:
        """How many requests there ever were. One indexed read."""

    def pending(self) -> tuple[tuple[ErasureRequest, UserKey], ...]:
        """The requests that are open, oldest first, each with its customer."""

    def customers(self) -> tuple[tuple[ErasureRequest, UserKey], ...]:
        """Every request, oldest first, each with its customer."""

    def backlog(self) -> Backlog:
        """How much is open. One cheap read: whoever watches the service asks often."""

    def receipt(self, request_id: str) -> bytes:
        """The signed receipt.

        Raises:
            NotFoundError: no such request, or it has no receipt yet (the message says which).
        """

    def suppressed(self) -> Iterator[UserKey]:
        """Every customer who is suppressed, in the order of keys."""


class Journal(Protocol):
    """Who is kept out, noted outside of the database, so that it outlives a backup of that. Nothing is taken out."""

    def note(self, *entries: JournalEntry) -> None:
        """Append the entries durably.

        Raises:
            StorageError: the disk refused; the last of them may not be there.
        """

    def entries(self, after: int = 0) -> tuple[tuple[JournalEntry, ...], int]:
        """The entries behind this place, oldest first, and the place behind the last: all, if there is no such place.

        Raises:
            ArtifactError: one does not open: it was changed, or the keys are another installation's.
        """


class ReceiptLog(Protocol):
    """The append-only log of receipts: hashes and signed checkpoints, nothing of a customer.

    `Erasures.finish` appends to it; nothing is ever changed or taken out.
    """

    def latest(self) -> tuple[int, str]:
        """How many receipts there are, and the checkpoint that was signed with the last; 0 and empty at first."""

    def nodes(self, wanted: Sequence[Node]) -> dict[Node, bytes]:
        """The hashes of complete subtrees.

        Raises:
            ArtifactError: the log does not have one of them; it was cut, or is shorter.
        """


class LedgerLog(Protocol):
    """An append-only list of ledger entries."""

    def entries(self) -> list[dict[str, Json]]:
        """Every entry, oldest first."""

    def append(self, entry: dict[str, Json]) -> None:
        """Append the entry durably.

        Raises:
            StateError: another process appended first (the entry's `index` is not the next one); read again and retry.
        """


class Registry(Protocol):
    """Model versions and their files."""

    def save(self, factors: ItemFactors, version: ModelVersion, report: bytes = b"") -> None:
        """Keep the files of a version with its privacy report: all of them or none.

        Saving the same version again changes nothing.
        """

    def load(self, version: str) -> tuple[ItemFactors, ModelVersion]:
        """A version's factors and manifest, once both are found to match their digests.

        Raises:
            NotFoundError: no such version, or it was withdrawn (its factors are gone).
            ArtifactError: a file is cut or changed by a byte.
        """

    def report(self, version: str) -> bytes:
        """The privacy report that was saved with the version; it outlives the factors.

        Raises:
            NotFoundError: no such version, or it has no report (the message says which).
        """

    def versions(self) -> tuple[ModelVersion, ...]:
        """Every version with its status, oldest first."""

    def live(self) -> str | None:
        """The version that is served. One cheap read: it is asked for with every request."""

    def served(self) -> Served:
        """The version that is served, whose the slots are, and the experiment. One cheap read, as `live`."""

    def warm(self, version: str) -> int:
        """The slot of the version; if it has none, a free one, or else that of the version that is not live.

        Raises:
            NotFoundError, ArtifactError: as `load`; nothing changed.
            VersionConflictError: an experiment needs both slots; nothing changed.
        """

    def promote(self, version: str) -> None:
        """Make the version live, and the one before retired; both have a slot, and none changes its slot.

        It ends an experiment: everybody gets the version.

        Raises:
            NotFoundError, ArtifactError: as `load`; the version before stays live.
        """

    def withdraw(self, version: str) -> None:
        """Delete the factors of a version for good; its manifest stays. If it was live, no version is live.

        It ends an experiment with the version: everybody gets the other one.
        """

    def begin(self, experiment: Experiment) -> None:
        """Show the experiment's version to its share of the customers; the same one again changes nothing.

        Raises:
            NotFoundError, ArtifactError: as `load` of its version; nothing changed.
            VersionConflictError: another one runs, or the version is the live one or has no slot; nothing changed.
        """

    def end(self) -> Experiment | None:
        """The experiment that ended with this call: everybody gets the live version. None if there was none."""

    def spare(self, versions: Collection[str]) -> Experiment | None:
        """The experiment that ended because one of these versions is in it; None if it goes on, or there is none.

        Everybody gets the live version, or the other one if the live one is among these and the other is not.
        """


class Fences(Protocol):
    """The one row that says which cache is trusted."""

    def read(self) -> Fence:
        """The fence now. One indexed read: every process asks several times a second."""

    def swap(self, before: Fence, after: Fence) -> bool:
        """Whether the fence was `before`, and is `after` now. Durable when it returns."""


class Cache(Protocol):
    """Finished lists, by customer. Never the record: it may be empty, old or down at any moment.

    A customer has two slots, one for each version that is warm (`types.Served`). What is said of a customer, that a
    wish to be forgotten or a purchase came, holds for both, in one step.

    Values are opaque but for their header (`recsys.serving.sealed_lists`). Every method raises CacheUnavailableError
    when the server does not answer.
    """

    def get(self, user_key: UserKey, slot: int = 0) -> bytes | None:
        """The value in this slot, or None."""

    def headers(self, user_keys: Sequence[UserKey], slot: int = 0) -> list[bytes]:
        """The beginnings of the customers' values, in order: enough to read the header; empty where there is none."""

    def permit(self) -> Permit | None:
        """What lists that are computed from now on are written under; None while the server is not certified."""

    def put(self, permit: Permit, values: Iterable[tuple[UserKey, bytes]], slot: int = 0) -> int:
        """Keep the values that are still good, in this slot; returns how many.

        Refused are all values if the epoch is no longer the permit's, and a customer's if there is a tombstone or if a
        later stamp of this epoch is there, in either slot.
        """

    def bury(self, user_key: UserKey) -> str:
        """Put a tombstone in the place of the customer's values; returns the identity of the server that holds it."""

    def forget(self, user_keys: Iterable[UserKey]) -> str:
        """Declare the customers' lists out of date, and those that are being computed; tombstones stay.

        Returns:
            The identity of the server that was told.
        """

    def unbury(self, user_key: UserKey) -> None:
        """Let lists of the customer in again that are computed from now on: the tombstone goes, if there is one."""

    def identity(self) -> str:
        """The name of this run of the server; empty if there is no server.

        Raises:
            StateError: the server is set up so that it may throw tombstones away.
        """

    def certify(self, fence: Fence, buried: Iterable[UserKey]) -> None:
        """Write tombstones of these customers, then let lists of the fence's epoch in: on one run of the server.

        Raises:
            CacheUnavailableError: the server is not, or no longer, the one of the fence.
        """

    def ping(self) -> None:
        """Return if the server answers."""


class Webhooks(Protocol):
    """Whom to tell of what happened, and the messages that they have not taken yet.

    A message is written in the transaction of what it tells of (`Erasures.finish`), so that neither is there without
    the other. None names a customer.
    """

    def create(self, webhook: Webhook) -> None:
        """Tell this webhook from now on."""

    def list(self) -> tuple[Webhook, ...]:
        """Every webhook, oldest first."""

    def delete(self, webhook_id: str) -> None:
        """Tell it nothing more; its messages go with it.

        Raises:
            NotFoundError: no such webhook.
        """

    def test(self, webhook_id: str) -> str:
        """The id of a message to this webhook that tells of nothing; raises as `delete`."""

    def announce(self, version: str) -> bool:
        """Whether the live version is another than the one announced before; if so it is told of, in one transaction.

        Promotions are noted in files: to compare afterwards misses none that lasts, whoever made it and died.
        """

    def due(self, now: datetime, limit: int) -> tuple[Delivery, ...]:
        """Messages whose time has come, those that wait longest first; none that was given up."""

    def delivered(self, delivery_id: str) -> None:
        """Forget a message that was taken; doing it again changes nothing."""

    def failed(self, delivery_id: str, problem: str, next_at: datetime | None) -> None:
        """Note an attempt; the next is at this time, or never (None) unless somebody asks for it."""

    def waiting(self) -> tuple[int, int]:
        """How many messages are to be sent, and how many were given up."""

    def about(self, request_id: str) -> tuple[int, int]:
        """How many messages about the erasure are to be sent, and how many were given up."""

    def dead(self) -> tuple[Delivery, ...]:
        """Messages that were given up, oldest first."""

    def redeliver(self, delivery_id: str) -> None:
        """Try a message that was given up again, from the first attempt.

        Raises:
            NotFoundError: no such message was given up.
        """


class ApiKeys(Protocol):
    """API keys, hashed at rest."""

    def create(self, name: str, scopes: frozenset[Scope]) -> tuple[ApiKey, str]:
        """A new key and its secret, which is shown this once."""

    def authenticate(self, secret: str) -> ApiKey | None:
        """The key of this secret, unless there is none or it is revoked."""

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first."""

    def revoke(self, key_id: str) -> None:
        """Make the key useless from now on.

        Raises:
            NotFoundError: no such key.
        """


class SubjectRequests(Protocol):
    """What customers asked for beside erasure, by customer; an erasure destroys it."""

    def limit(self, request: SubjectRequest, user_key: UserKey) -> SubjectRequest:
        """Record an objection or a restriction, in one transaction: the moment of acknowledgement.

        The customer's earlier one of this kind comes back if there is one. Of an erased customer nothing is written.
        """

    def lift(self, user_key: UserKey, kind: SubjectKind) -> None:
        """Take back the customer's objection or restriction; doing it again changes nothing."""

    def rectify(
        self, request: SubjectRequest, user_key: UserKey, change: Callable[[History], Corrected]
    ) -> Corrected | None:
        """Replace the history by what `change` makes of it, and record the request with its moves: one transaction.

        Nothing is written where nothing changed. The history of an unknown or erased customer is empty.

        Returns:
            What `change` returned; None if the customer is restricted.
        """

    def apply(
        self, request_id: str, sums: Mapping[str, bytes], terms: Mapping[str, bytes], details: Mapping[str, Json]
    ) -> None:
        """Replace these sums, and the customer's terms in sums, by id; set state APPLIED: one transaction.

        An empty term is one of a customer who left the sum. Doing it again changes nothing, nor does it for a request
        that was taken back or destroyed.
        """

    def finish(self, request_id: str, details: Mapping[str, Json]) -> None:
        """Set state DONE and merge the details; it changes nothing for a request that is not there."""

    def pending(self) -> tuple[tuple[SubjectRequest, UserKey], ...]:
        """The requests that are not done, oldest first, each with its customer."""

    def of_customer(self, user_key: UserKey) -> tuple[SubjectRequest, ...]:
        """The customer's requests, oldest first."""

    def limited(self) -> Iterator[UserKey]:
        """Every customer who objected or is restricted, in the order of keys."""
