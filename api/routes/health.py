"""What a load balancer and an orchestrator ask; no key is needed, and nothing about customers is said."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from api import checks
from api.errors import documented
from api.schemas import Check, Liveness, Readiness, Startup
from api.services import Serving

router = APIRouter(tags=["health"])


def refused(model: type[Any], description: str) -> dict[int | str, dict[str, Any]]:
    """The entries of OpenAPI for a process that says no."""
    return {**documented([500]), 503: {"model": model, "description": description}}


@router.get("/health/live", summary="Is the process alive", responses=documented([500]))
def live() -> Liveness:
    """Always `{"live": true}`: the process answers. If it does not, restart it."""
    return Liveness()


@router.get(
    "/health/startup",
    summary="Has the process started",
    responses=refused(Startup, "Not yet: the checks say what is missing."),
)
def startup(serving: Serving, response: Response) -> Startup:
    """200 once the database answers with the right schema and the live model, if there is one, is loaded."""
    found = checks.startup(serving)
    answer = Startup(started=serves(found), checks=shown(found))
    response.status_code = 200 if answer.started else 503
    return answer


@router.get(
    "/health/ready",
    summary="Can recommendations be served",
    responses=refused(Readiness, "Not ready: the checks say which part is missing."),
)
def ready(serving: Serving, request: Request, response: Response) -> Readiness:
    """200 if requests should be sent here; 503 also from the moment on that the process was told to stop.

    Without a certified cache answers are slower, not wrong: still 200, and the check says `degraded`.
    """
    found = checks.readiness(serving, request.app.state.drain)
    answer = Readiness(ready=serves(found), checks=shown(found))
    response.status_code = 200 if answer.ready else 503
    return answer


def serves(found: Mapping[str, checks.Finding]) -> bool:
    """Whether no part stands in the way."""
    return all(finding.serves for finding in found.values())


def shown(found: Mapping[str, checks.Finding]) -> dict[str, Check]:
    """The findings as they are answered."""
    return {name: Check(state=finding.state, says=finding.says) for name, finding in found.items()}
