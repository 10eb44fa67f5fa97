"""Imports in SQL, and the parts of their files beside it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from recsys.data.import_job import ImportJob, ImportReport, ImportState
from recsys.store.parts import SealedParts
from recsys.store.rules import check_room, closed, no_import, with_part, with_report
from recsys.store.sql.engine import insert_all, next_sequence, writing
from recsys.store.sql.tables import imports


class SqlImports:
    """Satisfies `intake.Imports`."""

    def __init__(self, engine: Engine, parts: SealedParts) -> None:
        """Use the database of the engine, and keep the parts of files there."""
        self._engine, self._parts = engine, parts

    def create(self, job: ImportJob) -> None:
        """Keep a new import."""
        with writing(self._engine) as connection:
            check_room(connection.scalar(_N_LYING) or 0)
            row = {"import_id": job.import_id, "data_key": self._parts.new_key(job.import_id), "job": _text(job)}
            insert_all(connection, imports, [row | {"sequence": next_sequence(connection, imports.c.sequence)}])

    def job(self, import_id: str) -> ImportJob:
        """The import, or NotFoundError."""
        return self._read(import_id)[0]

    def lying(self) -> tuple[ImportJob, ...]:
        """The imports whose parts may lie there, oldest first."""
        with self._engine.connect() as connection:
            return tuple(map(_job, connection.execute(_LYING)))

    def add_part(self, import_id: str, offset: int, part: bytes) -> ImportJob:
        """The import once the part is kept.

        The file is written before the transaction, and gets its place within it: nobody waits for the disk, and no part
        is placed once the import has ended.
        """
        before, data_key = self._read(import_id)
        with_part(before, offset, len(part))
        prepared = self._parts.prepare(import_id, data_key, offset, part)
        try:
            with writing(self._engine) as connection:
                after = with_part(_job(_row(connection, import_id)), offset, len(part))
                self._parts.place(prepared, offset)
                _write(connection, after)
        finally:
            prepared.unlink(missing_ok=True)
        return after

    def content(self, import_id: str) -> Iterator[bytes]:
        """The parts in order."""
        job, data_key = self._read(import_id)
        return self._parts.read(import_id, data_key, job.offset)

    def advance(self, import_id: str, report: ImportReport) -> ImportJob:
        """The import with this report."""
        return self._change(import_id, lambda job: with_report(job, report))

    def close(self, import_id: str, state: ImportState, error: str = "") -> ImportJob:
        """The import at its end, its parts deleted, and then their key; cut off in between, it is closed again."""
        after = self._change(import_id, lambda job: closed(job, state, error))
        self._parts.delete(import_id)
        with writing(self._engine) as connection:
            connection.execute(imports.update().where(imports.c.import_id == import_id).values(data_key=None))
        return after

    def sweep(self) -> None:
        """Delete what a process that was killed left of imports that have ended."""
        self._parts.sweep(lambda: {job.import_id for job in self.lying()})

    def _read(self, import_id: str) -> tuple[ImportJob, bytes]:
        """The import with the key of its parts, which is empty and opens nothing once they are deleted."""
        with self._engine.connect() as connection:
            row = _row(connection, import_id)
        return _job(row), bytes(row.data_key or b"")

    def _change(self, import_id: str, change: Callable[[ImportJob], ImportJob]) -> ImportJob:
        with writing(self._engine) as connection:
            after = change(_job(_row(connection, import_id)))
            _write(connection, after)
        return after


def _write(connection: Connection, job: ImportJob) -> None:
    connection.execute(imports.update().where(imports.c.import_id == job.import_id).values(job=_text(job)))


def _row(connection: Connection, import_id: str) -> Row[Any]:
    row = connection.execute(select(imports).where(imports.c.import_id == import_id)).one_or_none()
    if row is None:
        raise no_import()
    return row


def _text(job: ImportJob) -> str:
    return json.dumps(job.to_json())


def _job(row: Row[Any]) -> ImportJob:
    return ImportJob.from_json(json.loads(row.job))


_LYING = select(imports).where(imports.c.data_key.is_not(None)).order_by(imports.c.sequence)
_N_LYING = select(func.count()).select_from(imports).where(imports.c.data_key.is_not(None))
