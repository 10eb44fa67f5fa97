"""The registered models, what each promises, and which one is served."""

from enum import StrEnum
from typing import Annotated

from fastapi import Path, Query

from api.auth import guarded_router
from api.errors import documented
from api.schemas import ModelComparison, ModelDetail, ModelList, ModelSummary
from api.services import Services, Serving
from recsys.erasure.promotion import promote, refuse_erased, warm
from recsys.errors import NotFoundError
from recsys.serving.publisher import Published
from recsys.serving.shadow import LARGEST_SAMPLE, SAMPLE, shadow
from recsys.types import ModelVersion, Scope, Task

router = guarded_router(Scope.OPERATE, tag="models")

Version = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="As in the list of versions.")]


class When(StrEnum):
    """When a version is made live."""

    WARM = "warm"
    NOW = "now"


@router.get(
    "/v1/models",
    summary="List the model versions",
    responses=documented([401, 403, 500, 503]),
)
def list_models(serving: Serving) -> ModelList:
    """Every version, oldest first, with its privacy guarantee, and the one that is served."""
    registry = serving.workspace.registry
    return ModelList(live=registry.live(), models=[summary_of(version) for version in registry.versions()])


@router.get(
    "/v1/models/{version}",
    summary="Show a model version",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def show_model(version: Version, serving: Serving) -> ModelDetail:
    """A version with its privacy guarantee, and of how many customers its lists are ready."""
    return detail_of(version, serving)


@router.post(
    "/v1/models/{version}/publish",
    summary="Compute every customer's lists with a version",
    responses=documented([401, 403, 404, 409, 422, 500, 503]),
)
def publish_model(version: Version, serving: Serving) -> ModelDetail:
    """Returns when the lists are ready, beside those of the live version, which is served all the while.

    It takes a slot of the cache from the version that is not live. Cut off at any moment, it is sent again: lists that
    are ready are not computed twice.
    """
    workspace = serving.workspace
    warm(version, workspace)
    serving.recommender.publish(version=version)
    return detail_of(version, serving)


@router.post(
    "/v1/models/{version}/promote",
    summary="Make a version live, or roll back to one",
    responses=documented([401, 403, 404, 409, 422, 500, 503]),
)
def promote_model(
    version: Version,
    serving: Serving,
    when: Annotated[When, Query(description="warm: only if its lists are ready. now: whether they are or not.")] = (
        When.WARM
    ),
) -> ModelDetail:
    """The version that is live from now on; processes that serve from the cache follow within a second.

    Rolling back is promoting the version before, whose lists are ready still. A version that was made with a customer
    who was erased since is refused: promote a later one, or train again.
    """
    workspace = serving.workspace
    known = {} if when is When.NOW else {"published": lambda: share_of(serving.recommender.published(version))}
    promote(version, workspace, **known)
    return detail_of(version, serving)


@router.post(
    "/v1/models/{version}/shadow",
    summary="Compare a version with the live one, and show it to nobody",
    responses=documented([401, 403, 404, 409, 422, 500, 503]),
)
def shadow_model(
    version: Version,
    serving: Serving,
    customers: Annotated[
        int, Query(ge=1, le=LARGEST_SAMPLE, description="How many customers are in the sample at most.")
    ] = SAMPLE,
    task: Annotated[Task, Query(description="Of which lists. Own repeats are the same in both versions' `any`.")] = (
        Task.ANY
    ),
) -> ModelComparison:
    """Both lists of a sample of the customers, computed beside each other and counted; nothing is kept.

    The version needs neither be published nor have a slot. The numbers are exact, and for the operator alone.
    """
    workspace = serving.workspace
    refuse_erased(version, workspace)
    found = shadow(
        version,
        customers,
        task=task,
        registry=workspace.registry,
        histories=workspace.histories,
        catalogue=workspace.catalogue,
    )
    return ModelComparison.model_validate(found)


def share_of(found: Published | None) -> float:
    """The share of customers whose lists are ready; where there is no cache, none has to be."""
    return 1.0 if found is None else found.share


def detail_of(version: str, serving: Services) -> ModelDetail:
    """What is shown of one version."""
    described = [each for each in serving.workspace.registry.versions() if each.version == version]
    if not described:
        msg = "expected the name of a model version, got one that there is none of; list them: GET /v1/models"
        raise NotFoundError(msg)
    found = serving.recommender.published(version)
    return ModelDetail(
        **summary_of(described[0]).model_dump(),
        customers=found.customers if found else None,
        published=found.ready if found else None,
    )


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
