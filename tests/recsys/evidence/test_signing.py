"""Ed25519 signatures over canonical JSON."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recsys.errors import InputError, VerificationError
from recsys.evidence.signing import Document, key_id, public_pem, read_public_key, sign, verify

KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)


def test_the_library_agrees_with_rfc_8032() -> None:
    # RFC 8032, section 7.1, tests 1 and 2
    vectors = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            (
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            (
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
    ]
    for secret, public, message, signature in vectors:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
        assert key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex() == public
        assert key.sign(bytes.fromhex(message)).hex() == signature


def test_a_signed_body_comes_back() -> None:
    body: Document = {"purpose": "größe", "steps": [1, 2.5, None]}
    assert verify(sign(body, KEY), KEY.public_key()) == body


def test_a_public_key_survives_its_file() -> None:
    read = read_public_key(public_pem(KEY.public_key()))
    assert isinstance(read, Ed25519PublicKey)
    assert key_id(read) == key_id(KEY.public_key())


@pytest.mark.parametrize(
    "change",
    [
        {"body": {"purpose": "other"}},
        {"body": "text"},
        {"key_id": "0" * 16},
        {"key_id": None},
        {"signature": "AAAA"},
        {"signature": "!"},
        {"signature": "é"},
        {"signature": None},
        {"more": 1},
    ],
)
def test_a_changed_document_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        verify({**sign({"purpose": "erasure"}, KEY), **change}, KEY.public_key())


@pytest.mark.parametrize("field", ["body", "key_id", "signature"])
def test_a_document_without_a_field_is_refused(field: str) -> None:
    document = sign({"purpose": "erasure"}, KEY)
    del document[field]
    with pytest.raises(VerificationError):
        verify(document, KEY.public_key())


def test_another_key_is_refused_by_name() -> None:
    other = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(VerificationError, match=key_id(other)):
        verify(sign({}, KEY), other)


def test_the_key_id_is_signed_too() -> None:
    other = Ed25519PrivateKey.generate()
    document = {**sign({}, KEY), "key_id": key_id(other.public_key())}
    with pytest.raises(VerificationError):
        verify(document, other.public_key())


def test_bytes_that_are_no_public_key_are_refused() -> None:
    elliptic = generate_private_key(SECP256R1()).public_key()
    for pem in (b"", b"no key", elliptic.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        with pytest.raises(InputError, match="keys public"):
            read_public_key(pem)
