"""Files of purchases or items: announced, sent in parts, worked off beside the API, and accounted for row by row."""

import secrets
from typing import Annotated

from fastapi import Body, Header, Path, Response

from api.auth import guarded_router
from api.errors import documented, documented_error
from api.import_schemas import MAX_DECLARED, ImportBody, ImportStatus, status_of
from api.services import Serving
from recsys.data.import_job import ImportJob, ImportReport, ImportState, check_mapping
from recsys.errors import InputError
from recsys.types import Scope

router = guarded_router(Scope.WRITE, tag="imports")

MEBIBYTE = 1 << 20
ID_BYTES = 16

ImportId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The `import_id` of the answer to its creation.")]
Offset = Annotated[
    int, Header(alias="Upload-Offset", ge=0, le=MAX_DECLARED, description="The byte of the file at which it begins.")
]
Part = Annotated[
    bytes, Body(media_type="application/octet-stream", description="At least 4096 bytes, but for the last part.")
]
CONFLICT = documented_error(
    "import_conflict",
    "The import is not where the request takes it to be; it is as it was.",
    "expected the part that begins at byte 1048576, got that at byte 0; go on at 1048576",
)


@router.post(
    "/v1/imports",
    status_code=201,
    summary="Announce a file",
    responses={**documented([400, 401, 403, 413, 422, 500, 503]), 409: CONFLICT},
)
def create_import(serving: Serving, body: Annotated[ImportBody, Body()], response: Response) -> ImportStatus:
    """The import, whose file is to be sent next. At most twenty are open at once; after a day the file is deleted.

    Sent again, it makes another import; one to which no file comes ends by itself.
    """
    check_mapping(body.kind, body.columns)
    check_size(body.size, serving.workspace.settings.import_max_mb)
    job = ImportJob(
        import_id=secrets.token_hex(ID_BYTES),
        **dict(body),
        created_at=serving.workspace.clock(),
        report=ImportReport.empty(),
    )
    serving.workspace.imports.create(job)
    response.headers["Location"] = f"/v1/imports/{job.import_id}"
    return status_of(job)


@router.patch(
    "/v1/imports/{import_id}",
    summary="Send the next part of a file",
    responses={**documented([400, 401, 403, 404, 413, 422, 500, 503]), 409: CONFLICT},
)
def send_part(serving: Serving, import_id: ImportId, offset: Offset, part: Part) -> ImportStatus:
    """The import with the part, which is sealed and on the disk when the answer comes.

    After a lost connection, ask for the import: its `offset` says where to go on. With the last part the rows are
    worked off, in the background and through crashes.
    """
    return status_of(serving.workspace.imports.add_part(import_id, offset, part))


@router.get(
    "/v1/imports/{import_id}",
    summary="Follow an import",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def show_import(serving: Serving, import_id: ImportId) -> ImportStatus:
    """How far it has come, how many rows became what, and the first rows that cannot be used, by their numbers."""
    return status_of(serving.workspace.imports.job(import_id))


@router.delete(
    "/v1/imports/{import_id}",
    summary="Cancel an import",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def cancel_import(serving: Serving, import_id: ImportId) -> ImportStatus:
    """The import at its end, its file deleted. Rows that were taken stay; one that has ended keeps its end."""
    return status_of(serving.workspace.imports.close(import_id, ImportState.CANCELLED))


def check_size(size: int, largest_mb: int) -> None:
    """Nothing, if a file of this size is taken.

    Raises:
        InputError: it is too large.
    """
    if size > largest_mb * MEBIBYTE:
        largest = f"a file of at most {largest_mb} MiB"
        msg = f"expected {largest}, got {size} bytes; split it, or raise PRIVREC_IMPORT_MAX_MB on the server"
        raise InputError(msg)
