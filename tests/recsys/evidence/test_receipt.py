"""The erasure receipt: one changed byte fails, nobody is named, and little is needed to check it."""

import json
import subprocess
import sys
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from recsys.erasure.rules import MAX_REASON
from recsys.errors import VerificationError
from recsys.evidence.canonical import canonical_json, json_digest
from recsys.evidence.log import enter
from recsys.evidence.merkle import Node, completed, covering, leaf_hash
from recsys.evidence.receipt import (
    MAX_STEPS,
    UNLOGGED_TYPE,
    read_receipt,
    subject_commitment,
    verify_receipt,
    write_receipt,
)
from recsys.evidence.signing import sign
from recsys.types import ErasureRequest, ErasureState, Json

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SALT = b"salt" * 4
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
REQUEST = ErasureRequest(
    request_id="request-1",
    subject=subject_commitment("alice", SALT),
    reason="customer request",
    received_at=NOON,
    due_at=NOON + timedelta(days=30),
    state=ErasureState.VERIFIED,
    release=True,
    details={"models": ["one", "two"], "events": 17},
)
SIGNED = write_receipt(REQUEST, completed_at=NOON + timedelta(seconds=2), signing_key=KEY)
OTHERS = [leaf_hash(bytes([number])) for number in range(5)]


def logged(signed: bytes, size: int = len(OTHERS)) -> bytes:
    """The receipt as it is handed out, the next one in a log of others."""
    nodes: dict[Node, bytes] = {}
    for number in range(size):
        nodes |= completed(number, OTHERS[number], nodes)
    return enter(signed, size, nodes, signing_key=KEY).receipt


RECEIPT = logged(SIGNED)


def test_a_receipt_says_what_was_done_and_when() -> None:
    body = verify_receipt(RECEIPT, KEY.public_key())
    assert body["request_id"] == "request-1"
    assert body["steps"] == {"models": ["one", "two"], "events": 17}
    assert body["received_at"] == "2026-01-31T12:00:00.000Z"
    assert body["completed_at"] == "2026-01-31T12:00:02.000Z"


def test_a_receipt_says_where_it_is_in_the_log() -> None:
    place = read_receipt(RECEIPT, KEY.public_key()).logged
    assert place is not None
    assert (place.index, place.checkpoint.size) == (len(OTHERS), len(OTHERS) + 1)


def test_a_receipt_from_before_the_log_still_holds_and_is_nowhere_in_it() -> None:
    body = json.loads(SIGNED)["body"] | {"type": UNLOGGED_TYPE}
    old = read_receipt(canonical_json(sign(body, KEY)), KEY.public_key())
    assert (old.body, old.logged) == (body, None)


def test_a_receipt_without_its_place_in_the_log_is_refused() -> None:
    with pytest.raises(VerificationError, match="place in the log"):
        read_receipt(SIGNED, KEY.public_key())


def steps_of(n_versions: int) -> dict[str, Json]:
    """The steps of an erasure from so many versions, each trained again."""
    at = "2026-01-31T12:00:00.000Z"
    outcome: dict[str, Json] = {
        "version": "0f" * 16,
        "trainer": "gram",
        "epsilon": 3.9999999999999996,
        "outcome": "superseded by a training on the purchases without the customer: its trainer keeps no sum",
        "superseded_by": "f0" * 16,
    }
    sums: list[Json] = [{"sum_id": "0f" * 16, "subtracted": True} for _ in range(n_versions)]
    versions: list[Json] = ["0f" * 16 for _ in range(n_versions)]
    outcomes: list[Json] = [outcome for _ in range(n_versions)]
    return {
        "erased": {"at": at, "history": "destroyed", "data_key": "destroyed", "sums": sums, "versions": versions},
        "released": {"at": at, "versions": outcomes, "lists_published": True},
        "purged": {"at": at, "cache": "deleted and read back"},
    }


LONGEST: dict[str, Json] = {"step": "x" * (MAX_STEPS - len('{"step":""}'))}
"""Steps that just fit as they are."""


@pytest.mark.parametrize(
    "details", [LONGEST, steps_of(1), steps_of(4), steps_of(1000)], ids=["longest", "1", "4", "1000"]
)
def test_a_receipt_in_a_long_log_has_at_most_four_kilobytes(details: dict[str, Json]) -> None:
    """A million receipts before it, and the longest reason in letters of ASCII."""
    request = replace(REQUEST, request_id="0" * 36, details=details, reason="x" * MAX_REASON)
    signed = write_receipt(request, completed_at=NOON, signing_key=KEY)
    frontier = {node: bytes(32) for node in covering((0, 2**20 - 1))}
    receipt = enter(signed, 2**20 - 1, frontier, signing_key=KEY).receipt
    place = read_receipt(receipt, KEY.public_key()).logged
    assert place is not None
    assert place.checkpoint.size == 2**20
    assert len(receipt) <= 4096


def test_long_lists_stand_in_a_receipt_as_their_length_and_digest() -> None:
    versions: list[Json] = [f"{number:032x}" for number in range(60)]
    details: dict[str, Json] = {"erased": {"history": "destroyed", "versions": versions}, "events": 17}
    steps = verify_receipt(
        logged(write_receipt(replace(REQUEST, details=details), completed_at=NOON, signing_key=KEY)), KEY.public_key()
    )["steps"]
    assert steps == {
        "erased": {"history": "destroyed", "versions": {"count": 60, "digest": json_digest(versions)}},
        "events": 17,
    }


def test_a_receipt_does_not_name_the_customer() -> None:
    assert b"alice" not in RECEIPT


@given(st.integers(0, len(RECEIPT) - 1), st.integers(1, 255))
def test_changing_any_single_byte_fails(position: int, difference: int) -> None:
    changed = bytearray(RECEIPT)
    changed[position] ^= difference
    with pytest.raises(VerificationError):
        verify_receipt(bytes(changed), KEY.public_key())


@pytest.mark.parametrize("end", [b'=="}', b'=",', b'="],', b"=\\n\\n", b'=\\n",'])
def test_no_other_letter_at_the_end_of_a_signature_or_a_hash_means_the_same(end: bytes) -> None:
    # Base64 leaves two or four bits of the last letter unused: a careless reader takes several letters for one.
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    last = RECEIPT.index(end) - 1
    for letter in set(alphabet) - {RECEIPT[last]}:
        with pytest.raises(VerificationError):
            verify_receipt(RECEIPT[:last] + bytes([letter]) + RECEIPT[last + 1 :], KEY.public_key())


@given(st.integers(0, len(RECEIPT) - 1))
def test_a_receipt_that_was_cut_fails(length: int) -> None:
    with pytest.raises(VerificationError):
        verify_receipt(RECEIPT[:length], KEY.public_key())


@given(st.integers(0, len(RECEIPT) - 1), st.binary(min_size=1, max_size=3))
def test_a_receipt_with_bytes_put_in_fails(position: int, added: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_receipt(RECEIPT[:position] + added + RECEIPT[position:], KEY.public_key())


def test_the_new_line_that_an_editor_adds_is_forgiven() -> None:
    assert verify_receipt(RECEIPT + b"\n", KEY.public_key()) == verify_receipt(RECEIPT, KEY.public_key())


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"a":"\\ud800"}', b"\xed\xa0\x80", b'{"a":NaN}', b"[" * 100_000],
)
def test_bytes_that_are_no_receipt_fail(text: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_receipt(text, KEY.public_key())


def test_another_spelling_of_the_same_receipt_fails() -> None:
    with pytest.raises(VerificationError, match="spelling"):
        verify_receipt(json.dumps(json.loads(RECEIPT), indent=1).encode(), KEY.public_key())


def test_another_key_fails() -> None:
    with pytest.raises(VerificationError, match="key"):
        verify_receipt(RECEIPT, Ed25519PrivateKey.generate().public_key())


def test_another_document_signed_by_the_same_key_is_no_receipt() -> None:
    other = canonical_json(sign({"type": "privrec.something-else.v1"}, KEY))
    with pytest.raises(VerificationError, match="not an erasure receipt"):
        verify_receipt(other, KEY.public_key())


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.binary(min_size=16, max_size=16))
def test_a_commitment_is_the_same_for_every_spelling_of_the_id(user_id: str, salt: bytes) -> None:
    spelled = {subject_commitment(unicodedata.normalize(form, user_id), salt) for form in ("NFC", "NFD")}
    assert spelled == {subject_commitment(user_id, salt)}


def test_a_commitment_depends_on_the_id_and_the_salt() -> None:
    commitments = {subject_commitment(user_id, salt) for user_id in ("alice", "bob") for salt in (SALT, b"other" * 4)}
    assert len(commitments) == 4


def test_checking_a_receipt_needs_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "receipt").write_bytes(RECEIPT)
    code = (
        "import sys; from recsys.evidence import receipt, signing; "
        "heavy = {'numpy', 'scipy', 'sqlalchemy', 'redis', 'pydantic', 'pandas', 'fastapi'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
