"""The database: durable settings, clear errors, all or nothing."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, text

from recsys.data.history import EMPTY_HISTORY, Merge, Purchases, purchases_array
from recsys.errors import InputError, StorageError
from recsys.store.keys import KeyRing
from recsys.store.memory import MemoryHistories
from recsys.store.sql.engine import open_engine, writing
from recsys.store.sql.histories import SqlHistories
from recsys.store.sql.ledger import SqlLedgerLog
from recsys.store.sql.sums import SqlSums
from recsys.types import UserKey

ANN = UserKey(b"a" * 16)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1), ("temp_store", 2)],
)
def test_sqlite_is_durable_and_wipes_what_it_deletes(engine: Engine, pragma: str, value: Any) -> None:
    with engine.connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar_one() == value


def test_the_database_files_belong_to_their_owner_alone(engine: Engine, state_dir: Path) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO suppressed VALUES (x'00')"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state_dir.iterdir()}
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@host/db", "hunter2", "", "sqlite://", "sqlite:///:memory:", "postgresql://h:hunter2/d"]
)
def test_an_unusable_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InputError, match="PRIVREC_DATABASE_URL") as caught:
        open_engine(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_spelling_of_postgresql_uses_psycopg_3(scheme: str) -> None:
    engine = open_engine(f"{scheme}://user@host/name")
    assert (engine.dialect.name, engine.dialect.driver) == ("postgresql", "psycopg")


def test_a_server_that_does_not_answer_is_a_storage_error_without_the_password(tmp_path: Path, ring: KeyRing) -> None:
    engine = open_engine(f"postgresql://user:hunter2@/name?host={tmp_path}")
    with pytest.raises(StorageError, match="does not answer") as caught:
        SqlHistories(engine, ring).state(ANN)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a database, but long enough to be looked at" * 100)
    engine = open_engine(f"sqlite:///{tmp_path / 'file'}")
    with pytest.raises(StorageError, match="something else or damaged"), engine.connect():
        pass


def test_a_directory_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        open_engine(f"sqlite:///{tmp_path / 'nothing' / 'file'}")


def fill_the_disk(engine: Engine) -> None:
    """No page more than there are."""
    engine.dispose()

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_refuses_a_batch_whole(engine: Engine, ring: KeyRing, shopping: Callable[..., Purchases]) -> None:
    histories = SqlHistories(engine, ring)
    histories.append({ANN: shopping(5)})
    fill_the_disk(engine)
    batch = {UserKey(bytes([number]) * 16): shopping(500, first=10) for number in range(20)}
    with pytest.raises(StorageError, match="disk is full"):
        histories.append({ANN: shopping(1, first=9), **batch})
    assert len(histories.history(ANN)) == 5
    assert [key for key, _, _ in histories.scan()] == [ANN]


def test_a_full_disk_refuses_a_sum_with_its_terms(engine: Engine, ring: KeyRing) -> None:
    fill_the_disk(engine)
    sums = SqlSums(engine, ring)
    with pytest.raises(StorageError, match="disk is full"):
        sums.create_sum("s", os.urandom(1_000_000), [(ANN, b"term")])
    assert sums.latest_sum() is None
    assert sums.terms_of(ANN) == {}


def test_a_database_that_another_process_writes_to_is_locked_not_broken(
    engine: Engine, ring: KeyRing, shopping: Callable[..., Purchases]
) -> None:
    with engine.connect() as warm:
        warm.exec_driver_sql("PRAGMA busy_timeout=1")

    @event.listens_for(engine, "connect")
    def do_not_wait(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=1")

    histories = SqlHistories(engine, ring)
    with writing(engine), pytest.raises(StorageError, match="another process is writing"):
        histories.append({ANN: shopping(1)})
    assert histories.history(ANN) == EMPTY_HISTORY


def test_a_database_that_cannot_be_written_is_a_storage_error_and_can_be_read(
    engine: Engine, ring: KeyRing, shopping: Callable[..., Purchases]
) -> None:
    histories = SqlHistories(engine, ring)
    histories.append({ANN: shopping(2)})

    @event.listens_for(engine, "begin")
    def only_read(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only=ON")

    with pytest.raises(StorageError, match="cannot be written"):
        histories.append({ANN: shopping(1, first=5)})
    assert len(histories.history(ANN)) == 2


def test_the_text_of_an_error_holds_no_parameters(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        with pytest.raises(StorageError) as caught:
            connection.execute(text("INSERT INTO suppressed VALUES (:key)"), {"key": b"alice"})
    assert "alice" not in f"{caught.value} {caught.value.__cause__}"


CRASH = """
import os, sys
from pathlib import Path
from sqlalchemy import event
from recsys.data.history import purchases_array
from recsys.store.keys import KeyRing
from recsys.store.sql.engine import open_engine
from recsys.store.sql.histories import SqlHistories

directory, moment = Path(sys.argv[1]), sys.argv[2]
engine = open_engine(f"sqlite:///{directory / 'privrec.sqlite'}")
histories = SqlHistories(engine, KeyRing.load(directory / "keys"))
if moment == "after INSERT":
    die = lambda c, k, statement, *_: statement.startswith("INSERT") and os.kill(os.getpid(), 9)
    event.listen(engine, "after_cursor_execute", die)
if moment == "before COMMIT":
    event.listen(engine, "commit", lambda _: os.kill(os.getpid(), 9))
batch = {bytes([n]) * 16: purchases_array(timestamp=[1], item=[n], quantity=[1], event=[7]) for n in range(1, 100)}
histories.append(batch)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("moment", "kept"), [("after INSERT", 0), ("before COMMIT", 0), ("at the end", 99)])
def test_a_process_killed_in_an_append_leaves_all_of_the_batch_or_nothing(
    engine: Engine, state_dir: Path, moment: str, kept: int
) -> None:
    ring = KeyRing.load(state_dir / "keys")
    killed = subprocess.run([sys.executable, "-c", CRASH, str(state_dir), moment], check=False)
    assert killed.returncode == -9
    histories = SqlHistories(engine, ring)
    assert len(list(histories.scan())) == kept
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"


BATCHES = st.lists(
    st.dictionaries(
        st.integers(1, 3).map(lambda number: UserKey(bytes([number]) * 16)),
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=4),
        max_size=3,
    ),
    max_size=4,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(BATCHES)
def test_sqlite_and_memory_agree_on_every_sequence_of_batches(
    engine: Engine, ring: KeyRing, batches: list[dict[UserKey, list[tuple[int, int]]]]
) -> None:
    with writing(engine) as connection:
        connection.execute(text("DELETE FROM customers"))
    stores = SqlHistories(engine, ring), MemoryHistories()
    for batch in batches:
        arrays = {key: purchases(rows) for key, rows in batch.items()}
        done = [store.append(arrays) for store in stores]
        for key in batch:
            assert outcome(done[0][key]) == outcome(done[1][key])
    assert list(stores[0].scan()) == list(stores[1].scan())


def outcome(merge: Merge | None) -> tuple[bytes, list[bool], list[bool]]:
    assert merge is not None
    return merge.history.to_bytes(), merge.duplicate.tolist(), merge.conflict.tolist()


def purchases(rows: list[tuple[int, int]]) -> Purchases:
    events, items = [event for event, _ in rows], [item for _, item in rows]
    return purchases_array(timestamp=events, item=items, quantity=items, event=events)


def test_a_ledger_entry_survives_in_its_canonical_spelling(engine: Engine) -> None:
    SqlLedgerLog(engine).append({"index": 0, "b": 1.5, "a": "ö"})
    with engine.connect() as connection:
        assert connection.execute(text("SELECT entry FROM ledger")).scalar_one() == '{"a":"ö","b":1.5,"index":0}'
