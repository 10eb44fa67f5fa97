"""The right to be forgotten: ask, follow, and fetch the receipt."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Path, Response

from api.auth import guarded_router
from api.errors import documented
from api.schemas import ErasureAccepted, ErasureBody, ErasureStatus
from api.services import Serving
from recsys.types import ErasureRequest, Scope

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


@router.get(
    "/v1/erasures/{request_id}",
    summary="Follow an erasure",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def erasure_status(serving: Serving, request_id: RequestId) -> ErasureStatus:
    """How far the erasure has come, and how long it may take."""
    return status_of(serving.workspace.erasures.request(request_id), now=serving.workspace.clock())


@router.get(
    "/v1/erasures/{request_id}/receipt",
    summary="Fetch the receipt of an erasure",
    response_class=Response,
    responses={**RECEIPT, **documented([401, 403, 404, 422, 500, 503])},
)
def erasure_receipt(serving: Serving, request_id: RequestId) -> Response:
    """The receipt with its place in the log, byte for byte; 404 says whether the request is unknown or not finished."""
    return Response(serving.workspace.erasures.receipt(request_id), media_type="application/json")


def status_of(request: ErasureRequest, *, now: datetime) -> ErasureStatus:
    """The request as it is shown at the moment `now`."""
    return ErasureStatus(
        request_id=request.request_id,
        state=request.state,
        received_at=request.received_at,
        due_at=request.due_at,
        days_left=(request.due_at - now) // timedelta(days=1),
        details=dict(request.details),
    )
