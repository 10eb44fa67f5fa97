"""Objection, restriction and rectification over HTTP."""

from typing import Any

import pytest

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
