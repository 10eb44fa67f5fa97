"""Feedback over HTTP: what counts, what does not, and that it is nobody's."""

from dataclasses import replace
from typing import Any

import pytest

from recsys.errors import StorageError
from recsys.types import Scope
from tests.api.shop import Broken, Shop, event, feedback, publish, tea_and_coffee

NEVER = "A" * 40
BAD_ROWS: dict[str, Any] = {
    "no object": 7,
    "null": None,
    "empty": {},
    "another type": feedback(NEVER, "glance"),
    "type as a number": feedback(NEVER, 1),
    "id as a number": feedback(7),
    "id of 10 kB": feedback("A" * 10_000),
    "no timezone": feedback(NEVER, timestamp="2026-03-01T12:00:00"),
    "empty item": feedback(NEVER, item_id=""),
    "empty event id": feedback(NEVER, event_id=""),
    "misspelt field": feedback(NEVER, tpye="click"),
}


def rates(shop: Shop) -> dict[str, Any]:
    response = shop.get("/v1/feedback/rates", Scope.OPERATE)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def totals(shop: Shop) -> dict[str, int]:
    """The totals of the live version."""
    (found,) = [each["totals"] for each in rates(shop)["versions"] if each["version"] == shop.version]
    return dict(found)


def list_of(shop: Shop, user_id: str = "ada-lovelace") -> str:
    return str(shop.recommend(user_id)["recommendation_id"])


def test_feedback_counts_for_the_version_that_made_the_list(shop: Shop) -> None:
    shop.statuses(event("1"))
    name = list_of(shop)
    rows = [feedback(name), feedback(name, "click", "2"), feedback(name, "purchase", "3"), feedback(name, "click", "4")]

    assert shop.tell(*rows) == ["accepted"] * 4
    assert totals(shop) == {
        "impressions": 1,
        "clicks": 2,
        "purchases": 1,
        "lists_shown": 1,
        "lists_clicked": 1,
        "lists_bought": 1,
    }


def test_rates_come_with_intervals_and_are_marked_as_not_private(shop: Shop) -> None:
    for customer in range(10):
        name = list_of(shop, f"customer-{customer}")
        shop.tell(feedback(name), *([feedback(name, "click", "2")] if customer < 3 else []))
    answer = rates(shop)
    (found,) = answer["versions"]

    assert answer["counted"] == "internal, not private"
    assert found["clicked"]["value"] == 0.3
    assert 0 < found["clicked"]["low"] < 0.3 < found["clicked"]["high"] < 1
    assert found["bought"] == {"value": 0.0, "low": 0.0, "high": pytest.approx(0.2775, abs=1e-4)}


def test_sending_a_batch_again_changes_nothing(shop: Shop) -> None:
    name = list_of(shop)
    rows = [feedback(name), feedback(name, "click", "2")]
    shop.tell(*rows)
    before = totals(shop)

    assert shop.tell(*rows) == ["duplicate"] * 2
    assert shop.tell(feedback(name, "purchase")) == ["conflict"]
    assert totals(shop) == before


def test_an_event_id_is_unique_within_its_list(shop: Shop) -> None:
    assert shop.tell(feedback(list_of(shop)), feedback(list_of(shop))) == ["accepted"] * 2


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_invalid_and_stops_no_other(shop: Shop, kind: str) -> None:
    name = list_of(shop)
    response = shop.send(
        "POST", "/v1/feedback", Scope.WRITE, events=[feedback(name), BAD_ROWS[kind], feedback(name, "click", "2")]
    )
    results = response.json()["results"]

    assert [row["status"] for row in results] == ["accepted", "invalid", "accepted"]
    assert results[1]["error"].startswith("expected ")
    assert len(response.content) < 2_000


def test_an_item_that_is_not_in_the_catalogue_is_invalid(shop: Shop) -> None:
    assert shop.tell(feedback(list_of(shop), item_id="whisky")) == ["invalid"]


def test_forged_and_expired_ids_are_unknown_in_the_same_words(shop: Shop) -> None:
    name = list_of(shop)
    forged = name[:-1] + ("A" if name[-1] != "A" else "B")
    shop.clock.wind(days=60, hours=12)
    response = shop.send("POST", "/v1/feedback", Scope.WRITE, events=[feedback(each) for each in (name, forged, NEVER)])
    first, *others = response.json()["results"]

    assert first["status"] == "unknown"
    assert others == [first, first]
    assert set(totals(shop).values()) == {0}


def test_feedback_is_taken_for_sixty_days_and_digests_are_kept_as_long(shop: Shop) -> None:
    name = list_of(shop)
    shop.tell(feedback(name))
    shop.clock.wind(days=60, hours=11)

    assert shop.tell(feedback(name), feedback(name, "click", "2")) == ["duplicate", "accepted"]


def test_a_purchase_can_name_its_list_and_counts_once_whichever_way_it_comes(shop: Shop) -> None:
    shop.statuses(event("0"))
    name = list_of(shop)
    shop.tell(feedback(name, event_id="seen"))
    bought = event("1", recommendation_id=name, timestamp="2026-03-01T13:00:00Z")
    for _ in range(2):
        (result,) = shop.post_events([bought]).json()["results"]
        assert result["attributed"]

    assert shop.tell(feedback(name, "purchase", "1", timestamp="2026-03-01T13:00:00Z")) == ["duplicate"]
    assert (totals(shop)["purchases"], totals(shop)["lists_bought"]) == (1, 1)


def test_a_purchase_is_taken_whether_its_list_is_known_or_not(shop: Shop) -> None:
    rows = [event("1", recommendation_id=NEVER), event("2"), event("3", quantity=0, recommendation_id=list_of(shop))]
    results = shop.post_events(rows).json()["results"]

    assert [row["status"] for row in results] == ["accepted", "accepted", "return"]
    assert [row.get("attributed") for row in results] == [False, None, False]
    assert set(totals(shop).values()) == {0}


def test_the_list_of_an_erased_customer_is_like_any_other(shop: Shop) -> None:
    """Nothing of feedback is kept by customer, so an answer cannot depend on who asked to be forgotten."""
    shop.statuses(event("1"), event("1", "bo"))
    erased, other, nobodys = (list_of(shop, user) for user in ("ada-lovelace", "bo", "nobody"))
    shop.tell(feedback(erased))
    shop.erase(user_id="ada-lovelace")

    for name in (other, nobodys):
        assert shop.tell(feedback(name)) == ["accepted"]
    assert shop.tell(feedback(erased, "click", "2"), feedback(erased)) == ["accepted", "duplicate"]
    assert list_of(shop) not in {erased, other, nobodys}


def test_an_erased_customers_purchase_counts_for_no_list(shop: Shop) -> None:
    name = list_of(shop)
    shop.erase(user_id="ada-lovelace")
    (result,) = shop.post_events([event("1", recommendation_id=name)]).json()["results"]

    assert (result["status"], result["attributed"]) == ("suppressed", False)
    assert set(totals(shop).values()) == {0}


def test_every_kind_of_list_has_an_id_that_feedback_can_name(shop: Shop) -> None:
    lists = [
        shop.send("POST", "/v1/recommendations", items=["tea-1"]).json(),
        *shop.send("POST", "/v1/recommendations:batch", user_ids=["ada", "bo"]).json()["results"],
        shop.get("/v1/items/tea-0/similar").json(),
        shop.get("/v1/popular").json(),
        shop.recommend(filter="in_stock"),
    ]

    assert shop.tell(*(feedback(each["recommendation_id"]) for each in lists)) == ["accepted"] * 6
    assert shop.recommend(task="buy_again")["recommendation_id"] is None


def test_two_versions_are_compared(shop: Shop) -> None:
    for customer in range(40):
        name = list_of(shop, f"first-{customer}")
        shop.tell(feedback(name), *([feedback(name, "click", "2")] if customer < 4 else []))
    other = publish(shop.workspace, replace(tea_and_coffee(), factors=tea_and_coffee().factors * 2))
    for customer in range(40):
        name = list_of(shop, f"second-{customer}")
        shop.tell(feedback(name), *([feedback(name, "click", "2")] if customer < 20 else []))
    found = shop.get(f"/v1/feedback/comparison?first={shop.version}&second={other}", Scope.OPERATE).json()

    assert found["counted"] == "internal, not private"
    assert (found["first"]["version"], found["second"]["version"]) == (shop.version, other)
    assert found["clicked"]["value"] == pytest.approx(0.4)
    assert found["clicked"]["clear"]
    assert found["bought"]["value"] == 0
    assert not found["bought"]["clear"]


def test_rates_and_comparisons_are_of_lists_that_were_made_since_a_day(shop: Shop) -> None:
    shop.tell(feedback(list_of(shop)))
    shop.clock.wind(days=1)
    shop.tell(*(feedback(list_of(shop)) for _ in range(2)))
    path = f"/v1/feedback/comparison?first={shop.version}&second={shop.version}"

    for since, lists in (("1970-01-01", 3), ("2026-03-01", 3), ("2026-03-02", 2), ("2026-03-03", 0)):
        (rates_since,) = shop.get(f"/v1/feedback/rates?since={since}", Scope.OPERATE).json()["versions"]
        compared = shop.get(f"{path}&since={since}", Scope.OPERATE).json()
        assert rates_since["totals"]["lists_shown"] == compared["first"]["totals"]["lists_shown"] == lists
    for since in ("yesterday", "1969-12-31", "2026-13-01"):
        assert shop.get(f"/v1/feedback/rates?since={since}", Scope.OPERATE).status_code == 422


def test_a_comparison_with_a_version_that_there_is_none_of_is_not_found(shop: Shop) -> None:
    response = shop.get(f"/v1/feedback/comparison?first={shop.version}&second={'0f' * 16}", Scope.OPERATE)

    assert response.status_code == 404


def test_while_the_database_is_down_nothing_is_counted(shop: Shop) -> None:
    name = list_of(shop)
    broken = shop.with_port(feedback=Broken(StorageError("expected a database, got none; start it")))

    assert broken.send("POST", "/v1/feedback", Scope.WRITE, events=[feedback(name)]).status_code == 503
    assert shop.tell(feedback(name)) == ["accepted"]
