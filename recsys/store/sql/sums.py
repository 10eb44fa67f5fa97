"""Sums before noise in SQL: as sensitive as the histories, hence sealed, and so is every term."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, Engine, bindparam, exists, select

from recsys.store.chunks import chunks
from recsys.store.keys import KeyRing, Purpose
from recsys.store.rules import holds_suppressed, no_sum, sum_exists
from recsys.store.sql.engine import insert_all, next_sequence, writing
from recsys.store.sql.tables import sums, terms
from recsys.store.sql.unserved import unserved
from recsys.types import UserKey

PAGE = 1000
"""Terms written, or read, at once."""


class SqlSums:
    """Satisfies `ports.Sums`."""

    def __init__(self, engine: Engine, ring: KeyRing) -> None:
        """Use the database of the engine and the keys that its sums are sealed under."""
        self._engine, self._ring = engine, ring

    def create_sum(self, sum_id: str, content: bytes, terms: Iterable[tuple[UserKey, bytes]]) -> None:
        """Keep a new sum and every customer's term, in one transaction.

        Raises:
            InputError: the sum exists, or a term belongs to a suppressed customer; nothing is kept.
        """
        with writing(self._engine) as connection:
            if connection.scalar(select(exists().where(sums.c.sum_id == sum_id))):
                raise sum_exists()
            row = {"sequence": next_sequence(connection, sums.c.sequence), "sum_id": sum_id}
            insert_all(connection, sums, [row | {"content": seal_sum(self._ring, sum_id, content)}])
            self._insert_terms(connection, sum_id, terms)
            if connection.scalar(_HOLDS_SUPPRESSED, {"sum": sum_id}):
                raise holds_suppressed()

    def load_sum(self, sum_id: str) -> bytes:
        """The content of a sum.

        Raises:
            NotFoundError: no such sum.
            ArtifactError: it does not open.
        """
        with self._engine.connect() as connection:
            sealed = connection.scalar(select(sums.c.content).where(sums.c.sum_id == sum_id))
        if sealed is None:
            raise no_sum()
        return self._ring.open(Purpose.SUM, sealed, _sum_context(sum_id))

    def latest_sum(self) -> str | None:
        """The id of the sum that was created last."""
        with self._engine.connect() as connection:
            return connection.scalar(select(sums.c.sum_id).order_by(sums.c.sequence.desc()).limit(1))

    def terms_of(self, user_key: UserKey) -> dict[str, bytes]:
        """The customer's term in every sum that holds one, by sum id."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(terms.c.sum_id, terms.c.term).where(terms.c.user_key == user_key)).all()
        return {row.sum_id: self._ring.open(Purpose.SUM, row.term, _term_context(row.sum_id, user_key)) for row in rows}

    def terms_in(self, sum_id: str) -> Iterator[tuple[UserKey, bytes]]:
        """Every customer's term in the sum, in the order of keys.

        Read page by page, so that no transaction stays open while the caller works.
        """
        after = b""
        while page := self._page_after(sum_id, after):
            for user_key, term in page:
                yield user_key, self._ring.open(Purpose.SUM, term, _term_context(sum_id, user_key))
            after = page[-1][0]

    def _page_after(self, sum_id: str, user_key: bytes) -> list[tuple[UserKey, bytes]]:
        with self._engine.connect() as connection:
            rows = connection.execute(_TERMS_AFTER, {"sum": sum_id, "key": user_key})
            return [(UserKey(row.user_key), row.term) for row in rows]

    def _insert_terms(self, connection: Connection, sum_id: str, given: Iterable[tuple[UserKey, bytes]]) -> None:
        for page in chunks(given, PAGE):
            insert_all(connection, terms, [self._term_row(sum_id, user_key, term) for user_key, term in page])

    def _term_row(self, sum_id: str, user_key: UserKey, term: bytes) -> dict[str, bytes | str]:
        return {"user_key": user_key, "sum_id": sum_id, "term": seal_term(self._ring, sum_id, user_key, term)}


def seal_sum(ring: KeyRing, sum_id: str, content: bytes) -> bytes:
    """The sum's content, bound to its id."""
    return ring.seal(Purpose.SUM, content, _sum_context(sum_id))


def seal_term(ring: KeyRing, sum_id: str, user_key: UserKey, term: bytes) -> bytes:
    """The customer's term, bound to the sum and the customer."""
    return ring.seal(Purpose.SUM, term, _term_context(sum_id, user_key))


def _sum_context(sum_id: str) -> bytes:
    return b"sum\0" + sum_id.encode()


def _term_context(sum_id: str, user_key: UserKey) -> bytes:
    return b"term\0" + user_key + sum_id.encode()


_HOLDS_SUPPRESSED = select(exists().where(terms.c.sum_id == bindparam("sum"), unserved(terms.c.user_key)))
_TERMS_AFTER = (
    select(terms.c.user_key, terms.c.term)
    .where(terms.c.sum_id == bindparam("sum"), terms.c.user_key > bindparam("key"))
    .order_by(terms.c.user_key)
    .limit(PAGE)
)
