"""The durable queue of erasure requests in SQL, and the one transaction that erases a customer."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Engine, Row, bindparam, case, func, select

from recsys.clock import Clock, isoformat, utc_now
from recsys.erasure.rules import advanced, cancelled, check_finished, is_erased
from recsys.evidence.canonical import canonical_json
from recsys.evidence.log import Enter
from recsys.store.keys import KeyRing
from recsys.store.rules import check_sums_cover, completed, no_receipt, no_request, no_sum, told_of
from recsys.store.sql.engine import next_sequence, truncate_log, writing
from recsys.store.sql.one_worker import one_worker
from recsys.store.sql.receipt_log import append
from recsys.store.sql.sums import seal_sum
from recsys.store.sql.tables import customers, erasures, subject_requests, sums, suppressed, terms
from recsys.store.sql.webhooks import enqueue
from recsys.types import Backlog, ErasureRequest, ErasureState, Json, UserKey, WebhookEvent


class SqlErasures:
    """Satisfies `ports.Erasures`."""

    def __init__(self, engine: Engine, ring: KeyRing, clock: Clock = utc_now) -> None:
        """Use the database of the engine and the keys that its sums are sealed under."""
        self._engine, self._ring, self._clock = engine, ring, clock

    def working(self) -> AbstractContextManager[None]:
        """A block that only one worker is in at a time; StateLockedError for another."""
        return one_worker(self._engine)

    def suppress(self, request: ErasureRequest, user_key: UserKey) -> ErasureRequest:
        """The request, recorded together with the suppression; the customer's earlier request if there is one."""
        with writing(self._engine) as connection:
            if not connection.execute(_RECORD, _row(request) | {"user_key": user_key}).rowcount:
                return _request(connection.execute(_OF_CUSTOMER, {"user_key": user_key}).one())
            connection.execute(_SUPPRESS, {"user_key": user_key})
        return request

    def erase_customers(self, details: Mapping[str, Mapping[str, Json]], sums: Mapping[str, bytes]) -> None:
        """Destroy history, data key and terms of each request's customer, replace the sums, and set state ERASED.

        Raises:
            StateError: a sum holds a customer's term and is not among those replaced; nothing was done.
            StorageError: the database refused (nothing was done), or a reader holds the log (do it again to empty it).
        """
        with writing(self._engine) as connection:
            rows = [_row_of(connection, request_id) for request_id in details]
            waiting = [row for row in rows if not is_erased(_request(row))]
            self._replace_sums(connection, [row.user_key for row in waiting], sums)
            for row in waiting:
                _destroy(connection, row.user_key)
                _set(connection, advanced(_request(row), ErasureState.ERASED, details[row.request_id]))
        truncate_log(self._engine)

    def advance(self, request_id: str, state: ErasureState, details: Mapping[str, Json]) -> None:
        """Set the state and merge the details.

        Raises:
            NotFoundError: no such request.
            StateError: the state is not the next one.
        """
        with writing(self._engine) as connection:
            _set(connection, advanced(_request(_row_of(connection, request_id)), state, details))

    def finish(self, request_id: str, enter: Enter, details: Mapping[str, Json]) -> bytes:
        """Enter the receipt in the log, keep it, and set state RECEIPTED; one that is there already stays.

        Raises:
            StateError: a step was left out.
            StorageError: the log could not be emptied, so that the receipt would promise too much.
        """
        truncate_log(self._engine)
        with writing(self._engine) as connection:
            row = _row_of(connection, request_id)
            if row.receipt is not None:
                return bytes(row.receipt)
            receipt = append(connection, enter)
            _set(connection, advanced(_request(row), ErasureState.RECEIPTED, details), receipt=receipt)
            enqueue(connection, WebhookEvent.ERASURE_COMPLETED, completed(request_id), self._clock())
        return receipt

    def change(self, request_id: str, rule: Callable[[ErasureRequest], ErasureRequest]) -> ErasureRequest:
        """The request after the rule, in one transaction; webhooks are told if it is stuck now."""
        with writing(self._engine) as connection:
            before = _request(_row_of(connection, request_id))
            after = rule(before)
            _set(connection, after)
            if after.stuck and not before.stuck:
                enqueue(connection, WebhookEvent.ERASURE_STUCK, told_of(after), self._clock())
        return after

    def cancel(self, request_id: str) -> UserKey:
        """The customer of a request that is cancelled, and suppressed no longer.

        Raises:
            NotFoundError: no such request.
            ErasureConflictError: something was destroyed already; nothing changed.
        """
        with writing(self._engine) as connection:
            row = _row_of(connection, request_id)
            _set(connection, cancelled(_request(row)))
            if row.holds:
                _let_in(connection, row)
        return UserKey(row.user_key)

    def holding(self, user_key: UserKey) -> ErasureRequest | None:
        """The request that keeps the customer out; None if none does."""
        with self._engine.connect() as connection:
            row = connection.execute(_OF_CUSTOMER, {"user_key": user_key}).one_or_none()
        return None if row is None else _request(row)

    def lift(self, user_key: UserKey) -> ErasureRequest | None:
        """The finished request that no longer keeps the customer out; None if none did.

        Raises:
            ErasureConflictError: the request is still worked on; nothing changed.
        """
        with writing(self._engine) as connection:
            row = connection.execute(_OF_CUSTOMER, {"user_key": user_key}).one_or_none()
            if row is None:
                return None
            check_finished(_request(row))
            _let_in(connection, row)
        return _request(row)

    def warn(self, before: datetime) -> int:
        """How many open requests webhooks are told of now: due before this moment, once each."""
        near = _OLDEST_FIRST.where(_OPEN, ~erasures.c.warned, erasures.c.due_at <= isoformat(before))
        with self._engine.connect() as connection:  # mostly there is none, and nobody is kept from writing
            if connection.execute(near.limit(1)).first() is None:
                return 0
        with writing(self._engine) as connection:
            told = [_request(row) for row in connection.execute(near)]
            for request in told:
                enqueue(connection, WebhookEvent.ERASURE_DUE_SOON, told_of(request), self._clock())
                warned = erasures.update().where(erasures.c.request_id == request.request_id).values(warned=True)
                connection.execute(warned)
        return len(told)

    def request(self, request_id: str) -> ErasureRequest:
        """The request.

        Raises:
            NotFoundError: no such request.
        """
        with self._engine.connect() as connection:
            return _request(_row_of(connection, request_id))

    def requests(self) -> tuple[ErasureRequest, ...]:
        """Every request, oldest first."""
        with self._engine.connect() as connection:
            return tuple(_request(row) for row in connection.execute(_OLDEST_FIRST))

    def count(self) -> int:
        """How many requests there ever were."""
        with self._engine.connect() as connection:
            return next_sequence(connection, erasures.c.sequence)

    def pending(self) -> tuple[tuple[ErasureRequest, UserKey], ...]:
        """The requests that are open, oldest first, each with its customer."""
        with self._engine.connect() as connection:
            rows = connection.execute(_OLDEST_FIRST.where(_OPEN))
            return tuple((_request(row), UserKey(row.user_key)) for row in rows)

    def customers(self) -> tuple[tuple[ErasureRequest, UserKey], ...]:
        """Every request, oldest first, each with its customer."""
        with self._engine.connect() as connection:
            rows = connection.execute(_OLDEST_FIRST)
            return tuple((_request(row), UserKey(row.user_key)) for row in rows)

    def backlog(self) -> Backlog:
        """How much is open; times are kept in one spelling, which sorts as they do."""
        received, due = func.min(erasures.c.received_at), func.min(erasures.c.due_at)
        late = func.count(case((erasures.c.due_at < isoformat(self._clock()), 1)))
        query = select(func.count(), received, due, late, func.count(case((erasures.c.stuck, 1)))).where(_OPEN)
        with self._engine.connect() as connection:
            pending, oldest, first, overdue, stuck = connection.execute(query).one()
        return Backlog(pending=pending, oldest=_moment(oldest), due=_moment(first), overdue=overdue, stuck=stuck)

    def receipt(self, request_id: str) -> bytes:
        """The signed receipt.

        Raises:
            NotFoundError: no such request, or it has no receipt yet.
        """
        with self._engine.connect() as connection:
            row = _row_of(connection, request_id)
        if row.receipt is None:
            raise no_receipt(_request(row))
        return bytes(row.receipt)

    def suppressed(self) -> Iterator[UserKey]:
        """Every customer who is suppressed, in the order of keys: read when the first is asked for."""
        with self._engine.connect() as connection:
            keys = connection.scalars(select(suppressed.c.user_key).order_by(suppressed.c.user_key)).all()
        yield from map(UserKey, keys)

    def _replace_sums(self, connection: Connection, keys: Sequence[bytes], contents: Mapping[str, bytes]) -> None:
        if not keys:
            return
        holding = (connection.scalars(select(terms.c.sum_id).where(terms.c.user_key == key)) for key in keys)
        check_sums_cover(set(contents), {sum_id for of_one in holding for sum_id in of_one})
        for sum_id, content in contents.items():
            values = {"content": seal_sum(self._ring, sum_id, content)}
            if connection.execute(sums.update().where(sums.c.sum_id == sum_id).values(values)).rowcount != 1:
                raise no_sum()


def _destroy(connection: Connection, user_key: bytes) -> None:
    connection.execute(customers.delete().where(customers.c.user_key == user_key))
    connection.execute(terms.delete().where(terms.c.user_key == user_key))
    connection.execute(subject_requests.delete().where(subject_requests.c.user_key == user_key))


def _let_in(connection: Connection, row: Row[Any]) -> None:
    connection.execute(erasures.update().where(erasures.c.sequence == row.sequence).values(holds=False))
    connection.execute(suppressed.delete().where(suppressed.c.user_key == row.user_key))


def _set(connection: Connection, request: ErasureRequest, **values: bytes) -> None:
    changed = _row(request) | values
    connection.execute(erasures.update().where(erasures.c.request_id == request.request_id).values(changed))


def _row_of(connection: Connection, request_id: str) -> Row[Any]:
    row = connection.execute(select(erasures).where(erasures.c.request_id == request_id)).one_or_none()
    if row is None:
        raise no_request()
    return row


def _row(request: ErasureRequest) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "subject": request.subject,
        "reason": request.reason,
        "received_at": isoformat(request.received_at),
        "due_at": isoformat(request.due_at),
        "state": request.state.value,
        "release": request.release,
        "details": canonical_json(dict(request.details)).decode(),
        "attempts": request.attempts,
        "problem": request.problem,
        "next_at": isoformat(request.next_at) if request.next_at else None,
        "stuck": request.stuck,
        "extension": request.extension,
    }


def _request(row: Row[Any]) -> ErasureRequest:
    return ErasureRequest(
        request_id=row.request_id,
        subject=row.subject,
        reason=row.reason,
        received_at=datetime.fromisoformat(row.received_at),
        due_at=datetime.fromisoformat(row.due_at),
        state=ErasureState(row.state),
        release=row.release,
        details=cast("dict[str, Json]", json.loads(row.details)),
        attempts=row.attempts,
        problem=row.problem,
        next_at=_moment(row.next_at),
        stuck=row.stuck,
        extension=row.extension,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_OPEN = erasures.c.state.not_in([ErasureState.RECEIPTED.value, ErasureState.CANCELLED.value])
_OLDEST_FIRST = select(erasures).order_by(erasures.c.sequence)

# A customer waits for the next ones, so they are made once: to build a statement takes longer than to run it.
_GIVEN = [column for column in erasures.c if column.name not in {"sequence", "receipt", "warned", "holds"}]
_OF_CUSTOMER = select(erasures).where(
    erasures.c.user_key == bindparam("user_key", type_=erasures.c.user_key.type), erasures.c.holds
)
_RECORD = (
    erasures.insert()
    .from_select(
        [erasures.c.sequence, *_GIVEN],
        select(
            select(func.coalesce(func.max(erasures.c.sequence), -1) + 1).scalar_subquery(),
            *(bindparam(column.name, type_=column.type) for column in _GIVEN),
        ).where(~_OF_CUSTOMER.exists()),
    )
    .execution_options(preserve_rowcount=True)
)
"""The request with the next number, if the customer has none that holds."""
_SUPPRESS = suppressed.insert()
