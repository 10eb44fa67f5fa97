"""Bringing a database to the schema of this version of privrec, and tying it to the keys of this installation."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, select

from recsys.errors import StateError
from recsys.store.sql.engine import writing
from recsys.store.sql.tables import installation

SCRIPTS = str(Path(__file__).parent / "migrations")
KEY_FINGERPRINT = "key_fingerprint"


def migrate(engine: Engine) -> None:
    """Bring the schema up to date in one transaction; an up-to-date database is only read.

    Raises:
        StateError: a newer version of privrec wrote the database.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        if _is_current(connection, scripts):
            return
    with writing(engine) as connection:
        if not _is_current(connection, scripts):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def check_schema(engine: Engine) -> Callable[[], None]:
    """What to ask while a process runs: returns while the database has the schema of this version.

    It raises StateError once another version of privrec has changed the schema, or a backup of an older one was put
    back.
    """
    scripts = ScriptDirectory.from_config(_config())

    def check() -> None:
        with engine.connect() as connection:
            if not _is_current(connection, scripts):
                msg = "expected a database of this version's schema, got an older one; restart privrec to migrate it"
                raise StateError(msg)

    return check


def bind_keys(engine: Engine, fingerprint: str) -> None:
    """Nothing, if the database belongs to the keys of this fingerprint; a new database does from now on.

    Under other keys every customer would be unknown, the erased ones too, and be taken in again.

    Raises:
        StateError: the database belongs to other keys.
    """
    with writing(engine) as connection:
        bound = connection.scalar(select(installation.c.value).where(installation.c.name == KEY_FINGERPRINT))
        if bound is None:
            connection.execute(installation.insert().values(name=KEY_FINGERPRINT, value=fingerprint))
        elif bound != fingerprint:
            msg = (
                f"expected a database of the keys {fingerprint[:8]}…, got one of the keys {bound[:8]}…; "
                "put the keys/ directory of that installation into the state directory, or use a new database"
            )
            raise StateError(msg)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", SCRIPTS.replace("%", "%%"))  # the option is a template
    return config


def _is_current(connection: Connection, scripts: ScriptDirectory) -> bool:
    present = set(MigrationContext.configure(connection).get_current_heads())
    known = {script.revision for script in scripts.walk_revisions()}
    if not present <= known:
        msg = (
            f"expected a database of schema {scripts.get_current_head()} or older, got {sorted(present - known)}; "
            "a newer privrec wrote it: install that version, or restore the backup made before the upgrade"
        )
        raise StateError(msg)
    return present == set(scripts.get_heads())
