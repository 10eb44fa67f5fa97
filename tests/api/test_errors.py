from collections.abc import Iterator

import pytest

import recsys.errors
from api.app import MAX_BODY_BYTES
from recsys.errors import PrivrecError
from recsys.types import Scope
from tests.api.shop import Broken, Shop, event

INTERNAL = "sqlite:////srv/secret/place"
STATUS = {
    "PrivrecError": (500, "internal"),
    "InputError": (422, "invalid_input"),
    "EventConflictError": (409, "event_conflict"),
    "PrivacyError": (409, "privacy_refused"),
    "PrivacyParameterError": (409, "privacy_refused"),
    "BudgetExceededError": (409, "privacy_refused"),
    "StateError": (503, "unavailable"),
    "VersionConflictError": (409, "version_conflict"),
    "ImportConflictError": (409, "import_conflict"),
    "ErasureConflictError": (409, "erasure_conflict"),
    "StateLockedError": (503, "unavailable"),
    "ArtifactError": (503, "unavailable"),
    "LedgerTamperedError": (503, "unavailable"),
    "StorageError": (503, "unavailable"),
    "CacheUnavailableError": (503, "unavailable"),
    "DeliveryError": (503, "unavailable"),
    "VerificationError": (500, "internal"),
    "NotFoundError": (404, "not_found"),
}


def tree(kind: type[PrivrecError]) -> Iterator[type[PrivrecError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def test_every_error_of_the_tree_has_its_status() -> None:
    assert {kind.__name__ for kind in tree(PrivrecError) if kind.__module__ == "recsys.errors"} == STATUS.keys()


@pytest.mark.parametrize("name", STATUS)
def test_an_error_of_privrec_is_told_if_the_caller_can_act_on_it(shop: Shop, name: str) -> None:
    error = getattr(recsys.errors, name)(INTERNAL)
    response = shop.with_port(registry=Broken(error)).get("/v1/models", Scope.OPERATE)
    body = response.json()["error"]

    assert (response.status_code, body["code"]) == STATUS[name]
    assert (body["message"] == INTERNAL) is (response.status_code < 500)
    assert response.status_code < 500 or INTERNAL not in response.text


def test_an_error_that_nobody_expected_says_nothing_of_the_inside(shop: Shop) -> None:
    response = shop.with_port(registry=Broken(RuntimeError(INTERNAL))).get("/v1/models", Scope.OPERATE)

    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    assert INTERNAL not in response.text
    assert response.json()["error"]["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/nowhere", 404, "not_found"),
        ("GET", "/v1/models/", 404, "not_found"),
        ("GET", "/v1/users/ada-lovelace", 404, "not_found"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/health/live", 405, "method_not_allowed"),
        ("GET", "/v1/models", 401, "unauthenticated"),
        ("GET", "/v1/erasures/x", 401, "unauthenticated"),
    ],
)
def test_what_the_framework_refuses_has_the_same_envelope(
    shop: Shop, method: str, path: str, status: int, code: str
) -> None:
    response = shop.client.request(method, path, follow_redirects=False)
    body = response.json()["error"]

    assert (response.status_code, body["code"]) == (status, code)
    assert body.keys() == {"code", "message", "request_id"}
    assert body["message"].startswith("expected ")
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/models", "GET"),
        ("POST", "/v1/items/tea-2", "DELETE, GET, PATCH, PUT"),
        ("POST", "/v1/items/tea-2/similar", "GET"),
        ("PUT", "/docs", "GET, HEAD"),
    ],
)
def test_a_wrong_method_names_the_right_ones(shop: Shop, method: str, path: str, allowed: str) -> None:
    assert shop.client.request(method, path).headers["Allow"] == allowed


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 422), (b"{]", 422), (b"", 422), (b'{"\xff"}', 400), (b"[" * 100_000, 400)]
)
def test_a_body_that_is_no_json_is_refused(shop: Shop, content: bytes, status: int) -> None:
    headers = {**shop.headers(Scope.WRITE), "Content-Type": "application/json"}
    response = shop.client.post("/v1/events", headers=headers, content=content)

    assert response.status_code == status
    assert response.json()["error"]["message"].startswith("expected ")


def test_a_body_larger_than_a_mebibyte_is_refused_by_its_declared_length(shop: Shop) -> None:
    response = shop.post_events([event("1", user_id="u" * MAX_BODY_BYTES)])

    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
    assert str(MAX_BODY_BYTES) in response.json()["error"]["message"]


def test_a_body_larger_than_a_mebibyte_is_refused_though_its_length_is_not_declared(shop: Shop) -> None:
    chunks = (b" " * 65_536 for _ in range(17))
    headers = {**shop.headers(Scope.WRITE), "Content-Type": "application/json"}
    response = shop.client.post("/v1/events", headers=headers, content=chunks)

    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


def test_a_body_of_a_mebibyte_is_read(shop: Shop) -> None:
    headers = {**shop.headers(Scope.WRITE), "Content-Type": "application/json"}
    content = b'{"events":[]}'.ljust(MAX_BODY_BYTES)

    assert shop.client.post("/v1/events", headers=headers, content=content).status_code == 200


def test_each_request_has_its_own_id_and_takes_none_from_outside(shop: Shop) -> None:
    ids = {
        shop.client.get("/health/live", headers={"X-Request-ID": "ada-lovelace"}).headers["X-Request-ID"]
        for _ in range(3)
    }

    assert len(ids) == 3
    assert "ada-lovelace" not in ids
