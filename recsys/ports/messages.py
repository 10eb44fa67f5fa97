"""What other systems are told."""

from datetime import datetime
from typing import Protocol

from recsys.types import Delivery, Webhook


class Webhooks(Protocol):
    """Whom to tell of what happened, and the messages that they have not taken yet.

    A message is written in the transaction of what it tells of (`Erasures.finish`), so that neither is there without
    the other. None names a customer.
    """

    def create(self, webhook: Webhook) -> Webhook:
        """The webhook, which is told from now on; the earlier one of this URL and these events if there is one."""

    def list(self) -> tuple[Webhook, ...]:
        """Every webhook, oldest first."""

    def delete(self, webhook_id: str) -> None:
        """Tell it nothing more; its messages go with it.

        Raises:
            NotFoundError: no such webhook.
        """

    def test(self, webhook_id: str) -> str:
        """The id of a message to this webhook that tells of nothing; raises as `delete`."""

    def announce(self, version: str) -> bool:
        """Whether the live version is another than the one announced before; if so it is told of, in one transaction.

        Promotions are noted in files: to compare afterwards misses none that lasts, whoever made it and died.
        """

    def due(self, now: datetime, share: int) -> tuple[Delivery, ...]:
        """Messages whose time has come, at most so many to each webhook; none that was given up.

        The one that waits longest to each of them, then the second to each, and so on: however many there are to one,
        no other waits behind them.
        """

    def delivered(self, delivery_id: str) -> None:
        """Forget a message that was taken; doing it again changes nothing.

        The URL of a callback (OpenDSR) goes with the last message to it, once no request is followed there.
        """

    def failed(self, delivery_id: str, problem: str, next_at: datetime | None) -> None:
        """Note an attempt; the next is at this time, or never (None) unless somebody asks for it."""

    def waiting(self) -> tuple[int, int]:
        """How many messages are to be sent, and how many were given up."""

    def about(self, request_id: str) -> tuple[int, int]:
        """How many messages about the erasure are to be sent, and how many were given up."""

    def dead(self) -> tuple[Delivery, ...]:
        """Messages that were given up, oldest first."""

    def redeliver(self, delivery_id: str) -> None:
        """Try a message that was given up again, from the first attempt.

        Raises:
            NotFoundError: no such message was given up.
        """
