from collections.abc import Iterator
from typing import Any

import pytest

from api.schemas import EventRow
from tests.api.shop import Shop

PLAIN = {
    "get /metrics": "text/plain",
    "get /v1/log/checkpoint": "text/plain",
    "get /v1/exports/{export_id}/file": "text/csv",
    "get /v1/subject-exports/{export_id}/file": "application/zip",
    "get /opendsr/certificate": "application/x-pem-file",
}
"""Answers that are no JSON."""


@pytest.fixture
def schema(shop: Shop) -> dict[str, Any]:
    return shop.client.get("/openapi.json").json()


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_route_says_what_it_does_and_what_it_answers(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema):
        assert operation["summary"], name
        assert operation["description"], name
        success = next(operation["responses"][status] for status in operation["responses"] if status.startswith("2"))
        media_type = PLAIN.get(name, "application/json")
        assert success["content"][media_type]["schema"], name


def test_every_error_of_every_route_has_the_envelope_and_an_example(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema):
        errors = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
        assert "500" in errors, name
        for status, answer in errors.items():
            if status == "503" and name.startswith("get /health/"):
                continue
            content = answer["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorEnvelope"}, (name, status)
            assert content["example"]["error"].keys() == {"code", "message", "request_id"}, (name, status)
            assert content["example"]["error"]["message"].startswith("expected "), (name, status)


def test_every_route_behind_a_key_documents_what_a_missing_or_wrong_one_gets(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema):
        assert ("401" in operation["responses"]) == ("403" in operation["responses"]) == (" /health/" not in name), name


def test_the_strict_form_of_an_event_is_documented_though_rows_are_judged_alone(schema: dict[str, Any]) -> None:
    events = schema["components"]["schemas"]["EventBatch"]["properties"]["events"]
    row = events["items"]

    assert events["maxItems"] == 1000
    assert set(row["required"]) == {"event_id", "user_id", "item_id", "timestamp"}
    assert row["properties"]["timestamp"]["format"] == "date-time"
    assert row["properties"]["user_id"]["maxLength"] == 256


def test_the_example_of_an_event_is_an_event(schema: dict[str, Any]) -> None:
    example = schema["components"]["schemas"]["EventBatch"]["properties"]["events"]["items"]["example"]

    assert EventRow.model_validate(example).item_id == example["item_id"]


def test_the_documentation_is_a_page(shop: Shop) -> None:
    response = shop.client.get("/docs")

    assert response.status_code == 200
    assert "swagger" in response.text
