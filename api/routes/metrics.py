"""What Prometheus scrapes."""

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth import guarded_router
from api.errors import documented
from api.services import Serving
from recsys.types import Scope

router = guarded_router(Scope.METRICS, tag="metrics")


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Every metric in the text form of Prometheus.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": "privrec_lease_held 1.0\n"}},
        },
        **documented([401, 403, 500, 503]),
    },
)
def read_metrics(serving: Serving, request: Request) -> Response:
    """Requests of this process by route, and the state of cache, erasures, model and privacy budget.

    No label holds anything of a customer. Counts of erasures are exact: internal, not private.
    """
    text = request.app.state.metrics.exposition(serving, request.app.hot)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
