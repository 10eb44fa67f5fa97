"""The rights of a customer beside erasure: access, objection, restriction, rectification; and accounts that merge."""

import hashlib
from typing import Annotated, Any

from fastapi import Body, Path, Response

from api.auth import guarded_router
from api.errors import documented
from api.paths import USER_PATH
from api.routes.exports import CONFLICT, OUT_OF_RANGE, ExportId, Range, ranged
from api.rows import count_statuses
from api.services import Services, Serving
from api.subject_schemas import (
    CorrectionBody,
    CorrectionResult,
    CorrectionResults,
    CorrectionRow,
    HeldSummary,
    LimitStatus,
    MergeAnswer,
    MergeBody,
    SubjectFile,
)
from recsys.data.corrections import CorrectionStatus
from recsys.data.export_job import ExportKind
from recsys.data.subject_request import SubjectKind
from recsys.rights.desk import Wanted
from recsys.rights.holding import gather
from recsys.rights.purposes import legal_basis
from recsys.types import Scope

router = guarded_router(Scope.RIGHTS, tag="rights")

UserId = Annotated[str, Path(description="The shop's own id: at most 256 bytes in UTF-8, without control characters.")]
ZIP: dict[str, Any] = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
ERRORS = documented([401, 403, 422, 500, 503])


@router.put(f"{USER_PATH}/objection", summary="Object to profiling", responses=ERRORS)
def object_to_profiling(serving: Serving, user_id: UserId) -> LimitStatus:
    """Popular items only from now on, as for a stranger, and no training with the customer; the history is kept."""
    return limited(serving, user_id, SubjectKind.OBJECTION)


@router.delete(f"{USER_PATH}/objection", summary="Take an objection back", responses=ERRORS)
def take_objection_back(serving: Serving, user_id: UserId) -> LimitStatus:
    """Personal lists again at once, and a part in models from the next training on."""
    return lifted(serving, user_id, SubjectKind.OBJECTION)


@router.put(f"{USER_PATH}/restriction", summary="Restrict the processing", responses=ERRORS)
def restrict(serving: Serving, user_id: UserId) -> LimitStatus:
    """What is held is kept and not used: as an objection, and purchases are neither taken in nor corrected."""
    return limited(serving, user_id, SubjectKind.RESTRICTION)


@router.delete(f"{USER_PATH}/restriction", summary="Lift a restriction", responses=ERRORS)
def lift_restriction(serving: Serving, user_id: UserId) -> LimitStatus:
    """Used again at once; purchases that came meanwhile were refused: post them again."""
    return lifted(serving, user_id, SubjectKind.RESTRICTION)


@router.patch(
    f"{USER_PATH}/purchases", summary="Correct purchases", responses=documented([400, 401, 403, 413, 422, 500, 503])
)
def rectify(serving: Serving, user_id: UserId, body: Annotated[CorrectionBody, Body()]) -> CorrectionResults:
    """One result a correction, in the order they were sent; the next list goes by the corrected history.

    Exact sums that the purchases are in, and the models that are a function of them, follow within seconds. Of a
    customer who is unknown or was erased, every purchase is `unknown`.
    """
    statuses = serving.subject_desk.rectify(user_id, [wanted(row) for row in body.corrections])
    pairs = zip(body.corrections, statuses, strict=True)
    results = [CorrectionResult(event_id=row.event_id, status=status) for row, status in pairs]
    return CorrectionResults(results=results, counts=count_statuses(CorrectionStatus, statuses))


@router.post(
    "/v1/subjects/merge", summary="Merge two accounts", responses=documented([400, 401, 403, 413, 422, 500, 503])
)
def merge_accounts(serving: Serving, body: Annotated[MergeBody, Body()]) -> MergeAnswer:
    """The purchases of the first account are the second's from now on, and so is an objection of the first.

    Exact sums that both are in, and the models that are a function of them, follow within seconds. Of who was erased
    nothing is taken along or taken in, and the answer is that for somebody unknown. What is sent under the first id
    afterwards is a new customer's; an erasure of the second erases the first id, too.
    """
    return MergeAnswer(status=serving.subject_desk.merge(body.user_id, body.into_user_id))


@router.get(f"{USER_PATH}/held", summary="Show what is held of a customer", responses=ERRORS)
def show_held(serving: Serving, user_id: UserId) -> HeldSummary:
    """How much of what is held, and what for: numbers and dates. Nothing tells a stranger from who was erased."""
    workspace = serving.workspace
    held = gather(workspace, workspace.keys, workspace.keys.user_key(user_id))
    with_lists = [job for job in workspace.exports.lying() if job.kind is ExportKind.RECOMMENDATIONS]
    basis = legal_basis(workspace.settings.legal_basis)
    return HeldSummary.model_validate({**held.summary(), "legal_basis": basis, "exports_with_lists": len(with_lists)})


@router.post(
    f"{USER_PATH}/exports",
    status_code=201,
    summary="Ask for everything held of a customer",
    responses={**documented([401, 403, 422, 500, 503]), 409: CONFLICT},
)
def ask_for_file(serving: Serving, user_id: UserId, response: Response) -> SubjectFile:
    """The file that answers access and portability, made in the background: a zip of JSON, CSV and a README.

    It lies sealed for a week at most, and goes with the customer's erasure.
    """
    job = serving.subject_files.ask(user_id)
    response.headers["Location"] = f"/v1/subject-exports/{job.export_id}"
    return SubjectFile.model_validate(job)


@router.get(
    "/v1/subject-exports/{export_id}",
    summary="Follow a file of one customer",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def follow_file(serving: Serving, export_id: ExportId) -> SubjectFile:
    """How far it has come, and the digest of the file once it is there."""
    return SubjectFile.model_validate(serving.subject_files.job(export_id))


@router.get(
    "/v1/subject-exports/{export_id}/file",
    summary="Fetch a file of one customer",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": ZIP},
        206: {"description": "The part of the file that `Range` asked for.", "content": ZIP},
        416: OUT_OF_RANGE,
        **documented([401, 403, 404, 422, 500, 503]),
    },
)
def fetch_file(serving: Serving, export_id: ExportId, byte_range: Range = None) -> Response:
    """The file, or a part of it; 404 while there is none, and once the customer asked to be erased."""
    content = serving.subject_files.content(export_id)
    sha256 = hashlib.sha256(content).hexdigest()
    return ranged(content, byte_range, name="subject.zip", sha256=sha256, media_type="application/zip")


@router.delete(
    "/v1/subject-exports/{export_id}",
    summary="Delete a file of one customer",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def delete_file(serving: Serving, export_id: ExportId) -> SubjectFile:
    """The file at its end, deleted; one that has ended keeps its end."""
    return SubjectFile.model_validate(serving.subject_files.delete(export_id))


def limited(serving: Services, user_id: str, kind: SubjectKind) -> LimitStatus:
    """The status once it is acknowledged, in every process."""
    serving.subject_desk.limit(user_id, kind)
    return LimitStatus(kind=kind, in_force=True)


def lifted(serving: Services, user_id: str, kind: SubjectKind) -> LimitStatus:
    """The status once it is taken back."""
    serving.subject_desk.lift(user_id, kind)
    return LimitStatus(kind=kind, in_force=False)


def wanted(row: CorrectionRow) -> Wanted:
    """The correction as the desk takes it."""
    return Wanted(
        event_id=row.event_id, delete=row.delete, item_id=row.item_id, timestamp=row.timestamp, quantity=row.quantity
    )
