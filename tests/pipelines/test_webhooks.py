"""Messages are sent until they are taken: at least once, later and later, and in the end given up."""

import json
import os
import signal
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from pipelines import background, webhooks
from pipelines.erase import desk, worker
from pipelines.webhooks import LONGEST_DELAY, MAX_ATTEMPTS, SHARE, Sender, delay, sender_thread
from recsys.errors import DeliveryError
from recsys.evidence.webhook_signature import verify_message
from recsys.store.https_post import HttpsPoster
from recsys.store.new_webhook import new_webhook
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, memory_workspace, open_workspace
from recsys.types import Webhook, WebhookEvent
from tests.api.shop import publish, tea_and_coffee
from tests.pipelines.shell import assert_refused, done, privrec

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
CANARY = "canary-user-7f3a"


class Post:
    """A receiver that takes or refuses."""

    def __init__(self) -> None:
        self.refusing: set[str] = set()
        self.sent: list[tuple[str, dict[str, str], bytes]] = []

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.sent.append((url, dict(headers), body))
        if url in self.refusing:
            msg = "expected 2xx, got 500"
            raise DeliveryError(msg)


class Clock:
    """A clock that a test winds."""

    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(clock: Clock) -> Workspace:
    return memory_workspace(clock=clock, wait=lambda _: None)


def told(workspace: Workspace, url: str, *events: WebhookEvent) -> Webhook:
    webhook = new_webhook(url, events or (WebhookEvent.ERASURE_COMPLETED,), NOON, local=False)
    workspace.webhooks.create(webhook)
    return webhook


def test_a_finished_erasure_is_told_signed_and_names_no_customer(workspace: Workspace) -> None:
    told(workspace, "https://a.example/in")
    post = Post()
    request, _ = desk(workspace).request(CANARY, reason=CANARY)
    assert Sender(workspace, post).run() == 0
    worker(workspace).run()

    assert Sender(workspace, post).run() == 1
    [(url, headers, body)] = post.sent
    assert (url, headers["Content-Type"]) == ("https://a.example/in", "application/json")
    assert json.loads(body)["data"] == {"request_id": request.request_id, "state": "receipted"}
    assert verify_message(headers, body, workspace.public_key, now=NOON.timestamp()) == headers["webhook-id"]
    assert CANARY not in str(post.sent)
    assert workspace.pseudonyms.user_key(CANARY).hex() not in str(post.sent)
    assert Sender(workspace, post).run() == 0


def test_a_version_that_became_live_is_told_of_once_whoever_promoted_it(workspace: Workspace) -> None:
    told(workspace, "https://a.example/in", WebhookEvent.MODEL_PROMOTED)
    post = Post()
    assert Sender(workspace, post).run() == 0
    version = publish(workspace, tea_and_coffee())

    assert [Sender(workspace, post).run() for _ in range(2)] == [1, 0]
    assert json.loads(post.sent[0][2]) == {
        "type": "model.promoted",
        "timestamp": "2026-01-31T12:00:00.000Z",
        "data": {"version": version},
    }


def test_a_message_that_is_refused_comes_again_later_under_the_same_id(workspace: Workspace, clock: Clock) -> None:
    webhook = told(workspace, "https://a.example/in")
    delivery_id, post = workspace.webhooks.test(webhook.webhook_id), Post()
    post.refusing.add(webhook.url)
    sender = Sender(workspace, post, spread=lambda: 0.0)
    assert [sender.run() for _ in range(3)] == [0, 0, 0]
    assert len(post.sent) == 1
    clock.now += timedelta(seconds=30)
    post.refusing.clear()

    assert sender.run() == 1
    assert [headers["webhook-id"] for _, headers, _ in post.sent] == [delivery_id, delivery_id]
    assert post.sent[0][1]["webhook-signature"] != post.sent[1][1]["webhook-signature"], "signed at each sending"


def test_after_all_attempts_it_is_given_up_and_redelivered_on_demand(workspace: Workspace, clock: Clock) -> None:
    webhook, post = told(workspace, "https://a.example/in"), Post()
    delivery_id = workspace.webhooks.test(webhook.webhook_id)
    post.refusing.add(webhook.url)
    for _ in range(MAX_ATTEMPTS + 3):
        Sender(workspace, post).run()
        clock.now += LONGEST_DELAY
    assert len(post.sent) == MAX_ATTEMPTS
    [dead] = workspace.webhooks.dead()
    assert (dead.delivery_id, dead.problem) == (delivery_id, "expected 2xx, got 500")
    workspace.webhooks.redeliver(delivery_id)
    post.refusing.clear()

    assert Sender(workspace, post).run() == 1
    assert workspace.webhooks.dead() == ()


def test_a_receiver_that_fails_does_not_hold_up_the_others(workspace: Workspace) -> None:
    slow, quick = told(workspace, "https://slow.example/"), told(workspace, "https://quick.example/")
    for webhook in (slow, slow, quick, slow):
        workspace.webhooks.test(webhook.webhook_id)
    post = Post()
    post.refusing.add(slow.url)

    assert Sender(workspace, post).run() == 1
    assert [url for url, *_ in post.sent] == [slow.url, quick.url]


def test_a_receiver_with_many_messages_does_not_hold_up_the_others(workspace: Workspace, clock: Clock) -> None:
    busy, quiet = told(workspace, "https://busy.example/"), told(workspace, "https://quiet.example/")
    for _ in range(150):
        workspace.webhooks.test(busy.webhook_id)
    clock.now += timedelta(seconds=1)
    for _ in range(2):
        workspace.webhooks.test(quiet.webhook_id)
    post = Post()

    assert Sender(workspace, post).run() == SHARE + 2
    assert [url for url, *_ in post.sent][:4] == [busy.url, quiet.url] * 2
    while Sender(workspace, post).run():
        pass
    assert len(post.sent) == 152


def test_a_server_that_ends_does_not_wait_for_the_last_message(workspace: Workspace) -> None:
    webhook, post = told(workspace, "https://a.example/in"), Post()
    for _ in range(3):
        workspace.webhooks.test(webhook.webhook_id)

    assert Sender(workspace, post).run(lambda: bool(post.sent)) == 1
    assert len(post.sent) == 1
    assert Sender(workspace, post).run() == 2


def test_waiting_doubles_up_to_an_end_and_is_spread() -> None:
    assert [delay(attempts, 0.0).total_seconds() for attempts in range(4)] == [30, 60, 120, 240]
    assert delay(MAX_ATTEMPTS, 0.0) == LONGEST_DELAY
    assert delay(0, 1.0).total_seconds() == 15
    whole = sum((delay(attempts, 0.0) for attempts in range(MAX_ATTEMPTS - 1)), timedelta())
    assert timedelta(days=1) < whole < timedelta(days=2)


def test_a_url_that_is_no_longer_allowed_is_put_off_like_any_failure(workspace: Workspace) -> None:
    webhook = new_webhook("http://localhost:1/", [WebhookEvent.MODEL_PROMOTED], NOON, local=True)
    workspace.webhooks.create(webhook)
    workspace.webhooks.test(webhook.webhook_id)

    assert Sender(workspace, HttpsPoster(local=False)).run() == 0
    assert workspace.webhooks.due(NOON, 10) == ()


def test_the_thread_sends_while_it_runs_and_logs_no_url(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    post, taken = Post(), threading.Event()

    def send(url: str, headers: Mapping[str, str], body: bytes) -> None:
        post(url, headers, body)
        taken.set()

    monkeypatch.setattr(webhooks, "HttpsPoster", lambda *, local: send)
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
    webhook = told(workspace, f"https://a.example/{CANARY}")
    workspace.webhooks.test(webhook.webhook_id)
    before = threading.enumerate()
    with sender_thread(workspace):
        assert taken.wait(30)
    logged = capsys.readouterr().err

    assert "webhooks delivered" in logged
    assert CANARY not in logged
    assert set(threading.enumerate()) <= set(before)


def send_and_die(state_dir: Path, sent: Path) -> None:
    """A sender that dies after the receiver took the message, before it is marked."""

    def post(url: str, headers: Mapping[str, str], body: bytes) -> None:
        sent.write_text(headers["webhook-id"])
        os.kill(os.getpid(), signal.SIGKILL)

    with open_workspace(Settings(state_dir=state_dir), start_cache=False) as workspace:
        Sender(workspace, post).run()


@pytest.mark.slow
@pytest.mark.service
def test_killed_between_sending_and_marking_it_sends_again(tmp_path: Path) -> None:
    state_dir, sent = tmp_path / "state", tmp_path / "sent"
    with open_workspace(Settings(state_dir=state_dir), start_cache=False) as workspace:
        delivery_id = workspace.webhooks.test(told(workspace, "https://a.example/in").webhook_id)
    process = get_context("spawn").Process(target=send_and_die, args=(state_dir, sent))
    process.start()
    process.join()
    assert (process.exitcode, sent.read_text()) == (-signal.SIGKILL, delivery_id)

    post = Post()
    with open_workspace(Settings(state_dir=state_dir), start_cache=False) as workspace:
        assert [Sender(workspace, post).run() for _ in range(2)] == [1, 0]
    assert [headers["webhook-id"] for _, headers, _ in post.sent] == [delivery_id]


def test_the_command_line_creates_lists_tests_and_deletes(fresh: Path) -> None:
    made: Any = done("webhooks", "create", "https://a.example/in", "--event", "erasure.completed", "--json").json
    assert made["events"] == ["erasure.completed"]
    webhook_id = made["webhook_id"]
    listed: Any = done("webhooks", "list", "--json").json
    assert listed == [{"webhook_id": webhook_id, "events": "erasure.completed", "url": "https://a.example/in"}]
    assert webhook_id in done("webhooks", "list").out
    again: Any = done("webhooks", "create", "https://a.example/in", "--event", "erasure.completed", "--json").json
    assert again == made
    assert "is queued" in done("webhooks", "test", webhook_id).out
    assert done("webhooks", "dead-letters", "--json").json == []
    done("webhooks", "delete", webhook_id)
    assert done("webhooks", "list", "--json").json == []


def test_the_command_line_redelivers_what_was_given_up(fresh: Path) -> None:
    with open_workspace(Settings(state_dir=fresh), start_cache=False) as workspace:
        delivery_id = workspace.webhooks.test(told(workspace, "https://a.example/in").webhook_id)
        workspace.webhooks.failed(delivery_id, "it is down", None)
    [dead] = done("webhooks", "dead-letters", "--json").json
    assert (dead["delivery_id"], dead["problem"]) == (delivery_id, "it is down")
    done("webhooks", "redeliver", delivery_id)
    assert done("webhooks", "dead-letters", "--json").json == []


@pytest.mark.parametrize("url", ["http://a.example/in", "https://169.254.169.254/latest"])
def test_the_command_line_refuses_where_messages_may_not_go(fresh: Path, url: str) -> None:
    assert_refused(privrec("webhooks", "create", url, "--event", "model.promoted"), 3, "expected")


def test_a_test_cannot_be_subscribed_to(fresh: Path) -> None:
    assert_refused(privrec("webhooks", "create", "https://a.example/", "--event", "webhook.test"), 3, "name one")
