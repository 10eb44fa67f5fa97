"""Two versions that are compared on the customers."""

from api.auth import guarded_router
from api.errors import documented
from api.experiment_schemas import ExperimentBody, ExperimentStatus
from api.routes.models import share_of
from api.services import Serving
from recsys.erasure.promotion import begin
from recsys.serving.experiments import new_experiment
from recsys.store.workspace import Workspace
from recsys.types import Scope

router = guarded_router(Scope.OPERATE, tag="experiments")


@router.get(
    "/v1/experiment",
    summary="Show the experiment that runs",
    responses=documented([401, 403, 500, 503]),
)
def show_experiment(serving: Serving) -> ExperimentStatus:
    """The experiment, or null where everybody gets the live version."""
    return status_of(serving.workspace)


@router.put(
    "/v1/experiment",
    summary="Show a second version to a share of the customers",
    responses=documented([400, 401, 403, 404, 409, 413, 422, 500, 503]),
)
def start_experiment(body: ExperimentBody, serving: Serving) -> ExperimentStatus:
    """The share of the customers gets the version, and everybody else the live one, until it is stopped.

    A customer stays in one arm; `version` in the answers says which. The version's lists must be ready: publish it
    first. Sent again, the request changes nothing; for another share stop the experiment, and start it with its salt.
    It ends when a version is promoted, and when a customer of one of its versions is erased.
    """
    workspace = serving.workspace
    experiment = new_experiment(
        body.name, body.version, body.share, salt=body.salt, running=workspace.registry.served().experiment
    )
    begin(experiment, workspace, published=lambda: share_of(serving.recommender.published(body.version)))
    return status_of(workspace)


@router.delete(
    "/v1/experiment",
    summary="Stop the experiment",
    responses=documented([401, 403, 500, 503]),
)
def stop_experiment(serving: Serving) -> ExperimentStatus:
    """Everybody gets the live version; the other one stays published. To give it to everybody, promote it."""
    serving.workspace.registry.end()
    return status_of(serving.workspace)


def status_of(workspace: Workspace) -> ExperimentStatus:
    """What is shown of the experiment that runs."""
    return ExperimentStatus.model_validate(workspace.registry.served())
