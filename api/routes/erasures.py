"""The right to be forgotten: ask, follow, and fetch the receipt."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated, Any

from fastapi import Path, Query, Response

from api.auth import guarded_router
from api.erasure_schemas import (
    ConsentAnswer,
    ConsentBody,
    ErasureList,
    ErasureStatus,
    ErasureSummary,
    ExtensionBody,
    Lineage,
    Shown,
)
from api.errors import documented
from api.schemas import ErasureAccepted, ErasureBody
from api.services import Serving
from recsys.erasure.lineage import lineage
from recsys.store.workspace import Workspace
from recsys.types import ErasureRequest, ErasureState, Scope

router = guarded_router(Scope.ERASE, tag="erasures")

RequestId = Annotated[
    str,
    Path(max_length=100, pattern="^[A-Za-z0-9_-]+$", description="The `request_id` that the acknowledgement named."),
]
RECEIPT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The signed receipt in the log; `privrec verify` checks it with the public key alone.",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "body": {},
                    "key_id": "",
                    "log": {"checkpoint": "", "inclusion": [], "index": 0},
                    "signature": "",
                },
            }
        },
    }
}


@router.post(
    "/v1/erasures",
    status_code=202,
    summary="Erase a customer",
    responses=documented([400, 401, 403, 413, 422, 500, 503]),
)
def request_erasure(serving: Serving, body: ErasureBody, response: Response) -> ErasureAccepted:
    """The acknowledgement.

    The customer is suppressed before it is sent: nothing personal is served from then on. What follows is done by the
    worker, and proved by the receipt. Asking again for the same customer finds the first request.
    """
    request, salt = serving.desk.request(body.user_id, reason=body.reason, release=body.release)
    response.headers["Location"] = f"/v1/erasures/{request.request_id}"
    return ErasureAccepted(
        request_id=request.request_id,
        state=request.state,
        received_at=request.received_at,
        due_at=request.due_at,
        subject_salt=salt,
    )


@router.get("/v1/erasures", summary="List erasures", responses=documented([401, 403, 422, 500, 503]))
def list_erasures(
    serving: Serving,
    show: Annotated[Shown, Query(description="Which of them.")] = Shown.OPEN,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    after: Annotated[
        str, Query(max_length=100, pattern="^[A-Za-z0-9_-]*$", description="Begin behind this request.")
    ] = "",
) -> ErasureList:
    """Erasures with their clocks, oldest first: those that are open, or those that somebody has to look at.

    For the next page, ask with `after` the last one of this page; a request that is not listed any more ends it.
    """
    erasures, now = serving.workspace.erasures, serving.workspace.clock()
    everything = erasures.requests() if show is Shown.ALL else [request for request, _ in erasures.pending()]
    listed = iter(summary_of(request, now=now) for request in everything)
    if after:
        any(each.request_id == after for each in listed)  # reads on to there
    wanted = (each for each in listed if is_shown(each, show))
    return ErasureList(erasures=list(islice(wanted, limit)))


@router.get(
    "/v1/erasures/{request_id}",
    summary="Follow an erasure",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def erasure_status(serving: Serving, request_id: RequestId) -> ErasureStatus:
    """How far the erasure has come, and how long it may take."""
    return status_of(serving.workspace, serving.workspace.erasures.request(request_id))


@router.get(
    "/v1/erasures/{request_id}/receipt",
    summary="Fetch the receipt of an erasure",
    response_class=Response,
    responses={**RECEIPT, **documented([401, 403, 404, 422, 500, 503])},
)
def erasure_receipt(serving: Serving, request_id: RequestId) -> Response:
    """The receipt with its place in the log, byte for byte; 404 says whether the request is unknown or not finished."""
    return Response(serving.workspace.erasures.receipt(request_id), media_type="application/json")


@router.get(
    "/v1/erasures/{request_id}/lineage",
    summary="Where the customer of an erasure is",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def erasure_lineage(serving: Serving, request_id: RequestId) -> Lineage:
    """Every version that was made with the customer, and every other place, as it is now.

    Internal, not private: it is exact, for the operator and those who audit them.
    """
    return Lineage(**lineage_of(serving.workspace, request_id))


@router.post(
    "/v1/erasures/{request_id}/cancel",
    summary="Cancel an erasure",
    responses=documented([401, 403, 404, 409, 422, 500, 503]),
)
def cancel_erasure(serving: Serving, request_id: RequestId) -> ErasureStatus:
    """The erasure, taken back: while nothing was destroyed, which PRIVREC_ERASURE_GRACE_HOURS leaves time for.

    The customer is served as before. Purchases that came since the request were refused, and are not there.
    """
    return status_of(serving.workspace, serving.desk.cancel(request_id))


@router.post(
    "/v1/erasures/{request_id}/retry",
    summary="Try an erasure again",
    responses=documented([401, 403, 404, 409, 422, 500, 503]),
)
def retry_erasure(serving: Serving, request_id: RequestId) -> ErasureStatus:
    """The erasure, tried again at once though a step failed before; one that is stuck goes on."""
    return status_of(serving.workspace, serving.desk.retry(request_id))


@router.post(
    "/v1/erasures/{request_id}/extend",
    summary="Take two months more for an erasure",
    responses=documented([400, 401, 403, 404, 409, 413, 422, 500, 503]),
)
def extend_erasure(serving: Serving, request_id: RequestId, body: ExtensionBody) -> ErasureStatus:
    """The erasure, due two months later: once, where it is complex (GDPR Art. 12(3)).

    Tell the customer why, within a month of the request.
    """
    return status_of(serving.workspace, serving.desk.extend(request_id, body.reason))


@router.post(
    "/v1/consents",
    summary="Take in a customer anew who was erased",
    responses=documented([400, 401, 403, 409, 413, 422, 500, 503]),
)
def give_consent(serving: Serving, body: ConsentBody) -> ConsentAnswer:
    """Which erasure keeps the customer out no longer: what was destroyed stays so, and new purchases are taken.

    The erasure has to have its receipt; one that is still pending is cancelled instead, if nothing was destroyed.
    """
    lifted = serving.desk.consent(body.user_id)
    return ConsentAnswer(lifted=lifted.request_id if lifted else None)


def lineage_of(workspace: Workspace, request_id: str) -> dict[str, Any]:
    """Where the customer of a request is."""
    workspace.erasures.request(request_id)  # raises if there is none
    [user_key] = [key for each, key in workspace.erasures.customers() if each.request_id == request_id]
    return lineage(workspace, user_key, workspace.settings.backups_kept)


def is_shown(each: ErasureSummary, show: Shown) -> bool:
    """Whether it is one of those that are asked for."""
    return {Shown.OVERDUE: each.overdue, Shown.STUCK: each.stuck}.get(show, True)


def status_of(workspace: Workspace, request: ErasureRequest) -> ErasureStatus:
    """The request as it is shown now."""
    told = None
    if request.state is ErasureState.RECEIPTED:
        waiting, _ = workspace.webhooks.about(request.request_id)
        told = waiting == 0
    shown = summary_of(request, now=workspace.clock()).model_dump()
    return ErasureStatus(**shown, notified=told, details=dict(request.details))


def summary_of(request: ErasureRequest, *, now: datetime) -> ErasureSummary:
    """The request as it is listed at the moment `now`."""
    return ErasureSummary(
        request_id=request.request_id,
        state=request.state,
        received_at=request.received_at,
        due_at=request.due_at,
        days_left=(request.due_at - now) // timedelta(days=1),
        overdue=request.is_open and request.due_at < now,
        extension=request.extension,
        attempts=request.attempts,
        problem=request.problem,
        next_attempt_at=request.next_at,
        stuck=request.stuck,
    )
