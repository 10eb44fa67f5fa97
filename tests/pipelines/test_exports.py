"""What becomes of the files that are asked for over HTTP."""

import csv
import hashlib
import io
import json
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from pipelines.erase import desk, worker
from pipelines.exports import Exporter
from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.data.import_job import ImportState
from recsys.errors import NotFoundError, StateError
from recsys.evidence.receipt import verify_receipt
from recsys.rights.files import SubjectFiles
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, memory_workspace, open_workspace
from recsys.types import CatalogueItem, FileFormat
from tests.api.shop import publish, tea_and_coffee
from tests.pipelines.test_imports import MANY, START, announce, run_in_a_process
from tests.recsys.erasure.killed import AFTER, BEFORE, WITHIN, Moment, arm
from tests.recsys.erasure.shop import with_cache

EVE = "eve@mail.example"
BO = "=bo"
"""What a spreadsheet would calculate."""


@pytest.fixture
def workspace() -> Workspace:
    shop = memory_workspace(clock=lambda: START, wait=lambda _: None)
    factors = tea_and_coffee()
    shop.catalogue.add_items([CatalogueItem(item_id=item, name=f"Finest {item}") for item in factors.item_ids])
    publish(shop, factors)
    return shop


def ask(workspace: Workspace, *user_ids: str, form: FileFormat = FileFormat.CSV, **changes: Any) -> str:
    """The id of an export that was asked for."""
    job = ExportJob(
        export_id=hashlib.sha256(repr((user_ids, form, len(workspace.exports.lying()))).encode()).hexdigest()[:32],
        kind=ExportKind.RECOMMENDATIONS if user_ids else ExportKind.CATALOGUE,
        format=form,
        n=2,
        erasures=workspace.erasures.count(),
        created_at=workspace.clock(),
    )
    workspace.exports.create(replace(job, **changes), json.dumps(user_ids).encode())
    return job.export_id


def made(workspace: Workspace, export_id: str) -> bytes:
    """The file once the exporter has been there."""
    Exporter(workspace).run()
    job, content = workspace.exports.job(export_id), b"".join(workspace.exports.content(export_id))
    assert (job.state, job.size, job.sha256) == (ExportState.DONE, len(content), hashlib.sha256(content).hexdigest())
    return content


def test_the_lists_of_customers_are_a_file_with_a_row_an_item(workspace: Workspace) -> None:
    rows = list(csv.DictReader(io.StringIO(made(workspace, ask(workspace, EVE, BO)).decode())))

    assert [(row["user_id"], row["rank"]) for row in rows] == [(EVE, "1"), (EVE, "2"), ("'=bo", "1"), ("'=bo", "2")]
    assert {(row["item_id"], row["name"], row["reason"]) for row in rows if row["rank"] == "1"} == {
        ("coffee-0", "Finest coffee-0", "popular")
    }


def test_every_format_says_the_same(workspace: Workspace) -> None:
    lines = made(workspace, ask(workspace, EVE, form=FileFormat.JSONL)).decode().splitlines()
    table = pa.parquet.read_table(io.BytesIO(made(workspace, ask(workspace, EVE, form=FileFormat.PARQUET))))

    assert [json.loads(line) for line in lines] == table.to_pylist()
    assert [row["rank"] for row in table.to_pylist()] == [1, 2]


def test_the_catalogue_is_what_is_in_the_shop(workspace: Workspace) -> None:
    workspace.catalogue.put_item(CatalogueItem(item_id="gone", deleted=True))
    rows = list(csv.DictReader(io.StringIO(made(workspace, ask(workspace)).decode())))
    assert {row["item"] for row in rows} == set(tea_and_coffee().item_ids)


def test_an_erasure_withdraws_every_file_with_lists_and_its_receipt_says_how_many(workspace: Workspace) -> None:
    done, catalogue = ask(workspace, BO), ask(workspace)
    Exporter(workspace).run()
    waiting = ask(workspace, EVE, BO)
    request, _ = desk(workspace).request(EVE)
    later = ask(workspace, EVE, form=FileFormat.JSONL)
    assert [job.export_id for job in Exporter(workspace).run()] == [later]
    worker(workspace).run()

    body: dict[str, Any] = verify_receipt(workspace.erasures.receipt(request.request_id), workspace.public_key)
    assert body["steps"]["purged"]["exports"] == "2 files with lists deleted"
    assert {workspace.exports.job(each).state for each in (done, waiting)} == {ExportState.WITHDRAWN}
    assert {job.export_id for job in workspace.exports.lying()} == {catalogue, later}
    assert b"bought_before" not in b"".join(workspace.exports.content(later))


def test_a_file_with_lists_is_deleted_though_the_erasure_waits_for_an_upload(workspace: Workspace) -> None:
    export_id = ask(workspace, BO)
    Exporter(workspace).run()
    upload = announce(workspace, MANY)
    request, _ = desk(workspace).request(EVE)
    with pytest.raises(StateError, match="expected no uploaded file from before the request"):
        worker(workspace).run()
    assert workspace.exports.job(export_id).state is ExportState.WITHDRAWN
    workspace.imports.close(upload.import_id, ImportState.CANCELLED)
    worker(workspace).run(waiting=True)

    body: dict[str, Any] = verify_receipt(workspace.erasures.receipt(request.request_id), workspace.public_key)
    assert body["steps"]["purged"]["exports"] == "1 files with lists deleted"


def test_a_file_is_gone_after_a_day(workspace: Workspace) -> None:
    export_id = ask(workspace)
    Exporter(workspace).run()
    assert Exporter(replace(workspace, clock=lambda: START + timedelta(hours=23))).run() == ()
    [gone] = Exporter(replace(workspace, clock=lambda: START + timedelta(days=1))).run()

    assert (gone.export_id, gone.state) == (export_id, ExportState.EXPIRED)
    assert workspace.exports.lying() == ()


def test_a_file_that_was_begun_is_made_by_the_next_run(workspace: Workspace) -> None:
    export_id = ask(workspace, EVE, BO)
    assert Exporter(workspace).run(lambda: True) == ()
    assert workspace.exports.job(export_id).state is ExportState.WORKING
    assert made(workspace, export_id).count(b"\n") == 5


def test_an_export_that_is_cancelled_meanwhile_keeps_no_file(workspace: Workspace) -> None:
    export_id = ask(workspace, EVE)

    def cancel() -> bool:
        workspace.exports.close(export_id, ExportState.CANCELLED)
        return False

    [ended] = Exporter(workspace).run(cancel)
    assert ended.state is ExportState.CANCELLED
    assert workspace.exports.lying() == ()


def test_an_unknown_export_is_not_found(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError):
        workspace.exports.job("0" * 32)


def files(state_dir: Path) -> list[Path]:
    return [path for path in (state_dir / "downloads").rglob("*") if path.is_file()]


def work(state_dir: Path, moment: Moment | None) -> None:
    """Make files and finish erasures."""
    with open_workspace(Settings(state_dir=state_dir), clock=lambda: START, start_cache=False) as opened:
        workspace = with_cache(opened)
        if moment is not None:
            arm(workspace, moment)
        Exporter(workspace).run()
        worker(workspace).run()


MOMENTS = [
    Moment("exports", "close", BEFORE),
    Moment("exports", "close", WITHIN),
    Moment("exports", "close", AFTER),
    Moment("exports", "close", AFTER, call=2),
    Moment("erasures", "advance", AFTER, call=2),
]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_killed_at_any_moment_every_file_with_lists_goes_and_is_counted(tmp_path: Path, moment: Moment) -> None:
    settings = Settings(state_dir=tmp_path / "s")
    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        workspace.catalogue.add_items([CatalogueItem(item_id="tea")])
        for user_id in (BO, EVE):
            ask(workspace, user_id)
        Exporter(workspace).run()
        assert len(files(tmp_path / "s")) == 2
        assert {path.stat().st_mode & 0o777 for path in files(tmp_path / "s")} == {0o600}
        assert not any(EVE.encode() in path.read_bytes() for path in files(tmp_path / "s"))
        request, _ = desk(workspace).request(EVE)
    assert run_in_a_process(work, tmp_path / "s", moment) == -signal.SIGKILL
    assert run_in_a_process(work, tmp_path / "s", None) == 0

    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        body: dict[str, Any] = verify_receipt(workspace.erasures.receipt(request.request_id), workspace.public_key)
        assert body["steps"]["purged"]["exports"] == "2 files with lists deleted"
        assert workspace.exports.lying() == ()
    assert files(tmp_path / "s") == []


@pytest.mark.slow
@pytest.mark.parametrize("when", [BEFORE, WITHIN, AFTER])
def test_killed_while_it_is_made_a_file_is_made_by_the_next_run(tmp_path: Path, when: str) -> None:
    settings = Settings(state_dir=tmp_path / "s")
    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        workspace.catalogue.add_items([CatalogueItem(item_id="tea")])
        export_id = ask(workspace)
    assert run_in_a_process(work, tmp_path / "s", Moment("exports", "keep", when)) == -signal.SIGKILL

    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        assert b"tea" in made(workspace, export_id)


@pytest.mark.slow
@pytest.mark.parametrize("when", [BEFORE, WITHIN, AFTER])
def test_killed_while_it_is_made_a_customers_file_is_made_by_the_next_run(tmp_path: Path, when: str) -> None:
    settings = Settings(state_dir=tmp_path / "s")

    def wanted(workspace: Workspace) -> SubjectFiles:
        return SubjectFiles(
            exports=workspace.exports,
            histories=workspace.histories,
            pseudonyms=workspace.keys,
            clock=workspace.clock,
        )

    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        workspace.catalogue.add_items([CatalogueItem(item_id="tea")])
        export_id = wanted(workspace).ask(EVE).export_id
    assert run_in_a_process(work, tmp_path / "s", Moment("exports", "keep", when)) == -signal.SIGKILL

    with open_workspace(settings, clock=lambda: START, start_cache=False) as workspace:
        Exporter(workspace).run()
        assert wanted(workspace).content(export_id).startswith(b"PK")
        assert not any(EVE.encode() in path.read_bytes() for path in files(tmp_path / "s"))
