"""Purchase histories in SQL: one sealed record a customer (see `recsys.store.records`)."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, Engine, bindparam, exists, select, union

from recsys.data.history import EMPTY_HISTORY, History, Merge, Purchases, merge
from recsys.data.subject_request import SubjectKind
from recsys.store.chunks import chunks
from recsys.store.keys import KeyRing
from recsys.store.records import Record, new_record, next_record, open_record
from recsys.store.sql.engine import insert_all, writing
from recsys.store.sql.tables import customers, subject_requests, suppressed
from recsys.store.sql.unserved import limited, unserved
from recsys.types import CustomerState, UserKey

PAGE = 500
"""Customers read at once: a few MB of records, and below every driver's limit of parameters."""


class SqlHistories:
    """Satisfies `ports.Histories`."""

    def __init__(self, engine: Engine, ring: KeyRing) -> None:
        """Use the database of the engine and the keys that its records are sealed under."""
        self._engine, self._ring = engine, ring

    def append(self, batch: Mapping[UserKey, Purchases]) -> dict[UserKey, Merge | None]:
        """Merge purchases into the customers' histories, in one transaction; None for one who is erased or restricted.

        Raises:
            StorageError: the disk is full or the database refused; nothing of the batch is there.
            ArtifactError: a record does not open; nothing of the batch is there.
        """
        with writing(self._engine) as connection:
            refused = _refused_among(connection, list(batch))
            before = records_of(connection, [key for key in batch if key not in refused])
            merges = {key: None if key in refused else self._merged(before.get(key), new) for key, new in batch.items()}
            changed = {key: done.history for key, done in merges.items() if done and done.accepted}
            _write(connection, self._ring, before, changed)
        return merges

    def state(self, user_key: UserKey) -> CustomerState:
        """Whether the customer is known or suppressed, and the revision of the history."""
        with self._engine.connect() as connection:
            revision, is_limited, is_erased = connection.execute(_STATE, {"key": user_key}).one()
        return CustomerState(
            known=revision is not None,
            suppressed=bool(is_limited or is_erased),
            revision=revision or 0,
            erased=bool(is_erased),
        )

    def history(self, user_key: UserKey) -> History:
        """The customer's purchases; empty for an unknown customer.

        Raises:
            ArtifactError: the record does not open.
        """
        with self._engine.connect() as connection:
            record = records_of(connection, [user_key]).get(user_key)
        return open_record(self._ring, record) if record else EMPTY_HISTORY

    def scan(self, after: UserKey | None = None) -> Iterator[tuple[UserKey, int, History]]:
        """Every customer's key, revision and history, in the order of keys; without the suppressed.

        Read page by page, so that no transaction stays open while the caller works.
        """
        page = self._page_after(after or b"")
        while page:
            for record in page:
                history = open_record(self._ring, record)
                if len(history):
                    yield record.user_key, record.revision, history
            page = self._page_after(page[-1].user_key)

    def _page_after(self, user_key: bytes) -> list[Record]:
        with self._engine.connect() as connection:
            return [Record(**row) for row in connection.execute(_PAGE_AFTER, {"key": user_key}).mappings()]

    def _merged(self, before: Record | None, new: Purchases) -> Merge:
        return merge(open_record(self._ring, before) if before else EMPTY_HISTORY, new)


def join(connection: Connection, ring: KeyRing, account: UserKey, into: UserKey) -> bool:
    """Whether the account had a record; its purchases are the other's now, and the record with its key is destroyed."""
    before = records_of(connection, [account, into])
    taken = before.pop(account, None)
    if taken is None:
        return False
    own = open_record(ring, before[into]) if into in before else EMPTY_HISTORY
    joined = merge(own, open_record(ring, taken).purchases)
    _write(connection, ring, before, {into: joined.history} if joined.accepted else {})
    connection.execute(customers.delete().where(customers.c.user_key == account))
    return True


def _write(
    connection: Connection, ring: KeyRing, before: Mapping[UserKey, Record], changed: Mapping[UserKey, History]
) -> None:
    first = [new_record(ring, key, history) for key, history in changed.items() if key not in before]
    later = [next_record(ring, before[key], history) for key, history in changed.items() if key in before]
    insert_all(connection, customers, [_row(record) | {"user_key": record.user_key} for record in first])
    if later:
        connection.execute(_UPDATE, [_row(record) | {"key": record.user_key} for record in later])


def _row(record: Record) -> dict[str, bytes | int]:
    return {"data_key": record.data_key, "record": record.record, "revision": record.revision}


def _refused_among(connection: Connection, user_keys: list[UserKey]) -> set[UserKey]:
    """Of these customers, those of whom nothing is taken in: the erased and the restricted."""
    restricted = subject_requests.c.kind == SubjectKind.RESTRICTION
    pages = (
        union(
            select(suppressed.c.user_key).where(suppressed.c.user_key.in_(page)),
            select(subject_requests.c.user_key).where(subject_requests.c.user_key.in_(page), restricted),
        )
        for page in chunks(user_keys, PAGE)
    )
    return {UserKey(key) for page in pages for key in connection.scalars(page)}


def records_of(connection: Connection, user_keys: list[UserKey]) -> dict[UserKey, Record]:
    """The customers' records, of those who have one."""
    pages = (select(customers).where(customers.c.user_key.in_(page)) for page in chunks(user_keys, PAGE))
    return {row["user_key"]: Record(**row) for page in pages for row in connection.execute(page).mappings()}


_UPDATE = customers.update().where(customers.c.user_key == bindparam("key"))
# Who is suppressed is not looked up: the time would tell somebody with a history from a stranger.
_STATE = select(
    select(customers.c.revision)
    .where(~unserved(bindparam("key")), customers.c.user_key == bindparam("key"))
    .scalar_subquery(),
    limited(bindparam("key")),
    exists().where(suppressed.c.user_key == bindparam("key")),
)
_PAGE_AFTER = (
    select(customers)
    .where(customers.c.user_key > bindparam("key"), ~unserved(customers.c.user_key))
    .order_by(customers.c.user_key)
    .limit(PAGE)
)
