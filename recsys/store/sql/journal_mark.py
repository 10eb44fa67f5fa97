"""Up to which place of the journal the database was compared: a backup of it holds the place of its own time."""

from sqlalchemy import Engine, select

from recsys.store.sql.engine import writing
from recsys.store.sql.tables import installation

MARK = "journal_compared"
"""Not "journal_mark", as when the journal had erasures only: so the first start since compares and completes it all."""


def read_mark(engine: Engine) -> str:
    """The place; empty if it never was compared."""
    with engine.connect() as connection:
        return connection.scalar(select(installation.c.value).where(installation.c.name == MARK)) or ""


def write_mark(engine: Engine, place: str) -> None:
    """Keep the place."""
    with writing(engine) as connection:
        connection.execute(installation.delete().where(installation.c.name == MARK))
        connection.execute(installation.insert().values(name=MARK, value=place))
