"""The log of receipts in SQL: hashes of complete subtrees, and the checkpoint of each size."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, select, tuple_

from recsys.evidence.log import Enter
from recsys.evidence.merkle import Node, covering
from recsys.store.rules import log_is_cut
from recsys.store.sql.engine import insert_all
from recsys.store.sql.tables import log_checkpoints, log_nodes


class SqlReceiptLog:
    """Satisfies `ports.ReceiptLog`."""

    def __init__(self, engine: Engine) -> None:
        """Use the database of the engine."""
        self._engine = engine

    def latest(self) -> tuple[int, str]:
        """How many receipts there are, and the checkpoint that was signed with the last; 0 and empty at first."""
        with self._engine.connect() as connection:
            return _latest(connection)

    def nodes(self, wanted: Sequence[Node]) -> dict[Node, bytes]:
        """The hashes of complete subtrees.

        Raises:
            ArtifactError: the log does not have one of them.
        """
        with self._engine.connect() as connection:
            return _nodes(connection, wanted)


def append(connection: Connection, enter: Enter) -> bytes:
    """The receipt, entered in the log within the writer's transaction."""
    size, _ = _latest(connection)
    entry = enter(size, _nodes(connection, covering((0, size))))
    rows = [{"level": level, "position": place, "hash": value} for (level, place), value in entry.nodes.items()]
    insert_all(connection, log_nodes, rows)
    insert_all(connection, log_checkpoints, [{"size": size + 1, "note": entry.checkpoint}])
    return entry.receipt


def _latest(connection: Connection) -> tuple[int, str]:
    query = select(log_checkpoints).order_by(log_checkpoints.c.size.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return (row.size, row.note) if row else (0, "")


def _nodes(connection: Connection, wanted: Sequence[Node]) -> dict[Node, bytes]:
    places = set(wanted)
    query = select(log_nodes).where(tuple_(log_nodes.c.level, log_nodes.c.position).in_(places))
    found = {(row.level, row.position): bytes(row.hash) for row in connection.execute(query)} if places else {}
    if len(found) < len(places):
        raise log_is_cut()
    return {node: found[node] for node in wanted}
