"""The log of receipts, for whoever checks that the shop forgets nobody's erasure and shows everybody the same log.

It has a scope of its own: an auditor's key opens nothing else, and the shop decides who learns how many erasures there
were. To publish the log, put a proxy with such a key in front of these three routes.
"""

from typing import Annotated, Any

from fastapi import Query, Response

from api.auth import guarded_router
from api.errors import documented
from api.log_schemas import LogConsistency, LogInclusion
from api.services import Serving
from recsys.erasure.receipt_log import consistency, inclusion, latest_checkpoint
from recsys.types import Scope

router = guarded_router(Scope.AUDIT, tag="log")

ERRORS = [401, 403, 404, 422, 500, 503]
EXAMPLE = (
    "privrec/erasures/0123456789abcdef\n2\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— privrec/erasures/0123456789abcdef "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
CHECKPOINT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A signed note (C2SP tlog-checkpoint): origin, size, root. Keep it, and ask for proofs from it.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE}},
    }
}


@router.get(
    "/v1/log/checkpoint",
    summary="The latest checkpoint of the log of receipts",
    response_class=Response,
    responses={**CHECKPOINT, **documented([401, 403, 500, 503])},
)
def log_checkpoint(serving: Serving) -> Response:
    """How many receipts there are and the root of the tree over them, signed; `privrec verify` checks it offline."""
    workspace = serving.workspace
    return Response(latest_checkpoint(workspace.receipt_log, workspace.signing_key), media_type="text/plain")


@router.get(
    "/v1/log/consistency",
    summary="Prove that the log only grew",
    responses=documented(ERRORS),
)
def log_consistency(
    serving: Serving,
    old: Annotated[int, Query(alias="from", ge=0, description="The size of the checkpoint that you kept.")],
    new: Annotated[int | None, Query(alias="to", ge=0, description="By default that of the latest checkpoint.")] = None,
) -> LogConsistency:
    """The proof that what was in the log of one size is in that of another, at the same place."""
    return LogConsistency.model_validate(consistency(serving.workspace.receipt_log, old, new))


@router.get(
    "/v1/log/inclusion",
    summary="Prove that a receipt is in the log",
    responses=documented(ERRORS),
)
def log_inclusion(
    serving: Serving,
    index: Annotated[int, Query(ge=0, description="As in the receipt.")],
    size: Annotated[int | None, Query(ge=0, description="By default that of the latest checkpoint.")] = None,
) -> LogInclusion:
    """The proof that the receipt with this index is in the log of this size."""
    return LogInclusion.model_validate(inclusion(serving.workspace.receipt_log, index, size))
