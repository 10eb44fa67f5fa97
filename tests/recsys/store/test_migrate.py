"""The schema: built in steps, the same as the tables in code, never silently another's."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, inspect, text

from recsys.errors import StateError
from recsys.store.keys import KeyRing
from recsys.store.sql.catalogue import SqlCatalogue
from recsys.store.sql.engine import open_engine, writing
from recsys.store.sql.erasures import SqlErasures
from recsys.store.sql.migrate import REVISIONS, SCRIPTS, bind_keys, check_schema, migrate
from recsys.store.sql.tables import metadata
from recsys.types import ErasureState


def test_a_migrated_database_has_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert set(metadata.tables) < set(inspect(engine).get_table_names())


def test_the_names_of_the_files_say_the_revisions_in_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_heads() == [REVISIONS[-1]]


def test_migrating_again_writes_nothing(engine: Engine) -> None:
    statements = []
    event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: statements.append(statement))
    migrate(engine)
    assert statements
    assert [statement for statement in statements if not statement.startswith(("BEGIN", "SELECT", "PRAGMA"))] == []


def test_a_database_of_a_newer_version_is_refused_and_left_alone(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StateError, match="newer privrec"):
        migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_a_migration_that_fails_leaves_no_part_of_the_schema(state_dir: Path) -> None:
    engine = open_engine(f"sqlite:///{state_dir / 'other.sqlite'}")

    @event.listens_for(engine, "before_cursor_execute")
    def fail_in_the_middle(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if "CREATE TABLE api_keys" in statement:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        migrate(engine)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_state_directory_with_a_percent_sign_works(tmp_path: Path) -> None:
    (tmp_path / "100%s").mkdir()
    engine = open_engine(f"sqlite:///{tmp_path / '100%s' / 'db'}")
    migrate(engine)
    assert "customers" in inspect(engine).get_table_names()
    engine.dispose()


def test_a_database_belongs_to_the_keys_it_was_first_opened_with(engine: Engine) -> None:
    bind_keys(engine, "a" * 32)
    bind_keys(engine, "a" * 32)
    with pytest.raises(StateError, match="keys/"):
        bind_keys(engine, "b" * 32)


def test_asking_for_what_changed_goes_by_the_index_of_revisions(state_dir: Path) -> None:
    engine = open_engine(f"sqlite:///{state_dir / 'plan.sqlite'}")
    migrate(engine)
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
    SqlCatalogue(engine).changed_since(3)
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[-1]}", (3,)).all()

    assert "USING INDEX ix_items_revision" in str(plan)
    engine.dispose()


def test_a_schema_that_changes_under_a_running_process_is_noticed(engine: Engine) -> None:
    check = check_schema(engine)
    check()
    for version, words in (("9999", "newer privrec"), ("0001", "an older one")):
        with writing(engine) as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        with pytest.raises(StateError, match=words):
            check()


def test_a_request_of_an_older_schema_goes_on_where_it_was(state_dir: Path, ring: KeyRing) -> None:
    engine = open_engine(f"sqlite:///{state_dir / 'older.sqlite'}")
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
        connection.execute(
            text(
                "INSERT INTO erasures VALUES (0, 'r', :key, 's', 'by letter', '2026-01-31T12:00:00.000Z', "
                "'2026-03-02T12:00:00.000Z', 'purged', 1, '{\"erased\":{}}', NULL)"
            ),
            {"key": b"k" * 16},
        )
    migrate(engine)
    erasures = SqlErasures(engine, ring)
    [(request, user_key)] = erasures.pending()
    assert (request.request_id, request.state, user_key) == ("r", ErasureState.PURGED, b"k" * 16)
    assert (request.attempts, request.stuck, request.next_at, dict(request.details)) == (0, False, None, {"erased": {}})
    assert erasures.holding(user_key) == request
    engine.dispose()
