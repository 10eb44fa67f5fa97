"""What a load balancer asks; no key is needed, and nothing about customers is said."""

from collections.abc import Callable

from fastapi import APIRouter, Response

from api.errors import documented
from api.schemas import Liveness, Readiness
from api.services import Serving
from recsys.errors import NotFoundError
from recsys.ports import Registry
from recsys.store.workspace import Workspace
from recsys.types import UserKey

router = APIRouter(tags=["health"])

NOBODY = UserKey(bytes(16))
"""A key that no customer has: asking for it touches the database and no one's data."""


@router.get("/health/live", summary="Is the process alive", responses=documented([500]))
def live() -> Liveness:
    """Always `{"live": true}`: the process answers."""
    return Liveness()


@router.get(
    "/health/ready",
    summary="Can recommendations be served",
    responses={
        **documented([500]),
        503: {"model": Readiness, "description": "Not ready: the checks say which part is missing."},
    },
)
def ready(serving: Serving, response: Response) -> Readiness:
    """200 if the database answers and a model is live. Without the cache answers are slower, not wrong: still 200."""
    checks = check(serving.workspace)
    answer = Readiness(ready=checks["database"] == checks["model"] == "ok", checks=checks)
    response.status_code = 200 if answer.ready else 503
    return answer


def check(workspace: Workspace) -> dict[str, str]:
    """What each part says of itself."""
    return {
        "database": "ok" if answers(lambda: workspace.histories.state(NOBODY)) else "down",
        "model": "ok" if answers(lambda: live_version(workspace.registry)) else "none",
        "cache": "ok" if answers(workspace.cache.ping) else "degraded",
    }


def live_version(registry: Registry) -> str:
    """The version that is served.

    Raises:
        NotFoundError: no version is live.
    """
    version = registry.live()
    if version is None:
        msg = "expected a live model, got none; train one first: privrec train"
        raise NotFoundError(msg)
    return version


def answers(probe: Callable[[], object]) -> bool:
    """Whether the probe returns."""
    try:
        probe()
    except Exception:  # noqa: BLE001 - whatever the reason is, the part does not answer
        return False
    return True
