"""What every outbox keeps."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from recsys.errors import NotFoundError, StateError
from recsys.store.workspace import Workspace
from recsys.types import ErasureRequest, ErasureState, UserKey, Webhook, WebhookEvent
from tests.contracts.conftest import NOON
from tests.contracts.entries import entering

ERASED, LIVE, TEST = WebhookEvent.ERASURE_COMPLETED, WebhookEvent.MODEL_PROMOTED, WebhookEvent.TEST


def webhook(name: str, *events: WebhookEvent) -> Webhook:
    return Webhook(
        webhook_id=name, url=f"https://{name}.example/in", events=frozenset(events or {ERASED, LIVE}), created_at=NOON
    )


def told(ports: Workspace) -> list[tuple[str, WebhookEvent]]:
    return [(each.webhook_id, each.event) for each in ports.webhooks.due(NOON, 100)]


def test_webhooks_are_listed_oldest_first_as_they_were_made(ports: Workspace) -> None:
    made = [webhook("b", ERASED), webhook("a", LIVE), webhook("c")]
    for each in made:
        ports.webhooks.create(each)

    assert ports.webhooks.list() == tuple(made)


def test_the_same_webhook_again_finds_the_first(ports: Workspace) -> None:
    first = webhook("a", ERASED, LIVE)
    again = replace(first, webhook_id="again", created_at=NOON + timedelta(days=1))
    others = [
        replace(again, webhook_id="b", events=frozenset({LIVE})),
        replace(again, webhook_id="c", url="https://c/"),
    ]
    assert [ports.webhooks.create(each) for each in (first, again)] == [first, first]
    assert [ports.webhooks.create(each) for each in others] == others
    assert ports.webhooks.list() == (first, *others)
    ports.webhooks.delete("a")
    assert ports.webhooks.create(again) == again


def test_each_webhook_has_its_turn_and_its_share(ports: Workspace) -> None:
    for name in ("a", "b", "c"):
        ports.webhooks.create(webhook(name))
    many = [ports.webhooks.test("a") for _ in range(5)]
    few = [ports.webhooks.test("b"), ports.webhooks.test("c"), ports.webhooks.test("b")]
    ports.webhooks.failed(many[0], "it is down", NOON + timedelta(minutes=1))
    in_turn = [many[1], few[0], few[1], many[2], few[2], many[3]]
    assert [each.delivery_id for each in ports.webhooks.due(NOON, 3)] == in_turn
    assert [each.delivery_id for each in ports.webhooks.due(NOON, 1)] == in_turn[:3]


def test_a_deleted_webhook_is_told_nothing_and_its_messages_are_gone(ports: Workspace) -> None:
    for name in ("a", "b"):
        ports.webhooks.create(webhook(name))
    ports.webhooks.announce("v1")
    ports.webhooks.delete("a")
    ports.webhooks.announce("v2")

    assert told(ports) == [("b", LIVE), ("b", LIVE)]
    assert [each.webhook_id for each in ports.webhooks.list()] == ["b"]


@pytest.mark.parametrize("ask", ["delete", "test", "redeliver"])
def test_what_is_not_there_is_not_found(ports: Workspace, ask: str) -> None:
    ports.webhooks.create(webhook("a"))

    with pytest.raises(NotFoundError):
        getattr(ports.webhooks, ask)("nothing")


def test_a_finished_erasure_tells_those_who_asked_for_it_once(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    for each in (webhook("a", ERASED), webhook("b", LIVE)):
        ports.webhooks.create(each)
    ports.erasures.suppress(erasure_request("r"), customer(1))
    with pytest.raises(StateError):
        ports.erasures.finish("r", entering(b"receipt"), {})
    assert told(ports) == []
    ports.erasures.erase_customers({"r": {}}, {})
    for state in (ErasureState.RELEASED, ErasureState.PURGED, ErasureState.VERIFIED):
        ports.erasures.advance("r", state, {})
    for _ in range(2):
        ports.erasures.finish("r", entering(b"receipt"), {})

    [delivery] = ports.webhooks.due(NOON, 100)
    assert (delivery.webhook_id, delivery.url, delivery.attempts) == ("a", "https://a.example/in", 0)
    assert json.loads(delivery.body) == {
        "type": "erasure.completed",
        "timestamp": "2026-01-31T12:00:00.000Z",
        "data": {"request_id": "r", "state": "receipted"},
    }
    assert customer(1).hex() not in delivery.body.decode()


def test_a_live_version_is_told_of_when_it_is_another(ports: Workspace) -> None:
    ports.webhooks.create(webhook("a"))

    assert [ports.webhooks.announce(version) for version in ("v1", "v1", "v2", "v1")] == [True, False, True, True]
    bodies = [json.loads(each.body)["data"] for each in ports.webhooks.due(NOON, 100)]
    assert bodies == [{"version": "v1"}, {"version": "v2"}, {"version": "v1"}]


def test_a_test_goes_to_one_webhook_whatever_it_is_told_of(ports: Workspace) -> None:
    for name in ("a", "b"):
        ports.webhooks.create(webhook(name, LIVE))
    delivery_id = ports.webhooks.test("b")

    [delivery] = ports.webhooks.due(NOON, 100)
    assert (delivery.delivery_id, delivery.webhook_id, delivery.event) == (delivery_id, "b", TEST)


def test_a_message_that_was_taken_is_forgotten(ports: Workspace) -> None:
    ports.webhooks.create(webhook("a"))
    delivery_id = ports.webhooks.test("a")
    for _ in range(2):
        ports.webhooks.delivered(delivery_id)

    assert told(ports) == []


def test_a_message_that_failed_waits_for_its_time(ports: Workspace) -> None:
    ports.webhooks.create(webhook("a"))
    first, second = ports.webhooks.test("a"), ports.webhooks.test("a")
    ports.webhooks.failed(first, "it is down", NOON + timedelta(minutes=1))

    assert [each.delivery_id for each in ports.webhooks.due(NOON, 100)] == [second]
    later = ports.webhooks.due(NOON + timedelta(minutes=1), 100)
    assert [(each.delivery_id, each.attempts, each.problem) for each in later] == [
        (second, 0, ""),
        (first, 1, "it is down"),
    ]
    assert len(ports.webhooks.due(NOON + timedelta(minutes=1), 1)) == 1


def test_a_message_that_was_given_up_is_tried_again_on_demand(ports: Workspace) -> None:
    ports.webhooks.create(webhook("a"))
    delivery_id = ports.webhooks.test("a")
    with pytest.raises(NotFoundError):
        ports.webhooks.redeliver(delivery_id)
    ports.webhooks.failed(delivery_id, "it is down", None)
    ports.webhooks.test("a")
    assert ports.webhooks.waiting() == (1, 1)
    ports.webhooks.delivered(ports.webhooks.due(NOON, 1)[0].delivery_id)
    assert ports.webhooks.waiting() == (0, 1)
    [dead] = ports.webhooks.dead()
    assert (dead.delivery_id, dead.attempts, dead.problem, dead.dead) == (delivery_id, 1, "it is down", True)
    assert told(ports) == []
    ports.webhooks.redeliver(delivery_id)

    [delivery] = ports.webhooks.due(NOON, 100)
    assert (delivery.delivery_id, delivery.attempts, ports.webhooks.dead()) == (delivery_id, 0, ())


def test_messages_about_an_erasure_are_counted_until_they_are_taken(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    for name in ("a", "b"):
        ports.webhooks.create(webhook(name, ERASED))
    for number, request_id in enumerate(("r", "other")):
        ports.erasures.suppress(erasure_request(request_id), customer(number))
        ports.erasures.erase_customers({request_id: {}}, {})
        for state in (ErasureState.RELEASED, ErasureState.PURGED, ErasureState.VERIFIED):
            ports.erasures.advance(request_id, state, {})
        assert ports.webhooks.about(request_id) == (0, 0)
        ports.erasures.finish(request_id, entering(b"receipt"), {})
    counts = [ports.webhooks.about("r")]
    first, second, *_ = ports.webhooks.due(NOON, 100)
    ports.webhooks.delivered(first.delivery_id)
    counts.append(ports.webhooks.about("r"))
    ports.webhooks.failed(second.delivery_id, "it is down", None)
    counts.append(ports.webhooks.about("r"))

    assert counts == [(2, 0), (1, 0), (0, 1)]
    assert ports.webhooks.about("other") == (2, 0)
