"""Imports over HTTP: announced, sent in parts, followed, cancelled."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from pipelines.imports import Importer
from recsys.errors import StorageError
from recsys.store.rules import MAX_LYING
from recsys.types import Scope
from tests.api.shop import Broken, Shop

LONG_AGO = "2026-02-01T09:30:00Z"
HEADER = "user_id,item_id,timestamp\n"
CONTENT = (HEADER + "".join(f"c{number},tea-0,{LONG_AGO}\n" for number in range(300))).encode()
ANNOUNCED = {"kind": "purchases", "format": "csv", "size": len(CONTENT)}
UNKNOWN = "0f" * 16


def announce(shop: Shop, **changes: object) -> dict[str, Any]:
    response = shop.send("POST", "/v1/imports", Scope.WRITE, **{**ANNOUNCED, **changes})
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    assert response.headers["Location"] == f"/v1/imports/{found['import_id']}"
    return found


def send(shop: Shop, import_id: str, offset: object, part: bytes) -> httpx2.Response:
    headers = {**shop.headers(Scope.WRITE), "Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
    return shop.client.patch(f"/v1/imports/{import_id}", headers=headers, content=part)


def status(shop: Shop, import_id: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.get(f"/v1/imports/{import_id}", Scope.WRITE).json()
    return found


def test_a_file_in_parts_counts_in_the_next_answer(shop: Shop) -> None:
    import_id = announce(shop)["import_id"]
    assert not shop.recommend("c7")["personalized"]
    assert send(shop, import_id, 0, CONTENT[:5000]).json()["offset"] == 5000
    assert send(shop, import_id, 5000, CONTENT[5000:]).json()["state"] == "working"
    Importer(shop.workspace).run()
    after = status(shop, import_id)

    assert (after["state"], after["rows"], after["counts"]["accepted"]) == ("done", 300, 300)
    assert after["counted"] == "internal, not private"
    assert after["bad_rows"] == []
    assert after["error"] is None
    assert shop.recommend("c7")["personalized"]


def test_a_bad_row_is_named_by_its_number_and_not_repeated(shop: Shop) -> None:
    content = f"{HEADER}zoe,tea-0,never\nzoe,tea-99,{LONG_AGO}\n".encode()
    import_id = announce(shop, size=len(content))["import_id"]
    send(shop, import_id, 0, content)
    Importer(shop.workspace).run()
    answer = shop.get(f"/v1/imports/{import_id}", Scope.WRITE)

    assert [row["row"] for row in answer.json()["bad_rows"]] == [1, 2]
    assert "never" not in answer.text
    assert "zoe" not in answer.text
    assert "tea-99" not in answer.text


def test_a_lost_answer_costs_nothing(shop: Shop) -> None:
    import_id = announce(shop)["import_id"]
    before = send(shop, import_id, 0, CONTENT[:5000]).json()
    refused = send(shop, import_id, 0, CONTENT[:5000])

    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "import_conflict"
    assert refused.json()["error"]["message"].endswith("go on at 5000")
    assert status(shop, import_id) == before


@pytest.mark.parametrize(
    ("offset", "part", "expected"),
    [
        (4096, CONTENT, 409),
        (0, CONTENT + b"x", 409),
        (0, b"short", 409),
        (0, b"", 422),
        (-1, CONTENT, 422),
        ("", CONTENT, 422),
        (2**60, CONTENT, 422),
        (0, b"x" * (1 << 20) + b"x", 413),
    ],
)
def test_a_part_that_does_not_fit_changes_nothing(shop: Shop, offset: object, part: bytes, expected: int) -> None:
    before = announce(shop)
    response = send(shop, before["import_id"], offset, part)

    assert response.status_code == expected
    assert response.json()["error"]["message"].startswith("expected ")
    assert status(shop, before["import_id"]) == before


def test_a_part_may_be_as_large_as_any_body(shop: Shop) -> None:
    size = 1 << 20
    import_id = announce(shop, size=size + 1)["import_id"]
    assert send(shop, import_id, 0, b"x" * size).json()["offset"] == size


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 256 * 2**20 + 1},
        {"size": 0},
        {"size": 2**60},
        {"size": "10"},
        {"size": True},
        {"kind": "customers"},
        {"format": "xlsx"},
        {"format": "../csv"},
        {"columns": {"user": "a"}},
        {"columns": {"user_id": "item_id"}},
        {"columns": {"user_id": "a\nb"}},
        {"columns": {"user_id": ""}},
        {"columns": {"user_id": "x" * 257}},
        {"kind": "catalogue", "columns": {"user_id": "a"}},
        {"sha256": "0f"},
        {"sha256": "G" * 64},
        {"name": "../../etc/passwd"},
        {"dry_run": "yes"},
    ],
)
def test_an_import_that_cannot_be_is_refused(shop: Shop, changes: dict[str, object]) -> None:
    response = shop.send("POST", "/v1/imports", Scope.WRITE, **{**ANNOUNCED, **changes})

    assert response.status_code == 422
    assert response.json()["error"]["message"].startswith("expected ")
    assert shop.workspace.imports.lying() == ()


@pytest.mark.parametrize(
    "import_id", ["..%2f..%2fkeys", "%2e%2e", "0" * 31, "0" * 33, "A" * 32, "0" * 32 + "%00", "lock"]
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_id_that_the_api_did_not_make_leads_nowhere(shop: Shop, method: str, import_id: str) -> None:
    headers = {**shop.headers(Scope.WRITE), "Upload-Offset": "0"}
    content = CONTENT if method == "PATCH" else None
    response = shop.client.request(method, f"/v1/imports/{import_id}", headers=headers, content=content)
    assert response.status_code in {404, 405, 422}


def test_an_unknown_import_is_not_found(shop: Shop) -> None:
    assert shop.get(f"/v1/imports/{UNKNOWN}", Scope.WRITE).status_code == 404
    assert send(shop, UNKNOWN, 0, CONTENT).status_code == 404
    assert shop.send("DELETE", f"/v1/imports/{UNKNOWN}", Scope.WRITE).status_code == 404


def test_a_cancelled_import_takes_nothing_more(shop: Shop) -> None:
    import_id = announce(shop)["import_id"]
    send(shop, import_id, 0, CONTENT[:5000])
    cancelled = shop.send("DELETE", f"/v1/imports/{import_id}", Scope.WRITE).json()

    assert cancelled["state"] == "cancelled"
    assert send(shop, import_id, 5000, CONTENT[5000:]).status_code == 409
    assert shop.send("DELETE", f"/v1/imports/{import_id}", Scope.WRITE).json() == cancelled
    assert shop.workspace.imports.lying() == ()


def test_too_many_open_imports_are_refused_until_one_ends(shop: Shop) -> None:
    ids = [announce(shop)["import_id"] for _ in range(MAX_LYING)]
    assert shop.send("POST", "/v1/imports", Scope.WRITE, **ANNOUNCED).status_code == 409
    shop.send("DELETE", f"/v1/imports/{ids[3]}", Scope.WRITE)

    announce(shop)


def test_a_disk_that_is_full_is_the_operators_to_know(shop: Shop) -> None:
    import_id = announce(shop)["import_id"]
    broken = shop.with_port(imports=Broken(StorageError("no space in /srv/state")))
    response = send(broken, import_id, 0, CONTENT)

    assert response.status_code == 503
    assert "/srv" not in response.text


def test_the_limit_is_a_setting(shop: Shop) -> None:
    smaller = shop.workspace.settings.model_copy(update={"import_max_mb": 1})
    small = Shop(
        workspace=replace(shop.workspace, settings=smaller),
        clock=shop.clock,
        secrets=shop.secrets,
        version=shop.version,
    )
    response = small.send("POST", "/v1/imports", Scope.WRITE, **{**ANNOUNCED, "size": 2**20 + 1})
    assert "at most 1 MiB" in response.json()["error"]["message"]
