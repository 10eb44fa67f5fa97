"""Takes what customers ask for beside erasure; when an acknowledgement is out, it holds in every process."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from recsys.clock import Clock, milliseconds
from recsys.data.account_merge import AccountMerge, MergeStatus
from recsys.data.corrections import Corrected, Correction, CorrectionStatus, corrected
from recsys.data.export_job import ExportState
from recsys.data.history import History
from recsys.data.subject_request import LIMITS, LimitEntry, SubjectKind, SubjectRequest
from recsys.erasure.verification import is_file_of
from recsys.errors import InputError, PrivrecError
from recsys.fence import CacheFence
from recsys.identifiers import check_event_id
from recsys.intake import Exports
from recsys.ports import Catalogue, Journal, Pseudonyms, SubjectRequests
from recsys.rights.files import withdraw_lists
from recsys.types import UserKey

LARGEST_QUANTITY = float(np.finfo(np.float32).max)
"""What a history can hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One purchase as the customer says that it was; what is None stays as it is."""

    event_id: str
    delete: bool = False
    item_id: str | None = None
    timestamp: datetime | None = None
    quantity: float | None = None


class SubjectDesk:
    """Takes objections, restrictions, rectifications and merges of accounts. Safe to share between threads.

    The journal is written after the record when somebody is limited, and before it when that is taken back.
    """

    def __init__(
        self,
        *,
        pseudonyms: Pseudonyms,
        subjects: SubjectRequests,
        journal: Journal,
        catalogue: Catalogue,
        exports: Exports,
        fence: CacheFence,
        clock: Clock,
    ) -> None:
        """A desk over these stores."""
        self._pseudonyms = pseudonyms
        self._subjects = subjects
        self._journal = journal
        self._catalogue = catalogue
        self._exports = exports
        self._fence = fence
        self._clock = clock

    def limit(self, user_id: str, kind: SubjectKind) -> SubjectRequest:
        """The acknowledged objection or restriction; the earlier one of this kind if there is one.

        Raises:
            InputError: the id cannot be one.
            StorageError: it could not be written whole; ask again.

        Guarantees:
            - When it returns, no process serves a list of the customer, whatever becomes of the cache, and no file with
              one is given out; nor does a database that is restored from a backup (recsys/rights/restored.py).

        Tested by: tests/recsys/rights/test_desk.py::test_an_objection_holds_whatever_becomes_of_the_cache,
            tests/api/test_subjects.py::test_files_with_lists_are_given_out_no_more_once_somebody_objects,
            tests/recsys/rights/test_restored.py::test_an_old_database_serves_and_trains_nobody_who_objected_since
        """
        user_key = self._pseudonyms.user_key(user_id)
        request = self._subjects.limit(self._new(kind), user_key)
        # Also one that came before: whoever took it may have died before it was noted. Of the erased nothing is there.
        self._journal.note(*(LimitEntry(user_key=user_key, request=each) for each in self._held(user_key, kind)))
        self._fence.bury(user_key)
        withdraw_lists(self._exports)
        return request

    def lift(self, user_id: str, kind: SubjectKind) -> None:
        """Take back an objection or a restriction: served personally again at once, in models from the next training.

        Raises:
            InputError: the id cannot be one.
            StorageError: it could not be written whole; it holds on.
        """
        user_key = self._pseudonyms.user_key(user_id)
        held = [LimitEntry(user_key=user_key, request=each) for each in self._held(user_key, kind)]
        self._journal.note(*(replace(entry, lifted=True) for entry in held))
        try:
            self._subjects.lift(user_key, kind)
        except PrivrecError:
            self._journal.note(*held)
            raise
        self._fence.unbury(user_key)

    def rectify(self, user_id: str, wanted: Sequence[Wanted]) -> tuple[CorrectionStatus, ...]:
        """What became of each correction, in order; the next answer goes by those that were made.

        Nothing is told apart of customers who are unknown and who were erased: they have no such purchase.

        Raises:
            InputError: an id cannot be one.
            StorageError: it could not be written; nothing changed.
        """
        user_key = self._pseudonyms.user_key(user_id)
        positions = {item.item_id: place for place, item in enumerate(self._catalogue.items())}
        usable = [_correction(one, positions) for one in wanted]
        made = self._rectified(user_key, [one for one in usable if one is not None])
        if made is None:
            return (CorrectionStatus.RESTRICTED,) * len(wanted)
        if made.statuses:  # also where nothing changed: whoever changed it may have died before the cache was told
            self._fence.forget([user_key])
        statuses = iter(made.statuses)
        return tuple(CorrectionStatus.INVALID if one is None else next(statuses) for one in usable)

    def merge(self, user_id: str, into_user_id: str) -> MergeStatus:
        """What became of the merge of the first account into the second.

        Nothing is told apart of an account that is unknown and one that was erased. Doing it again changes nothing.

        Raises:
            InputError: an id cannot be one, or both are one.
            StorageError: it could not be written whole; ask again.

        Guarantees:
            - When it returns, no process serves a list of before of either, and where one of them objected none at all.

        Tested by: tests/recsys/rights/test_merge.py::test_lists_of_before_are_served_no_more,
            tests/recsys/rights/test_merge.py::test_an_objection_of_the_account_holds_for_the_other
        """
        account, into = two_accounts(self._pseudonyms, user_id, into_user_id)
        request, objection = self._new(SubjectKind.MERGE), self._new(SubjectKind.OBJECTION)
        merge = AccountMerge(account=account, into=into, request=request, objection=objection)
        status = self._subjects.merge(merge)
        if status is MergeStatus.ACKNOWLEDGED:
            self._let_go(account, into)
        return status

    def _let_go(self, account: UserKey, into: UserKey) -> None:
        """End lists and files of before; also where nothing changed: whoever changed it may have died before this."""
        self._fence.forget([account, into])
        limits = [each for each in self._subjects.of_customer(into) if each.kind in LIMITS]
        if limits:
            self._journal.note(*(LimitEntry(user_key=into, request=each) for each in limits))
            self._fence.bury(into)
            withdraw_lists(self._exports)
        for job in self._exports.lying():
            if is_file_of(self._exports, job, account):
                self._exports.close(job.export_id, ExportState.WITHDRAWN)

    def _held(self, user_key: UserKey, kind: SubjectKind) -> list[SubjectRequest]:
        """What the record has of this kind: one request or none."""
        return [each for each in self._subjects.of_customer(user_key) if each.kind is kind]

    def _rectified(self, user_key: UserKey, corrections: Sequence[Correction]) -> Corrected | None:
        def change(history: History) -> Corrected:
            return corrected(history, corrections)

        return self._subjects.rectify(self._new(SubjectKind.RECTIFICATION), user_key, change)

    def _new(self, kind: SubjectKind) -> SubjectRequest:
        return SubjectRequest(request_id=str(uuid.uuid4()), kind=kind, received_at=self._clock())


def two_accounts(pseudonyms: Pseudonyms, user_id: str, into_user_id: str) -> tuple[UserKey, UserKey]:
    """The keys of the account that goes and of the one that stays.

    Raises:
        InputError: an id cannot be one, or both are one.
    """
    account, into = pseudonyms.user_key(user_id), pseudonyms.user_key(into_user_id)
    if account == into:
        msg = "expected two accounts, got one twice; name the account that goes, and then the one that stays"
        raise InputError(msg)
    return account, into


def _correction(wanted: Wanted, positions: dict[str, int]) -> Correction | None:
    """The correction in the terms of a history; None if no history can hold it."""
    if wanted.item_id is not None and wanted.item_id not in positions:
        return None
    if wanted.quantity is not None and not 0 < wanted.quantity <= LARGEST_QUANTITY:
        return None
    return Correction(
        event_id=check_event_id(wanted.event_id),
        delete=wanted.delete,
        item=None if wanted.item_id is None else positions[wanted.item_id],
        timestamp=None if wanted.timestamp is None else milliseconds(wanted.timestamp),
        quantity=wanted.quantity,
    )
