"""The erasure receipt: what was removed where, signed and entered in the log, with no customer id inside."""

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recsys.clock import isoformat
from recsys.evidence.canonical import canonical_json, json_digest
from recsys.evidence.document import canonical_document, signed_body
from recsys.evidence.log import Logged, verify_logged
from recsys.evidence.signing import Document, sign
from recsys.types import ErasureRequest, Json

RECEIPT_TYPE = "privrec.erasure-receipt.v2"
UNLOGGED_TYPE = "privrec.erasure-receipt.v1"
"""Of receipts that were signed before there was a log; they stay valid, and say so."""
RECEIPT_NAME = "an erasure receipt"
STATEMENT = (
    "History and data key were destroyed; the customer's term was subtracted from the sum that models are released "
    "from. A model released earlier is bounded by its (epsilon, delta) until retired. One released again draws its "
    "Gram, and the matrices beside it, anew from the sum without the customer; its items, their weights, popularity "
    "and directions stay as released with the sum's first model, bounded by that (epsilon, delta). A model without "
    "noise is withdrawn; one that kept its sum is made anew. A trainer without a sum trains again, on the purchases "
    "without the customer. Not covered: answers sent, copies outside this installation, backups of the key file."
)
"""What every receipt says, and no more than holds."""


def subject_commitment(user_id: str, salt: bytes) -> str:
    """What stands for the customer in a receipt: the salt's holder can show that it is theirs, nobody can guess it."""
    return hmac.new(salt, unicodedata.normalize("NFC", user_id).encode(), hashlib.sha256).hexdigest()


MAX_STEPS = 1_248
"""Bytes of steps that a receipt holds as they are: with a long reason, in a log of a million, it stays within 4 kB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """A receipt that was found to hold, and where it is in the log; nowhere, if it is older than the log."""

    body: Document
    logged: Logged | None


def write_receipt(request: ErasureRequest, *, completed_at: datetime, signing_key: Ed25519PrivateKey) -> bytes:
    """The signed receipt of a finished erasure, as canonical JSON bytes, to be entered in the log."""
    body: Document = {
        "type": RECEIPT_TYPE,
        "request_id": request.request_id,
        "subject": request.subject,
        "reason": request.reason,
        "received_at": isoformat(request.received_at),
        "due_at": isoformat(request.due_at),
        "completed_at": isoformat(completed_at),
        "steps": fitting(request.details),
        "statement": STATEMENT,
    }
    return canonical_json(sign(body, signing_key))


def fitting(details: Mapping[str, Json]) -> Json:
    """The steps as a receipt holds them: as they are or, where they are long, with a length and a digest for each list.

    The API tells the lists with the request, and whoever has them can compare the digests.

    Guarantees:
        - A receipt with a reason of 500 letters of ASCII fits into 4 kB in a log of a million, whatever the lists hold.

    Tested by: tests/recsys/evidence/test_receipt.py::test_a_receipt_in_a_long_log_has_at_most_four_kilobytes
    """
    steps: Json = dict(details)
    return steps if len(canonical_json(steps)) <= MAX_STEPS else _folded(steps)


def _folded(value: Json) -> Json:
    if isinstance(value, list):
        return {"count": len(value), "digest": json_digest(value)}
    return {name: _folded(part) for name, part in value.items()} if isinstance(value, dict) else value


def read_receipt(receipt: bytes, public_key: Ed25519PublicKey) -> Receipt:
    """The receipt, once its bytes, its signature, and the log's checkpoint and inclusion proof are found to hold.

    Guarantees:
        - A receipt with any one byte changed, cut or put in is refused.

    Tested by: tests/recsys/evidence/test_receipt.py::test_changing_any_single_byte_fails

    Raises:
        VerificationError: one of them does not; the message says which.
    """
    document = canonical_document(receipt, RECEIPT_NAME)
    signed: Document = {name: value for name, value in document.items() if name != "log"}
    body = signed_body(signed, public_key, {RECEIPT_TYPE: RECEIPT_NAME, UNLOGGED_TYPE: RECEIPT_NAME})
    if body["type"] == UNLOGGED_TYPE and "log" not in document:
        return Receipt(body=body, logged=None)
    return Receipt(body=body, logged=verify_logged(document.get("log"), canonical_json(signed), public_key))


def verify_receipt(receipt: bytes, public_key: Ed25519PublicKey) -> Document:
    """What the receipt says, once it is found to hold; raises as `read_receipt`."""
    return read_receipt(receipt, public_key).body
