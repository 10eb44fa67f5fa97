"""How long a customer waits for the acknowledgement of an erasure, beside one bare transaction of SQLite.

Ours is the desk of the product: the request and the suppression in one transaction, the tombstone in the embedded
Valkey server, and the look at the fence that says the server is the certified one. Beside it, in turns and on the same
disk: one transaction of Python's sqlite3 that writes two rows (WAL, full sync, secure_delete). Wall time, because what
is waited for is the disk; the figures are p50 and p99 of each, and their ratios.
"""

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

from benchmarks.report import options, report
from pipelines.erase import desk
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace

ERASURES, QUICK_ERASURES = 2_000, 100
BLOCK = 2**20
"""Bytes that the other process writes at a time."""
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    n = QUICK_ERASURES if chosen.quick else ERASURES
    with busy_disk():
        disturbed = acknowledging(n, "erasure.busy")
    report("acknowledging", acknowledging(n) | disturbed, chosen, seeds=[0])


@contextmanager
def busy_disk() -> Iterator[None]:
    """A block in which another process writes to the disk."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        writer = get_context("spawn").Process(target=write_for_ever, args=(Path(directory) / "written",), daemon=True)
        writer.start()
        try:
            yield
        finally:
            writer.kill()
            writer.join()


def write_for_ever(path: Path) -> None:
    """Write a block over the one before, and sync, again and again."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.seek(0)
            file.write(bytes(BLOCK))
            os.fsync(file.fileno())


def acknowledging(n: int, prefix: str = "erasure") -> dict[str, float]:
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
        f"{prefix}.{name}_{part}_ms": value
        for name, times in (("ack", ours), ("sqlite", bare))
        for part, value in told(times)
    }
    return figures | {
        f"{prefix}.ack_{part}_over_sqlite": figures[f"{prefix}.ack_{part}_ms"] / figures[f"{prefix}.sqlite_{part}_ms"]
        for part in ("p50", "p99")
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
