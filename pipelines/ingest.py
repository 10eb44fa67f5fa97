"""Purchases from a file into the event store. Doing it again adds nothing."""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from recsys.data.history import Purchases
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
    report = IngestReport(**{name: getattr(read.report, name) for name in IngestReport.__slots__} | {"accepted": 0})
    customers = _customers(workspace, read.log, to_store)
    while batch := dict(islice(customers, BATCH)):
        report += _append(workspace, batch)
        progress(len(batch))
    return report


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
    workspace.fence.forget(key for key, merge in merges.items() if merge is not None)
    for user_key, merge in merges.items():
        if merge is None:
            report += IngestReport(suppressed=len(batch[user_key]))
        else:
            duplicates, conflicts = int(merge.duplicate.sum()), int(merge.conflict.sum())
            report += IngestReport(accepted=merge.accepted, duplicates=duplicates, conflicts=conflicts)
    return report
