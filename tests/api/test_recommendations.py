import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.schemas import RecommendationList
from recsys.serving.lists import CachedLists, told
from recsys.serving.packed_lists import to_document
from recsys.serving.recommendation_ids import ID_LENGTH
from recsys.serving.rendered import version_part
from recsys.serving.sealed_lists import open_document
from recsys.serving.shown_items import ShownItems
from recsys.store.memory import MemoryCatalogue
from recsys.types import CatalogueItem, Reason, Recommendation, Recommendations, Scope, Task
from tests.api.shop import COFFEES, POPULAR, START, TEAS, Shop, event, item_ids


def test_an_unknown_customer_gets_popular_items_in_the_form_of_a_known_ones_list(shop: Shop) -> None:
    shop.statuses(event("1"))
    known, unknown = shop.recommend("ada-lovelace"), shop.recommend("nobody-knows-me")

    assert (known["personalized"], unknown["personalized"]) == (True, False)
    assert item_ids(unknown) == list(POPULAR[:20])
    assert {item["reason"] for item in unknown["items"]} == {"popular"}
    assert known.keys() == unknown.keys()
    assert known["items"][0].keys() == unknown["items"][0].keys() == {"item_id", "name", "score", "reason"}


def test_a_list_names_its_items_its_task_its_version_and_its_time(shop: Shop) -> None:
    answer = shop.recommend(n="3", task="discover")

    assert answer["version"] == shop.version
    assert answer["task"] == "discover"
    assert answer["generated_at"] == "2026-03-01T12:00:00.000Z"
    assert answer["degraded"] is False
    assert [item["name"] for item in answer["items"]] == [f"Finest {item}" for item in POPULAR[:3]]


def test_a_posted_purchase_counts_in_the_very_next_list(shop: Shop) -> None:
    before = shop.recommend()
    shop.statuses(event("1", item_id="tea-2"))
    discover, anything = shop.recommend(task="discover"), shop.recommend()

    assert not before["personalized"]
    assert set(item_ids(discover)[: len(TEAS) - 1]) == set(TEAS) - {"tea-2"}
    assert item_ids(anything)[0] == "tea-2"
    assert anything["items"][0]["reason"] == "bought_before"


def test_each_further_purchase_replaces_the_list_that_was_cached(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-2"))
    shop.recommend(task="discover")
    shop.statuses(event("2", item_id="tea-3"))

    assert not {"tea-2", "tea-3"} & set(item_ids(shop.recommend(task="discover")))


def test_a_list_has_no_more_items_than_asked_for_and_twenty_by_default(shop: Shop) -> None:
    assert len(shop.recommend(n="1")["items"]) == 1
    assert item_ids(shop.recommend()) == list(POPULAR[:20])
    assert item_ids(shop.recommend(n="100")) == list(POPULAR)


@pytest.mark.parametrize("params", [{"n": "0"}, {"n": "101"}, {"n": "-1"}, {"n": "many"}, {"task": "guess"}])
def test_a_parameter_out_of_range_is_refused_by_name(shop: Shop, params: dict[str, str]) -> None:
    response = shop.ask(**params)

    assert response.status_code == 422
    assert response.json()["error"]["code"] == "invalid_input"
    assert f"query.{next(iter(params))}" in response.json()["error"]["message"]


@pytest.mark.parametrize("user_id", ["a" * 257, "x" * 10_000, "line%0Abreak", "nul%00", "%C2%85", ""])
def test_an_id_that_no_shop_can_mean_is_refused_and_not_repeated(shop: Shop, user_id: str) -> None:
    response = shop.ask(user_id)

    assert response.status_code == 422
    assert response.json()["error"]["code"] == "invalid_input"
    assert "customer id" in response.json()["error"]["message"]
    assert not user_id or user_id not in response.text


@pytest.mark.parametrize("user_id", ["a%2Fb", "ü@example.org", "..%2Fetc", "%25", "a%20b", "ada%3Fn=3"])
def test_an_id_may_hold_slashes_and_any_letters(shop: Shop, user_id: str) -> None:
    assert shop.recommend(user_id)["personalized"] is False


def test_a_list_is_kept_by_no_shared_cache(shop: Shop) -> None:
    response = shop.ask()

    assert response.headers["Cache-Control"] == "private, no-store"


def test_a_cache_that_is_down_makes_the_answer_degraded_and_no_worse(shop: Shop) -> None:
    shop.statuses(event("1"))
    healthy = shop.recommend()
    shop.workspace.cache.down = True  # type: ignore[attr-defined]
    degraded = shop.recommend()

    assert (healthy["degraded"], degraded["degraded"]) == (False, True)
    assert item_ids(degraded) == item_ids(healthy)
    assert shop.statuses(event("2", item_id="coffee-1")) == ["accepted"]
    assert "coffee-1" not in item_ids(shop.recommend(task="discover"))


def test_both_headers_carry_the_same_key(shop: Shop) -> None:
    path, secret = "/v1/users/ada-lovelace/recommendations", shop.secrets[Scope.RECOMMEND]

    assert shop.client.get(path, headers={"X-API-Key": secret}).status_code == 200
    assert shop.client.get(path, headers={"Authorization": f"bearer {secret}"}).status_code == 200
    assert shop.client.get(path, headers={"Authorization": f"Basic {secret}"}).status_code == 401


def test_the_model_decides_what_goes_together(shop: Shop) -> None:
    shop.statuses(event("1", "ada-lovelace", "tea-0"), event("2", "bo", "coffee-0"))

    assert item_ids(shop.recommend("ada-lovelace", task="discover"))[0] in TEAS
    assert item_ids(shop.recommend("bo", task="discover"))[0] in COFFEES


@pytest.mark.parametrize(
    "name", ["Finest tea", 'a "quoted" \\ name', "Zoë's <b>\u2028tea</b> ☕", "tab\there", "\x7f/"]
)
def test_a_rendered_answer_is_what_the_route_sends(shop: Shop, name: str) -> None:
    """The finished answer, byte for byte: as computed for the request, and as made of the lists in the cache."""
    shop.workspace.catalogue.add_items([CatalogueItem(item_id="tea-3", name=name)])
    shop = shop.with_port()
    shop.statuses(event("1", item_id="tea-3"))
    path = "/v1/users/ada-lovelace/recommendations"
    computed, read = shop.get(path).content, shop.get(path).content

    key = shop.workspace.pseudonyms.user_key("ada-lovelace")
    document = open_document(shop.workspace.keys, key, shop.workspace.cache.get(key) or b"")
    shown = ShownItems(shop.workspace.catalogue)
    shown.refresh()
    assert shown.answer(document or b"", version_part(shop.version)) == computed == read
    assert json.loads(read)["items"][0]["name"] == name


@given(
    st.lists(st.tuples(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(Reason)), max_size=4)
)
def test_any_score_is_rendered_as_the_route_sends_it(rows: list[tuple[float, Reason]]) -> None:
    listed = [(place, score, reason) for place, (score, reason) in enumerate(rows)]
    items = [
        Recommendation(item_id=f"i{place}", name=f"i{place}", score=told(score), reason=reason)
        for place, score, reason in listed
    ]
    answer = Recommendations(
        items=tuple(items),
        task=Task.ANY,
        personalized=True,
        version="v",
        generated_at=START,
        recommendation_id="r" * ID_LENGTH,
    )
    catalogue = MemoryCatalogue()
    catalogue.add_items([CatalogueItem(item_id=item.item_id) for item in items])
    shown = ShownItems(catalogue)
    shown.refresh()
    lists = CachedLists(
        version="v",
        revision=1,
        recommendation_id="r" * ID_LENGTH,
        generated_at=START,
        lists={Task.ANY: tuple(listed)},
    )
    rendered = shown.answer(to_document(lists), version_part("v"))
    assert rendered == RecommendationList.model_validate(answer).model_dump_json().encode()
