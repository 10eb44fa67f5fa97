"""Ed25519 signatures over canonical JSON (RFC 8032), through the `cryptography` library."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from recsys.errors import InputError, VerificationError
from recsys.evidence.canonical import canonical_json, digest, from_base64, to_base64
from recsys.types import Json

Document = dict[str, Json]


def key_id(public_key: Ed25519PublicKey) -> str:
    """A short name of the key: the first 16 hex digits of the digest of its raw bytes."""
    return digest(public_key.public_bytes(Encoding.Raw, PublicFormat.Raw))[:16]


def public_pem(public_key: Ed25519PublicKey) -> bytes:
    """The key as a PEM file, to hand to an auditor."""
    return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_key(pem: bytes) -> Ed25519PublicKey:
    """The Ed25519 public key in the PEM file.

    Raises:
        InputError: the bytes are no PEM file of an Ed25519 public key.
    """
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        msg = (
            "expected a PEM file with an Ed25519 public key, got other bytes; "
            "use the file that `privrec keys public` writes"
        )
        raise InputError(msg) from error
    if not isinstance(key, Ed25519PublicKey):
        msg = (
            f"expected an Ed25519 public key, got {type(key).__name__}; use the file that `privrec keys public` writes"
        )
        raise InputError(msg)
    return key


def sign(body: Document, private_key: Ed25519PrivateKey) -> Document:
    """The body with the key's name and the signature over both, beside it."""
    signed: Document = {"body": body, "key_id": key_id(private_key.public_key())}
    signature = private_key.sign(canonical_json(signed))
    return {**signed, "signature": to_base64(signature)}


def verify(document: Document, public_key: Ed25519PublicKey) -> Document:
    """The body of the document, once its signature is found to be by this key.

    Raises:
        VerificationError: a field is missing or added, the key is another one, or a byte was changed.
    """
    if set(document) != {"body", "key_id", "signature"} or not isinstance(document["body"], dict):
        msg = (
            f"expected a document with body, key_id and signature, got {sorted(document)}; "
            "it is not a signed document of privrec"
        )
        raise VerificationError(msg)
    if document["key_id"] != key_id(public_key):
        msg = (
            f"expected a signature by key {key_id(public_key)}, got key {document['key_id']!r}; "
            "ask for that key's public file"
        )
        raise VerificationError(msg)
    signed: Document = {"body": document["body"], "key_id": document["key_id"]}
    try:
        public_key.verify(from_base64(str(document["signature"])), canonical_json(signed))
    except (InvalidSignature, ValueError, InputError) as error:
        msg = "expected the signature to match the document, it does not; the document was changed after it was signed"
        raise VerificationError(msg) from error
    return document["body"]
