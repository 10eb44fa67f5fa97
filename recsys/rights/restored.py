"""Objections and restrictions as the journal has them, in a database that was restored from a backup.

Before anything is served from it, whatever was taken back since is lifted, and whatever holds is recorded again: under
the id of the first request, so that the journal need say nothing new. A worker takes the customers out of sums and
models once more.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from recsys.clock import isoformat
from recsys.data.subject_request import LIMITS, LimitEntry, last_limits
from recsys.fence import CacheFence
from recsys.intake import Exports
from recsys.ports import Journal, SubjectRequests
from recsys.rights.files import withdraw_lists

WHY = "the record was restored from a backup of before the request"


class LimitStores(Protocol):
    """The stores that are compared, and told; a workspace has them all."""

    @property
    def subjects(self) -> SubjectRequests:
        """The requests."""

    @property
    def journal(self) -> Journal:
        """Who is limited, whatever becomes of the database."""

    @property
    def exports(self) -> Exports:
        """The files that are handed out."""

    @property
    def fence(self) -> CacheFence:
        """What keeps promises about cached lists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What the record did not know."""

    limited: int
    """How many objections and restrictions hold again."""
    lifted: int
    """How many hold no longer."""


def keep_limits(stores: LimitStores, *, now: datetime, after: str = "") -> Kept:
    """What the record did not know of the objections and restrictions behind this place of the journal, and does now.

    Guarantees:
        - Whoever objected or was restricted, and did not take it back, is limited on return.
        - Whoever took it back is not, unless they asked for it again, and whoever does so meanwhile stays as they are.

    Tested by: tests/recsys/rights/test_restored.py::test_an_old_database_serves_and_trains_nobody_who_objected_since,
        ::test_an_old_database_limits_nobody_who_took_it_back_since and
        ::test_who_takes_it_back_while_a_process_starts_is_not_limited_again

    Raises:
        ArtifactError: the journal was changed.
    """
    entries, end = stores.journal.entries(after)
    last = last_limits(entries).values()
    lifted = [_lifted(stores, entry) for entry in last if entry.lifted]
    limited = [_limited(stores, entry, now, end) for entry in last if not entry.lifted]
    if any(limited):
        withdraw_lists(stores.exports)
    return Kept(limited=sum(limited), lifted=sum(lifted))


def begin_limits(subjects: SubjectRequests, journal: Journal) -> None:
    """Note every objection and restriction that has no entry: it was there before its journal, or that was lost."""
    held = ((key, request) for key in subjects.limited() for request in subjects.of_customer(key))
    limits = ((key, request) for key, request in held if request.kind in LIMITS)
    journal.begin(*(LimitEntry(user_key=key, request=request) for key, request in limits))


def _lifted(stores: LimitStores, entry: LimitEntry) -> bool:
    """Whether it was there, and is no more."""
    is_there = _is_there(stores, entry)
    if is_there:
        stores.subjects.lift(entry.user_key, entry.request.kind)
        stores.fence.unbury(entry.user_key)
    return is_there


def _limited(stores: LimitStores, entry: LimitEntry, now: datetime, end: str) -> bool:
    """Whether it was not there, and is now; nothing is where the customer was erased since."""
    if any(each.kind is entry.request.kind for each in stores.subjects.of_customer(entry.user_key)):
        return False
    # It is not there: whoever took it back after the first look noted that before they did.
    news = last_limits(stores.journal.entries(end)[0])
    if news.get(entry.about, entry).lifted:
        return False
    restored = replace(entry.request, details={"restored": {"at": isoformat(now), "why": WHY}})
    stores.subjects.limit(restored, entry.user_key)
    if not _is_there(stores, entry):
        return False
    stores.fence.bury(entry.user_key)
    return True


def _is_there(stores: LimitStores, entry: LimitEntry) -> bool:
    return any(each.request_id == entry.about for each in stores.subjects.of_customer(entry.user_key))
