"""API keys: who may ask for what. The key is looked at before the body is read."""

from collections.abc import Callable, Coroutine, Mapping
from math import ceil
from typing import Any

from fastapi import APIRouter, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api.errors import UNAUTHENTICATED, documented
from api.known_keys import KnownKeys
from api.rate_limit import TokenBuckets
from api.services import Services
from recsys.types import ApiKey, Scope

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def secret_of(headers: Mapping[str, str]) -> str:
    """The secret that came in `Authorization: Bearer` or `X-API-Key`; empty if none did."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("X-API-Key", "")


def authorize(known_keys: KnownKeys, headers: Mapping[str, str], scope: Scope) -> ApiKey:
    """The key that the request holds, which has the scope.

    Raises:
        HTTPException: 401 without a known key, 403 if the key is known and lacks the scope.
    """
    secret = secret_of(headers)
    key = known_keys.look_up(secret) if secret else None
    if key is None:
        raise HTTPException(401, UNAUTHENTICATED, headers={"WWW-Authenticate": "Bearer"})
    if scope not in key.scopes:
        msg = f"expected an API key with scope {scope}, got one without; use a key that has it (see `privrec keys`)"
        raise HTTPException(403, msg)
    return key


def spend_token(buckets: TokenBuckets, key: ApiKey) -> None:
    """Return if the key may ask once more.

    Raises:
        HTTPException: 429 if it asked too often.
    """
    if seconds := buckets.take(key.key_id):
        msg = f"expected at most {buckets.rate:g} requests a second with one key, got more; wait as Retry-After says"
        raise HTTPException(429, msg, headers={"Retry-After": str(ceil(seconds))})


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
    """The handler, run only for requests with a key of the scope that did not ask too often."""

    async def guarded(request: Request) -> Response:
        await admit(request, request.app.state.services, scope)
        response = await handle(request)
        response.headers["Cache-Control"] = "private, no-store"
        return response

    return guarded


async def admit(request: Request, services: Services, scope: Scope) -> None:
    """Return if the request may go on; raises as `authorize` and `spend_token`."""
    key = await run_in_threadpool(authorize, services.known_keys, request.headers, scope)
    if not getattr(request.state, "token_taken", False):  # the fast path took it, and found no finished answer
        spend_token(services.buckets, key)


def guarded_router(scope: Scope, *, tag: str) -> APIRouter:
    """A router whose routes need a key with the scope; OpenAPI shows both headers as alternatives."""
    bearer = HTTPBearer(
        auto_error=False, scheme_name="bearer", description="The secret that `privrec keys` showed once."
    )
    header = APIKeyHeader(
        name="X-API-Key", auto_error=False, scheme_name="header", description="The same, without a scheme."
    )
    return APIRouter(
        route_class=guarded_route(scope),
        dependencies=[Security(bearer), Security(header)],
        tags=[tag],
        responses=documented([429]),
    )
