"""The registered models, and what each promises."""

from api.auth import guarded_router
from api.errors import documented
from api.schemas import ModelList, ModelSummary
from api.services import Serving
from recsys.types import ModelVersion, Scope

router = guarded_router(Scope.OPERATE, tag="models")


@router.get(
    "/v1/models",
    summary="List the model versions",
    responses=documented([401, 403, 500, 503]),
)
def list_models(serving: Serving) -> ModelList:
    """Every version, oldest first, with its privacy guarantee, and the one that is served."""
    registry = serving.workspace.registry
    return ModelList(live=registry.live(), models=[summary_of(version) for version in registry.versions()])


def summary_of(version: ModelVersion) -> ModelSummary:
    """What is shown of a version."""
    return ModelSummary(
        version=version.version,
        status=version.status,
        trainer=version.trainer,
        created_at=version.created_at,
        privacy=dict(version.privacy),
        metrics=dict(version.metrics),
    )
