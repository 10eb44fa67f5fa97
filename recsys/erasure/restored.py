"""A database that was restored from a backup knows nothing of those who were erased since: the journal does.

Before anything is served from it, everybody whom the journal keeps out and the database does not is suppressed again,
with a request of their own, which a worker takes the same way as the first one: what came back is destroyed again.
"""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from recsys.clock import isoformat
from recsys.data.subject_request import Noted
from recsys.fence import CacheFence
from recsys.ports import Erasures, Journal
from recsys.types import ErasureRequest, JournalEntry, Json, UserKey

WHY = "the record was restored from a backup of before the erasure"


def keep_out(
    erasures: Erasures, journal: Journal, fence: CacheFence, *, now: datetime, after: str = ""
) -> tuple[str, int]:
    """The place in the journal up to which the queue knows everybody who is kept out, and how many it did not know.

    Guarantees:
        - Whoever is kept out by an entry behind `after`, and was not let in by a later one, is suppressed on return.
        - Whoever is let in meanwhile, by another process, stays so.

    Tested by: tests/recsys/erasure/test_restored.py::test_an_old_database_serves_nobody_who_was_erased_since and
    ::test_who_is_let_in_while_a_process_starts_is_not_suppressed_again

    Args:
        erasures: the queue
        journal: who is kept out
        fence: what is told of them
        now: the time
        after: the place up to which they were compared before

    Raises:
        ArtifactError: the journal was changed.
    """
    entries, end = journal.entries(after)
    since: dict[UserKey, JournalEntry] = {}
    read, again = end, 0
    for user_key, entry in _last(entries).items():
        if entry.lifted or erasures.holding(user_key) is not None:
            continue
        # Nobody holds them: their cancel, or consent, came after the first look, and was noted before it took effect.
        news, read = journal.entries(read)
        since |= _last(news)
        if not since.get(user_key, entry).lifted:
            _suppress(erasures, journal, JournalEntry(user_key=user_key, request=_again(entry.request, now)))
            fence.bury(user_key)
            again += 1
    return end, again


def begin_journal(erasures: Erasures, journal: Journal) -> None:
    """Note everybody who is suppressed and has no entry: they were before there was a journal, or it was lost.

    Guarantees:
        - One that was cut short is completed by the next start.

    Tested by: tests/recsys/erasure/test_restored.py::test_a_journal_whose_beginning_was_cut_short_is_completed
    """
    latest = {user_key: request for request, user_key in erasures.customers()}
    kept_out = [key for key in erasures.suppressed() if key in latest]
    journal.begin(*(JournalEntry(user_key=key, request=latest[key]) for key in kept_out))


def _last(entries: Iterable[Noted]) -> dict[UserKey, JournalEntry]:
    """The last word of these entries on each customer's erasure."""
    return {entry.user_key: entry for entry in entries if isinstance(entry, JournalEntry)}


def _suppress(erasures: Erasures, journal: Journal, entry: JournalEntry) -> None:
    journal.note(entry)
    erasures.suppress(entry.request, entry.user_key)


def _again(request: ErasureRequest, now: datetime) -> ErasureRequest:
    """The request as a new one, which says why it came: the first may have its receipt, in a log that is no more.

    It spends no budget: whoever chose to, chose it for the first one, and the versions of then are still there.
    """
    restored: dict[str, Json] = {"at": isoformat(now), "request": request.request_id, "why": WHY}
    return replace(request, request_id=str(uuid.uuid4()), release=False, details={"restored": restored})
