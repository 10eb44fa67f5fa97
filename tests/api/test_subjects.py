"""Objection, restriction, rectification and merges of accounts over HTTP."""

import hashlib
from typing import Any

import pytest

from pipelines.exports import Exporter
from recsys.types import Scope
from tests.api.shop import Shop, event, nameless

ADA = "/v1/users/ada-lovelace"
LIMITS = ["objection", "restriction"]


def put(shop: Shop, kind: str, user_id: str = "ada-lovelace") -> dict[str, Any]:
    response = shop.client.put(f"/v1/users/{user_id}/{kind}", headers=shop.headers(Scope.RIGHTS))
    assert response.status_code == 200, response.text
    return dict(response.json())


def take_back(shop: Shop, kind: str) -> dict[str, Any]:
    response = shop.client.delete(f"{ADA}/{kind}", headers=shop.headers(Scope.RIGHTS))
    assert response.status_code == 200, response.text
    return dict(response.json())


def rectify(shop: Shop, *rows: dict[str, object], user_id: str = "ada-lovelace") -> list[str]:
    response = shop.send("PATCH", f"/v1/users/{user_id}/purchases", Scope.RIGHTS, corrections=rows)
    assert response.status_code == 200, response.text
    return [row["status"] for row in response.json()["results"]]


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize(
    "params", [{}, {"n": "7"}, {"task": "buy_again"}, {"context": "tea-1"}, {"filter": "in_stock"}]
)
def test_a_limited_customer_is_answered_as_a_stranger(shop: Shop, kind: str, params: dict[str, str]) -> None:
    shop.statuses(event("1", item_id="tea-3"))
    assert shop.recommend()["personalized"] is True
    assert put(shop, kind) == {"kind": kind, "in_force": True}

    assert nameless(shop.recommend(**params)) == nameless(shop.recommend("nobody", **params))
    headers = [set(shop.ask(user, **params).headers) for user in ("ada-lovelace", "nobody")]
    assert headers[0] == headers[1]


@pytest.mark.parametrize("kind", LIMITS)
def test_it_is_taken_back_with_the_very_next_answer(shop: Shop, kind: str) -> None:
    shop.statuses(event("1", item_id="tea-3"))
    before = shop.recommend()
    put(shop, kind)
    assert take_back(shop, kind) == {"kind": kind, "in_force": False}

    assert nameless(shop.recommend()) == nameless(before)


def test_files_with_lists_are_given_out_no_more_once_somebody_objects(shop: Shop) -> None:
    body = {"kind": "recommendations", "format": "csv", "user_ids": ["ada-lovelace"]}
    made, waiting = (shop.send("POST", "/v1/exports", Scope.OPERATE, **body).json()["export_id"] for _ in range(2))
    Exporter(shop.workspace).run()
    put(shop, "objection")

    for export_id in (made, waiting):
        assert shop.get(f"/v1/exports/{export_id}/file", Scope.OPERATE).status_code == 404
        assert shop.get(f"/v1/exports/{export_id}", Scope.OPERATE).json()["state"] == "withdrawn"


def test_events_of_the_restricted_are_refused_and_of_those_who_object_taken(shop: Shop) -> None:
    put(shop, "restriction")
    put(shop, "objection", "bo")

    assert shop.statuses(event("1"), event("1", "bo")) == ["suppressed", "accepted"]


def test_a_correction_counts_in_the_next_list(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-3"), event("2", item_id="coffee-3"))
    shop.recommend()
    statuses = rectify(
        shop, {"event_id": "1", "item_id": "coffee-4"}, {"event_id": "2", "delete": True}, {"event_id": "x"}
    )

    assert statuses == ["corrected", "deleted", "unknown"]
    assert [item["item_id"] for item in shop.recommend(task="buy_again")["items"]] == ["coffee-4"]


def test_who_has_no_purchase_left_is_served_as_a_stranger(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-3"))
    rectify(shop, {"event_id": "1", "delete": True})

    assert nameless(shop.recommend()) == nameless(shop.recommend("nobody"))


def test_nothing_tells_the_erased_from_strangers(shop: Shop) -> None:
    shop.statuses(event("1"))
    shop.erase(user_id="ada-lovelace")

    assert rectify(shop, {"event_id": "1"}) == rectify(shop, {"event_id": "1"}, user_id="nobody") == ["unknown"]
    assert put(shop, "objection") == put(shop, "objection", "nobody")
    assert take_back(shop, "objection") == {"kind": "objection", "in_force": False}
    assert shop.recommend()["personalized"] is False


def test_nothing_of_the_restricted_is_corrected(shop: Shop) -> None:
    shop.statuses(event("1"))
    put(shop, "restriction")

    assert rectify(shop, {"event_id": "1", "delete": True}) == ["restricted"]


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"event_id": ""},
        {"event_id": "1", "quantity": 0},
        {"event_id": "1", "timestamp": "noon"},
        {"event_id": "1", "user": "x"},
    ],
)
def test_a_correction_of_another_form_is_refused(shop: Shop, row: dict[str, object]) -> None:
    assert shop.send("PATCH", f"{ADA}/purchases", Scope.RIGHTS, corrections=[row]).status_code == 422


# Two accounts of one customer.


def merge(shop: Shop, user_id: str = "ada-lovelace", into: str = "bo") -> dict[str, Any]:
    response = shop.send("POST", "/v1/subjects/merge", Scope.RIGHTS, user_id=user_id, into_user_id=into)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_the_purchases_of_the_one_are_the_others_in_the_very_next_answer(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-3"), event("2", "bo", item_id="tea-4"))
    shop.recommend()
    shop.recommend("bo")

    assert merge(shop) == {"status": "acknowledged"}
    assert {item["item_id"] for item in shop.recommend("bo", task="buy_again")["items"]} == {"tea-3", "tea-4"}
    assert nameless(shop.recommend()) == nameless(shop.recommend("nobody"))


def test_what_is_sent_again_counts_once_after_a_merge(shop: Shop) -> None:
    shop.statuses(event("1"))
    merge(shop)

    assert shop.statuses(event("1", "bo"), event("1")) == ["duplicate", "accepted"]


def test_nothing_tells_an_unknown_account_from_one_that_was_erased(shop: Shop) -> None:
    shop.statuses(event("1"), event("2", "bo"))
    before = held(shop, "bo")
    shop.erase(user_id="ada-lovelace")

    assert merge(shop) == merge(shop, "nobody") == {"status": "acknowledged"}
    assert held(shop, "bo") == before


def test_an_account_does_not_go_into_one_that_was_erased(shop: Shop) -> None:
    shop.statuses(event("1"))
    shop.erase(user_id="bo")

    assert merge(shop) == {"status": "acknowledged"}
    assert held(shop, "bo") == held(shop, "nobody")
    assert held(shop, "ada-lovelace")["purchases"]["count"] == 1


@pytest.mark.parametrize("restricted", ["ada-lovelace", "bo"])
def test_nothing_of_the_restricted_is_merged(shop: Shop, restricted: str) -> None:
    shop.statuses(event("1"))
    put(shop, "restriction", restricted)

    assert merge(shop) == {"status": "restricted"}
    assert held(shop, "ada-lovelace")["purchases"]["count"] == 1


@pytest.mark.parametrize(
    "body", [{}, {"user_id": "ada"}, {"user_id": "", "into_user_id": "bo"}, {"user_id": "bo", "into_user_id": "bo"}]
)
def test_a_merge_of_another_form_is_refused(shop: Shop, body: dict[str, object]) -> None:
    assert shop.send("POST", "/v1/subjects/merge", Scope.RIGHTS, **body).status_code == 422


# Access and portability.


def held(shop: Shop, user_id: str) -> dict[str, Any]:
    response = shop.get(f"/v1/users/{user_id}/held", Scope.RIGHTS)
    assert response.status_code == 200, response.text
    return dict(response.json())


def ask_for_file(shop: Shop, user_id: str = "ada-lovelace") -> str:
    response = shop.send("POST", f"/v1/users/{user_id}/exports", Scope.RIGHTS)
    assert response.status_code == 201, response.text
    assert response.headers["Location"] == f"/v1/subject-exports/{response.json()['export_id']}"
    return str(response.json()["export_id"])


def test_what_is_held_is_counted_and_the_erased_are_strangers(shop: Shop) -> None:
    shop.statuses(event("1"), event("2", item_id="tea-4"), event("1", "bo"))
    shop.recommend()
    ada = held(shop, "ada-lovelace")
    shop.erase(user_id="bo")

    assert ada["purchases"] == {
        "count": 2,
        "first": "2026-02-01T09:30:00.000Z",
        "last": "2026-02-01T09:30:00.000Z",
    }
    assert {entry["version"] for entry in ada["lists"]} == {shop.version}
    assert held(shop, "bo") == held(shop, "nobody")
    assert held(shop, "bo").keys() == ada.keys()


def test_a_file_is_fetched_in_ranges_with_its_digest(shop: Shop) -> None:
    shop.statuses(event("1"))
    export_id = ask_for_file(shop)
    path = f"/v1/subject-exports/{export_id}"
    assert shop.get(f"{path}/file", Scope.RIGHTS).status_code == 404
    Exporter(shop.workspace).run()
    whole, told = shop.get(f"{path}/file", Scope.RIGHTS), shop.get(path, Scope.RIGHTS).json()
    part = shop.client.get(f"{path}/file", headers={**shop.headers(Scope.RIGHTS), "Range": "bytes=4-9"})

    assert (whole.headers["Content-Type"], told["state"]) == ("application/zip", "done")
    assert told["sha256"] == hashlib.sha256(whole.content).hexdigest()
    assert (part.status_code, part.content) == (206, whole.content[4:10])


def test_a_file_ends_with_the_customers_erasure_and_no_other(shop: Shop) -> None:
    export_id = ask_for_file(shop)
    Exporter(shop.workspace).run()
    shop.erase(user_id="bo")
    assert shop.get(f"/v1/subject-exports/{export_id}/file", Scope.RIGHTS).status_code == 200
    shop.erase(user_id="ada-lovelace")

    assert shop.get(f"/v1/subject-exports/{export_id}/file", Scope.RIGHTS).status_code == 404
    assert shop.get(f"/v1/subject-exports/{export_id}", Scope.RIGHTS).json()["state"] == "withdrawn"


def test_a_file_of_a_customer_is_not_among_the_shops_exports(shop: Shop) -> None:
    export_id = ask_for_file(shop)
    Exporter(shop.workspace).run()

    for method, path in (("GET", ""), ("GET", "/file"), ("DELETE", "")):
        response = shop.client.request(method, f"/v1/exports/{export_id}{path}", headers=shop.headers(Scope.OPERATE))
        assert response.status_code == 404
    body = {"kind": "subject", "format": "jsonl", "user_ids": ["ada-lovelace"]}
    assert shop.send("POST", "/v1/exports", Scope.OPERATE, **body).status_code == 422


def test_an_export_of_the_shop_is_no_file_of_a_customer(shop: Shop) -> None:
    export_id = shop.send("POST", "/v1/exports", Scope.OPERATE, kind="catalogue", format="csv").json()["export_id"]

    assert shop.get(f"/v1/subject-exports/{export_id}", Scope.RIGHTS).status_code == 404


def test_a_deleted_file_is_gone(shop: Shop) -> None:
    export_id = ask_for_file(shop)
    deleted = shop.send("DELETE", f"/v1/subject-exports/{export_id}", Scope.RIGHTS).json()

    assert deleted["state"] == "cancelled"
    assert shop.workspace.exports.lying() == ()
