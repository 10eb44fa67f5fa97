"""Purchases from a file into the event store. Doing it again adds nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pipelines.rehearsal import rehearsing
from recsys.data.history import Merge, Purchases
from recsys.data.interactions import PurchaseLog
from recsys.data.readers import ReadResult
from recsys.store.workspace import Workspace
from recsys.types import IngestReport, UserKey

BATCH = 250
"""Customers in one transaction."""

Progress = Callable[[int], None]
"""Told how many customers were finished since it was last told."""


def ingest(workspace: Workspace, read: ReadResult, progress: Progress = lambda _: None) -> IngestReport:
    """What became of every row of the file.

    Each batch of customers is one transaction: after a crash, run it again.

    Raises:
        StorageError: the disk is full or the database refused; the batches before are kept.
    """
    workspace.catalogue.add_items(read.catalogue)
    positions = {item.item_id: position for position, item in enumerate(workspace.catalogue.items())}
    to_store = np.array([positions[item] for item in read.log.items], dtype=np.int32)
    report = replace(read.report, accepted=0)
    customers = _customers(workspace, read.log, to_store)
    while batch := dict(islice(customers, BATCH)):
        report += _append(workspace, batch)
        progress(len(batch))
    return report


def rehearse(workspace: Workspace, read: ReadResult, progress: Progress = lambda _: None) -> IngestReport:
    """What `ingest` would answer as the store is now; nothing is stored.

    Guarantees:
        - The store is as it was, and `ingest` gives the same report.

    Tested by: tests/pipelines/test_purchases.py::test_a_dry_run_says_what_an_ingestion_will_do_and_stores_nothing
    """
    return ingest(rehearsing(workspace), read, progress)


def _customers(
    workspace: Workspace, log: PurchaseLog, to_store: NDArray[np.int32]
) -> Iterator[tuple[UserKey, Purchases]]:
    """Every customer's key and purchases, items in the positions of the store."""
    for index, user_id in enumerate(log.users):
        purchases = log.purchases[log.offsets[index] : log.offsets[index + 1]].copy()
        purchases["item"] = to_store[purchases["item"]]
        yield workspace.pseudonyms.user_key(user_id), purchases


def _append(workspace: Workspace, batch: dict[UserKey, Purchases]) -> IngestReport:
    report = IngestReport()
    merges = workspace.histories.append(batch)
    workspace.fence.forget(key for key, merged in merges.items() if merged is not None)
    for user_key, merged in merges.items():
        report += _counted(merged, len(batch[user_key]))
    return report


def _counted(merged: Merge | None, n_rows: int) -> IngestReport:
    """The counts of one customer's rows."""
    if merged is None:
        return IngestReport(suppressed=n_rows)
    duplicates, conflicts = int(merged.duplicate.sum()), int(merged.conflict.sum())
    return IngestReport(accepted=merged.accepted, duplicates=duplicates, conflicts=conflicts)
