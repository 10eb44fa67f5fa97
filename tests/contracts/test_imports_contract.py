"""Imports: parts in order, one end, and nothing that stays."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest

from recsys.data.import_job import ImportJob, ImportKind, ImportReport, ImportState
from recsys.errors import ArtifactError, ImportConflictError, NotFoundError
from recsys.store.rules import MAX_LYING, MIN_PART_BYTES
from recsys.store.workspace import Workspace
from recsys.types import EventStatus, FileFormat
from tests.contracts.conftest import NOON

PART = bytes(range(256)) * (MIN_PART_BYTES // 256)


def job(import_id: str = "a1", *, size: int = 2 * len(PART) + 1, day: int = 0) -> ImportJob:
    return ImportJob(
        import_id=import_id,
        kind=ImportKind.PURCHASES,
        format=FileFormat.CSV,
        columns={"user_id": "käufer"},
        dry_run=False,
        size=size,
        sha256=None,
        created_at=NOON + timedelta(days=day),
        report=ImportReport.empty(),
    )


def test_an_import_is_what_it_was_created_as(ports: Workspace) -> None:
    ports.imports.create(job())

    assert ports.imports.job("a1") == job()
    assert ports.imports.lying() == (job(),)


def test_parts_come_in_order_and_the_last_one_lets_the_work_begin(ports: Workspace) -> None:
    ports.imports.create(job())
    states = [ports.imports.add_part("a1", at, PART).state for at in (0, len(PART))]
    after = ports.imports.add_part("a1", 2 * len(PART), b"\0")

    assert states == [ImportState.UPLOADING, ImportState.UPLOADING]
    assert (after.state, after.offset) == (ImportState.WORKING, job().size)
    assert list(ports.imports.content("a1")) == [PART, PART, b"\0"]
    assert ports.imports.job("a1") == after


@pytest.mark.parametrize(
    ("offset", "part", "message"),
    [
        (0, PART, "begins at byte 4096, got that at byte 0"),
        (5000, PART, "begins at byte 4096, got that at byte 5000"),
        (4096, PART + PART, "of 4096 to 4097 bytes, got 8192"),
        (4096, PART[:-1], "of 4096 to 4097 bytes, got 4095"),
        (4096, b"", "got 0"),
    ],
)
def test_a_gap_an_overlap_and_a_part_of_a_wrong_size_change_nothing(
    ports: Workspace, offset: int, part: bytes, message: str
) -> None:
    ports.imports.create(job())
    before = ports.imports.add_part("a1", 0, PART)
    with pytest.raises(ImportConflictError, match=message):
        ports.imports.add_part("a1", offset, part)

    assert ports.imports.job("a1") == before
    assert list(ports.imports.content("a1")) == [PART]


def test_a_whole_file_takes_no_more(ports: Workspace) -> None:
    ports.imports.create(job(size=3))
    ports.imports.add_part("a1", 0, b"abc")
    with pytest.raises(ImportConflictError, match="got one that is working"):
        ports.imports.add_part("a1", 3, b"d")


def test_of_two_who_send_the_same_part_one_succeeds(ports: Workspace) -> None:
    ports.imports.create(job())
    barrier, refused = Barrier(2), []

    def send(part: bytes) -> None:
        barrier.wait()
        try:
            ports.imports.add_part("a1", 0, part)
        except ImportConflictError:
            refused.append(part)

    threads = [Thread(target=send, args=(part,)) for part in (PART, PART[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert list(ports.imports.content("a1")) == [PART[::-1] if refused == [PART] else PART]


def test_the_report_is_kept_while_the_import_is_worked_off(ports: Workspace) -> None:
    report = ImportReport.empty().plus([(EventStatus.ACCEPTED, ""), (EventStatus.INVALID, "no ünit")])
    ports.imports.create(job(size=3))
    with pytest.raises(ImportConflictError, match="got one that is uploading"):
        ports.imports.advance("a1", report)
    ports.imports.add_part("a1", 0, b"abc")
    ports.imports.advance("a1", report)

    assert ports.imports.job("a1").report == report


@pytest.mark.parametrize("state", [ImportState.DONE, ImportState.CANCELLED])
def test_an_end_takes_the_parts_along_and_stays(ports: Workspace, state: ImportState) -> None:
    ports.imports.create(job(size=3))
    ports.imports.add_part("a1", 0, b"abc")
    ended = ports.imports.close("a1", state)

    assert ended.state is state
    assert ports.imports.close("a1", ImportState.FAILED, "too late") == ended == ports.imports.job("a1")
    assert ports.imports.lying() == ()
    with pytest.raises(ArtifactError, match=r"^expected "):
        list(ports.imports.content("a1"))
    with pytest.raises(ImportConflictError, match=f"got one that is {state}"):
        ports.imports.advance("a1", ImportReport.empty())
    with pytest.raises(ImportConflictError, match=f"got one that is {state}"):
        ports.imports.add_part("a1", 3, b"d")


def test_imports_lie_there_oldest_first_and_not_too_many(ports: Workspace) -> None:
    for number in range(MAX_LYING):
        ports.imports.create(job(f"{number:02}"))
    with pytest.raises(ImportConflictError, match="at most 20 open files"):
        ports.imports.create(job("one more"))

    assert [each.import_id for each in ports.imports.lying()] == [f"{number:02}" for number in range(MAX_LYING)]
    ports.imports.close("07", ImportState.CANCELLED)
    ports.imports.create(job("one more"))


def test_an_unknown_import_is_not_found(ports: Workspace) -> None:
    with pytest.raises(NotFoundError, match="expected the id of an import"):
        ports.imports.job("b2")
    with pytest.raises(NotFoundError, match="expected the id of an import"):
        ports.imports.add_part("b2", 0, PART)
    with pytest.raises(NotFoundError, match="expected the id of an import"):
        ports.imports.advance("b2", ImportReport.empty())
    with pytest.raises(NotFoundError, match="expected the id of an import"):
        ports.imports.close("b2", ImportState.CANCELLED)
