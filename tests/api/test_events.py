import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import StorageError
from recsys.types import EventStatus, Scope
from tests.api.shop import Broken, Shop, event

BAD_ROWS: dict[str, Any] = {
    "no object": 7,
    "null": None,
    "empty": {},
    "date that does not parse": event("x", timestamp="yesterday"),
    "month 13": event("x", timestamp="2026-13-01T00:00:00Z"),
    "no timezone": event("x", timestamp="2026-02-01T09:30:00"),
    "no time of day": event("x", timestamp="2026-02-01"),
    "time as a number": event("x", timestamp=1_770_000_000),
    "time as a number in text": event("x", timestamp="1770000000"),
    "year 1": event("x", timestamp="0001-01-01T00:00:00+14:00"),
    "user id of 10 kB": event("x", user_id="u" * 10_000),
    "control character": event("x", user_id="ada\n"),
    "empty user id": event("x", user_id=""),
    "user id as a number": event("x", user_id=7),
    "empty item": event("x", item_id=""),
    "item not in the catalogue": event("x", item_id="whisky"),
    "text for a quantity": event("x", quantity="two"),
    "quantity beyond any basket": event("x", quantity=1e300),
    "quantity of 400 digits": event("x", quantity=10**400),
    "quantity true": event("x", quantity=True),
    "misspelt field": event("x", quantiy=2),
    "field with a name of 10 kB": {**event("x"), "f" * 10_000: 1},
    "empty event id": event(""),
    "event id of 10 kB": event("e" * 10_000),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_invalid_and_stops_no_other(shop: Shop, kind: str) -> None:
    response = shop.post_events([event("1"), BAD_ROWS[kind], event("2", item_id="tea-1")])
    results = response.json()["results"]

    assert [row["status"] for row in results] == ["accepted", "invalid", "accepted"]
    assert results[1]["error"].startswith("expected ")
    assert len(response.content) < 2_000
    assert "error" not in results[0]


@pytest.mark.parametrize("quantity", [math.nan, math.inf, -math.inf])
def test_a_quantity_that_is_no_number_is_invalid(shop: Shop, quantity: float) -> None:
    result = shop.post_events([event("1", quantity=quantity)]).json()["results"][0]

    assert result["status"] == "invalid"
    assert "quantity" in result["error"]


def test_half_a_surrogate_pair_is_invalid_wherever_it_stands(shop: Shop) -> None:
    rows = [event("\ud800"), event("1", user_id="\ud800"), event("1", item_id="\udfff"), {**event("1"), "\ud800": 1}]

    assert shop.statuses(*rows) == ["invalid"] * 4


def test_the_id_of_a_bad_row_comes_back_where_it_can_be_read(shop: Shop) -> None:
    results = shop.post_events([event("mine", quantity="two"), {"event_id": 7}, []]).json()["results"]

    assert [row["event_id"] for row in results] == ["mine", None, None]


def test_sending_a_batch_again_changes_nothing(shop: Shop) -> None:
    rows = [event("1"), event("2", item_id="tea-1"), event("1", user_id="bo")]

    assert shop.statuses(*rows) == ["accepted"] * 3
    before = shop.workspace.histories.history(shop.workspace.keys.user_key("ada-lovelace"))
    assert shop.statuses(*rows) == ["duplicate"] * 3
    assert shop.workspace.histories.history(shop.workspace.keys.user_key("ada-lovelace")) == before


def test_one_event_id_with_other_content_is_a_conflict_and_the_first_stays(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-0"))
    result = shop.post_events([event("1", item_id="tea-1")]).json()["results"][0]
    history = shop.workspace.histories.history(shop.workspace.keys.user_key("ada-lovelace"))

    assert result["status"] == "conflict"
    assert "the first stays" in result["error"]
    assert history.items.tolist() == [0]


def test_events_of_one_batch_are_judged_in_their_order(shop: Shop) -> None:
    rows = [event("1"), event("1", user_id="bo"), event("1"), event("1", item_id="tea-3"), event("2", user_id="bo")]

    assert shop.statuses(*rows) == ["accepted", "accepted", "duplicate", "conflict", "accepted"]


def test_two_spellings_of_one_id_are_one_customer(shop: Shop) -> None:
    composed, decomposed = "ren\u00e9", "rene\u0301"

    assert shop.statuses(event("1", composed), event("1", decomposed)) == ["accepted", "duplicate"]
    assert shop.recommend("rene%CC%81")["personalized"] is True


@pytest.mark.parametrize("quantity", [0, -1, -0.5])
def test_a_quantity_of_zero_or_less_is_a_return(shop: Shop, quantity: float) -> None:
    assert shop.statuses(event("1", quantity=quantity)) == ["return"]
    assert shop.recommend()["personalized"] is False


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-01T09:30:00Z",
        "2026-02-01t10:30:00.000000000+01:00",
        "2026-02-01 09:30:00.000z",
        "2026-02-01T04:00:00-05:30",
    ],
)
def test_every_spelling_of_a_time_in_rfc_3339_is_the_same_time(shop: Shop, text: str) -> None:
    shop.statuses(event("1"))

    assert shop.statuses(event("1", timestamp=text)) == ["duplicate"]


def test_the_counts_add_up_to_the_rows(shop: Shop) -> None:
    counts = shop.post_events([event("1"), event("1"), event("2", quantity=-1), 5]).json()["counts"]

    assert counts.keys() == set(EventStatus)
    assert {status: count for status, count in counts.items() if count} == {
        "accepted": 1,
        "duplicate": 1,
        "return": 1,
        "invalid": 1,
    }


def test_an_empty_batch_is_no_error(shop: Shop) -> None:
    assert shop.post_events([]).json()["results"] == []


def test_a_thousand_events_are_one_request_and_one_more_is_refused(shop: Shop) -> None:
    rows = [event(str(number), user_id=f"customer-{number % 7}", item_id=f"tea-{number % 4}") for number in range(1001)]

    refused = shop.post_events(rows)
    assert refused.status_code == 422
    assert "events" in refused.json()["error"]["message"]
    assert shop.recommend("customer-1")["personalized"] is False
    assert shop.statuses(*rows[:1000]) == ["accepted"] * 1000


@pytest.mark.parametrize("body", [[], {}, {"events": {}}, {"events": None}, {"events": [], "more": 1}, "text"])
def test_a_body_of_another_form_is_refused_as_a_whole(shop: Shop, body: object) -> None:
    response = shop.client.post("/v1/events", headers=shop.headers(Scope.WRITE), json=body)

    assert response.status_code == 422
    assert response.json()["error"]["message"].startswith("expected the documented form")


def test_a_database_that_refuses_is_503_and_nothing_was_taken(shop: Shop) -> None:
    full = shop.with_port(
        histories=Broken(StorageError("expected space on the disk of ada-lovelace, got none; free some"))
    )
    response = full.post_events([event("1")])

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "unavailable"
    assert "ada-lovelace" not in response.text
    assert shop.recommend()["personalized"] is False


TEXT = st.characters()
"""Half surrogate pairs too, which JSON can say and UTF-8 cannot."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(TEXT, max_size=5), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.fixed_dictionaries(
    {
        "event_id": st.text(TEXT, max_size=3) | JSON,
        "user_id": st.text(TEXT, max_size=3) | JSON,
        "item_id": st.just("tea-0") | JSON,
    },
    optional={"timestamp": st.just("2026-02-01T09:30:00Z") | st.datetimes().map(str) | JSON, "quantity": JSON},
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS | JSON, max_size=5))
def test_whatever_the_rows_hold_each_gets_one_status_and_the_counts_add_up(shop: Shop, rows: list[Any]) -> None:
    answer = shop.post_events(rows)

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["results"]) == len(rows)
    assert sum(answer.json()["counts"].values()) == len(rows)
