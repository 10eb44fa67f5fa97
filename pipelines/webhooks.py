"""Sends the messages of the outbox: again and again until they are taken, or given up."""

import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import takewhile
from typing import TypeAlias

from pipelines.background import Stop, beside, repeat
from pipelines.erase import dsr_desk
from recsys.errors import DeliveryError, InputError
from recsys.evidence import opendsr_signature
from recsys.evidence.webhook_signature import signed_headers
from recsys.store.https_post import HttpsPoster
from recsys.store.logs import json_logger
from recsys.store.workspace import Workspace
from recsys.types import Delivery, WebhookEvent

Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], None]
"""Posts a body with headers to a URL; DeliveryError where it is not taken."""

SHARE = 20
"""Messages to each receiver in a round: what is new waits for one who takes 10 seconds for each about three minutes."""
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=6)
MAX_ATTEMPTS = 14
"""About a day and a half: long enough for somebody to mend a receiver after a night."""


class Sender:
    """Sends messages whose time has come. One at a time per installation: the state lock sees to that.

    Guarantees:
        - A message is forgotten only after a receiver took it: it arrives at least once, always under the same id.
        - However many messages wait for one receiver, the others get theirs in between.

    Tested by: tests/pipelines/test_webhooks.py::test_killed_between_sending_and_marking_it_sends_again,
        ::test_a_receiver_with_many_messages_does_not_hold_up_the_others
    """

    def __init__(self, workspace: Workspace, post: Post, spread: Callable[[], float] | None = None) -> None:
        """A sender over these stores; `spread` draws from 0 to 1, so that receivers are not met all at once."""
        self._workspace, self._post = workspace, post
        self._spread = spread or secrets.SystemRandom().random

    def run(self, stop: Stop = lambda: False) -> int:
        """How many messages were taken; others stay for later.

        Args:
            stop: asked before each message, for which a slow receiver may take seconds

        Raises:
            StorageError: the record does not answer.
        """
        live = self._workspace.registry.live()
        if live is not None:
            self._workspace.webhooks.announce(live)
        settings = self._workspace.settings
        dsr_desk(self._workspace).tell(settings.controller_name or settings.opendsr_domain)
        failing: set[str] = set()
        due = self._workspace.webhooks.due(self._workspace.clock(), SHARE)
        return sum(self._sent(each, failing) for each in takewhile(lambda _: not stop(), due))

    def _sent(self, delivery: Delivery, failing: set[str]) -> bool:
        """Whether it was taken; a receiver that failed in this run must not hold up the others once more."""
        taken = delivery.webhook_id not in failing and self._send(delivery)
        if not taken:
            failing.add(delivery.webhook_id)
        return taken

    def _send(self, delivery: Delivery) -> bool:
        now, key = self._workspace.clock(), self._workspace.signing_key
        signed = signed_headers(delivery.delivery_id, int(now.timestamp()), delivery.body, key)
        if delivery.event is WebhookEvent.OPENDSR_STATUS:
            signed |= opendsr_signature.signed_headers(delivery.body, self._workspace.settings.opendsr_domain, key)
        headers = {**signed, "Content-Type": "application/json", "User-Agent": "privrec"}
        try:
            self._post(delivery.url, headers, delivery.body)
        except (DeliveryError, InputError) as error:  # InputError: local receivers are no longer allowed
            self._put_off(delivery, str(error))
            return False
        self._workspace.webhooks.delivered(delivery.delivery_id)
        return True

    def _put_off(self, delivery: Delivery, problem: str) -> None:
        last = delivery.attempts + 1 >= MAX_ATTEMPTS
        next_at = None if last else self._workspace.clock() + delay(delivery.attempts, self._spread())
        self._workspace.webhooks.failed(delivery.delivery_id, problem, next_at)


def delay(attempts: int, spread: float) -> timedelta:
    """How long to wait after so many attempts before the one that failed: doubled each time, less up to a half."""
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2**attempts)
    return longest * (1 - spread / 2)


def sender(workspace: Workspace) -> Sender:
    """A sender that goes where the settings let it."""
    return Sender(workspace, HttpsPoster(local=workspace.settings.webhooks_local))


def sender_thread(workspace: Workspace) -> AbstractContextManager[None]:
    """A thread that sends while the block runs, beside the erasures: a slow receiver must hold none of them up."""
    return beside(send, workspace)


def send(workspace: Workspace, stop: threading.Event) -> None:
    """Send messages until told to stop; a store that is away is tried again."""
    sending = sender(workspace)
    repeat(lambda: _send_due(sending, stop), stop, postponed="webhooks postponed")


def _send_due(sending: Sender, stop: threading.Event) -> None:
    if taken := sending.run(stop.is_set):
        json_logger().info("webhooks delivered", count=taken)
