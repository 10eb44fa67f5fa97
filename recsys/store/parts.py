"""The parts of a file that is taken in or handed out: each sealed, in a file of its own, readable by its owner only.

Each file has a data key, which exists nowhere but beside its import or export, wrapped. Once that is destroyed, copies
of the parts stay sealed for good.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recsys.store.files import file_errors, sync_directory, temporary_name, write_new
from recsys.store.keys import KEY_BYTES, KeyRing, Purpose, open_with, seal_with
from recsys.store.rules import no_parts

WHAT = "a part of a file"
OUTSIDE = b"outside"
"""The context of what is no part: those of parts have another length."""


class SealedParts:
    """The parts of every file, under a directory."""

    def __init__(self, directory: Path, ring: KeyRing) -> None:
        """Keep them in this directory, which is made when the first one comes."""
        self._directory, self._ring = directory, ring

    def new_key(self, file_id: str) -> bytes:
        """A data key for the file, wrapped."""
        return self._ring.seal(Purpose.UPLOAD, secrets.token_bytes(KEY_BYTES), file_id.encode())

    def prepare(self, file_id: str, data_key: bytes, offset: int, part: bytes) -> Path:
        """A file with the sealed part that is not in its place yet.

        Raises:
            StorageError: the disk refused it.
        """
        directory = self._directory / file_id
        sealed = seal_with(self._cipher(file_id, data_key), part, _context(offset))
        with file_errors(WHAT):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            prepared = temporary_name(directory)
            write_new(prepared, sealed)
        return prepared

    def place(self, prepared: Path, offset: int) -> None:
        """Put a prepared part in its place, over one that was cut off there before.

        Raises:
            StorageError: the disk refused it, or the parts were deleted.
        """
        with file_errors(WHAT):
            prepared.replace(prepared.parent / str(offset))
            sync_directory(prepared.parent)

    def read(self, file_id: str, data_key: bytes, size: int) -> Iterator[bytes]:
        """The parts of a file up to this many bytes, in order.

        Raises:
            ArtifactError: a part is missing or does not open.
        """
        offset, cipher = 0, self._cipher(file_id, data_key)
        while offset < size:
            part = open_with(cipher, self._sealed(file_id, offset), _context(offset))
            yield part
            offset += len(part)

    def sweep(self, lying: Callable[[], set[str]]) -> None:
        """Delete what is left of all but those that lie here."""
        # Seen before the question is asked: one that begins now is not among them.
        left = {path.name for path in self._directory.iterdir()} if self._directory.exists() else set()
        for file_id in left - lying():
            self.delete(file_id)

    def seal(self, file_id: str, data_key: bytes, content: bytes) -> bytes:
        """The content under the file's key, for a place outside of its parts."""
        return seal_with(self._cipher(file_id, data_key), content, OUTSIDE)

    def open(self, file_id: str, data_key: bytes, sealed: bytes) -> bytes:
        """What `seal` sealed.

        Raises:
            ArtifactError: it does not open.
        """
        return open_with(self._cipher(file_id, data_key), sealed, OUTSIDE)

    def delete(self, file_id: str) -> None:
        """Delete every part of a file; there may be none.

        Raises:
            StorageError: the disk refused it.
        """
        with file_errors("the deletion of a file"):
            if (directory := self._directory / file_id).exists():
                shutil.rmtree(directory)
                sync_directory(self._directory)

    def _cipher(self, file_id: str, data_key: bytes) -> AESGCM:
        return AESGCM(self._ring.open(Purpose.UPLOAD, data_key, file_id.encode()))

    def _sealed(self, file_id: str, offset: int) -> bytes:
        try:
            return (self._directory / file_id / str(offset)).read_bytes()
        except OSError as error:
            raise no_parts() from error


def _context(offset: int) -> bytes:
    return offset.to_bytes(8, "big")
