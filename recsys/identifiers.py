"""What an id or a text from outside may look like: one rule wherever it comes in. Standard library only."""

import re
import secrets
import unicodedata

from recsys.errors import InputError
from recsys.types import UserKey

MAX_ID_BYTES = 256
"""Long enough for every id in use (an e-mail address has at most 254 bytes), short enough for every index and log."""

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Unicode category Cc: it splits lines in logs and headers, and PostgreSQL does not store U+0000."""

SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half a pair: no UTF-8 holds it."""


def nobodys_key() -> UserKey:
    """A key that no customer has: what is looked up under it takes the time that a stranger's takes."""
    return UserKey(secrets.token_bytes(16))


def is_line(text: str) -> bool:
    """Whether it is one line that a database keeps and a terminal shows."""
    return not (CONTROL_CHARACTER.search(text) or SURROGATE.search(text))


def check_user_id(user_id: str) -> str:
    """The customer id in Unicode normal form C, so that one spelling on the screen is one customer.

    Raises:
        InputError: the id is empty, longer than 256 UTF-8 bytes, or holds control characters or half a surrogate pair.
            The id is not repeated in the message.
    """
    return _checked(user_id, "a customer id")


def check_item_id(item_id: str) -> str:
    """The item id in Unicode normal form C.

    Raises:
        InputError: as `check_user_id`.
    """
    return _checked(item_id, "an item id")


def check_event_id(event_id: str) -> str:
    """The event id in Unicode normal form C.

    Raises:
        InputError: as `check_user_id`.
    """
    return _checked(event_id, "an event id")


def _checked(text: str, what: str) -> str:
    """The text in normal form, if it keeps the rule."""
    if text.isascii() and text.isprintable() and 1 <= len(text) <= MAX_ID_BYTES:
        return text  # as nearly all ids are: what follows would find the same, and take four times as long
    normal = unicodedata.normalize("NFC", text)
    if (found := _fault(normal)) is not None:
        rule = f"expected {what} of 1 to {MAX_ID_BYTES} UTF-8 bytes without control characters"
        msg = f"{rule}, got {found}; send the shop's own id"
        raise InputError(msg)
    return normal


def _fault(text: str) -> str | None:
    """What is wrong with the text, without repeating it; None if nothing is."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "half a surrogate pair"
    if not 1 <= size <= MAX_ID_BYTES:
        return f"{size} bytes"
    return "a control character" if CONTROL_CHARACTER.search(text) else None
