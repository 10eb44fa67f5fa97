"""Requests in the form of OpenDSR (github.com/opengdpr/OpenDSR): what they ask for, and how they are told of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recsys.clock import isoformat
from recsys.errors import EventConflictError
from recsys.types import Json


class DsrType(StrEnum):
    """What OpenDSR has a name for; the other rights are asked for in our own form."""

    ERASURE = "erasure"
    ACCESS = "access"
    PORTABILITY = "portability"


class DsrStatus(StrEnum):
    """How far a request has come, in the four words of OpenDSR."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


ENDS = frozenset({DsrStatus.COMPLETED, DsrStatus.CANCELLED})
OF_ERASURES: Mapping[str, DsrStatus] = {
    "suppressed": DsrStatus.PENDING,
    "receipted": DsrStatus.COMPLETED,
    "cancelled": DsrStatus.CANCELLED,
}
OF_FILES: Mapping[str, DsrStatus] = {
    "working": DsrStatus.PENDING,
    "done": DsrStatus.COMPLETED,
    "expired": DsrStatus.COMPLETED,
}


def status_of(kind: DsrType, state: str) -> DsrStatus:
    """The word for a state of our own: of an erasure, or of a file with everything held of one customer."""
    if kind is DsrType.ERASURE:
        return OF_ERASURES.get(state, DsrStatus.IN_PROGRESS)
    return OF_FILES.get(state, DsrStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True, slots=True)
class DsrRequest:
    """One request under the id that the controller gave it; it names no customer."""

    subject_request_id: str
    kind: DsrType
    ours: str
    """The id of the erasure or the export that it became."""
    joined: bool = False
    """Whether the erasure was there before, asked for by somebody else."""
    content: str
    """A keyed digest of whom and what it asks for: the same id must not come again for something else."""
    received_at: datetime
    due_at: datetime
    callbacks: tuple[str, ...] = ()
    """URLs that are told of each status; they may hold secrets of the receiver's."""
    told: DsrStatus | None = None
    """The status that the callbacks were last told of."""


def callback_body(request: DsrRequest, status: DsrStatus, url: str, controller_id: str) -> dict[str, Json]:
    """What a callback is told (OpenDSR 8.6)."""
    return {
        "controller_id": controller_id,
        "expected_completion_time": isoformat(request.due_at),
        "status_callback_url": url,
        "subject_request_id": request.subject_request_id,
        "request_status": status.value,
    }


def same_request(earlier: DsrRequest, request: DsrRequest) -> DsrRequest:
    """The earlier request of this id, if it asks for the same.

    Raises:
        EventConflictError: it does not.
    """
    if (earlier.kind, earlier.content) != (request.kind, request.content):
        msg = "expected a subject_request_id that is new, got one that came for something else; give each its own"
        raise EventConflictError(msg)
    return earlier
