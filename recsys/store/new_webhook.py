"""A webhook as somebody asks for it, checked before anything is kept."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from recsys.errors import InputError
from recsys.store.addresses import check_url
from recsys.types import Webhook, WebhookEvent

CHOSEN = frozenset(WebhookEvent) - {WebhookEvent.TEST, WebhookEvent.OPENDSR_STATUS}
"""What can be asked for: tests come on demand, and callbacks with their request."""


def new_webhook(url: str, events: Iterable[WebhookEvent], created_at: datetime, *, local: bool) -> Webhook:
    """The webhook under a new id.

    Raises:
        InputError: the URL is not one that messages may go to, or no event is named.
    """
    check_url(url, local=local)
    chosen = frozenset(events)
    if not chosen or not chosen <= CHOSEN:
        msg = f"expected some of the events {', '.join(sorted(CHOSEN))}, got none or another; name one"
        raise InputError(msg)
    return Webhook(webhook_id=str(uuid.uuid4()), url=url, events=chosen, created_at=created_at)
