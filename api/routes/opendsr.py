"""Access, portability and erasure in the form of OpenDSR, for controllers and tools that speak it."""

from base64 import b64encode
from typing import Annotated, Any

from fastapi import Body, Depends, Path, Request, Response

from api.auth import guarded_router
from api.errors import documented, documented_error
from api.opendsr_schemas import UUID4, DsrAccepted, DsrBody, DsrCancelled, DsrDiscovery, DsrState
from api.schemas import Outgoing
from api.services import Services, Serving
from recsys.data.opendsr import DsrRequest, DsrStatus, DsrType
from recsys.evidence.opendsr_signature import certificate, signed_headers
from recsys.store.addresses import check_url
from recsys.types import Scope

router = guarded_router(Scope.RIGHTS, tag="opendsr")

DsrId = Annotated[str, Path(pattern=UUID4, description="The `subject_request_id` of the request.")]
KNOWN = documented([401, 403, 404, 422, 500, 503])
CONFLICT = documented_error(
    "event_conflict",
    "The id came for something else, or too many files are there.",
    "expected a subject_request_id that is new, got one that came for something else; give each its own",
)
FINAL = documented_error(
    "erasure_conflict",
    "The request cannot be cancelled any more.",
    "expected a request for a file that is not made yet, got one that is completed; fetch or delete it",
)
PEM: dict[int | str, dict[str, Any]] = {
    200: {"description": "The certificate.", "content": {"application/x-pem-file": {"schema": {"type": "string"}}}}
}


async def raw_body(request: Request) -> bytes:
    """The body as it was sent."""
    return await request.body()


@router.get("/opendsr/discovery", summary="What is supported", responses=documented([401, 403, 500, 503]))
def discovery(serving: Serving) -> DsrDiscovery:
    """Which requests and identities are supported, and where the certificate of the signatures is."""
    domain = serving.workspace.settings.opendsr_domain
    return DsrDiscovery(processor_certificate=f"https://{domain}/opendsr/certificate")


@router.get(
    "/opendsr/certificate",
    summary="The certificate of the signatures",
    response_class=Response,
    responses={**PEM, **documented([401, 403, 500, 503])},
)
def show_certificate(serving: Serving) -> Response:
    """Self-signed X.509 over the Ed25519 key that signs receipts: compare it with `privrec keys public` once."""
    workspace = serving.workspace
    pem = certificate(workspace.settings.opendsr_domain, workspace.signing_key)
    return Response(pem, media_type="application/x-pem-file")


@router.post(
    "/opendsr/requests",
    status_code=201,
    summary="Post a request",
    response_model=DsrAccepted,
    responses={**documented([400, 401, 403, 413, 422, 500, 503]), 409: CONFLICT},
)
def post_request(
    serving: Serving, body: Annotated[DsrBody, Body()], raw: Annotated[bytes, Depends(raw_body)]
) -> Response:
    """The acknowledgement, signed; the same request again is acknowledged again.

    An erasure holds from here on, as one of `POST /v1/erasures`. Access and portability make the file of
    `POST /v1/users/{user_id}/exports`.
    """
    workspace = serving.workspace
    for url in body.status_callback_urls:
        check_url(url, local=workspace.settings.webhooks_local)
    request = serving.dsr_desk.request(
        body.subject_request_id, body.subject_request_type, body.user_id, body.status_callback_urls
    )
    answer = DsrAccepted(
        controller_id=controller_id(serving),
        expected_completion_time=request.due_at,
        received_time=request.received_at,
        encoded_request=b64encode(raw).decode(),
        subject_request_id=request.subject_request_id,
    )
    return signed(serving, answer, 201)


@router.get(
    "/opendsr/requests/{subject_request_id}", summary="Follow a request", response_model=DsrState, responses=KNOWN
)
def show_request(serving: Serving, subject_request_id: DsrId) -> Response:
    """How far the request has come, signed; the file of access or portability is behind our own scope."""
    request = serving.dsr_desk.request_of(subject_request_id)
    status = serving.dsr_desk.status(request)
    answer = DsrState(
        controller_id=controller_id(serving),
        expected_completion_time=request.due_at,
        subject_request_id=subject_request_id,
        request_status=status,
        results_url=results_url(serving, request) if status is DsrStatus.COMPLETED else None,
    )
    return signed(serving, answer, 200)


@router.delete(
    "/opendsr/requests/{subject_request_id}",
    status_code=202,
    summary="Cancel a request",
    response_model=DsrCancelled,
    responses={**KNOWN, 409: FINAL},
)
def cancel_request(serving: Serving, subject_request_id: DsrId) -> Response:
    """The acknowledgement, signed; it works while nothing is made or destroyed.

    A file is made no more; an erasure is taken back, as by `POST /v1/erasures/{request_id}/cancel`, unless somebody had
    asked for it before.
    """
    request = serving.dsr_desk.cancel(subject_request_id)
    answer = DsrCancelled(
        controller_id=controller_id(serving),
        received_time=serving.workspace.clock(),
        subject_request_id=request.subject_request_id,
    )
    return signed(serving, answer, 202)


def controller_id(serving: Services) -> str:
    """The one controller of this installation."""
    settings = serving.workspace.settings
    return settings.controller_name or settings.opendsr_domain


def results_url(serving: Services, request: DsrRequest) -> str | None:
    """Where the file is; an erasure has none."""
    if request.kind is DsrType.ERASURE:
        return None
    return f"https://{serving.workspace.settings.opendsr_domain}/v1/subject-exports/{request.ours}/file"


def signed(serving: Services, answer: Outgoing, status: int) -> Response:
    """The answer with the domain and the signature of its bytes in the headers."""
    workspace = serving.workspace
    content = answer.model_dump_json().encode()
    headers = signed_headers(content, workspace.settings.opendsr_domain, workspace.signing_key)
    return Response(content, status_code=status, media_type="application/json", headers=headers)
