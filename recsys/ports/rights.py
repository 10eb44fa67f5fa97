"""Requests of customers, and what proves that they were met."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from recsys.data.account_merge import AccountMerge, Accounts, MergeStatus
from recsys.data.corrections import Corrected
from recsys.data.history import History
from recsys.data.subject_request import Noted, SubjectKind, SubjectRequest
from recsys.evidence.log import Enter
from recsys.evidence.merkle import Node
from recsys.types import Backlog, ErasureRequest, ErasureState, Json, UserKey


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
    """Who is kept out or limited, noted outside of the database, so that it outlives a backup of that.

    Nothing is taken out.
    """

    def note(self, *entries: Noted) -> None:
        """Append the entries durably.

        Raises:
            StorageError: the disk refused; none of them is there.
        """

    def begin(self, *entries: Noted) -> None:
        """Append those about which nothing is noted yet, as one step: whoever was let in already stays so.

        Raises:
            StorageError: the disk refused; none of them is there.
            ArtifactError: as `entries`.
        """

    def has(self, place: str) -> bool:
        """Whether this is a place of this journal, and not of one that was lost; an empty one has none."""

    def entries(self, after: str = "") -> tuple[tuple[Noted, ...], str]:
        """The entries behind this place, oldest first, and the place behind the last: all, if there is no such place.

        A place is one of this journal only: another one, be it made anew in its stead, has it not. Of an empty journal
        it is empty.

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


class SubjectRequests(Protocol):
    """What customers asked for beside erasure, by customer; an erasure destroys it."""

    def limit(self, request: SubjectRequest, user_key: UserKey) -> SubjectRequest:
        """Record an objection or a restriction, in one transaction: the moment of acknowledgement.

        The customer's earlier one of this kind comes back if there is one. Of a customer of whom something
        was destroyed nothing is written; while the erasure can be cancelled, it is.
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

    def merge(self, merge: AccountMerge) -> MergeStatus:
        """What became of the merge: the account's purchases are the other's, and its history and data key destroyed.

        One transaction with the request, which lists the sums whose terms come along, and with the objection.
        What the account asked for comes along, accounts that were merged into it among it; an objection stays there,
        too. An earlier merge of the same two is replaced, if there is something new. Nothing changes where one of them
        is erased.
        """

    def accounts(self, user_key: UserKey) -> Accounts:
        """What merges made of the customer's terms in sums. One indexed read."""

    def apply(
        self,
        request_id: str,
        sums: Mapping[str, bytes],
        terms: Mapping[UserKey, Mapping[str, bytes]],
        details: Mapping[str, Json],
    ) -> None:
        """Replace these sums, and terms in sums, by account and id; set state APPLIED: one transaction.

        An empty term is one of an account that left the sum. Doing it again changes nothing, nor does it for a request
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
