"""What every store of requests in the form of OpenDSR keeps."""

from dataclasses import replace
from datetime import timedelta

import pytest

from recsys.data.opendsr import DsrRequest, DsrStatus, DsrType
from recsys.errors import EventConflictError, NotFoundError
from recsys.store.new_webhook import new_webhook
from recsys.store.workspace import Workspace
from recsys.types import WebhookEvent
from tests.contracts.conftest import NOON

URLS = ("https://one.example/in", "https://two.example/in")
ASKED = DsrRequest(
    subject_request_id="a7551968-d5d6-44b2-9831-815ac9017798",
    kind=DsrType.ACCESS,
    ours="0f",
    content="ab",
    received_at=NOON,
    due_at=NOON + timedelta(days=30),
    callbacks=URLS,
)
OTHER = replace(ASKED, joined=True, subject_request_id="b7551968-d5d6-44b2-9831-815ac9017798", callbacks=())


def test_a_request_is_kept_under_the_controllers_id(ports: Workspace) -> None:
    assert ports.dsr.create(ASKED) == ASKED
    assert ports.dsr.create(OTHER) == OTHER
    assert ports.dsr.request(ASKED.subject_request_id) == ASKED
    with pytest.raises(NotFoundError):
        ports.dsr.request("c7551968-d5d6-44b2-9831-815ac9017798")


def test_the_same_again_finds_the_first_and_something_else_is_refused(ports: Workspace) -> None:
    ports.dsr.create(ASKED)
    assert ports.dsr.create(replace(ASKED, ours="1f", received_at=NOON + timedelta(days=1))) == ASKED
    for other in (replace(ASKED, content="cd"), replace(ASKED, kind=DsrType.ERASURE)):
        with pytest.raises(EventConflictError):
            ports.dsr.create(other)
    assert ports.dsr.request(ASKED.subject_request_id) == ASKED


def test_each_callback_is_told_once_of_each_status(ports: Workspace) -> None:
    ports.dsr.create(ASKED)
    ports.dsr.create(OTHER)
    assert ports.dsr.followed() == (ASKED,)
    for _ in range(2):
        ports.dsr.tell(ASKED.subject_request_id, DsrStatus.PENDING, dict.fromkeys(URLS, b"{}"))
    due = ports.webhooks.due(NOON, 10)
    assert sorted(delivery.url for delivery in due) == sorted(URLS)
    assert {(delivery.event, delivery.body) for delivery in due} == {(WebhookEvent.OPENDSR_STATUS, b"{}")}
    assert ports.dsr.followed() == (replace(ASKED, told=DsrStatus.PENDING),)
    ports.dsr.tell(ASKED.subject_request_id, DsrStatus.COMPLETED, {URLS[0]: b"{}"})
    assert len(ports.webhooks.due(NOON, 10)) == 3
    assert ports.dsr.followed() == ()
    assert len(ports.webhooks.list()) == 2


def test_the_urls_of_callbacks_are_forgotten_with_the_last_message_to_them(ports: Workspace) -> None:
    own = new_webhook(URLS[0], [WebhookEvent.ERASURE_COMPLETED], NOON, local=False)
    ports.webhooks.create(own)
    other = replace(OTHER, callbacks=URLS[:1])
    for request in (ASKED, other):
        ports.dsr.create(request)
    for status in (DsrStatus.PENDING, DsrStatus.COMPLETED):
        ports.dsr.tell(ASKED.subject_request_id, status, dict.fromkeys(URLS, b"{}"))
        assert len(ports.webhooks.list()) == 3
    assert ports.dsr.request(ASKED.subject_request_id) == replace(ASKED, told=DsrStatus.COMPLETED, callbacks=())

    first, *others = ports.webhooks.due(NOON, 10)
    ports.webhooks.delivered(first.delivery_id)
    assert len(ports.webhooks.list()) == 3
    for delivery in others:
        ports.webhooks.delivered(delivery.delivery_id)
        ports.webhooks.delivered(delivery.delivery_id)
    assert [webhook.url for webhook in ports.webhooks.list()] == [URLS[0], URLS[0]]  # the other request is followed

    ports.dsr.tell(other.subject_request_id, DsrStatus.CANCELLED, {URLS[0]: b"{}"})
    [last] = ports.webhooks.due(NOON, 10)
    ports.webhooks.delivered(last.delivery_id)
    assert ports.webhooks.list() == (own,)


def test_a_webhook_of_the_same_address_is_another(ports: Workspace) -> None:
    ports.webhooks.create(new_webhook(URLS[0], [WebhookEvent.ERASURE_COMPLETED], NOON, local=False))
    ports.dsr.create(ASKED)
    ports.dsr.tell(ASKED.subject_request_id, DsrStatus.PENDING, {URLS[0]: b"{}"})
    [delivery] = ports.webhooks.due(NOON, 10)
    assert delivery.webhook_id != ports.webhooks.list()[0].webhook_id


def test_nothing_is_told_of_what_is_not_there(ports: Workspace) -> None:
    with pytest.raises(NotFoundError):
        ports.dsr.tell(ASKED.subject_request_id, DsrStatus.PENDING, {})
