"""Exports: a file that is there once it is made, and gone at its end."""

import pytest

from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.errors import ArtifactError, ImportConflictError, NotFoundError
from recsys.store.rules import MAX_LYING
from recsys.store.workspace import Workspace
from recsys.types import FileFormat
from tests.contracts.conftest import NOON

LARGE = bytes(range(256)) * 4096 + b"end"
"""More than one part."""


def job(export_id: str = "a1") -> ExportJob:
    return ExportJob(
        export_id=export_id,
        kind=ExportKind.RECOMMENDATIONS,
        format=FileFormat.CSV,
        n=5,
        erasures=0,
        created_at=NOON,
    )


def test_an_export_is_what_it_was_created_as(ports: Workspace) -> None:
    ports.exports.create(job(), b"asked")

    assert ports.exports.job("a1") == job()
    assert ports.exports.lying() == (job(),)
    assert ports.exports.asked("a1") == b"asked"
    with pytest.raises(ArtifactError):
        list(ports.exports.content("a1"))


def test_a_file_is_there_once_it_is_made_and_what_it_was_made_from_is_not(ports: Workspace) -> None:
    ports.exports.create(job(), b"asked")
    done = ports.exports.keep("a1", LARGE, "digest")

    assert (done.state, done.size, done.sha256) == (ExportState.DONE, len(LARGE), "digest")
    assert ports.exports.job("a1") == done
    assert ports.exports.lying() == (done,)
    assert b"".join(ports.exports.content("a1")) == LARGE
    with pytest.raises(ArtifactError):
        ports.exports.asked("a1")


@pytest.mark.parametrize("is_made", [False, True])
def test_an_end_takes_everything_along_and_stays(ports: Workspace, *, is_made: bool) -> None:
    ports.exports.create(job(), b"asked")
    if is_made:
        ports.exports.keep("a1", LARGE, "digest")
    ended = ports.exports.close("a1", ExportState.WITHDRAWN, erasure="request")

    assert ended.state is ExportState.WITHDRAWN
    assert ports.exports.lying() == ()
    assert ports.exports.close("a1", ExportState.EXPIRED, erasure="another") == ended == ports.exports.job("a1")
    assert ports.exports.keep("a1", b"late", "digest") == ended
    assert (ports.exports.withdrawn_for("request"), ports.exports.withdrawn_for("another")) == (1, 0)
    with pytest.raises(ArtifactError):
        list(ports.exports.content("a1"))
    with pytest.raises(ArtifactError):
        ports.exports.asked("a1")


def test_exports_lie_there_oldest_first_and_not_too_many(ports: Workspace) -> None:
    for number in range(MAX_LYING):
        ports.exports.create(job(f"{number:02}"), b"")
    with pytest.raises(ImportConflictError, match="at most 20 open files"):
        ports.exports.create(job("one more"), b"")
    ports.exports.close("07", ExportState.CANCELLED)
    ports.exports.create(job("one more"), b"")

    assert [each.export_id for each in ports.exports.lying()][6:8] == ["06", "08"]


def test_an_unknown_export_is_not_found(ports: Workspace) -> None:
    with pytest.raises(NotFoundError, match="expected the id of an export"):
        ports.exports.job("b2")
    with pytest.raises(NotFoundError, match="expected the id of an export"):
        ports.exports.close("b2", ExportState.CANCELLED)
