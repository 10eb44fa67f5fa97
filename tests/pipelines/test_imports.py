"""What becomes of the files that came over HTTP."""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from pipelines import imports as module
from pipelines.erase import desk, subject_desk, worker
from pipelines.imports import Importer
from recsys.data.import_job import ImportJob, ImportKind, ImportReport, ImportState
from recsys.data.subject_request import SubjectKind
from recsys.errors import ArtifactError, StateError, StorageError
from recsys.evidence.receipt import verify_receipt
from recsys.store.memory import MemoryImports
from recsys.store.rules import MIN_PART_BYTES
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, memory_workspace, open_workspace
from recsys.types import CatalogueItem, ErasureState, EventStatus, FileFormat
from tests.recsys.erasure.killed import AFTER, BEFORE, WITHIN, Moment, arm

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVE = "eve@mail.example"
HEADER = "user_id,item_id,timestamp\n"
N_ROWS = 25
MANY = HEADER + "".join(f"u{number % 7},tea,2026-02-01\n" for number in range(N_ROWS))
"""Rows without event ids, equal ones among them."""
LONG = HEADER + "".join(f"u{number % 7},tea,2026-02-01T00:00:00.{'0' * 200}\n" for number in range(N_ROWS))
"""More than one part."""


@pytest.fixture
def workspace() -> Workspace:
    shop = memory_workspace(clock=lambda: START, wait=lambda _: None)
    shop.catalogue.add_items([CatalogueItem(item_id="tea"), CatalogueItem(item_id="milk")])
    return shop


def announce(workspace: Workspace, text: str, **fields: object) -> ImportJob:
    """An import of the text whose file did not come yet."""
    content = text.encode()
    job = ImportJob(
        import_id=hashlib.sha256(os.urandom(8)).hexdigest()[:32],
        kind=ImportKind.PURCHASES,
        format=FileFormat.CSV,
        columns={},
        dry_run=False,
        size=len(content),
        sha256=None,
        created_at=workspace.clock(),
        report=ImportReport.empty(),
    )
    job = replace(job, **fields)  # type: ignore[arg-type] # fields of the job
    workspace.imports.create(job)
    return job


def send(workspace: Workspace, text: str, **fields: object) -> str:
    """The id of an import whose file is there."""
    job, content = announce(workspace, text, **fields), text.encode()
    for at in range(0, len(content), MIN_PART_BYTES):
        workspace.imports.add_part(job.import_id, at, content[at : at + MIN_PART_BYTES])
    return job.import_id


def worked_off(workspace: Workspace, text: str, **fields: object) -> ImportJob:
    import_id = send(workspace, text, **fields)
    Importer(workspace).run()
    return workspace.imports.job(import_id)


def counts(job: ImportJob) -> dict[str, int]:
    return {status.value: count for status, count in job.report.counts.items() if count}


def purchases(workspace: Workspace) -> int:
    return sum(len(history) for _, _, history in workspace.histories.scan())


def history_of(workspace: Workspace, user_id: str) -> int:
    return len(workspace.histories.history(workspace.pseudonyms.user_key(user_id)))


def test_every_row_is_accounted_for_and_bad_ones_are_named_by_number(workspace: Workspace) -> None:
    text = "user_id,item_id,timestamp,quantity,event_id\n"
    text += "ada,tea,2026-02-01,1,e1\nada,tea,2026-02-01,1,e1\nada,milk,2026-02-01,1,e1\n"
    text += f"ada,tea,2026-02-01,-1,e2\n{EVE},coffee,2026-02-01,1,e3\n{EVE},tea,once,1,e4\n{EVE},tea\n"
    job = worked_off(workspace, text)

    assert job.state is ImportState.DONE
    assert counts(job) == {"accepted": 1, "duplicate": 1, "conflict": 1, "return": 1, "invalid": 3}
    assert [bad.row for bad in job.report.bad_rows] == [3, 5, 6, 7]
    assert all(bad.reason.startswith("expected ") and EVE not in bad.reason for bad in job.report.bad_rows)
    assert job.report.rows == sum(job.report.counts.values()) == 7
    assert workspace.imports.lying() == ()
    assert history_of(workspace, "ada") == 1


def test_rows_without_event_ids_are_all_taken_and_the_same_file_adds_nothing(workspace: Workspace) -> None:
    first, again = worked_off(workspace, MANY), worked_off(workspace, MANY)

    assert counts(first) == {"accepted": N_ROWS}
    assert counts(again) == {"duplicate": N_ROWS}
    assert purchases(workspace) == N_ROWS


def test_a_catalogue_is_put_into_the_shop(workspace: Workspace) -> None:
    text = "item_id,name,price,stock,attribute.brand\ntea,Tea,4.5,12,Finest\nmilk,,,,\nnew,New,,,\nbad,,-1,,\n"
    job = worked_off(workspace, text, kind=ImportKind.CATALOGUE)

    assert counts(job) == {"accepted": 2, "duplicate": 1, "invalid": 1}
    assert workspace.catalogue.items() == (
        CatalogueItem(item_id="tea", name="Tea", price=4.5, stock=12, attributes=(("brand", "Finest"),)),
        CatalogueItem(item_id="milk"),
        CatalogueItem(item_id="new", name="New"),
    )


@pytest.mark.parametrize("kind", ImportKind)
def test_a_dry_run_says_what_an_import_will_do_and_stores_nothing(
    workspace: Workspace, kind: ImportKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    text = "item_id,name\ntea,Tea\nx,X\nx,X\nmilk,\n"
    if kind is ImportKind.PURCHASES:
        text = "user_id,item_id,timestamp,event_id\n" + "ada,tea,2026-02-01,e1\n" * 3 + "ada,milk,2026-02-01,e1\n"
        text += f"{EVE},tea,2026-02-01,e1\nbo,coffee,2026-02-01,e1\nbo,tea,2026-02-01,e2\n"
        desk(workspace).request(EVE)
        subject_desk(workspace).limit("ada", SubjectKind.OBJECTION)
        subject_desk(workspace).limit("bo", SubjectKind.RESTRICTION)
    before = workspace.catalogue.changed_since(-1)
    dry = worked_off(workspace, text, kind=kind, dry_run=True)
    assert (workspace.catalogue.changed_since(-1), purchases(workspace)) == (before, 0)

    assert dry.report == worked_off(workspace, text, kind=kind).report
    assert dry.report.counts[EventStatus.DUPLICATE] > 0


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        ("user_id\nada\n", {}, "one column for the field item_id"),
        (MANY, {"sha256": "0" * 64}, "the announced SHA-256"),
        (MANY, {"format": FileFormat.PARQUET}, "a whole Parquet file"),
    ],
)
def test_a_file_that_cannot_be_used_fails_says_why_and_is_gone(
    workspace: Workspace, text: str, fields: dict[str, object], message: str
) -> None:
    job = worked_off(workspace, text, **fields)

    assert job.state is ImportState.FAILED
    assert message in job.error
    assert workspace.imports.lying() == ()
    assert purchases(workspace) == 0


def test_the_announced_digest_is_checked(workspace: Workspace) -> None:
    assert worked_off(workspace, MANY, sha256=hashlib.sha256(MANY.encode()).hexdigest()).state is ImportState.DONE


def test_a_customer_who_was_erased_while_the_file_lay_there_is_refused_at_the_row(workspace: Workspace) -> None:
    import_id = send(workspace, f"{HEADER}ada,tea,2026-02-01\n{EVE},tea,2026-02-01\n")
    desk(workspace).request(EVE)
    Importer(workspace).run()
    job = workspace.imports.job(import_id)

    assert counts(job) == {"accepted": 1, "suppressed": 1}
    assert job.report.bad_rows == ()
    assert (history_of(workspace, EVE), history_of(workspace, "ada")) == (0, 1)


def test_an_erasure_between_two_batches_wins(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 1)
    import_id = send(workspace, f"{HEADER}{EVE},tea,2026-02-01\n{EVE},milk,2026-02-01\n")
    asked = iter([False, True])
    Importer(workspace).run(lambda: next(asked))
    request, _ = desk(workspace).request(EVE)
    with pytest.raises(StateError, match="expected no uploaded file from before the request"):
        worker(workspace).run()
    Importer(workspace).run()
    worker(workspace).run(waiting=True)

    assert counts(workspace.imports.job(import_id)) == {"accepted": 1, "suppressed": 1}
    assert history_of(workspace, EVE) == 0
    assert workspace.erasures.request(request.request_id).state is ErasureState.RECEIPTED


def test_an_erasure_is_receipted_once_no_older_file_is_left_and_says_so(workspace: Workspace) -> None:
    catalogue = announce(workspace, "item_id\ntea\n", kind=ImportKind.CATALOGUE)
    older = announce(workspace, MANY)
    request, _ = desk(workspace).request(EVE)
    later = announce(workspace, MANY, created_at=START + timedelta(seconds=1))
    with pytest.raises(StateError, match="cancel that import, or run again in a day"):
        worker(workspace).run()
    workspace.imports.close(older.import_id, ImportState.CANCELLED)
    [finished] = worker(workspace).run(waiting=True)

    body: dict[str, Any] = verify_receipt(workspace.erasures.receipt(request.request_id), workspace.public_key)
    assert finished.request_id == request.request_id
    assert body["steps"]["purged"]["uploads"] == "no file of purchases from before the request is left"
    assert workspace.imports.lying() == (catalogue, later)


@pytest.mark.parametrize("whole", [False, True])
def test_a_file_is_gone_after_a_day_whatever_became_of_it(workspace: Workspace, *, whole: bool) -> None:
    import_id = send(workspace, MANY) if whole else announce(workspace, MANY).import_id
    nearly = replace(workspace, clock=lambda: START + timedelta(hours=23, minutes=59))
    assert [job.state for job in Importer(nearly).run()] == [ImportState.DONE] * whole

    Importer(replace(workspace, clock=lambda: START + timedelta(days=1))).run()
    assert workspace.imports.lying() == ()
    assert workspace.imports.job(import_id).state is (ImportState.DONE if whole else ImportState.EXPIRED)


def test_an_import_that_is_cancelled_while_it_is_worked_off_ends_there(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 10)
    import_id = send(workspace, MANY)

    def cancel() -> bool:
        workspace.imports.close(import_id, ImportState.CANCELLED)
        return False

    [ended] = Importer(workspace).run(cancel)

    assert ended.state is ImportState.CANCELLED
    assert workspace.imports.job(import_id) == ended
    assert purchases(workspace) <= 10


def test_a_store_that_is_away_ends_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = send(workspace, MANY)

    def refuse(*_: object) -> None:
        raise StorageError

    with monkeypatch.context() as patch:
        patch.setattr(workspace.histories, "append", refuse)
        with pytest.raises(StorageError):
            Importer(workspace).run()
    assert workspace.imports.job(import_id).state is ImportState.WORKING

    Importer(workspace).run()
    assert counts(workspace.imports.job(import_id)) == {"accepted": N_ROWS}


class Cutting(MemoryImports):
    """Imports whose parts are lost."""

    def content(self, import_id: str) -> Iterator[bytes]:
        raise ArtifactError(import_id)


def test_a_file_whose_parts_are_lost_fails(workspace: Workspace) -> None:
    assert worked_off(replace(workspace, imports=Cutting()), MANY).state is ImportState.FAILED


def files(state_dir: Path) -> list[Path]:
    return [path for path in (state_dir / "uploads").rglob("*") if path.is_file()]


def test_the_parts_lie_sealed_and_for_their_owner_alone(tmp_path: Path) -> None:
    with open_workspace(Settings(state_dir=tmp_path / "s"), clock=lambda: START, start_cache=False) as workspace:
        import_id = send(workspace, MANY * 20)
        lying = files(tmp_path / "s")

        assert len(lying) > 1
        assert {path.stat().st_mode & 0o777 for path in lying} == {0o600}
        assert {path.stat().st_mode & 0o777 for path in {path.parent for path in lying}} == {0o700}
        assert not any(b"tea" in path.read_bytes() for path in lying)
        first, second = sorted(lying, key=lambda path: int(path.name))[:2]
        first.write_bytes(second.read_bytes())
        Importer(workspace).run()
        assert workspace.imports.job(import_id).state is ImportState.FAILED
        assert files(tmp_path / "s") == []


def run_in_a_process(target: Callable[..., None], *args: object) -> int | None:
    """The exit code of a process that did it; -9 if it was killed."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=target, args=args)
    process.start()
    process.join(timeout=60)
    return process.exitcode


def upload_and_work(state_dir: Path, moment: Moment | None) -> None:
    """Go on with the one import where it is, from the upload to the end."""
    module.BATCH = 10
    with open_workspace(Settings(state_dir=state_dir), clock=lambda: START, start_cache=False) as workspace:
        if moment is not None:
            arm(workspace, moment)
        content = LONG.encode()
        [job] = workspace.imports.lying()
        for at in range(job.offset, job.size, MIN_PART_BYTES):
            workspace.imports.add_part(job.import_id, at, content[at : at + MIN_PART_BYTES])
        Importer(workspace).run()


KILLED = -signal.SIGKILL
MOMENTS = [
    Moment("imports", "add_part", WITHIN),
    Moment("imports", "add_part", AFTER),
    Moment("histories", "append", BEFORE, call=2),
    Moment("histories", "append", WITHIN, call=2),
    Moment("histories", "append", AFTER, call=2),
    Moment("imports", "advance", WITHIN, call=2),
    Moment("imports", "advance", AFTER, call=2),
    Moment("imports", "close", WITHIN),
    Moment("imports", "close", AFTER),
]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_killed_at_any_moment_no_row_is_lost_and_none_is_doubled(tmp_path: Path, moment: Moment) -> None:
    settings = Settings(state_dir=tmp_path / "s")
    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        workspace.catalogue.add_items([CatalogueItem(item_id="tea")])
        job = announce(workspace, LONG)
    assert run_in_a_process(upload_and_work, tmp_path / "s", moment) == KILLED
    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        lies = bool(workspace.imports.lying())
    assert not lies or run_in_a_process(upload_and_work, tmp_path / "s", None) == 0

    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        after = workspace.imports.job(job.import_id)
        assert after.state is ImportState.DONE
        assert purchases(workspace) == after.report.rows == N_ROWS
        assert set(counts(after)) <= {"accepted", "duplicate"}
        assert [history_of(workspace, f"u{number}") for number in range(7)] == [4, 4, 4, 4, 3, 3, 3]
    assert files(tmp_path / "s") == []


def test_what_a_killed_upload_left_behind_is_swept(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "s")
    with open_workspace(settings, start_cache=False) as workspace:
        import_id = send(workspace, MANY)
        workspace.imports.close(import_id, ImportState.CANCELLED)
        (left := tmp_path / "s" / "uploads" / import_id).mkdir()
        (left / ".tmp-0").touch()
        kept = send(workspace, MANY)
    with open_workspace(settings, start_cache=False):
        assert [path.name for path in (tmp_path / "s" / "uploads").iterdir()] == [kept]
