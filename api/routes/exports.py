"""Files of items, or of customers' lists: asked for, made beside the API, fetched in ranges, and soon gone."""

import json
import re
import secrets
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Header, Path, Response
from starlette.exceptions import HTTPException

from api.auth import guarded_router
from api.errors import documented, documented_error
from api.export_schemas import ExportBody, ExportStatus
from api.services import Services, Serving
from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.errors import InputError, NotFoundError
from recsys.store.rules import no_export
from recsys.types import FileFormat, Scope

router = guarded_router(Scope.OPERATE, tag="exports")

ID_BYTES = 16
RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})?", re.ASCII)
MEDIA_TYPES = {
    FileFormat.CSV: "text/csv",
    FileFormat.JSONL: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
}

ExportId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The `export_id` of the answer to its creation.")]
Range = Annotated[
    str | None, Header(alias="Range", description="`bytes=FIRST-` or `bytes=FIRST-LAST`; any other form is ignored.")
]
CONFLICT = documented_error(
    "import_conflict",
    "Too many exports are there.",
    "expected at most 20 open files of a kind, got one more; wait until one ends, or cancel one",
)
OUT_OF_RANGE = documented_error(
    "http_error",
    "The range begins behind the end of the file.",
    "expected a range within the 1000 bytes of the file, got one behind; ask for an earlier one",
)
FILE: dict[str, Any] = {
    media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()
}


@router.post(
    "/v1/exports",
    status_code=201,
    summary="Ask for a file",
    responses={**documented([400, 401, 403, 413, 422, 500, 503]), 409: CONFLICT},
)
def create_export(serving: Serving, body: Annotated[ExportBody, Body()], response: Response) -> ExportStatus:
    """The export, whose file is made in the background and kept for a day at most.

    The lists of a file are those of `GET /v1/users/{user_id}/recommendations`. A file with lists is deleted with the
    next erasure, whoever is erased: ask for it again. At most twenty are there at once.
    """
    check_users(body)
    workspace = serving.workspace
    job = ExportJob(
        export_id=secrets.token_hex(ID_BYTES),
        kind=body.kind,
        format=body.format,
        n=body.n,
        erasures=workspace.erasures.count(),
        created_at=workspace.clock(),
    )
    workspace.exports.create(job, json.dumps(body.user_ids).encode())
    response.headers["Location"] = f"/v1/exports/{job.export_id}"
    return status_of(job)


@router.get("/v1/exports/{export_id}", summary="Follow an export", responses=documented([401, 403, 404, 422, 500, 503]))
def show_export(serving: Serving, export_id: ExportId) -> ExportStatus:
    """How far it has come, and the digest of the file once it is there."""
    return status_of(current(serving, export_id))


@router.get(
    "/v1/exports/{export_id}/file",
    summary="Fetch the file of an export",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": FILE},
        206: {"description": "The part of the file that `Range` asked for.", "content": FILE},
        416: OUT_OF_RANGE,
        **documented([401, 403, 404, 422, 500, 503]),
    },
)
def export_file(serving: Serving, export_id: ExportId, byte_range: Range = None) -> Response:
    """The file, or a part of it; 404 while there is none, and for lists once somebody asked to be erased."""
    job = current(serving, export_id)
    if job.state is not ExportState.DONE:
        msg = f"expected an export that is done, got one that is {job.state}; ask for it later, or export again"
        raise NotFoundError(msg)
    content = b"".join(serving.workspace.exports.content(export_id))
    return ranged(
        content, byte_range, name=f"{job.kind}.{job.format}", sha256=job.sha256, media_type=MEDIA_TYPES[job.format]
    )


def ranged(content: bytes, byte_range: str | None, *, name: str, sha256: str, media_type: str) -> Response:
    """The file of this name, or the part of it that is asked for; raises as `wanted`."""
    part = wanted(byte_range, len(content))
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{sha256}"'}
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if part is None:
        return Response(content, media_type=media_type, headers=headers)
    first, last = part
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], status_code=206, media_type=media_type, headers=headers)


@router.delete(
    "/v1/exports/{export_id}", summary="Delete an export", responses=documented([401, 403, 404, 422, 500, 503])
)
def delete_export(serving: Serving, export_id: ExportId) -> ExportStatus:
    """The export at its end, its file deleted; one that has ended keeps its end."""
    current(serving, export_id)
    return status_of(serving.workspace.exports.close(export_id, ExportState.CANCELLED))


def check_users(body: ExportBody) -> None:
    """Nothing, if customers are named where there are to be lists, and only there.

    Raises:
        InputError: they are not.
    """
    if (body.kind is ExportKind.RECOMMENDATIONS) != bool(body.user_ids):
        msg = "expected user_ids for recommendations, and none for the catalogue, got it the other way; see /docs"
        raise InputError(msg)


def current(serving: Services, export_id: str) -> ExportJob:
    """The export as it may be told of now: it is withdrawn once an erasure is asked for, not when it is deleted."""
    job = serving.workspace.exports.job(export_id)
    if job.kind is ExportKind.SUBJECT:  # it takes another scope
        raise no_export()
    if job.is_open and job.is_void(serving.workspace.erasures.count()):
        return replace(job, state=ExportState.WITHDRAWN, size=0, sha256="")
    return job


def wanted(byte_range: str | None, size: int) -> tuple[int, int] | None:
    """The first and the last byte of what is asked for; None if that is the whole file, or no range (RFC 9110, 14.2).

    Raises:
        HTTPException: 416, it begins behind the end.
    """
    found = RANGE.fullmatch(byte_range or "")
    if found is None:
        return None
    first, last = int(found[1]), int(found[2] or size)
    if first >= size or last < first:
        msg = f"expected a range within the {size} bytes of the file, got one behind; ask for an earlier one"
        raise HTTPException(416, msg, headers={"Content-Range": f"bytes */{size}"})
    return first, min(last, size - 1)


def status_of(job: ExportJob) -> ExportStatus:
    """What is shown of an export."""
    return ExportStatus(
        export_id=job.export_id,
        kind=job.kind,
        format=job.format,
        state=job.state,
        created_at=job.created_at,
        size=job.size,
        sha256=job.sha256,
        error=job.error or None,
    )
