"""Exports over HTTP: asked for, followed, fetched in ranges, deleted."""

import hashlib
from typing import Any

import pytest

from pipelines.exports import Exporter
from recsys.store.rules import MAX_LYING
from recsys.types import Scope
from tests.api.shop import Shop, event

UNKNOWN = "0f" * 16


def ask(shop: Shop, kind: str = "catalogue", **changes: object) -> str:
    response = shop.send("POST", "/v1/exports", Scope.OPERATE, kind=kind, **{"format": "csv", **changes})
    assert response.status_code == 201, response.text
    export_id = response.json()["export_id"]
    assert response.headers["Location"] == f"/v1/exports/{export_id}"
    return str(export_id)


def status(shop: Shop, export_id: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.get(f"/v1/exports/{export_id}", Scope.OPERATE).json()
    return found


def fetch(shop: Shop, export_id: str, byte_range: str | None = None) -> Any:
    headers = shop.headers(Scope.OPERATE) | ({"Range": byte_range} if byte_range else {})
    return shop.client.get(f"/v1/exports/{export_id}/file", headers=headers)


def test_a_file_is_fetched_once_it_is_made_with_its_digest(shop: Shop) -> None:
    shop.statuses(event("1", "ada"))
    export_id = ask(shop, "recommendations", user_ids=["ada", "nobody"], n=2)
    assert fetch(shop, export_id).status_code == 404
    Exporter(shop.workspace).run()
    response, told = fetch(shop, export_id), status(shop, export_id)

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/csv")
    assert response.headers["Cache-Control"] == "private, no-store"
    assert (told["state"], told["size"]) == ("done", len(response.content))
    assert told["sha256"] == hashlib.sha256(response.content).hexdigest()
    assert response.text.count("ada,") == response.text.count("nobody,") == 2


@pytest.mark.parametrize(
    ("byte_range", "code", "first", "last"),
    [
        ("bytes=0-3", 206, 0, 3),
        ("bytes=5-", 206, 5, None),
        ("bytes=5-99999999", 206, 5, None),
        ("bytes=-5", 200, 0, None),
        ("bytes=0-1,3-4", 200, 0, None),
        ("lines=0-1", 200, 0, None),
    ],
)
def test_a_range_of_a_file_is_sent(shop: Shop, byte_range: str, code: int, first: int, last: int | None) -> None:
    export_id = ask(shop)
    Exporter(shop.workspace).run()
    whole = fetch(shop, export_id).content
    response = fetch(shop, export_id, byte_range)
    end = len(whole) - 1 if last is None else last

    assert (response.status_code, response.content) == (code, whole[first : end + 1])
    assert response.headers.get("Content-Range") == (f"bytes {first}-{end}/{len(whole)}" if code == 206 else None)


@pytest.mark.parametrize("byte_range", ["bytes=99999999-", "bytes=5-4"])
def test_a_range_that_the_file_does_not_have_is_refused(shop: Shop, byte_range: str) -> None:
    export_id = ask(shop)
    Exporter(shop.workspace).run()
    response = fetch(shop, export_id, byte_range)

    assert response.status_code == 416
    assert response.headers["Content-Range"].startswith("bytes */")
    assert response.json()["error"]["message"].startswith("expected ")


def test_lists_are_given_out_no_more_once_an_erasure_is_acknowledged(shop: Shop) -> None:
    lists, catalogue = ask(shop, "recommendations", user_ids=["ada"]), ask(shop)
    Exporter(shop.workspace).run()
    assert fetch(shop, lists).status_code == 200
    shop.erase(user_id="somebody else")

    assert fetch(shop, lists).status_code == 404
    assert status(shop, lists)["state"] == "withdrawn"
    assert fetch(shop, catalogue).status_code == 200


def test_a_deleted_export_has_no_file(shop: Shop) -> None:
    export_id = ask(shop)
    Exporter(shop.workspace).run()
    deleted = shop.send("DELETE", f"/v1/exports/{export_id}", Scope.OPERATE).json()

    assert deleted["state"] == "cancelled"
    assert fetch(shop, export_id).status_code == 404
    assert shop.workspace.exports.lying() == ()


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "recommendations", "format": "csv"},
        {"kind": "catalogue", "format": "csv", "user_ids": ["ada"]},
        {"kind": "recommendations", "format": "csv", "user_ids": [""]},
        {"kind": "recommendations", "format": "csv", "user_ids": ["ada"], "n": 21},
        {"kind": "recommendations", "format": "csv", "user_ids": ["ada"] * 10_001},
        {"kind": "purchases", "format": "csv"},
        {"kind": "catalogue", "format": "../x"},
    ],
)
def test_an_export_that_cannot_be_is_refused(shop: Shop, body: dict[str, object]) -> None:
    assert shop.send("POST", "/v1/exports", Scope.OPERATE, **body).status_code == 422
    assert shop.workspace.exports.lying() == ()


def test_an_unknown_export_is_not_found_and_too_many_are_refused(shop: Shop) -> None:
    assert shop.get(f"/v1/exports/{UNKNOWN}", Scope.OPERATE).status_code == 404
    assert fetch(shop, UNKNOWN).status_code == 404
    for _ in range(MAX_LYING):
        ask(shop)
    assert shop.send("POST", "/v1/exports", Scope.OPERATE, kind="catalogue", format="csv").status_code == 409
