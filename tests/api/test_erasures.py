from dataclasses import replace
from typing import Any

import pytest

from recsys.evidence.receipt import subject_commitment
from recsys.store.new_webhook import new_webhook
from recsys.types import Scope, WebhookEvent
from tests.api.shop import POPULAR, Shop, event, item_ids

RECEIPT = b'{"body":{"type":"privrec.erasure-receipt.v1"},"key_id":"k","signature":"s"}'


def test_an_erasure_is_acknowledged_with_its_id_its_dates_and_the_salt(shop: Shop) -> None:
    response = shop.erase(user_id="ada-lovelace")
    accepted = response.json()

    assert response.status_code == 202
    assert accepted.keys() == {"request_id", "state", "received_at", "due_at", "subject_salt"}
    assert accepted["state"] == "suppressed"
    assert (accepted["received_at"], accepted["due_at"]) == ("2026-03-01T12:00:00.000Z", "2026-03-31T12:00:00.000Z")
    assert response.headers["Location"] == f"/v1/erasures/{accepted['request_id']}"
    assert response.headers["Cache-Control"] == "private, no-store"


def test_the_salt_shows_that_the_receipt_is_the_customers(shop: Shop) -> None:
    accepted = shop.erase(user_id="ada-lovelace").json()
    request = shop.workspace.erasures.request(accepted["request_id"])

    assert subject_commitment("ada-lovelace", bytes.fromhex(accepted["subject_salt"])) == request.subject


def test_the_personal_list_is_gone_at_once_and_new_purchases_are_refused(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-3"))
    assert shop.recommend()["personalized"] is True
    shop.erase(user_id="ada-lovelace")

    after = shop.recommend()
    assert after["personalized"] is False
    assert item_ids(after) == list(POPULAR[:20])
    assert shop.statuses(event("2"), event("1", user_id="bo")) == ["suppressed", "accepted"]


def test_the_personal_list_is_gone_even_while_the_cache_is_down(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-3"))
    shop.recommend()
    shop.workspace.cache.down = True  # type: ignore[attr-defined]

    assert shop.erase(user_id="ada-lovelace").status_code == 202
    shop.workspace.cache.down = False  # type: ignore[attr-defined]
    assert shop.recommend()["personalized"] is False


def test_asking_twice_finds_the_first_request_and_no_salt(shop: Shop) -> None:
    first, second = shop.erase(user_id="ada-lovelace").json(), shop.erase(user_id="ada-lovelace").json()

    assert second["request_id"] == first["request_id"]
    assert (len(first["subject_salt"]) > 0, second["subject_salt"]) == (True, "")


def test_an_erasure_can_be_followed_until_it_is_due(shop: Shop) -> None:
    request_id = shop.erase(user_id="ada-lovelace", reason="by letter", release=True).json()["request_id"]
    status = shop.get(f"/v1/erasures/{request_id}", Scope.ERASE).json()
    shop.clock.wind(days=29, hours=1)
    late = shop.get(f"/v1/erasures/{request_id}", Scope.ERASE).json()
    shop.clock.wind(days=2)
    overdue = shop.get(f"/v1/erasures/{request_id}", Scope.ERASE).json()

    assert (status["state"], status["days_left"]) == ("suppressed", 30)
    assert (late["days_left"], overdue["days_left"]) == (0, -2)
    assert shop.workspace.erasures.request(request_id).reason == "by letter"
    assert shop.workspace.erasures.request(request_id).release is True


def test_the_receipt_is_404_until_it_is_finished_and_then_its_exact_bytes(shop: Shop) -> None:
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    early = shop.get(f"/v1/erasures/{request_id}/receipt", Scope.ERASE)
    shop.finish_erasure(request_id, RECEIPT)
    receipt = shop.get(f"/v1/erasures/{request_id}/receipt", Scope.ERASE)

    assert (early.status_code, early.json()["error"]["code"]) == (404, "not_found")
    assert receipt.content == RECEIPT
    assert receipt.headers["Content-Type"] == "application/json"
    assert shop.get(f"/v1/erasures/{request_id}", Scope.ERASE).json()["state"] == "receipted"


def test_a_receipt_that_is_missing_says_whether_the_request_is_unknown_or_unfinished(shop: Shop) -> None:
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    unfinished = shop.get(f"/v1/erasures/{request_id}/receipt", Scope.ERASE).json()["error"]["message"]
    unknown = shop.get("/v1/erasures/0f0f/receipt", Scope.ERASE).json()["error"]["message"]

    assert "so far" in unfinished
    assert "so far" not in unknown
    assert "id of an erasure request" in unknown


@pytest.mark.parametrize("path", ["/v1/erasures/0f0f", "/v1/erasures/0f0f/receipt"])
def test_an_unknown_request_is_not_found(shop: Shop, path: str) -> None:
    response = shop.get(path, Scope.ERASE)

    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("request_id", ["a.b", "%00", "x" * 101, "ada@example.org"])
def test_what_cannot_be_a_request_is_refused_and_not_repeated(shop: Shop, request_id: str) -> None:
    response = shop.get(f"/v1/erasures/{request_id}", Scope.ERASE)

    assert response.status_code == 422
    assert request_id not in response.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_id": ""},
        {"user_id": "u" * 10_000},
        {"user_id": "a\x00b"},
        {"user_id": 7},
        {"user_id": "ada-lovelace", "reason": ""},
        {"user_id": "ada-lovelace", "reason": "r" * 501},
        {"user_id": "ada-lovelace", "reason": "nul\x00"},
        {"user_id": "ada-lovelace", "release": "yes"},
        {"user_id": "ada-lovelace", "why": "typo"},
    ],
)
def test_a_request_that_cannot_be_used_suppresses_nobody(shop: Shop, body: dict[str, object]) -> None:
    response = shop.erase(**body)

    assert response.status_code == 422
    assert response.json()["error"]["code"] == "invalid_input"
    assert shop.workspace.erasures.requests() == ()


def test_a_customer_who_is_unknown_can_be_erased_too(shop: Shop) -> None:
    assert shop.erase(user_id="never-seen").status_code == 202
    assert shop.statuses(event("1", user_id="never-seen")) == ["suppressed"]


def post(shop: Shop, request_id: str, what: str, body: object = None) -> Any:
    headers = shop.headers(Scope.ERASE)
    return shop.client.post(f"/v1/erasures/{request_id}/{what}", headers=headers, json=body)


def test_erasures_are_listed_with_their_clocks_a_page_at_a_time(shop: Shop) -> None:
    ids = [shop.erase(user_id=user).json()["request_id"] for user in ("ada-lovelace", "bo", "cy")]
    shop.clock.wind(days=31)
    shop.finish_erasure(ids[1], RECEIPT)
    page = shop.get("/v1/erasures?limit=1", Scope.ERASE).json()
    rest = shop.get(f"/v1/erasures?after={ids[0]}", Scope.ERASE).json()["erasures"]
    everything = shop.get("/v1/erasures?show=all", Scope.ERASE).json()["erasures"]

    assert [each["request_id"] for each in page["erasures"] + rest] == [ids[0], ids[2]]
    assert page["counted"] == "internal, not private"
    assert (page["erasures"][0]["days_left"], page["erasures"][0]["overdue"]) == (-1, True)
    assert [each["overdue"] for each in everything] == [True, False, True]


def test_what_is_stuck_or_overdue_is_listed_by_itself(shop: Shop) -> None:
    stuck, _ = (shop.erase(user_id=user).json()["request_id"] for user in ("ada-lovelace", "bo"))
    shop.workspace.erasures.change(
        stuck,
        lambda request: replace(request, attempts=24, stuck=True, problem="StorageError: full"),
    )
    [found] = shop.get("/v1/erasures?show=stuck", Scope.ERASE).json()["erasures"]

    assert (found["request_id"], found["stuck"], found["problem"]) == (stuck, True, "StorageError: full")
    assert shop.get("/v1/erasures?show=overdue", Scope.ERASE).json()["erasures"] == []
    assert post(shop, stuck, "retry").json()["stuck"] is False


def test_a_cancelled_erasure_serves_the_customer_as_before(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-3"))
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    assert post(shop, request_id, "cancel").json()["state"] == "cancelled"

    assert shop.recommend()["personalized"] is True
    assert shop.statuses(event("2")) == ["accepted"]
    again = shop.erase(user_id="ada-lovelace").json()
    assert (again["request_id"] != request_id, bool(again["subject_salt"])) == (True, True)


def test_an_erasure_that_is_under_way_is_not_cancelled(shop: Shop) -> None:
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    shop.finish_erasure(request_id, RECEIPT)
    response = post(shop, request_id, "cancel")

    assert (response.status_code, response.json()["error"]["code"]) == (409, "erasure_conflict")
    assert post(shop, "0f0f", "cancel").status_code == 404


def test_an_erasure_is_extended_once_with_a_reason(shop: Shop) -> None:
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    assert post(shop, request_id, "extend", {"reason": ""}).status_code == 422
    longer = post(shop, request_id, "extend", {"reason": "three systems"}).json()

    assert (longer["days_left"], longer["extension"]) == (89, "three systems")
    assert post(shop, request_id, "extend", {"reason": "four systems"}).status_code == 409


def test_who_was_erased_comes_back_with_a_fresh_consent(shop: Shop) -> None:
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    headers, body = shop.headers(Scope.ERASE), {"user_id": "ada-lovelace"}
    early = shop.client.post("/v1/consents", headers=headers, json=body)
    shop.finish_erasure(request_id, RECEIPT)
    answers = [shop.client.post("/v1/consents", headers=headers, json=body).json() for _ in range(2)]

    assert (early.status_code, early.json()["error"]["code"]) == (409, "erasure_conflict")
    assert answers == [{"lifted": request_id}, {"lifted": None}]
    assert shop.statuses(event("2")) == ["accepted"]


def test_the_lineage_is_told_to_who_may_erase(shop: Shop) -> None:
    shop.statuses(event("1", item_id="tea-3"))
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    found = shop.get(f"/v1/erasures/{request_id}/lineage", Scope.ERASE).json()

    assert (found["history"], found["suppressed"], found["versions"]) == (True, True, [])
    assert found["counted"] == "internal, not private"
    assert shop.get("/v1/erasures/0f0f/lineage", Scope.ERASE).status_code == 404


def test_it_is_told_whether_everybody_who_wants_to_know_was_told(shop: Shop) -> None:
    webhooks, event = shop.workspace.webhooks, [WebhookEvent.ERASURE_COMPLETED]
    webhooks.create(new_webhook("https://hooks.example/in", event, shop.clock(), local=False))
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]

    def notified() -> object:
        return shop.get(f"/v1/erasures/{request_id}", Scope.ERASE).json()["notified"]

    found = [notified()]
    shop.finish_erasure(request_id, RECEIPT)
    found.append(notified())
    [delivery] = webhooks.due(shop.clock(), 10)
    webhooks.delivered(delivery.delivery_id)
    assert [*found, notified()] == [None, False, True]
