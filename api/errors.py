"""One envelope for everything that goes wrong, whoever noticed it: a route, the framework or a store."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from traceback import walk_tb
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from api.schemas import ErrorBody, ErrorEnvelope
from recsys.errors import (
    ErasureConflictError,
    EventConflictError,
    ImportConflictError,
    InputError,
    NotFoundError,
    PrivacyError,
    PrivrecError,
    StateError,
    VersionConflictError,
)


class Rule(NamedTuple):
    """How one kind of error is answered."""

    kind: type[PrivrecError]
    status: int
    code: str


RULES = (
    Rule(EventConflictError, 409, "event_conflict"),
    Rule(InputError, 422, "invalid_input"),
    Rule(PrivacyError, 409, "privacy_refused"),
    Rule(NotFoundError, 404, "not_found"),
    Rule(VersionConflictError, 409, "version_conflict"),
    Rule(ImportConflictError, 409, "import_conflict"),
    Rule(ErasureConflictError, 409, "erasure_conflict"),
    Rule(StateError, 503, "unavailable"),
    Rule(PrivrecError, 500, "internal"),
)
"""From the special to the general: the first rule that fits answers."""

CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "version_conflict",
    413: "too_large",
    422: "invalid_input",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
}
"""The code of a status where no rule gives another."""

MESSAGES = {
    400: "expected a body of JSON in UTF-8, got bytes that do not read as that; correct the body and send it again",
    404: "expected a path of this API, got another one; see /docs",
    405: "expected a method that this path has, got another one; the header Allow names them",
    500: "expected to answer, got a fault inside the service; give the operator the request_id",
    503: "expected the stores to answer, got one that does not; send the request again later, it is safe to repeat",
}
"""What is said where the framework has only a phrase, or where the cause is the operator's to know."""

UNAUTHENTICATED = (
    "expected an API key that is known, got none or another; send `Authorization: Bearer KEY` (see `privrec keys`)"
)
EXAMPLES = {
    400: ("The body is no JSON in UTF-8.", MESSAGES[400]),
    401: ("No key, or one that is not known.", UNAUTHENTICATED),
    403: (
        "The key is known and has another scope.",
        "expected an API key with scope write, got one without; use another key",
    ),
    404: ("There is no such thing.", "expected a known id, got another; check the id"),
    409: (
        "The version may not be published or made live; the live one stays.",
        "expected a version whose lists are ready for 95% of the customers, got 20%; publish it first, or promote now",
    ),
    413: ("The body is larger than 1 MiB.", "expected a body of at most 1048576 bytes, got more; send smaller batches"),
    422: (
        "The input cannot be used; nothing was changed.",
        "expected n from 1 to 100, got 0; ask for fewer or more items",
    ),
    429: (
        "The key asked too often; the header Retry-After says how many seconds to wait.",
        "expected at most 1000 requests a second with one key, got more; wait as Retry-After says",
    ),
    500: ("A fault inside the service.", MESSAGES[500]),
    503: ("A store does not answer.", MESSAGES[503]),
}
"""What the documentation says of each status: a description and a message."""

LOCATION_LIMIT = 100
"""A field's name is the sender's text: this much of it is enough to find it again."""


def error_response(
    request: Request, status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The envelope as a response; its code is noted for the request log."""
    request.state.error_code = code or CODES.get(status, "http_error")
    body = ErrorBody(code=request.state.error_code, message=message, request_id=request.state.request_id)
    quiet = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(ErrorEnvelope(error=body).model_dump(), status_code=status, headers=quiet)


def internal_error(request: Request, error: BaseException) -> JSONResponse:
    """The answer to an error that nobody expected: the client learns nothing, the log learns where."""
    request.state.failure = describe(error)
    return error_response(request, 500, MESSAGES[500])


def describe(error: BaseException) -> dict[str, str | list[str]]:
    """The types of an error and its cause, and the last frames it passed.

    Never a value: it could be a customer's id.
    """
    cause = error.__cause__ or error.__context__
    frames = [f"{frame.f_globals.get('__name__', '?')}:{line}" for frame, line in walk_tb(error.__traceback__)]
    return {
        "error": type(error).__name__,
        "cause": type(cause).__name__ if cause else "",
        "trace": frames[-5:],
    }


def explain(errors: Sequence[Any]) -> str:
    """What the first fault that pydantic found is, and where, without what was sent."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"])[:LOCATION_LIMIT] or "the row"
    fault = str(first["msg"]).removeprefix("Value error, ")
    return f"expected the documented form, got a fault in {where}: {fault}; correct it and send it again (see /docs)"


# Starlette hands every handler a plain Exception; each is registered for the type that it narrows to.
async def on_privrec_error(request: Request, error: Exception) -> JSONResponse:
    """The answer to an error of privrec: its own message if the caller can act on it, a general one if not."""
    rule = next(rule for rule in RULES if isinstance(error, rule.kind))
    if rule.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return error_response(request, rule.status, str(error), code=rule.code)
    request.state.failure = describe(error)
    return error_response(request, rule.status, MESSAGES[rule.status], code=rule.code)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """The answer to an error of the framework or of a guard."""
    status = getattr(error, "status_code", 500)
    detail = str(getattr(error, "detail", ""))
    own_words = status in MESSAGES and (status == HTTPStatus.BAD_REQUEST or detail == HTTPStatus(status).phrase)
    message = MESSAGES[status] if own_words else detail
    headers: Mapping[str, str] | None = getattr(error, "headers", None)
    if status == HTTPStatus.METHOD_NOT_ALLOWED and headers:
        headers = {**headers, "Allow": allowed_methods(request, named=headers["Allow"])}
    return error_response(request, status, message, headers=headers)


def allowed_methods(request: Request, *, named: str) -> str:
    """The methods of the request's path, in order.

    The framework names those of one route alone, `named`, and a path has a route for each method.
    """
    template = getattr(request.scope.get("route"), "path_format", None)
    routes = (found for found in iter_route_contexts(request.app.routes) if template)
    methods = (found.methods or () for found in routes if found.path_format == template)
    return ", ".join(sorted(set(named.split(", ")).union(*methods)))


async def on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """The answer to parameters or a body of another form than documented."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return error_response(request, 422, explain(faults))


def install_handlers(app: FastAPI) -> None:
    """Answer every error inside the routes in the envelope."""
    app.add_exception_handler(PrivrecError, on_privrec_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)


def documented(statuses: Iterable[int]) -> dict[int | str, dict[str, Any]]:
    """The entries of OpenAPI for these statuses, each with an example."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    description, message = EXAMPLES[status]
    return documented_error(CODES[status], description, message)


def documented_error(code: str, description: str, message: str) -> dict[str, Any]:
    """The entry of OpenAPI for one error, with an example."""
    error = {"code": code, "message": message, "request_id": "9f86d081884c7d659a2feaa0c55ad015"}
    return {
        "model": ErrorEnvelope,
        "description": description,
        "content": {"application/json": {"example": {"error": error}}},
    }
