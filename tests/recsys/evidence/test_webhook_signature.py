"""A message is its sender's, whole and fresh, or it is refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import VerificationError
from recsys.evidence.webhook_signature import signed_headers, verify_message

KEY = Ed25519PrivateKey.generate()
NOW, BODY = 1_800_000_000, b'{"type":"webhook.test"}'
HEADERS = signed_headers("message-1", NOW, BODY, KEY)
SIGNATURE = HEADERS["webhook-signature"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
OTHER_SPELLING = SIGNATURE[:-3] + LETTERS[LETTERS.index(SIGNATURE[-3]) + 1] + "=="
"""The same signature to a careless reader: the last letter has four bits to spare."""


def test_a_message_holds_under_the_public_key() -> None:
    assert verify_message(HEADERS, BODY, KEY.public_key(), now=NOW + 300) == "message-1"
    assert HEADERS["webhook-signature"].startswith("v1a,")


@given(place=st.integers(0, len(BODY) - 1), change=st.integers(1, 255))
def test_a_changed_byte_is_found(place: int, change: int) -> None:
    changed = bytes(byte ^ change if at == place else byte for at, byte in enumerate(BODY))

    with pytest.raises(VerificationError):
        verify_message(HEADERS, changed, KEY.public_key(), now=NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**HEADERS, "webhook-id": "message-2"},
        {**HEADERS, "webhook-timestamp": str(NOW + 1)},
        {**HEADERS, "webhook-timestamp": "soon"},
        {**HEADERS, "webhook-signature": "v1a,"},
        {**HEADERS, "webhook-signature": "v1a,%"},
        {**HEADERS, "webhook-signature": OTHER_SPELLING},
        {**HEADERS, "webhook-signature": HEADERS["webhook-signature"].replace("v1a", "v1")},
        {name: value for name, value in HEADERS.items() if name != "webhook-id"},
    ],
)
def test_changed_or_missing_headers_are_found(headers: dict[str, str]) -> None:
    with pytest.raises(VerificationError):
        verify_message(headers, BODY, KEY.public_key(), now=NOW)


@pytest.mark.parametrize("now", [NOW + 301, NOW - 301])
def test_an_old_message_is_refused(now: int) -> None:
    with pytest.raises(VerificationError):
        verify_message(HEADERS, BODY, KEY.public_key(), now=now)


def test_another_key_is_refused() -> None:
    with pytest.raises(VerificationError):
        verify_message(HEADERS, BODY, Ed25519PrivateKey.generate().public_key(), now=NOW)
