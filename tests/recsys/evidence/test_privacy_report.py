"""The privacy report's file: one changed byte fails, and a receipt is no report."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import VerificationError
from recsys.evidence.canonical import canonical_json
from recsys.evidence.document import read_signed
from recsys.evidence.privacy_report import REPORT_NAME, REPORT_TYPE, verify_report, write_report
from recsys.evidence.receipt import RECEIPT_NAME, RECEIPT_TYPE, verify_receipt
from recsys.evidence.signing import sign

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
REPORT = write_report({"version": "ab" * 16, "private": True, "guarantee": {"epsilon": 2.5, "mu": 0.6}}, KEY)


def test_a_report_comes_back_as_it_was_signed() -> None:
    body = verify_report(REPORT, KEY.public_key())
    assert body == {
        "type": REPORT_TYPE,
        "version": "ab" * 16,
        "private": True,
        "guarantee": {"epsilon": 2.5, "mu": 0.6},
    }


@given(st.integers(0, len(REPORT) - 1), st.integers(1, 255))
def test_changing_any_single_byte_fails(position: int, difference: int) -> None:
    changed = bytearray(REPORT)
    changed[position] ^= difference
    with pytest.raises(VerificationError):
        verify_report(bytes(changed), KEY.public_key())


@given(st.integers(0, len(REPORT) - 1), st.binary(max_size=3))
def test_a_report_that_was_cut_or_grew_fails(position: int, added: bytes) -> None:
    for forged in (REPORT[:position], REPORT[:position] + added + REPORT[position:]):
        if forged != REPORT:
            with pytest.raises(VerificationError):
                verify_report(forged, KEY.public_key())


def test_another_installations_key_does_not_vouch_for_it() -> None:
    with pytest.raises(VerificationError, match="key"):
        verify_report(REPORT, Ed25519PrivateKey.generate().public_key())


def test_a_receipt_is_no_report_and_a_report_no_receipt() -> None:
    receipt = canonical_json(sign({"type": RECEIPT_TYPE}, KEY))
    with pytest.raises(VerificationError, match="it is not a privacy report"):
        verify_report(receipt, KEY.public_key())
    with pytest.raises(VerificationError, match="it is not an erasure receipt"):
        verify_receipt(REPORT, KEY.public_key())


def test_who_asks_for_either_gets_either_and_nothing_else() -> None:
    either = {RECEIPT_TYPE: RECEIPT_NAME, REPORT_TYPE: REPORT_NAME}
    for kind in either:
        signed = canonical_json(sign({"type": kind}, KEY))
        assert read_signed(signed, KEY.public_key(), either)["type"] == kind
    with pytest.raises(VerificationError, match="not an erasure receipt or a privacy report"):
        read_signed(canonical_json(sign({"type": "privrec.other.v1"}, KEY)), KEY.public_key(), either)


def test_checking_a_report_needs_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from recsys.evidence import privacy_report; "
        "heavy = {'numpy', 'scipy', 'sqlalchemy', 'redis', 'pydantic', 'matplotlib'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
