"""Signatures of webhook messages: Standard Webhooks with Ed25519 (`v1a`), under the key that signs receipts.

The receiver needs the public key alone (`privrec keys public`): no secret is shared, kept at both ends, or leaked.
"""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recsys.errors import VerificationError
from recsys.evidence.canonical import from_base64, to_base64

VERSION = "v1a"
TOLERANCE_SECONDS = 300
"""What Standard Webhooks allows clocks to differ, and a message to travel."""


def signed_headers(message_id: str, seconds: int, body: bytes, private_key: Ed25519PrivateKey) -> dict[str, str]:
    """The headers that go with the body: its id, the time of sending (Unix seconds) and the signature of all three."""
    signature = to_base64(private_key.sign(_signed(message_id, str(seconds), body)))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"{VERSION},{signature}",
    }


def verify_message(headers: Mapping[str, str], body: bytes, public_key: Ed25519PublicKey, *, now: float) -> str:
    """The id of a message that this key signed a moment ago; a receiver takes each id once.

    Args:
        headers: With names in lower case.
        body: As it was received, byte for byte.
        public_key: As `privrec keys public` prints it.
        now: Unix seconds.

    Raises:
        VerificationError: a header is missing, a byte was changed, the key is another, or the message is old.
    """
    try:
        message_id, sent, given = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        version, _, signature = given.partition(",")
        late = abs(now - int(sent)) > TOLERANCE_SECONDS
        public_key.verify(from_base64(signature), _signed(message_id, sent, body))
    except (KeyError, ValueError, InvalidSignature) as error:
        msg = "expected a message of privrec with its three headers, got another or a changed one; do not act on it"
        raise VerificationError(msg) from error
    if late or version != VERSION:
        msg = f"expected a {VERSION} message of the last {TOLERANCE_SECONDS} seconds, got another; do not act on it"
        raise VerificationError(msg)
    return message_id


def _signed(message_id: str, sent: str, body: bytes) -> bytes:
    return f"{message_id}.{sent}.".encode() + body
