"""Lists over HTTP: for baskets, for many, similar, popular; filtered."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.types import Scope
from tests.api.shop import COFFEES, POPULAR, TEAS, Shop, event, item_ids, nameless, open_shop

CATALOGUE = {
    "tea-0": {"category": "tea", "price": 3.5, "stock": 0, "attributes": {"brand": "Finest"}},
    "tea-1": {"category": "tea", "price": 20, "attributes": {"brand": "Finest"}},
    "coffee-0": {"category": "coffee", "price": 8, "stock": 4, "attributes": {"brand": "Best"}},
}


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    for item_id, body in CATALOGUE.items():
        assert shop.send("PUT", f"/v1/items/{item_id}", Scope.WRITE, **body).status_code == 200
    return shop


def listed(shop: Shop, path: str, **params: str) -> list[str]:
    response = shop.client.get(path, headers=shop.headers(Scope.RECOMMEND), params=params)
    assert response.status_code == 200, response.text
    return item_ids(response.json())


FILTERS: list[tuple[str, Mapping[str, Any], list[str]]] = [
    ('category = "tea"', {"category": "tea"}, ["tea-0", "tea-1"]),
    ('category = "tea" and in_stock', {"and": [{"category": "tea"}, {"in_stock": True}]}, ["tea-1"]),
    ("price >= 3.5 and price < 20", {"price": {"gte": 3.5, "lt": 20}}, ["tea-0", "coffee-0"]),
    ("price > 3.5", {"price": {"gt": 3.5}}, ["tea-1", "coffee-0"]),
    ("price <= 8", {"price": {"lte": 8}}, ["tea-0", "coffee-0"]),
    ('attribute "brand" = "Best"', {"attribute": {"name": "brand", "value": "Best"}}, ["coffee-0"]),
    (
        'attribute "brand" = "Best" or not in_stock',
        {"or": [{"attribute": {"name": "brand", "value": "Best"}}, {"not": {"in_stock": True}}]},
        ["tea-0", "coffee-0"],
    ),
    ("price < 100", {"and": [{"price": {"lt": 100}}]}, ["tea-0", "tea-1", "coffee-0"]),
]


@pytest.mark.parametrize(("text", "body", "expected"), FILTERS)
def test_both_forms_of_a_filter_hold_everywhere(
    stocked: Shop, text: str, body: dict[str, Any], expected: list[str]
) -> None:
    stocked.statuses(event("1", item_id="tea-5"))
    lists = [
        listed(stocked, "/v1/users/ada-lovelace/recommendations", filter=text),
        listed(stocked, "/v1/users/nobody/recommendations", filter=text),
        listed(stocked, "/v1/popular", filter=text),
        listed(stocked, "/v1/items/tea-7/similar", filter=text),
        item_ids(stocked.send("POST", "/v1/recommendations", items=["tea-7"], filter=body).json()),
    ]
    batch = stocked.send("POST", "/v1/recommendations:batch", user_ids=["ada-lovelace", "nobody"], filter=body).json()

    assert [sorted(found) for found in lists] == [sorted(expected)] * 5
    assert [item_ids(answer) for answer in batch["results"]] == lists[:2]


@pytest.mark.parametrize(
    ("text", "character"), [("price", 6), ("in_stock or", 12), ("(" * 20, 9), ("category = 'tea'", 12)]
)
def test_a_filter_that_is_none_is_refused_with_the_place_of_the_fault(shop: Shop, text: str, character: int) -> None:
    for path in ("/v1/users/ada-lovelace/recommendations", "/v1/popular", "/v1/items/tea-0/similar"):
        response = shop.client.get(path, headers=shop.headers(Scope.RECOMMEND), params={"filter": text})
        assert response.status_code == 422
        assert f"at character {character} of the filter" in response.json()["error"]["message"]


DEEP: dict[str, Any] = {"in_stock": True}
for _ in range(300):
    DEEP = {"not": DEEP}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "body.filter"),
        ({"in_stock": False}, "body.filter.in_stock"),
        ({"in_stock": True, "category": "tea"}, "body.filter"),
        ({"and": [{"category": "tea"}, {"price": {}}]}, "body.filter.and.1.price"),
        ({"price": {"lt": "20"}}, "body.filter.price.lt"),
        ({"or": []}, "body.filter.or"),
        ({"colour": "red"}, "body.filter.colour"),
        (DEEP, "body.filter.not.not"),
        ({"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"in_stock": True}}}}}}}}}, "8 deep"),
        ({"and": [{"or": [{"in_stock": True}] * 20}] * 2}, "32 conditions"),
    ],
)
def test_a_filter_body_that_is_none_is_refused_with_the_place_of_the_fault(
    shop: Shop, body: dict[str, Any], place: str
) -> None:
    response = shop.send("POST", "/v1/recommendations", items=[], filter=body)

    assert response.status_code == 422
    assert place in response.json()["error"]["message"]


SHOP = open_shop()


@given(st.text(max_size=40))
def test_no_text_of_a_filter_is_a_fault_of_the_service(text: str) -> None:
    response = SHOP.client.get("/v1/popular", headers=SHOP.headers(Scope.RECOMMEND), params={"filter": text})

    assert response.status_code in {200, 422}


def test_similar_items_come_from_the_model_and_name_it(shop: Shop) -> None:
    answer = shop.get("/v1/items/tea-3/similar?n=11").json()

    assert set(item_ids(answer)) == set(TEAS) - {"tea-3"}
    assert answer.keys() == {"items", "version", "generated_at", "recommendation_id"}
    assert answer["version"] == shop.version


def test_an_item_new_to_the_model_shows_what_is_popular_in_its_category(stocked: Shop) -> None:
    stocked.send("PUT", "/v1/items/new", Scope.WRITE, category="tea")
    answer = stocked.get("/v1/items/new/similar").json()

    assert item_ids(answer) == ["tea-0", "tea-1"]
    assert {item["reason"] for item in answer["items"]} == {"popular"}


def test_an_item_with_slashes_has_similar_items_too(shop: Shop) -> None:
    shop.send("PUT", "/v1/items/a/b%2Fc", Scope.WRITE)

    assert item_ids(shop.get("/v1/items/a%2Fb/c/similar?n=2").json()) == list(POPULAR[:2])


def test_an_unknown_item_is_not_found(shop: Shop) -> None:
    for path in ("/v1/items/nothing/similar", "/v1/items/nothing"):
        response = shop.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
        assert "nothing" not in response.json()["error"]["message"]


def test_popular_items_can_be_of_a_category(stocked: Shop) -> None:
    assert item_ids(stocked.get("/v1/popular?n=3").json()) == list(POPULAR[:3])
    assert listed(stocked, "/v1/popular", category="tea") == ["tea-0", "tea-1"]
    assert listed(stocked, "/v1/popular", category="tea", filter="in_stock") == ["tea-1"]
    assert listed(stocked, "/v1/popular", category="nothing") == []


def test_items_can_be_left_out(shop: Shop) -> None:
    shown = {"exclude": ["coffee-0", "tea-0"]}
    page = shop.client.get("/v1/popular", headers=shop.headers(Scope.RECOMMEND), params={"n": "2", **shown})
    basket = shop.send("POST", "/v1/recommendations", items=["coffee-1"], n=1, **shown)

    assert item_ids(page.json()) == ["coffee-1", "tea-1"]
    assert item_ids(basket.json()) == ["coffee-2"]


def test_a_basket_gets_what_goes_with_it(shop: Shop) -> None:
    discover = shop.send("POST", "/v1/recommendations", items=["coffee-1", "nothing"], n=100).json()
    anything = shop.send("POST", "/v1/recommendations", items=["coffee-1"], n=100, task="any").json()

    assert set(item_ids(discover)[:11]) == set(COFFEES) - {"coffee-1"}
    assert discover["personalized"] is True
    assert discover["task"] == "discover"
    assert "coffee-1" in item_ids(anything)


def test_a_basket_is_answered_in_the_form_of_a_customers_list(shop: Shop) -> None:
    assert shop.send("POST", "/v1/recommendations", items=[]).json().keys() == shop.recommend().keys()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"items": "tea-0"},
        {"items": ["a\n"]},
        {"items": ["a"] * 101},
        {"items": [], "task": "buy_again"},
        {"items": [], "n": 0},
        {"items": [], "exclude": ["x"] * 101},
        {"items": [], "user_id": "ada-lovelace"},
    ],
)
def test_a_basket_that_is_none_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    assert shop.send("POST", "/v1/recommendations", **body).status_code == 422


def test_a_page_moves_every_kind_of_list_and_the_answer_says_so(shop: Shop) -> None:
    shop.statuses(event("1", item_id="coffee-5"))
    page = {"task": "discover", "context": "tea-1"}  # all teas and coffees fit alike there, and teas come first
    one = shop.recommend(n="4", **page)
    many = shop.send("POST", "/v1/recommendations:batch", user_ids=["ada-lovelace", "nobody"], n=4, **page).json()
    basket = shop.send("POST", "/v1/recommendations", items=["coffee-5"], n=4, **page).json()

    assert item_ids(shop.recommend(n="4", task="discover")) == ["coffee-0", "coffee-1", "coffee-2", "coffee-3"]
    each = [one, shop.recommend("nobody", n="4", **page)]
    assert [nameless(result) for result in many["results"]] == [nameless(result) for result in each]
    assert [answer["personalized"] for answer in (one, basket, many["results"][1])] == [True, True, False]
    for answer in (one, basket, many["results"][1]):
        assert item_ids(answer) == ["tea-0", "tea-2", "tea-3", "tea-4"]
        assert {item["reason"] for item in answer["items"]} == {"similar_to_context"}
        assert answer["context_used"] is True


def test_a_page_that_moves_nothing_is_no_fault(shop: Shop) -> None:
    expected = {**nameless(shop.recommend()), "context_used": False}
    assert nameless(shop.recommend(context="nothing")) == expected
    assert "context_used" not in shop.recommend()


@pytest.mark.parametrize("context", ["", "a\n", "x" * 257])
def test_a_page_whose_item_cannot_be_one_is_refused(shop: Shop, context: str) -> None:
    assert shop.ask(context=context).status_code == 422
    assert shop.send("POST", "/v1/recommendations", items=[], context=context).status_code == 422


def test_many_customers_get_what_each_would_get(shop: Shop) -> None:
    shop.statuses(event("1", "ada-lovelace", "tea-2"), event("2", "bo", "coffee-2"))
    users = ["bo", "nobody", "ada-lovelace", "bo"]
    answer = shop.send("POST", "/v1/recommendations:batch", user_ids=users, n=3, task="discover").json()

    each = [shop.recommend(user, n="3", task="discover") for user in users]
    assert [nameless(result) for result in answer["results"]] == [nameless(result) for result in each]


@pytest.mark.parametrize("user_ids", [["a"] * 101, ["ok", "line\nbreak"], "ada", None])
def test_a_batch_that_is_none_is_refused_whole(shop: Shop, user_ids: object) -> None:
    response = shop.send("POST", "/v1/recommendations:batch", user_ids=user_ids)

    assert response.status_code == 422
    assert "ok" not in response.json()["error"]["message"]


def test_to_buy_again_a_customer_is_shown_what_was_bought_and_why(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-2"))
    answer = shop.recommend(task="buy_again")

    assert [(item["item_id"], item["reason"]) for item in answer["items"]] == [("tea-2", "bought_before")]
    assert (answer["task"], answer["personalized"]) == ("buy_again", True)
    assert shop.recommend("nobody", task="buy_again")["items"] == []
