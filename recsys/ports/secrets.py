"""Keyed names, commitments and seals: what only an installation can make."""

from typing import Protocol

from recsys.types import ApiKey, Scope, UserKey


class Pseudonyms(Protocol):
    """Turns ids into keys; needs the secret of this installation."""

    def user_key(self, user_id: str) -> UserKey:
        """16 bytes: a keyed hash of the id after Unicode normalisation (NFC).

        Raises:
            InputError: the id is empty, longer than 256 UTF-8 bytes, or holds control characters. The id is not
            repeated.
        """

    def draw(self, user_key: UserKey, salt: str) -> float:
        """A number in [0, 1) that stays with the customer while the salt is the same: a keyed hash of both."""


class Commitments(Protocol):
    """Commits to private data in documents that leave; needs the secret of this installation."""

    def commitment(self, data: bytes, salt: bytes) -> str:
        """64 hex digits that only this installation can compute from the data and the 16 bytes of salt."""


class Seals(Protocol):
    """Seals the values of the cache and the ids of answers; needs the secret of this installation."""

    def seal_value(self, plaintext: bytes, context: bytes) -> bytes:
        """The plaintext, encrypted and authenticated together with the context."""

    def open_value(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext that was sealed with this context.

        Raises:
            ArtifactError: the bytes were changed, or belong to another context or installation.
        """

    def tag(self, data: bytes) -> bytes:
        """16 bytes that only this installation can compute from the data."""


class ApiKeys(Protocol):
    """API keys, hashed at rest."""

    def create(self, name: str, scopes: frozenset[Scope]) -> tuple[ApiKey, str]:
        """A new key and its secret, which is shown this once."""

    def authenticate(self, secret: str) -> ApiKey | None:
        """The key of this secret, unless there is none or it is revoked."""

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first."""

    def revoke(self, key_id: str) -> None:
        """Make the key useless from now on.

        Raises:
            NotFoundError: no such key.
        """
