"""Objections, restrictions, rectifications and merges of accounts in SQL."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Engine, Row, bindparam, exists, select, union_all

from recsys.clock import isoformat
from recsys.data.account_merge import (
    SUMS,
    AccountMerge,
    Accounts,
    MergeStatus,
    Standing,
    accounts_of,
    merge_status,
    takes_objection,
)
from recsys.data.corrections import Corrected
from recsys.data.history import EMPTY_HISTORY, History
from recsys.data.subject_request import LIMITS, SubjectKind, SubjectRequest, SubjectState
from recsys.evidence.canonical import canonical_json
from recsys.store.keys import KeyRing, Purpose
from recsys.store.records import next_record, open_record
from recsys.store.rules import no_sum, stepped
from recsys.store.sql.engine import insert_all, next_sequence, writing
from recsys.store.sql.histories import join, records_of
from recsys.store.sql.sums import seal_sum, seal_term
from recsys.store.sql.tables import customers, erasures, subject_requests, sums, suppressed, terms
from recsys.types import ErasureState, Json, UserKey


class SqlSubjectRequests:
    """Satisfies `ports.SubjectRequests`."""

    def __init__(self, engine: Engine, ring: KeyRing) -> None:
        """Use the database of the engine and the keys that its records are sealed under."""
        self._engine, self._ring = engine, ring

    def limit(self, request: SubjectRequest, user_key: UserKey) -> SubjectRequest:
        """The request, recorded; the customer's earlier one of this kind if there is one."""
        of_kind = _OF.where(subject_requests.c.kind == request.kind, subject_requests.c.user_key == user_key)
        with writing(self._engine) as connection:
            earlier = connection.execute(of_kind).one_or_none()
            if earlier is not None:
                return self._request(earlier)
            if not _is_destroyed(connection, user_key):
                self._insert(connection, request, user_key)
        return request

    def lift(self, user_key: UserKey, kind: SubjectKind) -> None:
        """Take back the customer's objection or restriction."""
        of_kind = (subject_requests.c.user_key == user_key, subject_requests.c.kind == kind)
        with writing(self._engine) as connection:
            connection.execute(subject_requests.delete().where(*of_kind))

    def rectify(
        self, request: SubjectRequest, user_key: UserKey, change: Callable[[History], Corrected]
    ) -> Corrected | None:
        """What `change` made of the history, which is kept with the request; None if the customer is restricted.

        Raises:
            ArtifactError: the record does not open; nothing was changed.
        """
        restricted = (subject_requests.c.user_key == user_key, subject_requests.c.kind == SubjectKind.RESTRICTION)
        with writing(self._engine) as connection:
            erased = _is_erased(connection, user_key)
            if not erased and connection.scalar(select(exists().where(*restricted))):
                return None
            before = None if erased else records_of(connection, [user_key]).get(user_key)
            done = change(open_record(self._ring, before) if before else EMPTY_HISTORY)
            if before and done.changed:
                after = next_record(self._ring, before, done.history)
                values = {"record": after.record, "revision": after.revision}
                connection.execute(customers.update().where(customers.c.user_key == user_key).values(values))
                self._insert(connection, request, user_key, done.moves)
        return done

    def merge(self, merge: AccountMerge) -> MergeStatus:
        """What became of the merge; nothing changes where one of the two is erased, restricted or not settled.

        Raises:
            ArtifactError: a record does not open; nothing was changed.
        """
        with writing(self._engine) as connection:
            account, into = (self._standing(connection, key) for key in (merge.account, merge.into))
            status = merge_status([account, into])
            if status is MergeStatus.ACKNOWLEDGED:
                if takes_objection(account, into):
                    self._insert(connection, merge.objection, merge.into)
                self._take_along(connection, merge.between(account, into))
        return status

    def accounts(self, user_key: UserKey) -> Accounts:
        """What merges made of the customer's terms in sums."""
        with self._engine.connect() as connection:
            return self._accounts(connection, user_key)

    def apply(
        self,
        request_id: str,
        sums: Mapping[str, bytes],
        terms: Mapping[UserKey, Mapping[str, bytes]],
        details: Mapping[str, Json],
    ) -> None:
        """Replace these sums and terms, and set state APPLIED.

        Raises:
            NotFoundError: one of the sums is not there; nothing was done.
        """
        with writing(self._engine) as connection:
            row = _row(connection, request_id)
            if row is None or row.state != SubjectState.ACKNOWLEDGED:
                return
            self._replace_sums(connection, sums)
            for user_key, own in terms.items():
                self._replace_terms(connection, user_key, own)
            _set(connection, stepped(self._request(row), SubjectState.APPLIED, details))

    def finish(self, request_id: str, details: Mapping[str, Json]) -> None:
        """Set state DONE and merge the details."""
        with writing(self._engine) as connection:
            row = _row(connection, request_id)
            if row is not None:
                _set(connection, stepped(self._request(row), SubjectState.DONE, details))

    def pending(self) -> tuple[tuple[SubjectRequest, UserKey], ...]:
        """The requests that are not done, oldest first, each with its customer."""
        query = _OF.where(subject_requests.c.state != SubjectState.DONE)
        with self._engine.connect() as connection:
            return tuple((self._request(row), UserKey(row.user_key)) for row in connection.execute(query))

    def of_customer(self, user_key: UserKey) -> tuple[SubjectRequest, ...]:
        """The customer's requests, oldest first."""
        query = _OF.where(subject_requests.c.user_key == user_key)
        with self._engine.connect() as connection:
            return tuple(map(self._request, connection.execute(query)))

    def limited(self) -> Iterator[UserKey]:
        """Every customer who objected or is restricted: read when the first is asked for."""
        keys = select(subject_requests.c.user_key).where(subject_requests.c.kind.in_(sorted(LIMITS))).distinct()
        with self._engine.connect() as connection:
            found = connection.scalars(keys.order_by(subject_requests.c.user_key)).all()
        yield from map(UserKey, found)

    def _standing(self, connection: Connection, user_key: UserKey) -> Standing:
        rows = connection.execute(_OF.where(subject_requests.c.user_key == user_key))
        return Standing(_is_erased(connection, user_key), tuple(map(self._request, rows)))

    def _accounts(self, connection: Connection, user_key: UserKey) -> Accounts:
        rows = connection.execute(_MERGES, {"key": user_key})
        return accounts_of(user_key, ((self._request(row), UserKey(row.user_key)) for row in rows))

    def _take_along(self, connection: Connection, merge: AccountMerge) -> None:
        """Move what there is of the account, and record the merge; of somebody unknown nothing is recorded."""
        account, into = (self._accounts(connection, key) for key in (merge.account, merge.into))
        held = connection.scalars(select(terms.c.sum_id).where(terms.c.user_key == merge.account)).all()
        sums = into.taking(merge.account, account, held)
        is_known = join(connection, self._ring, merge.account, merge.into)
        if not (is_known or account.merged or sums - into.merged.get(merge.account, frozenset())):
            return
        _move_requests(connection, merge.account, merge.into)
        request = replace(merge.request, account=merge.account, details={SUMS: [*sorted(sums)]})
        self._insert(connection, request, merge.into)

    def _replace_sums(self, connection: Connection, contents: Mapping[str, bytes]) -> None:
        for sum_id, content in contents.items():
            values = {"content": seal_sum(self._ring, sum_id, content)}
            if connection.execute(sums.update().where(sums.c.sum_id == sum_id).values(values)).rowcount != 1:
                raise no_sum()

    def _replace_terms(self, connection: Connection, user_key: UserKey, items: Mapping[str, bytes]) -> None:
        for sum_id, term in items.items():
            own = (terms.c.user_key == user_key, terms.c.sum_id == sum_id)
            connection.execute(terms.update().where(*own).values(term=seal_term(self._ring, sum_id, user_key, term)))

    def _insert(self, connection: Connection, request: SubjectRequest, user_key: UserKey, moves: bytes = b"") -> None:
        sealed = self._ring.seal(Purpose.SUM, moves, _context(request.request_id)) if moves else None
        row = {"request_id": request.request_id, "user_key": user_key, "moves": sealed}
        sequence, account = next_sequence(connection, subject_requests.c.sequence), request.account or None
        insert_all(connection, subject_requests, [row | _values(request) | {"sequence": sequence, "account": account}])

    def _request(self, row: Row[Any]) -> SubjectRequest:
        moves = self._ring.open(Purpose.SUM, row.moves, _context(row.request_id)) if row.moves else b""
        return SubjectRequest(
            request_id=row.request_id,
            kind=SubjectKind(row.kind),
            received_at=datetime.fromisoformat(row.received_at),
            state=SubjectState(row.state),
            moves=moves,
            account=bytes(row.account or b""),
            details=cast("dict[str, Json]", json.loads(row.details)),
        )


def _is_erased(connection: Connection, user_key: UserKey) -> bool:
    return bool(connection.scalar(select(exists().where(suppressed.c.user_key == user_key))))


def _is_destroyed(connection: Connection, user_key: UserKey) -> bool:
    """Whether the erasure that keeps the customer out has destroyed something; until then it can be cancelled."""
    held = (erasures.c.user_key == user_key, erasures.c.holds, erasures.c.state != ErasureState.SUPPRESSED)
    return bool(connection.scalar(select(exists().where(*held))))


def _move_requests(connection: Connection, account: UserKey, into: UserKey) -> None:
    """Make what the account asked for the other's, but for its limits; of merges the last of each account is kept."""
    of_into = subject_requests.c.user_key == into
    connection.execute(subject_requests.delete().where(of_into, subject_requests.c.account == account))
    follow = (subject_requests.c.user_key == account, subject_requests.c.kind.in_(_FOLLOW))
    connection.execute(subject_requests.update().where(*follow).values(user_key=into))
    connection.execute(subject_requests.delete().where(of_into, subject_requests.c.account == into))


def _row(connection: Connection, request_id: str) -> Row[Any] | None:
    return connection.execute(_OF.where(subject_requests.c.request_id == request_id)).one_or_none()


def _set(connection: Connection, request: SubjectRequest) -> None:
    own = subject_requests.c.request_id == request.request_id
    connection.execute(subject_requests.update().where(own).values(_values(request) | {"moves": None}))


def _values(request: SubjectRequest) -> dict[str, str]:
    return {
        "kind": request.kind.value,
        "received_at": isoformat(request.received_at),
        "state": request.state.value,
        "details": canonical_json(dict(request.details)).decode(),
    }


def _context(request_id: str) -> bytes:
    return b"moves\0" + request_id.encode()


_OF = select(subject_requests).order_by(subject_requests.c.sequence)
# Two indexed reads: an OR over both columns would go through the table.
_MERGES = union_all(
    select(subject_requests).where(
        subject_requests.c.user_key == bindparam("key"), subject_requests.c.kind == SubjectKind.MERGE.value
    ),
    select(subject_requests).where(subject_requests.c.account == bindparam("key")),
)
_FOLLOW = sorted(set(SubjectKind) - LIMITS)
