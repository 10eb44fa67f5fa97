"""Files with everything held of one customer, given out to nobody once they are erased; and the end of other files."""

import secrets
from dataclasses import replace

from recsys.clock import Clock
from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.data.subject_file import SubjectAsked
from recsys.errors import ArtifactError, NotFoundError
from recsys.intake import Exports
from recsys.ports import Histories, Pseudonyms
from recsys.types import FileFormat

ID_BYTES = 16


def withdraw_lists(exports: Exports) -> None:
    """End every file with lists that lies there, or is being made: those of somebody who objected may be among them."""
    for job in exports.lying():
        if job.kind is ExportKind.RECOMMENDATIONS:
            exports.close(job.export_id, ExportState.WITHDRAWN)


class SubjectFiles:
    """Takes wishes for such files, and says how far they have come. Safe to share between threads."""

    def __init__(self, *, exports: Exports, histories: Histories, pseudonyms: Pseudonyms, clock: Clock) -> None:
        """Over these stores; a worker makes the files."""
        self._exports = exports
        self._histories = histories
        self._pseudonyms = pseudonyms
        self._clock = clock

    def ask(self, user_id: str) -> ExportJob:
        """The export, whose file is made in the background; it is the same for strangers, and there is little in it.

        Raises:
            InputError: the id cannot be one.
            ImportConflictError: too many are there.
        """
        user_key = self._pseudonyms.user_key(user_id)
        erased = self._histories.state(user_key).erased
        job = ExportJob(
            export_id=secrets.token_hex(ID_BYTES),
            kind=ExportKind.SUBJECT,
            format=FileFormat.JSONL,
            n=0,
            erasures=0,
            created_at=self._clock(),
        )
        asked = SubjectAsked(user_id=user_id, user_key=None if erased else user_key)
        self._exports.create(job, asked.to_bytes())
        return job

    def job(self, export_id: str) -> ExportJob:
        """The export as it may be told of now: withdrawn once the customer's erasure is acknowledged.

        Raises:
            NotFoundError: there is no such export of one customer.
        """
        job = self._exports.job(export_id)
        if job.kind is not ExportKind.SUBJECT:
            msg = "expected the id of a file of one customer, got another; use the id that it was asked for with"
            raise NotFoundError(msg)
        if job.is_open and self._is_void(export_id):
            return replace(job, state=ExportState.WITHDRAWN, size=0, sha256="")
        return job

    def content(self, export_id: str) -> bytes:
        """The file.

        Raises:
            NotFoundError: there is none, or it may not be given out any more.
        """
        job = self.job(export_id)
        if job.state is not ExportState.DONE:
            msg = f"expected a file that is done, got one that is {job.state}; ask for it later, or for another"
            raise NotFoundError(msg)
        return b"".join(self._exports.content(export_id))

    def delete(self, export_id: str) -> ExportJob:
        """The export at its end, its file deleted; one that has ended keeps its end."""
        self.job(export_id)
        return self._exports.close(export_id, ExportState.CANCELLED)

    def _is_void(self, export_id: str) -> bool:
        """Whether its customer was erased since it was asked for."""
        try:
            asked = SubjectAsked.from_bytes(self._exports.asked(export_id))
        except ArtifactError:  # it ended a moment ago
            return True
        return asked.user_key is not None and self._histories.state(asked.user_key).erased
