"""Signatures of answers and callbacks in the form of OpenDSR, and the certificate that they are checked with.

The key is the Ed25519 key that signs receipts. The certificate is made from it whenever it is asked for, always with
the same bytes; it is self-signed, so whoever relies on it compares it with `privrec keys public` once.
"""

import hashlib
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from recsys.errors import VerificationError
from recsys.evidence.canonical import from_base64, to_base64
from recsys.evidence.signing import key_id

FROM, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2126, 1, 1, tzinfo=UTC)
"""How long the certificate says that it holds: as long as the key, which has no end."""
LONGEST_NAME = 64
"""Of a common name (X.520)."""


def signed_headers(body: bytes, domain: str, private_key: Ed25519PrivateKey) -> dict[str, str]:
    """The two headers that go with the body: the domain, and the signature of the SHA-256 digest of the body."""
    signature = private_key.sign(hashlib.sha256(body).digest())
    return {"X-OpenDSR-Processor-Domain": domain, "X-OpenDSR-Signature": to_base64(signature)}


def verify_body(body: bytes, signature: str, certificate: bytes) -> None:
    """Return if the signature of this body is by the key of the certificate.

    Raises:
        VerificationError: it is not.
    """
    from cryptography import x509  # noqa: PLC0415 - as below

    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
        if isinstance(key, Ed25519PublicKey):
            key.verify(from_base64(signature), hashlib.sha256(body).digest())
            return
    except (ValueError, InvalidSignature):
        pass
    msg = "expected a body that was signed by the key of this certificate, got another; do not act on it"
    raise VerificationError(msg)


def certificate(domain: str, private_key: Ed25519PrivateKey) -> bytes:
    """The self-signed X.509 certificate of the key for the domain, as PEM."""
    # Certificates are a large import, and a process that serves would start later for what is seldom asked for.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    host = domain.partition(":")[0]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:LONGEST_NAME])])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(int(key_id(private_key.public_key()), 16) or 1)
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(private_key, None)
    )
    return built.public_bytes(Encoding.PEM)
