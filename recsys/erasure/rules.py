"""The rules of an erasure's way, without I/O: which step is next and when, and what may still be changed.

    suppressed -> erased -> released -> purged -> verified -> receipted
        |
        '-> cancelled

Stores apply them within a transaction, the worker between two steps.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from recsys.errors import ErasureConflictError, InputError, StateError
from recsys.types import ErasureRequest, ErasureState, Json

ORDER = (
    ErasureState.SUPPRESSED,
    ErasureState.ERASED,
    ErasureState.RELEASED,
    ErasureState.PURGED,
    ErasureState.VERIFIED,
    ErasureState.RECEIPTED,
)
"""The way to the receipt."""

FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(hours=3)
MAX_ATTEMPTS = 24
"""About a day and a half: longer than an upload from before a request may lie in the store, and one night's outage."""
MONTHS_MORE = timedelta(days=59)
"""Two months, as GDPR Art. 12(3) lets a complex request take: in no year is the calendar's time shorter."""
MAX_REASON = 500


def advanced(request: ErasureRequest, state: ErasureState, details: Mapping[str, Json]) -> ErasureRequest:
    """The request in the state, with the details merged and its failures forgotten; a finished one no longer changes.

    Raises:
        StateError: the state is an earlier one, a step in between was left out, or the request was cancelled.
    """
    if request.state is state is ErasureState.RECEIPTED:
        return request
    way = {request.state, state} <= set(ORDER)
    if not way or ORDER.index(state) - ORDER.index(request.state) not in {0, 1}:
        msg = (
            f"expected erasure {request.request_id} to stay {request.state} or to take the next step, got {state}; "
            "run the steps in their order"
        )
        raise StateError(msg)
    merged = {**request.details, **details}
    return replace(request, state=state, details=merged, attempts=0, problem="", next_at=None, stuck=False)


def is_erased(request: ErasureRequest) -> bool:
    """Whether history, key and terms of the request's customer are gone."""
    return request.state in ORDER[ORDER.index(ErasureState.ERASED) :]


def is_ready(request: ErasureRequest, now: datetime, *, waiting: bool = False) -> bool:
    """Whether the next step may be taken now.

    Args:
        request: the request
        now: the time
        waiting: whether one that failed is tried before its time; the days of grace before the first step are kept
    """
    if not request.is_open or request.stuck:
        return False
    return request.next_at is None or request.next_at <= now or (waiting and request.attempts > 0)


def put_off(request: ErasureRequest, problem: str, now: datetime) -> ErasureRequest:
    """The request after one more attempt that failed: to be tried later, or stuck."""
    if not request.is_open:
        return request
    attempts = request.attempts + 1
    delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (attempts - 1))
    return replace(request, attempts=attempts, problem=problem, next_at=now + delay, stuck=attempts >= MAX_ATTEMPTS)


def tried_again(request: ErasureRequest) -> ErasureRequest:
    """The request as if no attempt had failed; its days of grace, if they run, go on.

    Raises:
        ErasureConflictError: it is finished or cancelled.
    """
    _check_open(request, "to be tried again")
    if not request.attempts:
        return request
    return replace(request, attempts=0, problem="", next_at=None, stuck=False)


def extended(request: ErasureRequest, reason: str) -> ErasureRequest:
    """The request, due two months later.

    Raises:
        InputError: there is no reason, or it is too long.
        ErasureConflictError: it is finished or cancelled, or was extended before.
    """
    check_reason(reason)
    _check_open(request, "to be extended")
    if request.extension:
        msg = (
            f"expected erasure {request.request_id} to be extended once, got another extension; "
            "the law gives two months and no more: finish it"
        )
        raise ErasureConflictError(msg)
    return replace(request, due_at=request.due_at + MONTHS_MORE, extension=reason)


def cancelled(request: ErasureRequest) -> ErasureRequest:
    """The request, taken back; doing it again changes nothing.

    Raises:
        ErasureConflictError: something was destroyed already.
    """
    if request.state not in {ErasureState.SUPPRESSED, ErasureState.CANCELLED}:
        msg = (
            f"expected an erasure of which nothing was destroyed yet, got one that is {request.state}; it cannot be "
            "cancelled: once it has its receipt, take the customer in anew with their consent"
        )
        raise ErasureConflictError(msg)
    return replace(request, state=ErasureState.CANCELLED, next_at=None, stuck=False)


def check_finished(request: ErasureRequest) -> None:
    """Nothing, if the request is finished, so that the customer can be taken in anew.

    Raises:
        ErasureConflictError: it is still worked on.
    """
    if request.is_open:
        msg = (
            f"expected a customer whose erasure is finished, got one whose request {request.request_id} is "
            f"{request.state}; cancel it if nothing was destroyed yet, or wait for its receipt"
        )
        raise ErasureConflictError(msg)


def check_reason(reason: str) -> None:
    """Nothing, if this can stand as a reason.

    Raises:
        InputError: it is empty, too long, or has more than one line.
    """
    if not 0 < len(reason) <= MAX_REASON:
        msg = f"expected a reason of at most {MAX_REASON} characters, got {len(reason)}; shorten it"
        raise InputError(msg)
    if not reason.isprintable():
        msg = "expected a reason of one line, got control characters; leave them out"
        raise InputError(msg)


def _check_open(request: ErasureRequest, what: str) -> None:
    if not request.is_open:
        msg = f"expected an erasure that is still on its way {what}, got one that is {request.state}; leave it"
        raise ErasureConflictError(msg)
