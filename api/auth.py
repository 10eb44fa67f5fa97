"""API keys: who may ask for what. The key is looked at before the body is read."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api.errors import UNAUTHENTICATED
from recsys.ports import ApiKeys
from recsys.types import Scope

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def secret_of(headers: Mapping[str, str]) -> str:
    """The secret that came in `Authorization: Bearer` or `X-API-Key`; empty if none did."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("X-API-Key", "")


def authorize(api_keys: ApiKeys, headers: Mapping[str, str], scope: Scope) -> None:
    """Return if the request holds a key with the scope.

    Raises:
        HTTPException: 401 without a known key, 403 if the key is known and lacks the scope.
    """
    secret = secret_of(headers)
    key = api_keys.authenticate(secret) if secret else None
    if key is None:
        raise HTTPException(401, UNAUTHENTICATED, headers={"WWW-Authenticate": "Bearer"})
    if scope not in key.scopes:
        msg = f"expected an API key with scope {scope}, got one without; use a key that has it (see `privrec keys`)"
        raise HTTPException(403, msg)


def guarded_route(scope: Scope) -> type[APIRoute]:
    """A route class that asks for a key with the scope first, and keeps answers out of every shared cache.

    A dependency would be too late: the framework parses the body before it solves dependencies, so that strangers could
    make it parse.
    """

    class GuardedRoute(APIRoute):
        """A route behind a key."""

        def get_route_handler(self) -> Handler:
            """The handler of the route, behind the guard."""
            return guard(super().get_route_handler(), scope)

    return GuardedRoute


def guard(handle: Handler, scope: Scope) -> Handler:
    """The handler, run only for requests with a key of the scope."""

    async def guarded(request: Request) -> Response:
        api_keys: ApiKeys = request.app.state.services.workspace.api_keys
        await run_in_threadpool(authorize, api_keys, request.headers, scope)
        response = await handle(request)
        response.headers["Cache-Control"] = "private, no-store"
        return response

    return guarded


def guarded_router(scope: Scope, *, tag: str) -> APIRouter:
    """A router whose routes need a key with the scope; OpenAPI shows both headers as alternatives."""
    bearer = HTTPBearer(
        auto_error=False, scheme_name="bearer", description="The secret that `privrec keys` showed once."
    )
    header = APIKeyHeader(
        name="X-API-Key", auto_error=False, scheme_name="header", description="The same, without a scheme."
    )
    return APIRouter(route_class=guarded_route(scope), dependencies=[Security(bearer), Security(header)], tags=[tag])
