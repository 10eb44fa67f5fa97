"""How long a customer waits for the acknowledgement of an erasure, beside one bare transaction of SQLite.

Ours is the desk of the product: the request and the suppression in one transaction, the tombstone in the embedded
Valkey server, and the look at the fence that says the server is the certified one. Beside it, in turns and on the same
disk: one transaction of Python's sqlite3 that writes two rows (WAL, full sync, secure_delete). Wall time, because what
is waited for is the disk; the figures are p50 and p99 of each, and their ratios.
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.report import options, report
from pipelines.erase import desk
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace

ERASURES, QUICK_ERASURES = 2_000, 100
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    report("acknowledging", acknowledging(QUICK_ERASURES if chosen.quick else ERASURES), chosen, seeds=[0])


def acknowledging(n: int) -> dict[str, float]:
    """Every figure, by key."""
    ours: list[float] = []
    bare: list[float] = []
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as directory,
        open_workspace(Settings(state_dir=Path(directory) / "s")) as workspace,
        closing(sqlite3.connect(Path(directory) / "bare.sqlite", isolation_level=None)) as database,
    ):
        workspace.fence.certify()
        prepare(database)
        taken = desk(workspace)
        for number in range(n):
            ours.append(milliseconds(lambda of=number: taken.request(f"customer {of}")))  # type: ignore[misc]
            bare.append(milliseconds(lambda of=number: transaction(database, of)))  # type: ignore[misc]
    figures = {
        f"erasure.{name}_{part}_ms": value
        for name, times in (("ack", ours), ("sqlite", bare))
        for part, value in told(times)
    }
    return figures | {
        "erasure.ack_p50_over_sqlite": figures["erasure.ack_p50_ms"] / figures["erasure.sqlite_p50_ms"],
        "erasure.ack_p99_over_sqlite": figures["erasure.ack_p99_ms"] / figures["erasure.sqlite_p99_ms"],
    }


def prepare(database: sqlite3.Connection) -> None:
    """Two empty tables, as durable as ours."""
    for pragma in PRAGMAS:
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE suppressed (user_key BLOB PRIMARY KEY)")
    database.execute("CREATE TABLE erasures (sequence INTEGER PRIMARY KEY, details TEXT)")


def transaction(database: sqlite3.Connection, number: int) -> None:
    """Two rows, durable."""
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO suppressed VALUES (?)", (number.to_bytes(16, "big"),))
    database.execute("INSERT INTO erasures (details) VALUES (?)", ("x" * 200,))
    database.execute("COMMIT")


def milliseconds(work: Callable[[], object]) -> float:
    """Milliseconds of wall time that the work takes."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def told(times: list[float]) -> list[tuple[str, float]]:
    """Median and 99th percentile."""
    return [("p50", statistics.median(times)), ("p99", statistics.quantiles(times, n=100)[98])]


if __name__ == "__main__":
    main()
