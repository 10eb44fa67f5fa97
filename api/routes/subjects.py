"""The rights of a customer beside erasure: objection, restriction, rectification."""

from typing import Annotated

from fastapi import Body, Path

from api.auth import guarded_router
from api.errors import documented
from api.paths import USER_PATH
from api.rows import count_statuses
from api.services import Services, Serving
from api.subject_schemas import CorrectionBody, CorrectionResult, CorrectionResults, CorrectionRow, LimitStatus
from recsys.data.corrections import CorrectionStatus
from recsys.data.subject_request import SubjectKind
from recsys.rights.desk import Wanted
from recsys.types import Scope

router = guarded_router(Scope.RIGHTS, tag="rights")

UserId = Annotated[str, Path(description="The shop's own id: at most 256 bytes in UTF-8, without control characters.")]
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
