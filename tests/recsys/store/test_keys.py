"""Keys: made once, private, and every one for one purpose."""

import stat
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import ArtifactError, InputError, StateError
from recsys.store.keys import KeyRing, Purpose

RING = KeyRing.ephemeral()
IDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60)


def test_the_same_directory_gives_the_same_keys(tmp_path: Path) -> None:
    first, second = KeyRing.load(tmp_path / "keys"), KeyRing.load(tmp_path / "keys")
    assert first.user_key("alice") == second.user_key("alice")
    assert first.fingerprint == second.fingerprint
    assert second.open(Purpose.SUM, first.seal(Purpose.SUM, b"sum", b""), b"") == b"sum"
    second.public_key.verify(first.signing_key.sign(b"text"), b"text")


def test_another_directory_gives_other_keys(tmp_path: Path) -> None:
    first, second = KeyRing.load(tmp_path / "a"), KeyRing.load(tmp_path / "b")
    assert first.user_key("alice") != second.user_key("alice")
    assert first.fingerprint != second.fingerprint


def test_key_files_belong_to_their_owner_alone(tmp_path: Path) -> None:
    KeyRing.load(tmp_path / "keys")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys", *(tmp_path / "keys").iterdir())
    }
    assert modes == {"keys": 0o700, "store.key": 0o600, "signing.pem": 0o600}


@pytest.mark.parametrize(("name", "mode"), [("store.key", 0o640), ("signing.pem", 0o604), (".", 0o750)])
def test_keys_that_others_can_read_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    KeyRing.load(tmp_path / "keys")
    (tmp_path / "keys" / name).chmod(mode)
    with pytest.raises(StateError, match="run `chmod"):
        KeyRing.load(tmp_path / "keys")


@pytest.mark.parametrize("name", ["store.key", "signing.pem"])
def test_a_key_file_that_was_cut_is_refused_and_kept(tmp_path: Path, name: str) -> None:
    KeyRing.load(tmp_path / "keys")
    path = tmp_path / "keys" / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(StateError, match="restore"):
        KeyRing.load(tmp_path / "keys")
    assert len(path.read_bytes()) == 20


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from recsys.store.keys import KeyRing; "
        "print(KeyRing.load(Path(sys.argv[1])).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "keys")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    fingerprints = {process.communicate()[0] for process in running}
    assert len(fingerprints) == 1
    assert len(fingerprints.pop().strip()) == 32
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["signing.pem", "store.key"]


@given(IDS)
def test_a_user_key_is_16_bytes_and_the_same_for_every_spelling_of_the_id(user_id: str) -> None:
    spellings = {unicodedata.normalize(form, user_id) for form in ("NFC", "NFD")}
    keys = {RING.user_key(spelling) for spelling in spellings}
    assert len(keys) == 1
    assert len(keys.pop()) == 16


@given(IDS, IDS)
def test_different_ids_have_different_keys(first: Any, second: Any) -> None:
    same = unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second)
    assert (RING.user_key(first) == RING.user_key(second)) == same


@pytest.mark.parametrize(
    "user_id", ["x" * 10_000, "x" * 257, "ö" * 129, "", "zyx\n", "zyx\0", "zyx\x7f", "zyx\ud800", "\x85"]
)
def test_an_unusable_id_is_refused_without_being_repeated(user_id: str) -> None:
    with pytest.raises(InputError) as caught:
        RING.user_key(user_id)
    assert "zyx" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_longest_id_is_taken() -> None:
    assert len(RING.user_key("ö" * 128)) == 16


@given(st.binary(max_size=200), st.binary(max_size=40), st.sampled_from(Purpose))
def test_what_is_sealed_opens_in_its_context_only(plaintext: bytes, context: bytes, purpose: Purpose) -> None:
    sealed = RING.seal(purpose, plaintext, context)
    assert RING.open(purpose, sealed, context) == plaintext
    with pytest.raises(ArtifactError):
        RING.open(purpose, sealed, context + b"x")
    with pytest.raises(ArtifactError):
        RING.open(Purpose.SUM if purpose is Purpose.CACHE_VALUE else Purpose.CACHE_VALUE, sealed, context)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_sealed_record_with_one_changed_byte_does_not_open(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(RING.seal(Purpose.SUM, plaintext, b"context"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ArtifactError, match="does not"):
        RING.open(Purpose.SUM, bytes(sealed), b"context")


@given(st.binary(max_size=27))
def test_bytes_too_short_to_be_sealed_do_not_open(sealed: bytes) -> None:
    with pytest.raises(ArtifactError):
        RING.open(Purpose.SUM, sealed, b"")


def test_sealing_twice_gives_different_bytes() -> None:
    assert RING.seal(Purpose.SUM, b"same", b"") != RING.seal(Purpose.SUM, b"same", b"")


def test_no_two_purposes_share_a_key() -> None:
    assert len({RING.keyed_hash(purpose, b"data") for purpose in Purpose}) == len(Purpose)


def test_a_signing_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    KeyRing.load(tmp_path)
    other = generate_private_key(SECP256R1())
    (tmp_path / "signing.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(StateError, match="Ed25519"):
        KeyRing.load(tmp_path)


@given(data=st.binary(max_size=64), salt=st.binary(min_size=16, max_size=16))
def test_a_commitment_needs_the_key_the_salt_and_the_data(data: bytes, salt: bytes) -> None:
    commitment = RING.commitment(data, salt)
    assert commitment == RING.commitment(data, salt)
    assert len(commitment) == 64
    others = {
        KeyRing.ephemeral().commitment(data, salt),
        RING.commitment(data, bytes(16) if any(salt) else bytes(15) + b"1"),
        RING.commitment(data + b"0", salt),
        RING.keyed_hash(Purpose.COMMITMENT, salt + data).hex(),
    }
    assert commitment not in others
    assert len(others) == 4


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_salt_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InputError, match="salt of 16 bytes"):
        RING.commitment(b"data", bytes(size))


def test_draws_are_even_and_another_salt_draws_anew() -> None:
    """2,000 customers of a fixed ring: no counts are further than 4 standard deviations from even."""
    ring = KeyRing(b"k" * 32, RING.signing_key)
    keys = [ring.user_key(f"customer-{number}") for number in range(2000)]
    draws = np.array([[ring.draw(key, salt) for key in keys] for salt in ("5a" * 8, "a5" * 8)])
    assert ((draws >= 0) & (draws < 1)).all()
    assert [ring.draw(key, "5a" * 8) for key in keys] == draws[0].tolist()
    for counts in (np.histogram(draws[0], 10, (0, 1))[0], np.histogram(draws[1][draws[0] < 0.5], 10, (0, 1))[0]):
        even = counts.sum() / 10
        assert (abs(counts - even) < 4 * even**0.5).all()


def test_a_draw_needs_the_key() -> None:
    key, rings = RING.user_key("ada"), [KeyRing(byte * 32, RING.signing_key) for byte in (b"k", b"l")]
    assert len({ring.draw(key, "salt") for ring in rings}) == len(rings)
