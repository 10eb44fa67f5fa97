"""The privacy report: what a model version tells about a customer at most, signed, for whoever has to answer for it.

`recsys.training.report` writes the body; here are its bytes and their check, which needs the public key alone.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recsys.evidence.canonical import canonical_json
from recsys.evidence.document import read_signed
from recsys.evidence.signing import Document, sign

REPORT_TYPE = "privrec.privacy-report.v1"
REPORT_NAME = "a privacy report"


def write_report(body: Document, signing_key: Ed25519PrivateKey) -> bytes:
    """The signed report, as canonical JSON bytes."""
    return canonical_json(sign({"type": REPORT_TYPE, **body}, signing_key))


def verify_report(report: bytes, public_key: Ed25519PublicKey) -> Document:
    """The body of the report, once it is found to be canonical and signed by this key.

    Guarantees:
        - A report with any one byte changed, cut or put in is refused.

    Tested by: tests/recsys/evidence/test_privacy_report.py::test_changing_any_single_byte_fails

    Raises:
        VerificationError: the bytes are not the canonical bytes of a privacy report signed by this key.
    """
    return read_signed(report, public_key, {REPORT_TYPE: REPORT_NAME})
