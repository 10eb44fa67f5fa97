"""Takes requests in the form of OpenDSR: each becomes one of our own, and is told of in OpenDSR's words."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from recsys.clock import Clock
from recsys.data.opendsr import DsrRequest, DsrStatus, DsrType, callback_body, same_request, status_of
from recsys.erasure.desk import ErasureDesk
from recsys.errors import ErasureConflictError, NotFoundError
from recsys.evidence.canonical import canonical_json
from recsys.intake import DsrRequests
from recsys.ports import Erasures, Pseudonyms, Seals
from recsys.rights.files import SubjectFiles

REASON = "request in the form of OpenDSR"


class DsrDesk:
    """Takes requests, and says how far they have come. Safe to share between threads."""

    def __init__(
        self,
        *,
        dsr: DsrRequests,
        desk: ErasureDesk,
        erasures: Erasures,
        files: SubjectFiles,
        pseudonyms: Pseudonyms,
        seals: Seals,
        clock: Clock,
        due_days: int,
    ) -> None:
        """A desk over these; requests are due `due_days` days after they came."""
        self._dsr = dsr
        self._desk = desk
        self._erasures = erasures
        self._files = files
        self._pseudonyms = pseudonyms
        self._seals = seals
        self._clock = clock
        self._due = timedelta(days=due_days)

    def request(
        self, subject_request_id: str, kind: DsrType, user_id: str, callbacks: Sequence[str] = ()
    ) -> DsrRequest:
        """The acknowledged request; an erasure is acknowledged as by its own desk. The same again comes back as it was.

        Raises:
            InputError: the id cannot be one.
            EventConflictError: the id came for something else; nothing more was asked for.
            ImportConflictError: too many files are there.
        """
        now = self._clock()
        asked = DsrRequest(
            subject_request_id=subject_request_id,
            kind=kind,
            ours="",
            content=self._content(subject_request_id, kind, user_id),
            received_at=now,
            due_at=now + self._due,
            callbacks=tuple(dict.fromkeys(callbacks)),
        )
        try:  # before anything is done: the id may have come for somebody else
            return same_request(self._dsr.request(subject_request_id), asked)
        except NotFoundError:
            ours, joined = self._ours(kind, user_id)
            return self._dsr.create(replace(asked, ours=ours, joined=joined))

    def request_of(self, subject_request_id: str) -> DsrRequest:
        """The request, or NotFoundError."""
        return self._dsr.request(subject_request_id)

    def status(self, request: DsrRequest) -> DsrStatus:
        """How far it has come."""
        if request.kind is DsrType.ERASURE:
            return status_of(request.kind, self._erasures.request(request.ours).state.value)
        return status_of(request.kind, self._files.job(request.ours).state.value)

    def cancel(self, subject_request_id: str) -> DsrRequest:
        """The request, cancelled, while nothing is destroyed or made; doing it again changes nothing.

        Raises:
            NotFoundError: there is none of this id.
            ErasureConflictError: something is destroyed, the file is made, or somebody else asked for the erasure;
                nothing changed.
        """
        request = self._dsr.request(subject_request_id)
        if request.kind is DsrType.ERASURE:
            self._cancel_erasure(request)
        elif self.status(request) is DsrStatus.COMPLETED:
            msg = "expected a request for a file that is not made yet, got one that is completed; fetch or delete it"
            raise ErasureConflictError(msg)
        else:
            self._files.delete(request.ours)
        return request

    def tell(self, controller_id: str) -> int:
        """How many requests had another status than their callbacks were told; they are told through the outbox."""
        followed = [(request, self.status(request)) for request in self._dsr.followed()]
        changed = [(request, status) for request, status in followed if request.told is not status]
        for request, status in changed:
            bodies = {
                url: canonical_json(callback_body(request, status, url, controller_id)) for url in request.callbacks
            }
            self._dsr.tell(request.subject_request_id, status, bodies)
        return len(changed)

    def _cancel_erasure(self, request: DsrRequest) -> None:
        if request.joined and self.status(request) is not DsrStatus.CANCELLED:
            msg = (
                "expected a request that its erasure was made for, got one that joined an erasure which somebody had "
                f"asked for before; if they agree, cancel erasure {request.ours} itself"
            )
            raise ErasureConflictError(msg)
        self._desk.cancel(request.ours)

    def _ours(self, kind: DsrType, user_id: str) -> tuple[str, bool]:
        """The id of what it becomes, and whether that was there before: an erasure that is new comes with its salt."""
        if kind is DsrType.ERASURE:
            request, salt = self._desk.request(user_id, reason=REASON)
            return request.request_id, not salt
        return self._files.ask(user_id).export_id, False

    def _content(self, subject_request_id: str, kind: DsrType, user_id: str) -> str:
        user_key = self._pseudonyms.user_key(user_id)
        return self._seals.tag(f"opendsr\0{subject_request_id}\0{kind}\0".encode() + user_key).hex()
