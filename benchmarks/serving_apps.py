"""What the hot path is measured against: a route that returns a constant, and the route as it is usually written."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import HTTPException
from redis.asyncio import Redis
from starlette.types import ASGIApp, Receive, Scope, Send

from api.schemas import RecommendationList

ROUTE = "/v1/users/{user_id}/recommendations"
ANSWER = "BENCH_ANSWER_FILE"
"""The variable that names a file with one answer."""
REFERENCE = "reference:"
"""Where the answers of the idiomatic route lie, in the clear."""


def constant() -> FastAPI:
    """A route that returns bytes that are there already: nothing is checked, read or encoded."""
    app, body = FastAPI(), Path(os.environ[ANSWER]).read_bytes()

    @app.get(ROUTE)
    async def recommend(user_id: str) -> Response:  # noqa: ARG001 - part of the path
        return Response(body, media_type="application/json")

    return app


def encoded() -> FastAPI:
    """A route that returns the same answer as a constant dictionary, which the framework encodes."""
    app, answer = FastAPI(), json.loads(Path(os.environ[ANSWER]).read_bytes())

    @app.get(ROUTE)
    async def recommend(user_id: str) -> dict[str, Any]:  # noqa: ARG001 - part of the path
        return answer

    return app


def bare() -> ASGIApp:
    """The same bytes without a framework: what the server itself costs."""
    body = Path(os.environ[ANSWER]).read_bytes()
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await _live(receive, send)

    return application


async def _live(receive: Receive, send: Send) -> None:
    """Say yes to the start and the end of the server."""
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


def idiomatic() -> FastAPI:
    """FastAPI with redis.asyncio and a response model, as the tutorials have it: no key, no limit, no secrecy."""
    app = FastAPI()
    app.state.redis = Redis.from_url(os.environ["PRIVREC_REDIS_URL"])

    @app.get(ROUTE)
    async def recommend(user_id: str, redis: Annotated[Redis, Depends(redis_of)]) -> RecommendationList:
        found = await redis.get(REFERENCE + user_id)
        if found is None:
            raise HTTPException(404)
        return RecommendationList.model_validate_json(found)

    return app


async def redis_of(request: Request) -> Redis:
    """The client of the application."""
    redis: Redis = request.app.state.redis
    return redis
