"""Handles: what stands for customers where the operator must name some without learning who they are."""

from collections.abc import Collection, Iterable

from recsys.ports import Commitments
from recsys.types import UserKey

HANDLE_LENGTH = 32
"""Hex digits: 128 bits."""
SALT_OF = b"influence handle"
"""Sets handles apart from every other commitment of the installation."""


def handle_of(commitments: Commitments, user_key: UserKey) -> str:
    """The customer's handle, the same each time; only this installation finds the customer by it."""
    return commitments.commitment(user_key, SALT_OF)[:HANDLE_LENGTH]


def by_handle(commitments: Commitments, keys: Iterable[UserKey], handles: Collection[str]) -> dict[str, UserKey]:
    """Whose handles these are, among the customers with these keys; a handle of none of them is left out."""
    wanted = set(handles)
    named = ((handle_of(commitments, key), key) for key in keys)
    return {handle: key for handle, key in named if handle in wanted}
