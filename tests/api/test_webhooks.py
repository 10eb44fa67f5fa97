"""Webhooks over HTTP."""

from typing import Any

import pytest

from recsys.store.settings import Settings
from recsys.types import Scope
from tests.api.shop import Shop

URL = "https://hooks.example/in?key=1"


def created(shop: Shop, *events: str) -> dict[str, Any]:
    response = shop.send("POST", "/v1/webhooks", Scope.OPERATE, url=URL, events=list(events or ["erasure.completed"]))
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def test_a_webhook_is_created_listed_and_deleted(shop: Shop) -> None:
    webhook = created(shop, "model.promoted", "erasure.completed", "model.promoted")
    assert webhook == {
        "webhook_id": webhook["webhook_id"],
        "url": URL,
        "events": ["erasure.completed", "model.promoted"],
        "created_at": "2026-03-01T12:00:00.000Z",
    }
    assert shop.get("/v1/webhooks", Scope.OPERATE).json() == {"webhooks": [webhook]}
    path = f"/v1/webhooks/{webhook['webhook_id']}"
    assert shop.client.delete(path, headers=shop.headers(Scope.OPERATE)).json() == webhook
    assert shop.client.delete(path, headers=shop.headers(Scope.OPERATE)).status_code == 404
    assert shop.get("/v1/webhooks", Scope.OPERATE).json() == {"webhooks": []}


def test_the_same_webhook_again_is_the_first_and_is_told_once(shop: Shop) -> None:
    first = created(shop, "model.promoted", "erasure.completed")
    assert created(shop, "erasure.completed", "model.promoted") == first
    assert created(shop, "model.promoted")["webhook_id"] != first["webhook_id"]
    assert len(shop.get("/v1/webhooks", Scope.OPERATE).json()["webhooks"]) == 2


@pytest.mark.parametrize(
    ("url", "events"),
    [
        ("http://hooks.example/in", ["erasure.completed"]),
        ("http://127.0.0.1/in", ["erasure.completed"]),
        ("https://169.254.169.254/latest", ["erasure.completed"]),
        ("https://[::ffff:10.0.0.1]/", ["erasure.completed"]),
        ("https://user:secret@hooks.example/", ["erasure.completed"]),
        (URL, []),
        (URL, ["webhook.test"]),
        (URL, ["everything"]),
    ],
)
def test_what_may_not_be_asked_for_is_refused(shop: Shop, url: str, events: list[str]) -> None:
    response = shop.send("POST", "/v1/webhooks", Scope.OPERATE, url=url, events=events)

    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_input")
    assert "secret" not in response.text
    assert shop.workspace.webhooks.list() == ()


def test_this_machine_is_a_receiver_where_the_setting_allows_it(shop: Shop) -> None:
    local = shop.with_port(settings=Settings(webhooks_local=True))
    url = "http://127.0.0.1:9000/in"

    assert local.send("POST", "/v1/webhooks", Scope.OPERATE, url=url, events=["model.promoted"]).status_code == 201


def test_a_test_message_is_queued_and_what_was_given_up_is_tried_again(shop: Shop) -> None:
    webhook = created(shop)
    queued = shop.send("POST", f"/v1/webhooks/{webhook['webhook_id']}/test", Scope.OPERATE)
    assert queued.status_code == 202
    delivery_id = queued.json()["delivery_id"]
    again = f"/v1/dead-letters/{delivery_id}/redeliver"
    assert shop.send("POST", again, Scope.OPERATE).status_code == 404
    shop.workspace.webhooks.failed(delivery_id, "it is down", None)
    assert shop.get("/v1/dead-letters", Scope.OPERATE).json()["dead_letters"] == [
        {
            "delivery_id": delivery_id,
            "webhook_id": webhook["webhook_id"],
            "event": "webhook.test",
            "attempts": 1,
            "problem": "it is down",
        }
    ]
    assert shop.send("POST", again, Scope.OPERATE).json() == {"delivery_id": delivery_id}

    assert shop.get("/v1/dead-letters", Scope.OPERATE).json() == {"dead_letters": []}
    assert [each.delivery_id for each in shop.workspace.webhooks.due(shop.clock(), 10)] == [delivery_id]
