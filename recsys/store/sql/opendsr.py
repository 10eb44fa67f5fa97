"""Requests in the form of OpenDSR in SQL; what their callbacks are told goes to the outbox in the same transaction."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from recsys.clock import Clock, isoformat, utc_now
from recsys.data.opendsr import ENDS, DsrRequest, DsrStatus, DsrType, same_request
from recsys.store.rules import no_dsr
from recsys.store.sql.engine import insert_all, next_sequence, writing
from recsys.store.sql.tables import opendsr_requests
from recsys.store.sql.webhooks import NO_URLS, enqueue_callback


class SqlDsrRequests:
    """Satisfies `intake.DsrRequests`."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Use the database of the engine."""
        self._engine, self._clock = engine, clock

    def create(self, request: DsrRequest) -> DsrRequest:
        """The request, kept; the earlier one of this id if there is one."""
        with writing(self._engine) as connection:
            row = _row(connection, request.subject_request_id)
            if row is not None:
                return same_request(_request(row), request)
            sequence = next_sequence(connection, opendsr_requests.c.sequence)
            insert_all(connection, opendsr_requests, [_values(request) | {"sequence": sequence}])
        return request

    def request(self, subject_request_id: str) -> DsrRequest:
        """The request, or NotFoundError."""
        with self._engine.connect() as connection:
            row = _row(connection, subject_request_id)
        if row is None:
            raise no_dsr()
        return _request(row)

    def followed(self) -> tuple[DsrRequest, ...]:
        """Those with callbacks that were not told of an end yet, oldest first."""
        told, callbacks = opendsr_requests.c.told, opendsr_requests.c.callbacks
        query = select(opendsr_requests).where(told.not_in(sorted(ENDS)), callbacks != NO_URLS)
        with self._engine.connect() as connection:
            return tuple(map(_request, connection.execute(query.order_by(opendsr_requests.c.sequence))))

    def tell(self, subject_request_id: str, status: DsrStatus, bodies: Mapping[str, bytes]) -> None:
        """Note the status, and write each body to the outbox for its URL; with an end the URLs are forgotten."""
        own = opendsr_requests.c.subject_request_id == subject_request_id
        with writing(self._engine) as connection:
            row = _row(connection, subject_request_id)
            if row is None:
                raise no_dsr()
            if row.told == status:
                return
            values = {"told": status.value} | ({"callbacks": NO_URLS} if status in ENDS else {})
            connection.execute(opendsr_requests.update().where(own).values(values))
            for url, body in bodies.items():
                enqueue_callback(connection, url, body, self._clock())


def _row(connection: Connection, subject_request_id: str) -> Row[Any] | None:
    found = opendsr_requests.c.subject_request_id == subject_request_id
    return connection.execute(select(opendsr_requests).where(found)).one_or_none()


def _values(request: DsrRequest) -> dict[str, Any]:
    return {
        "subject_request_id": request.subject_request_id,
        "kind": request.kind.value,
        "ours": request.ours,
        "joined": request.joined,
        "content": request.content,
        "received_at": isoformat(request.received_at),
        "due_at": isoformat(request.due_at),
        "callbacks": json.dumps(request.callbacks),
        "told": request.told.value if request.told else "",
    }


def _request(row: Row[Any]) -> DsrRequest:
    return DsrRequest(
        subject_request_id=row.subject_request_id,
        kind=DsrType(row.kind),
        ours=row.ours,
        joined=row.joined,
        content=row.content,
        received_at=datetime.fromisoformat(row.received_at),
        due_at=datetime.fromisoformat(row.due_at),
        callbacks=tuple(json.loads(row.callbacks)),
        told=DsrStatus(row.told) if row.told else None,
    )
