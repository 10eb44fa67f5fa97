"""Files that are handed out over HTTP: made beside the API, and gone after a day, or with the next erasure."""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta

from pipelines.background import Stop
from pipelines.encode import Row, encoded
from pipelines.erase import recommender
from pipelines.export import columns_of, item_rows
from pipelines.subject_file import Controller, packed
from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.data.subject_file import SubjectAsked
from recsys.errors import ArtifactError
from recsys.identifiers import nobodys_key
from recsys.rights.holding import gather
from recsys.store.workspace import Workspace

KEPT_HOURS = 24
"""How long a file may lie there."""
SUBJECT_KEPT_HOURS = 7 * 24
"""How long a file of one customer may: it goes to somebody who fetches it when they can."""
COLUMNS = ("user_id", "rank", "item_id", "name", "score", "reason")


class Exporter:
    """Makes the files that were asked for. One at a time per installation: the state lock sees to that."""

    def __init__(self, workspace: Workspace) -> None:
        """An exporter over the workspace."""
        self._workspace, self._exports = workspace, workspace.exports

    def run(self, stop: Stop = lambda: False) -> tuple[ExportJob, ...]:
        """The exports whose file was made or deleted now, oldest first.

        Those that an erasure made void are left to the erasure, whose receipt counts them.

        Args:
            stop: asked between two customers; what is left is made by the next run

        Raises:
            StateError: the database or the disk refused; run again, nothing is lost.
        """
        found = []
        for job in self._exports.lying():
            after = self._expired(job) or self._made(job, stop)
            if after is not None:
                found.append(after)
        return tuple(found)

    def _expired(self, job: ExportJob) -> ExportJob | None:
        hours = SUBJECT_KEPT_HOURS if job.kind is ExportKind.SUBJECT else KEPT_HOURS
        old = job.created_at <= self._workspace.clock() - timedelta(hours=hours)
        return self._exports.close(job.export_id, ExportState.EXPIRED) if old or not job.is_open else None

    def _made(self, job: ExportJob, stop: Stop) -> ExportJob | None:
        """The export with its file; None if there is nothing to make, or it was told to stop."""
        if job.state is not ExportState.WORKING or job.is_void(self._workspace.erasures.count()):
            return None
        try:
            content = self._content(job, stop)
        except ArtifactError as error:
            return self._exports.close(job.export_id, ExportState.FAILED, str(error))
        if content is None:
            return None
        return self._exports.keep(job.export_id, content, hashlib.sha256(content).hexdigest())

    def _content(self, job: ExportJob, stop: Stop) -> bytes | None:
        if job.kind is ExportKind.SUBJECT:
            return self._everything(job)
        return self._catalogue(job) if job.kind is ExportKind.CATALOGUE else self._lists(job, stop)

    def _everything(self, job: ExportJob) -> bytes:
        """The file of one customer; that of a stranger where the customer had been erased before."""
        workspace = self._workspace
        asked = SubjectAsked.from_bytes(self._exports.asked(job.export_id))
        held = gather(workspace, workspace.keys, asked.user_key or nobodys_key())
        return packed(held, asked.user_id, at=workspace.clock(), controller=Controller.of(workspace.settings))

    def _catalogue(self, job: ExportJob) -> bytes:
        rows = item_rows(self._workspace.catalogue.items())
        return encoded(job.format, columns_of(rows), rows)

    def _lists(self, job: ExportJob, stop: Stop) -> bytes | None:
        rows: list[Row] = []
        for of_one in self._rows(job):
            if stop():
                return None
            rows += of_one
        return encoded(job.format, COLUMNS, rows)

    def _rows(self, job: ExportJob) -> Iterator[list[Row]]:
        """The rows of each customer who was asked for, one an item, best first."""
        lists = recommender(self._workspace)
        for user_id in json.loads(self._exports.asked(job.export_id)):
            items = lists.recommend(user_id, n=job.n).items
            yield [
                dict(zip(COLUMNS, (user_id, rank, item.item_id, item.name, item.score, item.reason.value), strict=True))
                for rank, item in enumerate(items, start=1)
            ]
