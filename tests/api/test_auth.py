from itertools import product

import pytest

from recsys.types import Scope
from tests.api.shop import Shop

VERSION = "0f" * 16
DSR = "a7551968-d5d6-44b2-9831-815ac9017798"
ROUTES = {
    ("GET", "/v1/users/ada-lovelace/recommendations"): Scope.RECOMMEND,
    ("POST", "/v1/recommendations"): Scope.RECOMMEND,
    ("POST", "/v1/recommendations:batch"): Scope.RECOMMEND,
    ("GET", "/v1/items/tea-0/similar"): Scope.RECOMMEND,
    ("GET", "/v1/popular"): Scope.RECOMMEND,
    ("GET", "/v1/items/tea-0"): Scope.RECOMMEND,
    ("PUT", "/v1/items/tea-0"): Scope.WRITE,
    ("PATCH", "/v1/items/tea-0"): Scope.WRITE,
    ("DELETE", "/v1/items/tea-0"): Scope.WRITE,
    ("POST", "/v1/events"): Scope.WRITE,
    ("POST", "/v1/feedback"): Scope.WRITE,
    ("GET", "/v1/feedback/rates"): Scope.OPERATE,
    ("GET", "/v1/feedback/comparison"): Scope.OPERATE,
    ("POST", "/v1/imports"): Scope.WRITE,
    ("PATCH", f"/v1/imports/{VERSION}"): Scope.WRITE,
    ("GET", f"/v1/imports/{VERSION}"): Scope.WRITE,
    ("DELETE", f"/v1/imports/{VERSION}"): Scope.WRITE,
    ("POST", "/v1/exports"): Scope.OPERATE,
    ("GET", f"/v1/exports/{VERSION}"): Scope.OPERATE,
    ("GET", f"/v1/exports/{VERSION}/file"): Scope.OPERATE,
    ("DELETE", f"/v1/exports/{VERSION}"): Scope.OPERATE,
    ("POST", "/v1/erasures"): Scope.ERASE,
    ("GET", "/v1/erasures/0f"): Scope.ERASE,
    ("GET", "/v1/erasures/0f/receipt"): Scope.ERASE,
    ("PUT", "/v1/users/ada-lovelace/objection"): Scope.RIGHTS,
    ("DELETE", "/v1/users/ada-lovelace/objection"): Scope.RIGHTS,
    ("PUT", "/v1/users/ada-lovelace/restriction"): Scope.RIGHTS,
    ("DELETE", "/v1/users/ada-lovelace/restriction"): Scope.RIGHTS,
    ("PATCH", "/v1/users/ada-lovelace/purchases"): Scope.RIGHTS,
    ("POST", "/v1/subjects/merge"): Scope.RIGHTS,
    ("GET", "/v1/users/ada-lovelace/held"): Scope.RIGHTS,
    ("GET", "/opendsr/discovery"): Scope.RIGHTS,
    ("GET", "/opendsr/certificate"): Scope.RIGHTS,
    ("POST", "/opendsr/requests"): Scope.RIGHTS,
    ("GET", f"/opendsr/requests/{DSR}"): Scope.RIGHTS,
    ("DELETE", f"/opendsr/requests/{DSR}"): Scope.RIGHTS,
    ("POST", "/v1/users/ada-lovelace/exports"): Scope.RIGHTS,
    ("GET", f"/v1/subject-exports/{VERSION}"): Scope.RIGHTS,
    ("GET", f"/v1/subject-exports/{VERSION}/file"): Scope.RIGHTS,
    ("DELETE", f"/v1/subject-exports/{VERSION}"): Scope.RIGHTS,
    ("GET", "/v1/erasures"): Scope.ERASE,
    ("POST", "/v1/consents"): Scope.ERASE,
    ("GET", "/v1/erasures/0f/lineage"): Scope.ERASE,
    ("POST", "/v1/erasures/0f/cancel"): Scope.ERASE,
    ("POST", "/v1/erasures/0f/retry"): Scope.ERASE,
    ("POST", "/v1/erasures/0f/extend"): Scope.ERASE,
    ("GET", "/v1/log/checkpoint"): Scope.AUDIT,
    ("GET", "/v1/log/consistency"): Scope.AUDIT,
    ("GET", "/v1/log/inclusion"): Scope.AUDIT,
    ("GET", "/v1/models"): Scope.OPERATE,
    ("POST", "/v1/webhooks"): Scope.OPERATE,
    ("GET", "/v1/webhooks"): Scope.OPERATE,
    ("DELETE", "/v1/webhooks/0f"): Scope.OPERATE,
    ("POST", "/v1/webhooks/0f/test"): Scope.OPERATE,
    ("GET", "/v1/dead-letters"): Scope.OPERATE,
    ("POST", "/v1/dead-letters/0f/redeliver"): Scope.OPERATE,
    ("GET", "/metrics"): Scope.METRICS,
    ("GET", f"/v1/models/{VERSION}"): Scope.OPERATE,
    ("POST", f"/v1/models/{VERSION}/publish"): Scope.OPERATE,
    ("POST", f"/v1/models/{VERSION}/promote"): Scope.OPERATE,
    ("POST", f"/v1/models/{VERSION}/shadow"): Scope.OPERATE,
    ("GET", "/v1/experiment"): Scope.OPERATE,
    ("PUT", "/v1/experiment"): Scope.OPERATE,
    ("DELETE", "/v1/experiment"): Scope.OPERATE,
}
OPEN = ("/health/live", "/health/startup", "/health/ready", "/docs", "/openapi.json")


def test_every_route_of_the_documentation_is_in_the_matrix(shop: Shop) -> None:
    documented = {
        (
            method.upper(),
            path.format(
                user_id="ada-lovelace",
                request_id="0f",
                item_id="tea-0",
                webhook_id="0f",
                delivery_id="0f",
                version=VERSION,
                import_id=VERSION,
                export_id=VERSION,
                subject_request_id=DSR,
            ),
        )
        for path, operations in shop.client.get("/openapi.json").json()["paths"].items()
        for method in operations
    }

    assert documented == {*ROUTES, ("GET", "/health/live"), ("GET", "/health/startup"), ("GET", "/health/ready")}


@pytest.mark.parametrize(("route", "scope"), list(product(ROUTES, Scope)))
def test_a_key_opens_the_routes_of_its_scope_and_no_other(shop: Shop, route: tuple[str, str], scope: Scope) -> None:
    response = shop.client.request(*route, headers=shop.headers(scope))

    if scope is ROUTES[route]:
        assert response.status_code not in {401, 403}
    else:
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "forbidden"
        assert f"scope {ROUTES[route]}" in response.json()["error"]["message"]


HEADERS = {
    "no key": {},
    "unknown key": {"Authorization": "Bearer nobodys-secret"},
    "unknown key in the other header": {"X-API-Key": "nobodys-secret"},
    "empty key": {"Authorization": "Bearer "},
    "only a scheme": {"Authorization": "Bearer"},
    "another scheme": {"Authorization": "Basic YTpi"},
    "letters beyond ASCII": {"X-API-Key": "\u00fc"},
}


@pytest.mark.parametrize(("route", "kind"), list(product(ROUTES, HEADERS)))
def test_without_a_known_key_every_route_is_shut(shop: Shop, route: tuple[str, str], kind: str) -> None:
    headers = {name.encode(): value.encode("latin-1") for name, value in HEADERS[kind].items()}
    response = shop.client.request(*route, headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "unauthenticated"
    assert "nobodys-secret" not in response.text


def test_a_revoked_key_opens_nothing_from_then_on(shop: Shop) -> None:
    key, secret = shop.workspace.api_keys.create("web", frozenset(Scope))
    headers = {"X-API-Key": secret}
    assert shop.client.get("/v1/models", headers=headers).status_code == 200
    shop.workspace.api_keys.revoke(key.key_id)

    assert shop.client.get("/v1/models", headers=headers).status_code == 401


def test_a_key_with_several_scopes_opens_each_of_them(shop: Shop) -> None:
    _, secret = shop.workspace.api_keys.create("web", frozenset({Scope.RECOMMEND, Scope.OPERATE}))
    headers = {"X-API-Key": secret}

    assert shop.client.get("/v1/models", headers=headers).status_code == 200
    assert shop.client.get("/v1/users/ada-lovelace/recommendations", headers=headers).status_code == 200
    assert shop.client.post("/v1/events", headers=headers, json={"events": []}).status_code == 403


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 5000])
def test_a_strangers_body_is_not_even_parsed(shop: Shop, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    assert shop.client.post("/v1/events", content=content, headers=headers).status_code == 401
    reader = headers | shop.headers(Scope.RECOMMEND)
    assert shop.client.post("/v1/events", content=content, headers=reader).status_code == 403


@pytest.mark.parametrize("path", OPEN)
def test_health_and_documentation_need_no_key(shop: Shop, path: str) -> None:
    assert shop.client.get(path).status_code == 200


def test_the_documentation_names_both_headers_as_alternatives(shop: Shop) -> None:
    schema = shop.client.get("/openapi.json").json()

    assert {scheme["type"] for scheme in schema["components"]["securitySchemes"].values()} == {"http", "apiKey"}
    assert schema["paths"]["/v1/models"]["get"]["security"] == [{"bearer": []}, {"header": []}]
    assert "security" not in schema["paths"]["/health/live"]["get"]
