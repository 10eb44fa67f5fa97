"""The database connection: one writer at a time on SQLite and PostgreSQL, durable, and clear about what went wrong."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, create_engine, event, func, select, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NoSuchModuleError, ProgrammingError

from recsys.errors import InputError, StateError, StorageError
from recsys.store.files import file_errors

BUSY_MILLISECONDS = 10_000
"""How long SQLite waits for another process's write: longer than the largest batch we measured takes to write."""

MAX_OVERFLOW = 40
"""Connections beyond the five that are kept: one for every thread that a web server answers from."""

WRITER_LOCK = 0x70726976726563
"""The PostgreSQL advisory lock of the one writer ("privrec" in ASCII)."""

SQLITE_PRAGMAS = {
    "busy_timeout": str(BUSY_MILLISECONDS),  # first: the next line already needs a lock
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "secure_delete": "ON",
    "temp_store": "MEMORY",  # a sorter's temporary file would outlive an erasure
}

ADVICE = {
    "full": "the disk is full: free some space, then try again",
    "no space": "the disk is full: free some space, then try again",
    "deadlock": "two transactions waited for each other: try again",
    "locked": "another process is writing: stop it or wait, then try again",
    "readonly": "the database cannot be written: correct the permissions of the file and its directory",
    "read-only": "the database cannot be written: connect to the primary server",
    "unable to open": "the file cannot be opened: check that its directory exists and belongs to this user",
    "malformed": "the file is damaged: restore it from a backup",
    "not a database": "the file is something else or damaged: restore it from a backup",
}
"""What to do about an error, by a word in the driver's message."""

RECONNECT = "it does not answer or ended the connection: check that it runs and that PRIVREC_DATABASE_URL is right"


def open_engine(url: str | URL) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://...`, whose errors are StorageErrors.

    Raises:
        InputError: the URL is no URL, or of another database. It is not repeated: it may hold a password.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        _create_private(Path(parsed.database or ""))
        engine = create_engine(parsed, hide_parameters=True, max_overflow=MAX_OVERFLOW)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = _postgresql_engine(parsed)
    event.listen(engine, "handle_error", _explain)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction of the one writer: what it reads stays true until it commits.

    SQLite has one writer anyway. On PostgreSQL an advisory lock makes it so, because a purchase must not slip in
    between a customer's suppression and erasure.
    """
    with engine.connect().execution_options(privrec_begin="BEGIN IMMEDIATE") as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))
        yield connection


def next_sequence(connection: Connection, column: ColumnElement[int]) -> int:
    """The number after the largest in the column, 0 at first; it is free until the writer commits."""
    return int(connection.scalar(select(func.coalesce(func.max(column), -1) + 1)) or 0)


def insert_all(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows, if there are any."""
    if rows:
        connection.execute(table.insert(), rows)


def truncate_log(engine: Engine) -> None:
    """Move everything in SQLite's write-ahead log into the database and empty the log; nothing on PostgreSQL.

    Raises:
        StorageError: a reader holds the log.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.connect().execution_options(privrec_begin=None) as connection:
        busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).scalar_one()
    if busy:
        msg = "expected to empty the database's write-ahead log, but a reader holds it; stop it and try again"
        raise StorageError(msg)


def _postgresql_engine(url: URL) -> Engine:
    try:
        return create_engine(url, hide_parameters=True, max_overflow=MAX_OVERFLOW, pool_pre_ping=True)
    except ImportError as error:
        msg = "expected the PostgreSQL driver, it is not installed; run `pip install 'privrec[postgres]'`"
        raise StateError(msg) from error


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        elif parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
            raise _unknown_url()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise _unknown_url() from None
    return parsed


def _unknown_url() -> InputError:
    msg = "expected a database URL postgresql://user@host/name or sqlite:///path, got another; set PRIVREC_DATABASE_URL"
    return InputError(msg)


def _create_private(path: Path) -> None:
    # SQLite gives the log and shared-memory files the mode of the database file.
    with file_errors("the database file"):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _configure_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    # The driver must not begin transactions on its own, or BEGIN IMMEDIATE below would come too late.
    connection.isolation_level = None
    for name, value in SQLITE_PRAGMAS.items():
        connection.execute(f"PRAGMA {name}={value}")


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get("privrec_begin", "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)


def _explain(context: ExceptionContext) -> None:
    error = context.sqlalchemy_exception
    if isinstance(error, DataError):
        msg = "expected text and numbers that a database can hold, got a null character or too large a number"
        raise InputError(msg) from context.original_exception
    if isinstance(error, DBAPIError) and not isinstance(error, ProgrammingError | IntegrityError):
        detail = str(error.orig).strip()
        advice = next((advice for word, advice in ADVICE.items() if word in detail.lower()), RECONNECT)
        msg = f"expected the database to answer, got {type(error.orig).__name__}; {advice}"
        raise StorageError(msg) from context.original_exception
