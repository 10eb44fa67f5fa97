"""The fence in SQL: one row, changed by comparing it first."""

from sqlalchemy import Connection, Engine, select

from recsys.store.sql.engine import writing
from recsys.store.sql.tables import fence
from recsys.types import Fence, FenceState


class SqlFences:
    """Satisfies `ports.Fences`."""

    def __init__(self, engine: Engine) -> None:
        """Use the database of the engine."""
        self._engine = engine

    def read(self) -> Fence:
        """The fence now."""
        # One statement sees one state: no transaction around it.
        with self._engine.connect().execution_options(privrec_begin=None) as connection:
            return _read(connection)

    def swap(self, before: Fence, after: Fence) -> bool:
        """Whether the fence was `before`, and is `after` now."""
        with writing(self._engine) as connection:
            if _read(connection) != before:
                return False
            connection.execute(fence.delete())
            connection.execute(fence.insert().values(epoch=after.epoch, state=after.state, identity=after.identity))
        return True


def _read(connection: Connection) -> Fence:
    row = connection.execute(_ONLY).one_or_none()
    return Fence(row.epoch, FenceState(row.state), row.identity) if row else Fence()


_ONLY = select(fence)
