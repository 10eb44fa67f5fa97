"""What the rooms above need to take in and hand out files, as protocols; see `recsys.ports`."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from recsys.data.export_job import ExportJob, ExportState
from recsys.data.import_job import ImportJob, ImportReport, ImportState
from recsys.data.opendsr import DsrRequest, DsrStatus


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


class Exports(Protocol):
    """Files that are handed out, sealed, and what each was asked to hold."""

    def create(self, job: ExportJob, asked: bytes) -> None:
        """Keep a new export, and what it is to be made from, sealed.

        Raises:
            ImportConflictError: too many are there.
        """

    def job(self, export_id: str) -> ExportJob:
        """The export.

        Raises:
            NotFoundError: there is none of this id.
        """

    def lying(self) -> tuple[ExportJob, ...]:
        """The exports of which a file, or what it is made from, may lie in the store, oldest first."""

    def asked(self, export_id: str) -> bytes:
        """What the export is to be made from.

        Raises:
            ArtifactError: it is made (unless it is a file of one customer), or has ended.
        """

    def keep(self, export_id: str, content: bytes, sha256: str) -> ExportJob:
        """The export with its file, DONE; what it was made from is deleted. One that has ended keeps its end.

        For a file of one customer, what it was made from stays as long as the file: it says whose it is.
        """

    def content(self, export_id: str) -> Iterator[bytes]:
        """The file in parts.

        Raises:
            ArtifactError: there is none, or no longer.
        """

    def close(self, export_id: str, state: ExportState, error: str = "", *, erasure: str | None = None) -> ExportJob:
        """The export at its end, its file deleted; one that has ended keeps its end. Doing it again changes nothing.

        Args:
            export_id: the export
            state: its end
            error: why it failed
            erasure: the request that it ends for

        Raises:
            NotFoundError: there is no such export.
        """

    def withdrawn_for(self, request_id: str) -> int:
        """How many exports ended for this erasure."""


class DsrRequests(Protocol):
    """Requests in the form of OpenDSR, by the controller's id, and what their callbacks were told."""

    def create(self, request: DsrRequest) -> DsrRequest:
        """The request, kept; the earlier one of this id if there is one.

        Raises:
            EventConflictError: the earlier one asks for something else.
        """

    def request(self, subject_request_id: str) -> DsrRequest:
        """The request.

        Raises:
            NotFoundError: there is none of this id.
        """

    def followed(self) -> tuple[DsrRequest, ...]:
        """Those with callbacks that were not told of an end yet, oldest first."""

    def tell(self, subject_request_id: str, status: DsrStatus, bodies: Mapping[str, bytes]) -> None:
        """Note the status, and write each body to the outbox for its URL: one transaction; told before, nothing.

        An end is the last that callbacks are told: the request keeps their URLs no longer.
        """
