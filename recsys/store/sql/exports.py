"""Exports in SQL, and the parts of their files beside it."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.store.parts import SealedParts
from recsys.store.rules import check_export_room, ended, made, no_export, no_parts
from recsys.store.sql.engine import insert_all, next_sequence, writing
from recsys.store.sql.tables import exports

PART_BYTES = 1 << 20


class SqlExports:
    """Satisfies `intake.Exports`."""

    def __init__(self, engine: Engine, parts: SealedParts) -> None:
        """Use the database of the engine, and keep the parts of files there."""
        self._engine, self._parts = engine, parts

    def create(self, job: ExportJob, asked: bytes) -> None:
        """Keep a new export, and what it is to be made from."""
        data_key = self._parts.new_key(job.export_id)
        sealed = self._parts.seal(job.export_id, data_key, asked)
        row = {"export_id": job.export_id, "data_key": data_key, "asked": sealed, "job": _text(job)}
        with writing(self._engine) as connection:
            check_export_room(job, map(_job, connection.execute(_LYING)))
            insert_all(connection, exports, [row | {"sequence": next_sequence(connection, exports.c.sequence)}])

    def job(self, export_id: str) -> ExportJob:
        """The export, or NotFoundError."""
        return _job(self._read(export_id))

    def lying(self) -> tuple[ExportJob, ...]:
        """The exports of which something may lie there, oldest first."""
        with self._engine.connect() as connection:
            return tuple(map(_job, connection.execute(_LYING)))

    def asked(self, export_id: str) -> bytes:
        """What the export is to be made from."""
        row = self._read(export_id)
        return self._parts.open(export_id, row.data_key or b"", row.asked or b"")

    def keep(self, export_id: str, content: bytes, sha256: str) -> ExportJob:
        """The export with its file; of one that has ended meanwhile nothing is kept."""
        row = self._read(export_id)
        if row.data_key is None:
            return _job(row)
        for at in range(0, len(content), PART_BYTES):
            self._parts.place(self._parts.prepare(export_id, row.data_key, at, content[at : at + PART_BYTES]), at)
        with writing(self._engine) as connection:
            after = made(_job(_row(connection, export_id)), len(content), sha256)
            # Whose file it is must be known as long as it may be given out.
            is_asked_for = after.kind is ExportKind.SUBJECT and after.is_open
            _write(connection, after, asked=row.asked if is_asked_for else None)
        if not after.is_open:
            self._parts.delete(export_id)
        return after

    def content(self, export_id: str) -> Iterator[bytes]:
        """The file in parts."""
        row = self._read(export_id)
        job = _job(row)
        if job.state is not ExportState.DONE:
            raise no_parts()
        return self._parts.read(export_id, row.data_key or b"", job.size)

    def close(self, export_id: str, state: ExportState, error: str = "", *, erasure: str | None = None) -> ExportJob:
        """The export at its end, its file deleted, and then the key; cut off in between, it is closed again."""
        with writing(self._engine) as connection:
            row = _row(connection, export_id)
            before = _job(row)
            after = ended(before, state, error)
            _write(connection, after, asked=None, erasure=erasure if before.is_open else row.erasure)
        self._parts.delete(export_id)
        with writing(self._engine) as connection:
            _write(connection, after, data_key=None)
        return after

    def withdrawn_for(self, request_id: str) -> int:
        """How many exports ended for this erasure."""
        query = select(func.count()).select_from(exports).where(exports.c.erasure == request_id)
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def sweep(self) -> None:
        """Delete what a process that was killed left of exports that have ended."""
        self._parts.sweep(lambda: {job.export_id for job in self.lying()})

    def _read(self, export_id: str) -> Row[Any]:
        with self._engine.connect() as connection:
            return _row(connection, export_id)


def _write(connection: Connection, job: ExportJob, **values: object) -> None:
    changed = {"job": _text(job), **values}
    connection.execute(exports.update().where(exports.c.export_id == job.export_id).values(changed))


def _row(connection: Connection, export_id: str) -> Row[Any]:
    row = connection.execute(select(exports).where(exports.c.export_id == export_id)).one_or_none()
    if row is None:
        raise no_export()
    return row


def _text(job: ExportJob) -> str:
    return json.dumps(job.to_json())


def _job(row: Row[Any]) -> ExportJob:
    return ExportJob.from_json(json.loads(row.job))


_LYING = select(exports).where(exports.c.data_key.is_not(None)).order_by(exports.c.sequence)
