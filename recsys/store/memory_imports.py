"""Imports in memory."""

import threading
from collections.abc import Iterator

from recsys.data.import_job import ImportJob, ImportReport, ImportState
from recsys.store.rules import check_room, closed, no_import, no_parts, with_part, with_report


class MemoryImports:
    """Satisfies `intake.Imports`."""

    def __init__(self) -> None:
        """Begin with none."""
        self._jobs: dict[str, ImportJob] = {}
        self._parts: dict[str, list[bytes]] = {}
        self._writing = threading.RLock()

    def create(self, job: ImportJob) -> None:
        """Keep a new import."""
        with self._writing:
            check_room(len(self._parts))
            self._jobs[job.import_id], self._parts[job.import_id] = job, []

    def job(self, import_id: str) -> ImportJob:
        """The import, or NotFoundError."""
        if import_id not in self._jobs:
            raise no_import()
        return self._jobs[import_id]

    def lying(self) -> tuple[ImportJob, ...]:
        """The imports whose parts lie here, oldest first."""
        return tuple(self._jobs[import_id] for import_id in self._parts)

    def add_part(self, import_id: str, offset: int, part: bytes) -> ImportJob:
        """The import once the part is kept."""
        with self._writing:
            after = with_part(self.job(import_id), offset, len(part))
            self._parts[import_id].append(part)
            self._jobs[import_id] = after
        return after

    def content(self, import_id: str) -> Iterator[bytes]:
        """The parts in order."""
        if import_id not in self._parts:
            raise no_parts()
        yield from tuple(self._parts[import_id])

    def advance(self, import_id: str, report: ImportReport) -> ImportJob:
        """The import with this report."""
        with self._writing:
            self._jobs[import_id] = with_report(self.job(import_id), report)
        return self._jobs[import_id]

    def close(self, import_id: str, state: ImportState, error: str = "") -> ImportJob:
        """The import at its end, its parts deleted."""
        with self._writing:
            self._jobs[import_id] = closed(self.job(import_id), state, error)
            self._parts.pop(import_id, None)
        return self._jobs[import_id]
