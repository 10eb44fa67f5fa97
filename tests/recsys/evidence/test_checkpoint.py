"""Signed checkpoints: the shared text form, and every other text refused."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import VerificationError
from recsys.evidence.checkpoint import (
    Checkpoint,
    open_note,
    origin_of,
    read_checkpoint,
    sign_note,
    write_checkpoint,
)
from recsys.evidence.signing import key_id

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CHECKPOINT = Checkpoint(size=7, root=bytes(range(32)))
NOTE = write_checkpoint(CHECKPOINT, KEY)
BYTES = NOTE.encode()
# The note of golang.org/x/mod/sumdb/note, its verifier key, and the example of C2SP's signed-note.
PUBLISHED = {
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW": (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "— PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    ),
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k": (
        "This is an example message.\n\n— example.com/foo "
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    ),
}


@pytest.mark.parametrize("verifier", PUBLISHED)
def test_notes_that_others_published_open(verifier: str) -> None:
    name, _, encoded = verifier.split("+", 2)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded)[1:])
    text = open_note(PUBLISHED[verifier], name, key)
    assert PUBLISHED[verifier].startswith(f"{text}\n— ")
    with pytest.raises(VerificationError):
        open_note(PUBLISHED[verifier].replace("a", "e", 1), name, key)


def test_a_checkpoint_has_the_lines_of_the_shared_form() -> None:
    origin, size, root, empty, signature, end = NOTE.split("\n")
    assert origin == origin_of(KEY.public_key()) == f"privrec/erasures/{key_id(KEY.public_key())}"
    assert (size, base64.b64decode(root), empty, end) == ("7", CHECKPOINT.root, "", "")
    assert signature.startswith(f"— {origin} ")
    assert len(base64.b64decode(signature.split(" ")[2])) == 4 + 64


@given(st.integers(0, 2**63), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back_as_it_was_written(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(size=size, root=root)
    assert read_checkpoint(write_checkpoint(checkpoint, KEY), KEY.public_key()) == checkpoint


@given(st.integers(0, len(BYTES) - 1), st.integers(1, 255))
def test_changing_any_single_byte_fails(position: int, difference: int) -> None:
    changed = bytearray(BYTES)
    changed[position] ^= difference
    with pytest.raises(VerificationError):
        read_checkpoint(changed.decode(errors="replace"), KEY.public_key())


@pytest.mark.parametrize("place", range(4))
def test_a_signature_that_names_another_key_fails(place: int) -> None:
    start, _, encoded = NOTE.rstrip("\n").rpartition(" ")
    signature = bytearray(base64.b64decode(encoded))
    signature[place] ^= 1
    with pytest.raises(VerificationError):
        read_checkpoint(f"{start} {base64.b64encode(signature).decode()}\n", KEY.public_key())


@given(st.integers(0, len(NOTE) - 1), st.text(min_size=1, max_size=3))
def test_a_checkpoint_that_was_cut_or_filled_fails(position: int, added: str) -> None:
    for changed in (NOTE[:position], NOTE[:position] + added + NOTE[position:]):
        with pytest.raises(VerificationError):
            read_checkpoint(changed, KEY.public_key())


@pytest.mark.parametrize(
    "body",
    ["7\nAAAA\n", "-1\n{root}\n", "07\n{root}\n", "7\n{root}\nmore\n", "7\n", "seven\n{root}\n", "7 \n{root}\n", ""],
)
def test_a_signed_text_of_another_form_is_no_checkpoint(body: str) -> None:
    origin = origin_of(KEY.public_key())
    text = f"{origin}\n" + body.replace("{root}", base64.b64encode(CHECKPOINT.root).decode())
    with pytest.raises(VerificationError):
        read_checkpoint(sign_note(text, origin, KEY), KEY.public_key())


def test_another_installations_checkpoint_is_refused() -> None:
    with pytest.raises(VerificationError, match="another installation"):
        read_checkpoint(NOTE, Ed25519PrivateKey.generate().public_key())
