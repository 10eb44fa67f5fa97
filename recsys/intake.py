"""What the rooms above need to take in files, as a protocol; see `recsys.ports`."""

from collections.abc import Iterator
from typing import Protocol

from recsys.data.import_job import ImportJob, ImportReport, ImportState


class Imports(Protocol):
    """Files that are taken in, sealed and in parts, and how far each has come."""

    def create(self, job: ImportJob) -> None:
        """Keep a new import.

        Raises:
            ImportConflictError: too many are open.
        """

    def job(self, import_id: str) -> ImportJob:
        """The import.

        Raises:
            NotFoundError: there is none of this id.
        """

    def lying(self) -> tuple[ImportJob, ...]:
        """The imports whose parts may lie in the store, oldest first: open ones, and those that were cut off ending."""

    def add_part(self, import_id: str, offset: int, part: bytes) -> ImportJob:
        """The import once the part is kept that begins at this byte of the file. Of two who send one, one succeeds.

        Raises:
            NotFoundError: there is no such import.
            ImportConflictError: it is not being uploaded, or its next byte is another, or the part is too long or
                too short; nothing changed.
        """

    def content(self, import_id: str) -> Iterator[bytes]:
        """The parts in order.

        Raises:
            ArtifactError: a part is missing or does not open, or the import has ended.
        """

    def advance(self, import_id: str, report: ImportReport) -> ImportJob:
        """The import with this report.

        Raises:
            ImportConflictError: it is not being worked off, or no longer.
        """

    def close(self, import_id: str, state: ImportState, error: str = "") -> ImportJob:
        """The import at its end, its parts deleted; one that has ended keeps its end. Doing it again changes nothing.

        Raises:
            NotFoundError: there is no such import.
        """
