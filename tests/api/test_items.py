"""The catalogue over HTTP."""

from typing import Any

import pytest

from recsys.types import Scope
from tests.api.shop import POPULAR, Shop, event, item_ids

GREEN = {
    "name": "Green tea",
    "category": "tea",
    "price": 4.5,
    "stock": 12,
    "attributes": {"brand": "Finest", "colour": "green"},
}
NOTHING: dict[str, object] = {"name": "", "category": "", "price": None, "stock": None, "attributes": {}}


def put(shop: Shop, item_id: str, **body: object) -> dict[str, Any]:
    response = shop.send("PUT", f"/v1/items/{item_id}", Scope.WRITE, **body)
    assert response.status_code in {200, 201}, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_an_item_is_shown_as_it_was_put(shop: Shop) -> None:
    created = shop.send("PUT", "/v1/items/green", Scope.WRITE, **GREEN)
    replaced = shop.send("PUT", "/v1/items/green", Scope.WRITE, **GREEN)

    assert (created.status_code, replaced.status_code) == (201, 200)
    assert created.json() == replaced.json() == shop.get("/v1/items/green").json() == {"item_id": "green", **GREEN}


def test_a_put_empties_what_it_leaves_out(shop: Shop) -> None:
    put(shop, "green", **GREEN)

    assert put(shop, "green") == {"item_id": "green", **NOTHING}


def test_a_patch_leaves_what_it_leaves_out(shop: Shop) -> None:
    put(shop, "green", **GREEN)
    first = shop.send("PATCH", "/v1/items/green", Scope.WRITE, price=3.9, stock=None).json()
    second = shop.send("PATCH", "/v1/items/green", Scope.WRITE, attributes={"b": "1", "a": "2"}).json()
    third = shop.send("PATCH", "/v1/items/green", Scope.WRITE).json()

    assert first == {"item_id": "green", **GREEN, "price": 3.9, "stock": None}
    assert second == third == {**first, "attributes": {"a": "2", "b": "1"}}


def test_a_change_shows_in_the_next_list(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-2"))
    shop.recommend()
    shop.send("PATCH", "/v1/items/tea-2", Scope.WRITE, name="Second flush", stock=0)
    shown = shop.recommend()["items"][0]

    assert (shown["item_id"], shown["name"]) == ("tea-2", "Second flush")
    assert "tea-2" not in item_ids(shop.recommend(filter="in_stock"))
    shop.send("PATCH", "/v1/items/tea-2", Scope.WRITE, stock=1)
    assert item_ids(shop.recommend(filter="in_stock"))[0] == "tea-2"


def test_a_deleted_item_is_in_no_list_and_its_purchases_stay(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-2"), event("2", item_id="tea-3"))
    shop.recommend()
    deleted = shop.send("DELETE", "/v1/items/tea-2", Scope.WRITE)

    assert deleted.json()["item_id"] == "tea-2"
    for user_id in ("ada-lovelace", "nobody"):
        for task in ("any", "discover", "buy_again"):
            assert "tea-2" not in item_ids(shop.recommend(user_id, task=task, n="100"))
    assert "tea-2" not in item_ids(shop.get("/v1/popular?n=100").json())
    assert "tea-2" not in item_ids(shop.get("/v1/items/tea-3/similar?n=100").json())
    history = shop.workspace.histories.history(shop.workspace.keys.user_key("ada-lovelace"))
    assert history.items.tolist() == [2, 3]


def test_a_list_that_a_deleted_item_was_in_is_filled_up(shop: Shop) -> None:
    shop.send("DELETE", f"/v1/items/{POPULAR[0]}", Scope.WRITE)

    assert item_ids(shop.recommend()) == list(POPULAR[1:21])


def test_a_deleted_item_is_gone_until_it_is_put_again(shop: Shop) -> None:
    shop.send("DELETE", "/v1/items/tea-2", Scope.WRITE)
    for method in ("GET", "PATCH", "DELETE"):
        scope = Scope.RECOMMEND if method == "GET" else Scope.WRITE
        assert shop.send(method, "/v1/items/tea-2", scope).status_code == 404
    assert shop.statuses(event("1", item_id="tea-2")) == ["accepted"], "a late order is still an order"
    put(shop, "tea-2", name="Back again")

    assert item_ids(shop.recommend(task="buy_again")) == ["tea-2"]


def test_an_item_that_was_put_can_be_bought_at_once(shop: Shop) -> None:
    put(shop, "new", name="New tea")

    assert shop.statuses(event("1", item_id="new")) == ["accepted"]
    assert item_ids(shop.recommend())[0] == "new"
    assert shop.recommend()["items"][0]["name"] == "New tea"


@pytest.mark.parametrize(
    "body",
    [
        {"price": -1},
        {"price": "4"},
        {"price": True},
        {"price": 1e13},
        {"stock": 1.5},
        {"stock": -1},
        {"stock": 2**60},
        {"name": None},
        {"name": "two\nlines"},
        {"name": "\0"},
        {"name": "x" * 1001},
        {"category": "c" * 257},
        {"attributes": {"": "x"}},
        {"attributes": {"x": 3}},
        {"attributes": {"x": "\x00"}},
        {"attributes": {str(number): "" for number in range(51)}},
        {"colour": "red"},
    ],
)
def test_what_no_item_can_be_is_refused_and_changes_nothing(shop: Shop, body: dict[str, object]) -> None:
    before = shop.get("/v1/items/tea-0").json()
    for method in ("PUT", "PATCH"):
        response = shop.send(method, "/v1/items/tea-0", Scope.WRITE, **body)
        assert response.status_code == 422
        assert response.json()["error"]["message"].startswith("expected ")
    assert shop.get("/v1/items/tea-0").json() == before


@pytest.mark.parametrize("content", [rb'{"name":"\ud800"}', rb'{"attributes":{"\udfff":""}}', b'{"price":NaN}'])
def test_what_no_database_keeps_is_refused(shop: Shop, content: bytes) -> None:
    headers = {**shop.headers(Scope.WRITE), "Content-Type": "application/json"}

    assert shop.client.put("/v1/items/tea-0", headers=headers, content=content).status_code == 422


@pytest.mark.parametrize("item_id", ["a" * 257, "line%0Abreak", ""])
def test_an_id_that_no_item_can_have_is_refused_and_not_repeated(shop: Shop, item_id: str) -> None:
    for method, scope in (("GET", Scope.RECOMMEND), ("PUT", Scope.WRITE), ("DELETE", Scope.WRITE)):
        response = shop.send(method, f"/v1/items/{item_id}", scope)
        assert response.status_code == 422
        assert "item id" in response.json()["error"]["message"]
        assert not item_id or item_id not in response.text
