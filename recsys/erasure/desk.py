"""The desk: where requests are taken, and changed as long as they can be. The only part that a customer waits for."""

import secrets
import uuid
from dataclasses import replace
from datetime import timedelta

from recsys.clock import Clock
from recsys.data.subject_request import LimitEntry, last_limits
from recsys.erasure.rules import cancelled, check_finished, check_reason, extended, tried_again
from recsys.errors import PrivrecError
from recsys.evidence.receipt import subject_commitment
from recsys.fence import CacheFence
from recsys.ports import Erasures, Journal, Pseudonyms
from recsys.types import ErasureRequest, ErasureState, JournalEntry, UserKey

SALT_BYTES = 16


class ErasureDesk:
    """Takes requests.

    The journal is written after the record when somebody is suppressed, and before it when they are let in: what a
    crash leaves half done leaves the customer suppressed. The worker notes the request again once it can no longer be
    cancelled.
    """

    def __init__(
        self,
        *,
        pseudonyms: Pseudonyms,
        erasures: Erasures,
        journal: Journal,
        fence: CacheFence,
        clock: Clock,
        due_days: int,
        grace_hours: float = 0,
    ) -> None:
        """A desk over these stores; requests are due `due_days` days after they came.

        For `grace_hours` a customer is suppressed only, and the request can be cancelled.
        """
        self._pseudonyms = pseudonyms
        self._erasures = erasures
        self._journal = journal
        self._fence = fence
        self._clock = clock
        self._due = timedelta(days=due_days)
        self._grace = timedelta(hours=grace_hours)

    def request(
        self, user_id: str, *, reason: str = "customer request", release: bool = False
    ) -> tuple[ErasureRequest, str]:
        """The acknowledged request and the salt that opens its subject commitment.

        When it returns, no process serves a list of the customer, whatever becomes of the cache (recsys/fence.py), and
        a database that is restored from a backup will not either (recsys/erasure/restored.py).

        The salt is shown this once and kept nowhere. If the customer has a request already, that one comes back, with
        an empty salt.

        Raises:
            InputError: the id cannot be one, or the reason is too long.
            StorageError: the request could not be written whole; ask again.
        """
        return self.request_key(self._pseudonyms.user_key(user_id), user_id, reason=reason, release=release)

    def request_key(
        self, user_key: UserKey, name: str, *, reason: str = "customer request", release: bool = False
    ) -> tuple[ErasureRequest, str]:
        """As `request`, of a customer whose id is not known; the receipt commits to this name, which stands for it.

        Raises:
            InputError: the reason is too long.
            StorageError: the request could not be written whole; ask again.
        """
        check_reason(reason)
        salt, now = secrets.token_bytes(SALT_BYTES), self._clock()
        asked = ErasureRequest(
            request_id=str(uuid.uuid4()),
            subject=subject_commitment(name, salt),
            reason=reason,
            received_at=now,
            due_at=now + self._due,
            state=ErasureState.SUPPRESSED,
            release=release,
            next_at=now + self._grace if self._grace else None,
        )
        request = self._erasures.suppress(asked, user_key)
        if request.is_open:  # also one that came before: whoever took it may have died before it was in the journal
            self._journal.note(JournalEntry(user_key=user_key, request=request))
        self._fence.bury(user_key)
        return request, salt.hex() if request.request_id == asked.request_id else ""

    def cancel(self, request_id: str) -> ErasureRequest:
        """The request, taken back; doing it again changes nothing.

        The customer is served again as before, by the history that was kept; purchases since the request are not in it.

        Raises:
            NotFoundError: no such request.
            ErasureConflictError: something was destroyed already; nothing changed.
        """
        self._fence.unbury(self._cancelled(request_id))
        return self._erasures.request(request_id)

    def consent(self, user_id: str) -> ErasureRequest | None:
        """The finished request that keeps the customer out no longer, because they came back; None if none did.

        What was destroyed stays so, and the request stays on record. New purchases are taken from now on.

        Raises:
            InputError: the id cannot be one.
            ErasureConflictError: the request is still worked on; nothing changed.
            ArtifactError: the journal was changed.

        Guarantees:
            - Nothing that they asked for before the erasure holds again, in no restored database either.

        Tested by: tests/recsys/rights/test_restored.py::test_who_comes_back_after_an_erasure_is_limited_no_more
        """
        user_key = self._pseudonyms.user_key(user_id)
        request = self._erasures.holding(user_key)
        if request is None:
            return None
        check_finished(request)
        let_in = JournalEntry(user_key=user_key, request=request, lifted=True)
        self._journal.note(let_in, *self._limits_ended(user_key))
        self._erasures.lift(user_key)
        self._fence.unbury(user_key)
        return request

    def extend(self, request_id: str, reason: str) -> ErasureRequest:
        """The request, due two months later (GDPR Art. 12(3)); the customer has to be told within the first month.

        Raises:
            InputError: the reason is empty, too long, or of more than one line.
            NotFoundError: no such request.
            ErasureConflictError: it is finished or cancelled, or was extended before.
        """
        return self._erasures.change(request_id, lambda request: extended(request, reason))

    def retry(self, request_id: str) -> ErasureRequest:
        """The request, to be tried at once though it failed before, or was stuck.

        Raises:
            NotFoundError: no such request.
            ErasureConflictError: it is finished or cancelled.
        """
        return self._erasures.change(request_id, tried_again)

    def _limits_ended(self, user_key: UserKey) -> list[LimitEntry]:
        """That nothing holds any more of what the customer asked for before: the erasure destroyed it in the record."""
        entries, _ = self._journal.entries()
        held = [entry for entry in last_limits(entries).values() if entry.user_key == user_key and not entry.lifted]
        return [replace(entry, lifted=True) for entry in held]

    def _cancelled(self, request_id: str) -> UserKey:
        """The customer of the request, which is cancelled in the journal and the record, or in neither."""
        held = next((pair for pair in self._erasures.pending() if pair[0].request_id == request_id), None)
        if held is None:
            return self._erasures.cancel(request_id)
        request, user_key = held
        self._journal.note(JournalEntry(user_key=user_key, request=cancelled(request), lifted=True))
        try:
            return self._erasures.cancel(request_id)
        except PrivrecError:  # a worker was faster
            self._journal.note(JournalEntry(user_key=user_key, request=request))
            raise
