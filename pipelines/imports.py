"""Files that came over HTTP, worked off batch by batch, each with a checkpoint: a crash loses and doubles nothing.

A row without an event id gets one from the digest of the file and the row's number. So a batch that is done again after
a crash, or a file that is imported again, adds nothing.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TypeAlias, TypeVar

from pipelines.background import Stop
from pipelines.erase import recommender
from pipelines.rehearsal import rehearsing
from recsys.data.import_job import ImportJob, ImportKind, ImportReport, ImportState
from recsys.data.imported import Row, item_of, purchase_of
from recsys.errors import ArtifactError, ImportConflictError, InputError
from recsys.ports import Catalogue
from recsys.serving.recommender import Recommender
from recsys.store.workspace import Workspace
from recsys.types import CatalogueItem, EventStatus, Purchase

BATCH = 250
"""Rows between two checkpoints: one transaction, for which everybody else who writes has to wait."""
KEPT_HOURS = 24
"""How long a file may lie there, whatever becomes of it."""

Found = TypeVar("Found")
Judged: TypeAlias = list[tuple[EventStatus, str]]
"""The status of each row, with the reason where a report names the row."""
Take: TypeAlias = Callable[[Sequence[Row | str], int], Judged]
"""Takes rows, the first of which has this number; a text in a row's place says why it is none."""

REASONS: Mapping[EventStatus, str] = {
    EventStatus.INVALID: "expected an item of the catalogue, got another; import it first or correct the item_id",
    EventStatus.CONFLICT: "expected what this event_id came with before, got other content; the first stays",
}
"""Said of rows that are well-formed. Those of erased customers are counted, and not named."""


class Importer:
    """Works off the imports whose files are there. One at a time per installation: the state lock sees to that."""

    def __init__(self, workspace: Workspace) -> None:
        """An importer over the workspace."""
        self._workspace, self._imports = workspace, workspace.imports

    def run(self, stop: Stop = lambda: False) -> tuple[ImportJob, ...]:
        """The imports that ended now, oldest first: worked off, failed, or older than a day.

        Args:
            stop: asked between two batches; what is left is done by the next run

        Raises:
            StateError: the database or the disk refused; run again, nothing is lost.
        """
        ended = []
        for job in self._imports.lying():
            after = self._expired(job) or (self._worked_off(job, stop) if job.state is ImportState.WORKING else job)
            if not after.is_open:
                ended.append(after)
        return tuple(ended)

    def _expired(self, job: ImportJob) -> ImportJob | None:
        """The job at its end, if its file may lie there no longer."""
        old = job.created_at <= self._workspace.clock() - timedelta(hours=KEPT_HOURS)
        if not job.is_open or old:
            reason = f"expected the whole file, worked off, within {KEPT_HOURS} hours, got less; send it again"
            return self._imports.close(job.import_id, ImportState.EXPIRED, reason)
        return None

    def _worked_off(self, job: ImportJob, stop: Stop) -> ImportJob:
        try:
            if not self._finished(job, stop):
                return job
            return self._imports.close(job.import_id, ImportState.DONE)
        except ImportConflictError:  # cancelled meanwhile
            return self._imports.job(job.import_id)
        except (InputError, ArtifactError) as error:
            return self._imports.close(job.import_id, ImportState.FAILED, str(error))

    def _finished(self, job: ImportJob, stop: Stop) -> bool:
        """Whether every row was taken, and not told to stop before."""
        from recsys.data.import_rows import Unreadable, import_rows  # noqa: PLC0415 - imports pyarrow

        # A dry run remembers what it pretended to store only while it lasts: it begins anew.
        report = ImportReport.empty() if job.dry_run else job.report
        take = self._take(job, self._digest(job))
        content = self._imports.content(job.import_id)
        found = (row.reason if isinstance(row, Unreadable) else row for row in import_rows(job, content))
        rows = islice(found, report.rows, None)
        while batch := list(islice(rows, BATCH)):
            if stop():
                return False
            started = time.monotonic()
            report = report.plus(take(batch, report.rows + 1))
            self._imports.advance(job.import_id, report)
            # Half of the time is for others who write: an erasure that is asked for must not wait for a file.
            self._workspace.wait(time.monotonic() - started)
        return True

    def _digest(self, job: ImportJob) -> str:
        """The SHA-256 of the file.

        Raises:
            InputError: it is not the one that was announced.
        """
        digest = hashlib.sha256()
        for part in self._imports.content(job.import_id):
            digest.update(part)
        if job.sha256 not in {None, digest.hexdigest()}:
            msg = "expected the file of the announced SHA-256, got another; send the file again"
            raise InputError(msg)
        return digest.hexdigest()

    def _take(self, job: ImportJob, digest: str) -> Take:
        workspace = rehearsing(self._workspace) if job.dry_run else self._workspace
        if job.kind is ImportKind.CATALOGUE:
            return TakeItems(workspace.catalogue)
        return TakePurchases(recommender(workspace), digest)


class TakeItems:
    """Puts the items of a catalogue into the shop."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Into this catalogue."""
        self._catalogue = catalogue

    def __call__(self, rows: Sequence[Row | str], first: int) -> Judged:  # noqa: ARG002 - as purchases are taken
        """What became of each row."""
        checked = [_checked(row, item_of) for row in rows]
        items = [row for row in checked if isinstance(row, CatalogueItem)]
        pairs = iter(zip(items, self._catalogue.put_items(items), strict=True))
        return [(EventStatus.INVALID, row) if isinstance(row, str) else _put(*next(pairs)) for row in checked]


def _put(item: CatalogueItem, before: CatalogueItem | None) -> tuple[EventStatus, str]:
    return EventStatus.DUPLICATE if item == before else EventStatus.ACCEPTED, ""


class TakePurchases:
    """Takes the purchases of a file into the customers' histories."""

    def __init__(self, recommender: Recommender, digest: str) -> None:
        """Through this recommender; the digest of the file names purchases that have no name."""
        self._recommender, self._digest = recommender, digest

    def __call__(self, rows: Sequence[Row | str], first: int) -> Judged:
        """What became of each row."""
        checked = [
            _checked(row, partial(purchase_of, event_id=f"{self._digest}:{number}"))
            for number, row in enumerate(rows, start=first)
        ]
        statuses = self._record([row for row in checked if not isinstance(row, str)])
        return [(EventStatus.INVALID, row) if isinstance(row, str) else next(statuses) for row in checked]

    def _record(self, purchases: Iterable[tuple[str, Purchase]]) -> Iterator[tuple[EventStatus, str]]:
        """The status of each purchase, in the order given."""
        owners = []
        batch: dict[str, list[Purchase]] = defaultdict(list)
        for user_id, purchase in purchases:
            owners.append(user_id)
            batch[user_id].append(purchase)
        found = self._recommender.record(batch) if batch else {}
        statuses = {user_id: iter(each) for user_id, each in found.items()}
        for user_id in owners:
            status = next(statuses[user_id])
            yield status, REASONS.get(status, "")


def _checked(row: Row | str, read: Callable[[Row], Found]) -> Found | str:
    """What the row says, or why it cannot be used."""
    if isinstance(row, str):
        return row
    try:
        return read(row)
    except InputError as error:
        return str(error)
