"""Checkpoints of the log: its size and root, signed, in the text form that transparency logs share.

The forms are C2SP's tlog-checkpoint and signed-note (https://c2sp.org), with one Ed25519 signature and no extension
lines, so that the tools of other logs read ours. The origin follows from the key: there is nothing to set, and no two
installations share one.
"""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recsys.errors import VerificationError
from recsys.evidence.canonical import from_base64, to_base64
from recsys.evidence.merkle import HASH_BYTES
from recsys.evidence.signing import key_id

LOG_NAMES = "privrec/erasures/"
"""How the name of every installation's log begins, and with it every checkpoint."""
ED25519 = b"\x01"
"""The signature type of signed-note that this is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """How many receipts the log holds, and the root of the tree over them."""

    size: int
    root: bytes


def origin_of(public_key: Ed25519PublicKey) -> str:
    """The name of the log of the installation with this key."""
    return f"{LOG_NAMES}{key_id(public_key)}"


def write_checkpoint(checkpoint: Checkpoint, signing_key: Ed25519PrivateKey) -> str:
    """The signed checkpoint; one size and root have one spelling."""
    public_key = signing_key.public_key()
    return sign_note(_text(checkpoint, public_key), origin_of(public_key), signing_key)


def read_checkpoint(note: str, public_key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint, once it is found to be of the log of this key and signed by it.

    Guarantees:
        - A checkpoint with any one byte changed, cut or put in is refused.

    Tested by: tests/recsys/evidence/test_checkpoint.py::test_changing_any_single_byte_fails

    Raises:
        VerificationError: it is something else.
    """
    text = open_note(note, origin_of(public_key), public_key)
    try:
        _, size, encoded, _ = text.split("\n")
        checkpoint = Checkpoint(size=int(size), root=from_base64(encoded))
    except ValueError as error:
        raise _no_checkpoint() from error
    if _text(checkpoint, public_key) != text or checkpoint.size < 0 or len(checkpoint.root) != HASH_BYTES:
        raise _no_checkpoint()
    return checkpoint


def sign_note(text: str, name: str, signing_key: Ed25519PrivateKey) -> str:
    """The text, which ends a line, with one signature line under this name."""
    signature = _key_hash(name, signing_key.public_key()) + signing_key.sign(text.encode())
    return f"{text}\n— {name} {to_base64(signature)}\n"


def open_note(note: str, name: str, public_key: Ed25519PublicKey) -> str:
    """The text of a note with one signature, found to be by this key under this name.

    Raises:
        VerificationError: it is no such note, another log's, or a byte was changed.
    """
    text, _, line = note.partition("\n\n")
    start, text = f"— {name} ", f"{text}\n"
    if not line.startswith(start) or not line.endswith("\n"):
        raise _no_checkpoint()
    try:
        signature = from_base64(line[len(start) : -1])
        public_key.verify(signature[4:], text.encode())
    except (InvalidSignature, ValueError) as error:
        raise _no_checkpoint() from error
    if signature[:4] != _key_hash(name, public_key):
        raise _no_checkpoint()
    return text


def _text(checkpoint: Checkpoint, public_key: Ed25519PublicKey) -> str:
    return f"{origin_of(public_key)}\n{checkpoint.size}\n{to_base64(checkpoint.root)}\n"


def _key_hash(name: str, public_key: Ed25519PublicKey) -> bytes:
    """The four bytes by which a signature line names its key."""
    raw = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + raw).digest()[:4]


def _no_checkpoint() -> VerificationError:
    msg = (
        "expected a checkpoint of the log of this key (origin, size, root, one signature), got another text; "
        "it was changed after it was signed, or is another installation's: ask for it again"
    )
    return VerificationError(msg)
