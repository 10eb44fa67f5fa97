"""Exports in memory."""

import threading
from collections.abc import Iterator

from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.store.rules import check_export_room, ended, made, no_export, no_parts


class MemoryExports:
    """Satisfies `intake.Exports`."""

    def __init__(self) -> None:
        """Begin with none."""
        self._jobs: dict[str, ExportJob] = {}
        self._asked: dict[str, bytes] = {}
        self._files: dict[str, bytes] = {}
        self._erasures: dict[str, str | None] = {}
        self._writing = threading.RLock()

    def create(self, job: ExportJob, asked: bytes) -> None:
        """Keep a new export, and what it is to be made from."""
        with self._writing:
            check_export_room(job, self.lying())
            self._jobs[job.export_id], self._asked[job.export_id] = job, asked

    def job(self, export_id: str) -> ExportJob:
        """The export, or NotFoundError."""
        if export_id not in self._jobs:
            raise no_export()
        return self._jobs[export_id]

    def lying(self) -> tuple[ExportJob, ...]:
        """The exports of which something lies here, oldest first."""
        return tuple(job for job in self._jobs.values() if job.is_open)

    def asked(self, export_id: str) -> bytes:
        """What the export is to be made from."""
        if export_id not in self._asked:
            raise no_parts()
        return self._asked[export_id]

    def keep(self, export_id: str, content: bytes, sha256: str) -> ExportJob:
        """The export with its file."""
        with self._writing:
            self._jobs[export_id] = after = made(self.job(export_id), len(content), sha256)
            if after.is_open:
                self._files[export_id] = content
            if after.kind is not ExportKind.SUBJECT or not after.is_open:
                self._asked.pop(export_id, None)
        return after

    def content(self, export_id: str) -> Iterator[bytes]:
        """The file in parts."""
        if export_id not in self._files:
            raise no_parts()
        yield self._files[export_id]

    def close(self, export_id: str, state: ExportState, error: str = "", *, erasure: str | None = None) -> ExportJob:
        """The export at its end, its file deleted."""
        with self._writing:
            before = self.job(export_id)
            if before.is_open:
                self._jobs[export_id], self._erasures[export_id] = ended(before, state, error), erasure
            self._asked.pop(export_id, None)
            self._files.pop(export_id, None)
        return self._jobs[export_id]

    def withdrawn_for(self, request_id: str) -> int:
        """How many exports ended for this erasure."""
        return sum(erasure == request_id for erasure in self._erasures.values())
