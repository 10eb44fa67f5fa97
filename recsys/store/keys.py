"""The secrets of an installation: one store key, from which every other key is derived, and one signing key.

Lose `store.key` and every record is unreadable for good, backups included; copy it and the copies are readable.
"""

import hmac
import secrets
import stat
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from recsys.errors import ArtifactError, InputError, StateError
from recsys.identifiers import check_user_id
from recsys.store.files import create_once, file_errors
from recsys.types import UserKey

KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
"""Random nonces are safe for 2^32 messages under one AES-GCM key (NIST SP 800-38D, 8.3)."""
DRAW_BYTES = 6
DRAWS = 256**DRAW_BYTES
"""How many numbers can be drawn: a float holds each of them exactly."""


class Purpose(StrEnum):
    """What a derived key is for: no two purposes share a key."""

    __hash__ = str.__hash__  # an enumeration's own is written in Python, and keys are looked up many times a request
    PSEUDONYM = "pseudonym"
    DATA_KEY = "data-key"
    SUM = "sum"
    CACHE_NAME = "cache-name"
    CACHE_VALUE = "cache-value"
    TAG = "tag"
    API_KEY = "api-key"
    FINGERPRINT = "fingerprint"
    COMMITMENT = "commitment"
    DRAW = "draw"
    UPLOAD = "upload"
    JOURNAL = "journal"


class KeyRing:
    """The keys of one installation. It satisfies `ports.Pseudonyms`, `ports.Commitments` and `ports.Seals`."""

    def __init__(self, store_key: bytes, signing_key: Ed25519PrivateKey) -> None:
        """Derive a key for every purpose from the store key (HKDF, RFC 5869)."""
        self.signing_key = signing_key
        self._keys = {purpose: _derive(store_key, purpose) for purpose in Purpose}
        self._ciphers = {purpose: AESGCM(key) for purpose, key in self._keys.items()}
        self._hashes = {purpose: blake2b(key=key, digest_size=16) for purpose, key in self._keys.items()}

    @classmethod
    def ephemeral(cls) -> "KeyRing":
        """A key ring that is kept nowhere."""
        return cls(secrets.token_bytes(KEY_BYTES), Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, directory: Path) -> "KeyRing":
        """The key ring in the directory; its two files are created if they are not there.

        Raises:
            StateError: a file can be read by others, or does not hold a key.
            StorageError: a file cannot be written.
        """
        store_path, signing_path = directory / "store.key", directory / "signing.pem"
        with file_errors("and read the keys"):
            directory.mkdir(mode=0o700, exist_ok=True)
            _create_missing(store_path, signing_path)
            for path in (directory, store_path, signing_path):
                _check_private(path)
            return cls(_read_store_key(store_path), _read_signing_key(signing_path))

    @property
    def public_key(self) -> Ed25519PublicKey:
        """The key that receipts are verified with."""
        return self.signing_key.public_key()

    @property
    def fingerprint(self) -> str:
        """A public name of the store key, which says whether a database belongs to it."""
        return self._keys[Purpose.FINGERPRINT].hex()[:32]

    def user_key(self, user_id: str) -> UserKey:
        """16 bytes that stand for the customer: a keyed hash of the id in normal form NFC.

        Raises:
            InputError: the id is empty, longer than 256 UTF-8 bytes, or holds control characters; it is not repeated.
        """
        return UserKey(self.keyed_hash(Purpose.PSEUDONYM, check_user_id(user_id).encode()))

    def draw(self, user_key: UserKey, salt: str) -> float:
        """A number in [0, 1) that stays with the customer while the salt is the same; says nothing without the key.

        Guarantees:
            - Draws are spread evenly, and those of two salts have nothing to do with each other.

        Tested by: tests/recsys/store/test_keys.py::test_draws_are_even_and_another_salt_draws_anew
        """
        return int.from_bytes(self.keyed_hash(Purpose.DRAW, user_key + salt.encode())[:DRAW_BYTES], "big") / DRAWS

    def keyed_hash(self, purpose: Purpose, data: bytes) -> bytes:
        """16 bytes that only this installation can compute from the data (BLAKE2b, keyed)."""
        keyed = self._hashes[purpose].copy()  # half the time of hashing the key again
        keyed.update(data)
        return keyed.digest()

    def commitment(self, data: bytes, salt: bytes) -> str:
        """What stands for private data in a published document: HMAC-SHA256 of salt and data under a key of its own.

        A plain digest would be a release: whoever knows all customers but one could try every guess about the last.
        Without the store key the commitment tells nothing, and with a fresh salt not even that the data are the same.

        Guarantees:
            - Another key, another salt or other data give another commitment.

        Tested by: tests/recsys/store/test_keys.py::test_a_commitment_needs_the_key_the_salt_and_the_data

        Raises:
            InputError: the salt does not have 16 bytes, so that where it ends and the data begin would be open.
        """
        if len(salt) != SALT_BYTES:
            msg = f"expected a salt of {SALT_BYTES} bytes, got {len(salt)}; draw a fresh one for every commitment"
            raise InputError(msg)
        return hmac.digest(self._keys[Purpose.COMMITMENT], salt + data, "sha256").hex()

    def seal(self, purpose: Purpose, plaintext: bytes, context: bytes) -> bytes:
        """The plaintext under AES-256-GCM with its nonce in front; it opens only with the same purpose and context."""
        return seal_with(self._ciphers[purpose], plaintext, context)

    def open(self, purpose: Purpose, sealed: bytes, context: bytes) -> bytes:
        """The plaintext.

        Raises:
            ArtifactError: the bytes were changed, belong to another context, or were sealed by another installation.
        """
        return open_with(self._ciphers[purpose], sealed, context)

    def seal_value(self, plaintext: bytes, context: bytes) -> bytes:
        """The plaintext as a value of the cache."""
        return self.seal(Purpose.CACHE_VALUE, plaintext, context)

    def open_value(self, sealed: bytes, context: bytes) -> bytes:
        """What `seal_value` sealed; raises as `open`."""
        return self.open(Purpose.CACHE_VALUE, sealed, context)

    def tag(self, data: bytes) -> bytes:
        """16 bytes that only this installation can compute from the data."""
        return self.keyed_hash(Purpose.TAG, data)


def seal_with(cipher: AESGCM, plaintext: bytes, context: bytes) -> bytes:
    """The plaintext under the cipher, a fresh nonce in front, bound to the context."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, context)


def open_with(cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    """The plaintext that `seal_with` sealed under the same key and context.

    Raises:
        ArtifactError: it does not open.
    """
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        msg = (
            "expected a sealed record to open, it does not: it was changed, moved, or sealed under other keys; "
            "restore the record and the keys/ directory from the same backup"
        )
        raise ArtifactError(msg) from error


def _derive(store_key: bytes, purpose: Purpose) -> bytes:
    info = f"privrec/v1/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(store_key)


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        wanted = "700" if path.is_dir() else "600"
        msg = f"expected {path} to be readable by its owner only, got mode {mode:03o}; run `chmod {wanted} {path}`"
        raise StateError(msg)


def _create_missing(store_path: Path, signing_path: Path) -> None:
    if not store_path.exists():
        create_once(store_path, secrets.token_bytes(KEY_BYTES))
    if not signing_path.exists():
        signing_key = Ed25519PrivateKey.generate()
        create_once(signing_path, signing_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _read_store_key(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        msg = f"expected {KEY_BYTES} bytes in {path}, got {len(key)}; restore the file from a backup"
        raise StateError(msg)
    return key


def _read_signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        msg = f"expected an Ed25519 private key in {path}, got other bytes; restore the file from a backup"
        raise StateError(msg) from error
    if not isinstance(key, Ed25519PrivateKey):
        msg = f"expected an Ed25519 private key in {path}, got {type(key).__name__}; restore the file from a backup"
        raise StateError(msg)
    return key
