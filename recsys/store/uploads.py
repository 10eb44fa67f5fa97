"""The parts of a file that is taken in: each sealed, in a file of its own, readable by its owner only.

Each import has a data key, which exists nowhere but beside the import, wrapped. Once that is destroyed, copies of the
parts stay sealed for good.
"""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recsys.store.files import file_errors, sync_directory, temporary_name, write_new
from recsys.store.keys import KEY_BYTES, KeyRing, Purpose, open_with, seal_with
from recsys.store.rules import no_parts

WHAT = "a part of an upload"


class UploadedParts:
    """The parts of every import, under a directory."""

    def __init__(self, directory: Path, ring: KeyRing) -> None:
        """Keep them in this directory, which is made when the first one comes."""
        self._directory, self._ring = directory, ring

    def new_key(self, import_id: str) -> bytes:
        """A data key for the import, wrapped."""
        return self._ring.seal(Purpose.UPLOAD, secrets.token_bytes(KEY_BYTES), import_id.encode())

    def prepare(self, import_id: str, data_key: bytes, offset: int, part: bytes) -> Path:
        """A file with the sealed part that is not in its place yet.

        Raises:
            StorageError: the disk refused it.
        """
        directory = self._directory / import_id
        sealed = seal_with(self._cipher(import_id, data_key), part, _context(offset))
        with file_errors(WHAT):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            prepared = temporary_name(directory)
            write_new(prepared, sealed)
        return prepared

    def place(self, prepared: Path, offset: int) -> None:
        """Put a prepared part in its place, over one that was cut off there before.

        Raises:
            StorageError: the disk refused it, or the import was deleted.
        """
        with file_errors(WHAT):
            prepared.replace(prepared.parent / str(offset))
            sync_directory(prepared.parent)

    def read(self, import_id: str, data_key: bytes, size: int) -> Iterator[bytes]:
        """The parts of an import up to this many bytes, in order.

        Raises:
            ArtifactError: a part is missing or does not open.
        """
        offset, cipher = 0, self._cipher(import_id, data_key)
        while offset < size:
            part = open_with(cipher, self._sealed(import_id, offset), _context(offset))
            yield part
            offset += len(part)

    def import_ids(self) -> set[str]:
        """The imports that have a directory."""
        return {path.name for path in self._directory.iterdir()} if self._directory.exists() else set()

    def delete(self, import_id: str) -> None:
        """Delete every part of an import; there may be none.

        Raises:
            StorageError: the disk refused it.
        """
        with file_errors("the deletion of an upload"):
            if (directory := self._directory / import_id).exists():
                shutil.rmtree(directory)
                sync_directory(self._directory)

    def _cipher(self, import_id: str, data_key: bytes) -> AESGCM:
        return AESGCM(self._ring.open(Purpose.UPLOAD, data_key, import_id.encode()))

    def _sealed(self, import_id: str, offset: int) -> bytes:
        try:
            return (self._directory / import_id / str(offset)).read_bytes()
        except OSError as error:
            raise no_parts() from error


def _context(offset: int) -> bytes:
    return offset.to_bytes(8, "big")
