"""The rules that every store keeps, in memory or not, and the errors it refuses with: pure functions."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from recsys.clock import isoformat
from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.data.import_job import ImportJob, ImportReport, ImportState
from recsys.data.subject_request import STEPS, SubjectRequest, SubjectState
from recsys.errors import ArtifactError, ImportConflictError, InputError, NotFoundError, StateError, StateLockedError
from recsys.evidence.canonical import canonical_json
from recsys.types import CatalogueItem, ErasureRequest, ErasureState, Json, WebhookEvent

MAX_LYING = 20
"""Imports whose files may lie in the store at once: a bound on the disk, with the bound on a file."""
MAX_SUBJECT_FILES = 500
"""Files of one customer each that may lie in the store at once: they are small, and their customers wait for them."""
CALLBACK = frozenset({WebhookEvent.OPENDSR_STATUS})
"""What a webhook is told of that is there for the callbacks of requests, and that nobody made."""
MIN_PART_BYTES = 4096
"""Of every part but the last: a bound on the number of files."""


def merge_items(known: Mapping[str, CatalogueItem], items: Iterable[CatalogueItem]) -> dict[str, CatalogueItem]:
    """The catalogue by item id, in the order of positions, once the items are in: empty words never replace others."""
    merged = dict(known)
    for item in items:
        old = merged.get(item.item_id, item)
        merged[item.item_id] = replace(old, name=item.name or old.name, category=item.category or old.category)
    return merged


def put_among(
    known: Mapping[str, CatalogueItem], items: Iterable[CatalogueItem]
) -> tuple[list[CatalogueItem | None], dict[str, CatalogueItem]]:
    """What was there before each item was put in, one after the other, and the catalogue once all are in."""
    after = dict(known)
    before: list[CatalogueItem | None] = []
    for item in items:
        before.append(after.get(item.item_id))
        after[item.item_id] = item
    return before, after


def check_sums_cover(listed: set[str], holding: set[str]) -> None:
    """Nothing, if every sum that holds the customer's term is about to be replaced.

    Raises:
        StateError: one is not; without its term the customer could never be subtracted from it again.
    """
    if not holding <= listed:
        missing = ", ".join(sorted(holding - listed))
        msg = (
            f"expected a replacement for every sum with the customer's term, got none for {missing}; subtract it there"
        )
        raise StateError(msg)


def another_works() -> StateLockedError:
    """The error for a second worker of erasures."""
    msg = "expected to be the only worker of erasures on this database, another one is at work; leave it to that one"
    return StateLockedError(msg)


def no_request() -> NotFoundError:
    """The error for a request that does not exist; what was asked for is not repeated, it may be a customer's id."""
    msg = "expected the id of an erasure request, got another; use the id that the request was answered with"
    return NotFoundError(msg)


def no_receipt(request: ErasureRequest) -> NotFoundError:
    """The error for a request that is still on its way."""
    way_out = "it is stuck: see privrec erasures" if request.stuck else "ask again later"
    msg = f"expected erasure {request.request_id} to be receipted, it is {request.state} so far; {way_out}"
    return NotFoundError(msg)


def log_is_cut() -> ArtifactError:
    """The error for hashes that the log of receipts must have, and does not."""
    msg = "expected every hash of the log of receipts, one is missing; restore the database from its latest backup"
    return ArtifactError(msg)


def no_sum() -> NotFoundError:
    """The error for a sum that does not exist."""
    msg = "expected the id of a sum, got one that there is none of; train a model to make one"
    return NotFoundError(msg)


def sum_exists() -> InputError:
    """The error for a sum that was made before."""
    msg = "expected the id of a new sum, got one that exists; a sum changes by erasure only: take another id"
    return InputError(msg)


def holds_suppressed() -> InputError:
    """The error for terms of customers who asked to be forgotten."""
    msg = "expected terms of customers who are not suppressed, got one; read the histories again and rebuild the sum"
    return InputError(msg)


def not_next(index: Json, expected: int) -> StateError:
    """The error for a ledger entry that another process was faster than."""
    msg = f"expected ledger entry {expected} next, got {index}; another process was faster: read the ledger and retry"
    return StateError(msg)


def message(event: WebhookEvent, now: datetime, data: Mapping[str, Json]) -> bytes:
    """What a webhook is sent: the form of Standard Webhooks, in canonical JSON."""
    return canonical_json({"type": event.value, "timestamp": isoformat(now), "data": dict(data)})


def completed(request_id: str) -> dict[str, Json]:
    """What is told of a finished erasure."""
    return {"request_id": request_id, "state": ErasureState.RECEIPTED.value}


def told_of(request: ErasureRequest) -> dict[str, Json]:
    """What is told of an erasure that somebody has to look at: no reason and no problem, which may be long."""
    return {"request_id": request.request_id, "state": request.state.value, "due_at": isoformat(request.due_at)}


def promoted(version: str) -> dict[str, Json]:
    """What is told of a version that became live."""
    return {"version": version}


def no_webhook() -> NotFoundError:
    """The error for a webhook that does not exist."""
    msg = "expected the id of a webhook, got one that there is none of; list the webhooks and take an id from there"
    return NotFoundError(msg)


def no_dead_letter() -> NotFoundError:
    """The error for a message that was not given up."""
    msg = "expected the id of a message that was given up, got another; list the dead letters and take an id from there"
    return NotFoundError(msg)


def no_key() -> NotFoundError:
    """The error for an API key that does not exist."""
    msg = "expected the id of an API key, got one that there is none of; list the keys and take an id from there"
    return NotFoundError(msg)


def check_room(n_lying: int, most: int = MAX_LYING) -> None:
    """Nothing, if one more import, or export, may begin.

    Raises:
        ImportConflictError: too many are open.
    """
    if n_lying >= most:
        msg = f"expected at most {most} open files of a kind, got one more; wait until one ends, or cancel one"
        raise ImportConflictError(msg)


def with_part(job: ImportJob, offset: int, size: int) -> ImportJob:
    """The import with a part of this size that begins at this byte of the file.

    Raises:
        ImportConflictError: it takes no parts any more, or not this one.
    """
    if job.state is not ImportState.UPLOADING:
        msg = f"expected an import that is uploading, got one that is {job.state}; send nothing more"
        raise ImportConflictError(msg)
    if offset != job.offset:
        msg = f"expected the part that begins at byte {job.offset}, got that at byte {offset}; go on at {job.offset}"
        raise ImportConflictError(msg)
    left = job.size - job.offset
    if not min(MIN_PART_BYTES, left) <= size <= left:
        least = f"a part of {min(MIN_PART_BYTES, left)} to {left} bytes"
        msg = f"expected {least}, got {size}; send it so, or begin anew with the file's true size"
        raise ImportConflictError(msg)
    return job.with_part(size)


def with_report(job: ImportJob, report: ImportReport) -> ImportJob:
    """The import that is worked off, with what became of its rows.

    Raises:
        ImportConflictError: it is not worked off, or no longer.
    """
    if job.state is not ImportState.WORKING:
        msg = f"expected an import that is worked off, got one that is {job.state}; leave the rest of its rows"
        raise ImportConflictError(msg)
    return replace(job, report=report)


def check_export_room(job: ExportJob, lying: Iterable[ExportJob]) -> None:
    """Nothing, if this export may begin beside the others; files of one customer do not count against the rest.

    Raises:
        ImportConflictError: too many are there.
    """
    of_one = job.kind is ExportKind.SUBJECT
    n_lying = sum((each.kind is ExportKind.SUBJECT) is of_one for each in lying)
    check_room(n_lying, MAX_SUBJECT_FILES if of_one else MAX_LYING)


def closed(job: ImportJob, state: ImportState, error: str) -> ImportJob:
    """The import at its end, which the first one decides."""
    return replace(job, state=state, error=error) if job.is_open else job


def no_import() -> NotFoundError:
    """The error for an import that does not exist."""
    msg = "expected the id of an import, got another; use the id that the import was created with"
    return NotFoundError(msg)


def no_parts() -> ArtifactError:
    """The error for parts of a file that are not there, or no longer."""
    msg = "expected every part of the file in the state directory, got one missing; send the file, or ask for it, again"
    return ArtifactError(msg)


def ended(job: ExportJob, state: ExportState, error: str) -> ExportJob:
    """The export at its end, which the first one decides."""
    return replace(job, state=state, error=error) if job.is_open else job


def made(job: ExportJob, size: int, sha256: str) -> ExportJob:
    """The export with its file, unless it has ended."""
    is_working = job.state is ExportState.WORKING
    return replace(job, state=ExportState.DONE, size=size, sha256=sha256) if is_working else job


def no_export() -> NotFoundError:
    """The error for an export that does not exist."""
    msg = "expected the id of an export, got another; use the id that the export was created with"
    return NotFoundError(msg)


def stepped(request: SubjectRequest, state: SubjectState, details: Mapping[str, Json]) -> SubjectRequest:
    """The request in the state, with the details merged; one that is as far already stays as it is."""
    if STEPS.index(state) <= STEPS.index(request.state):
        return request
    return replace(request, state=state, moves=b"", details={**request.details, **details})


def no_dsr() -> NotFoundError:
    """The error for a request in the form of OpenDSR that does not exist."""
    msg = "expected the subject_request_id of a request that was posted, got another; post it first"
    return NotFoundError(msg)
