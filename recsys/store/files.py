"""Files that are there whole or not at all: written beside their place, synced, and moved into it."""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recsys.errors import StorageError

TEMPORARY = ".tmp-"
"""How the name of everything begins that is not in its place yet; swept when the owner of the directory opens it."""


@contextmanager
def file_errors(what: str) -> Iterator[None]:
    """A block in which an operating system error becomes a StorageError that says what could not be written."""
    try:
        yield
    except OSError as error:
        msg = f"expected to write {what}, got {error.strerror or error}; free disk space or correct the permissions"
        raise StorageError(msg) from error


def temporary_name(directory: Path) -> Path:
    """A path in the directory that nothing has and that a sweep recognises."""
    return directory / f"{TEMPORARY}{secrets.token_hex(8)}"


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, readable by its owner only, and sync it."""
    write_lines(path, [data])


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """As `write_new`, of lines that come one by one: they are never in memory together."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(descriptor)


def sync_directory(directory: Path) -> None:
    """Make the names in the directory as durable as the files."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Put the bytes in the file's place: a reader sees the old bytes or the new ones, never a part."""
    temporary = temporary_name(path.parent)
    try:
        write_new(temporary, data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def create_once(path: Path, data: bytes) -> None:
    """Put the bytes in the file's place unless a file is there already: of two who try, the first one's bytes stay."""
    temporary = temporary_name(path.parent)
    try:
        write_new(temporary, data)
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sweep(directory: Path) -> None:
    """Remove what an interrupted process left in the directory before it was in its place."""
    for leftover in directory.glob(f"{TEMPORARY}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
