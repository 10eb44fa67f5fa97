"""Bringing a database to the schema of this version of privrec, and tying it to the keys of this installation."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, text

from recsys.errors import StateError
from recsys.store.sql.engine import writing
from recsys.store.sql.tables import installation

SCRIPTS = Path(__file__).parent / "migrations"
REVISIONS = tuple(sorted(path.stem[1:].partition("_")[0] for path in (SCRIPTS / "versions").glob("v*.py")))
"""Of the schema, oldest first, by the names of their files: Alembic takes a tenth of a second to say the same."""
KEY_FINGERPRINT = "key_fingerprint"


def migrate(engine: Engine) -> None:
    """Bring the schema up to date in one transaction; an up-to-date database is only read.

    Raises:
        StateError: a newer version of privrec wrote the database.
    """
    with engine.connect() as connection:
        if _is_current(connection):
            return
    with writing(engine) as connection:
        if not _is_current(connection):
            _upgrade(connection)


def check_schema(engine: Engine) -> Callable[[], None]:
    """What to ask while a process runs: returns while the database has the schema of this version.

    It raises StateError once another version of privrec has changed the schema, or a backup of an older one was put
    back.
    """

    def check() -> None:
        with engine.connect() as connection:
            if not _is_current(connection):
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


def _is_current(connection: Connection) -> bool:
    present = _revision(connection)
    if present is not None and present not in REVISIONS:
        msg = (
            f"expected a database of schema {REVISIONS[-1]} or older, got {present}; "
            "a newer privrec wrote it: install that version, or restore the backup made before the upgrade"
        )
        raise StateError(msg)
    return present == REVISIONS[-1]


def _revision(connection: Connection) -> str | None:
    """The schema that the database has; None for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - a database that is up to date is opened without it
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))  # the option is a template
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
