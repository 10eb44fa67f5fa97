"""What `privrec serve` is made of; the processes themselves run in tests/e2e."""

import signal
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import serve
from pipelines.api_process import running_api
from pipelines.erase import desk
from pipelines.serve import check_port, environment, free_port, work, worker_thread
from recsys.data.import_job import ImportKind, ImportState
from recsys.errors import StateError
from recsys.store.memory import MemoryCache
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, memory_workspace
from recsys.types import CatalogueItem, ErasureState
from tests.pipelines.shell import MAIL, NOBODY
from tests.pipelines.test_imports import send

PATIENCE = 20.0


def wait_for_receipts(workspace: Workspace) -> None:
    deadline = time.monotonic() + PATIENCE
    while workspace.erasures.pending() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert {request.state for request in workspace.erasures.requests()} == {ErasureState.RECEIPTED}


def test_a_free_port_can_be_listened_on_until_somebody_does() -> None:
    port = free_port()
    check_port("127.0.0.1", port)
    refused = pytest.raises(StateError, match=f"expected to listen on 127.0.0.1 port {port}, got: .*; .*--port")
    with socket.create_server(("127.0.0.1", port)), refused:
        check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StateError, match=r"expected to listen on 192\.0\.2\.1"):
        check_port("192.0.2.1", 8000)


def test_an_api_process_finds_the_installation_wherever_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    workspace = memory_workspace(Settings.load(state_dir=Path("here"), redis_url="unix:///cache"))
    assert environment(workspace) == {
        "PRIVREC_STATE_DIR": str(tmp_path / "here"),
        "PRIVREC_REDIS_URL": "unix:///cache",
    }


def test_the_thread_finishes_what_is_asked_for_before_and_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "POLL_SECONDS", 0.01)
    workspace = memory_workspace()
    desk(workspace).request(NOBODY)
    with worker_thread(workspace):
        wait_for_receipts(workspace)
        desk(workspace).request("somebody else")
        wait_for_receipts(workspace)
    assert "erasure-worker" not in [thread.name for thread in threading.enumerate()]


def test_a_store_that_is_away_is_tried_again_and_the_log_names_no_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "POLL_SECONDS", 0.01)
    workspace = replace(memory_workspace(wait=lambda _: None), cache=(cache := MemoryCache()))
    cache.down = True
    request, _ = desk(workspace).request(NOBODY)
    logged, deadline = "", time.monotonic() + PATIENCE
    with worker_thread(workspace):
        while "erasure postponed" not in logged and time.monotonic() < deadline:
            time.sleep(0.005)
            logged += capsys.readouterr().err
        cache.down = False
        wait_for_receipts(workspace)
    logged += capsys.readouterr().err
    assert "expected the cache to answer" in logged
    assert request.request_id in logged
    assert MAIL not in logged


def test_the_worker_stops_on_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop = threading.Event()
    try:
        serve.stop_on_signals(stop)
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
        work(memory_workspace(), stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.service
def test_a_server_that_cannot_start_is_an_error_that_says_how_to_see_why(tmp_path: Path) -> None:
    nowhere = memory_workspace(Settings.load(state_dir=tmp_path / "no parent" / "state"))
    with pytest.raises(StateError, match="privrec serve"), running_api(nowhere):
        pytest.fail("the server started")


def test_the_thread_works_off_imports_beside_erasures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "POLL_SECONDS", 0.01)
    workspace = memory_workspace(wait=lambda _: None)
    import_id = send(workspace, "item_id,name\ntea,Tea\n", kind=ImportKind.CATALOGUE)
    deadline = time.monotonic() + PATIENCE
    with worker_thread(workspace):
        while workspace.imports.lying() and time.monotonic() < deadline:
            time.sleep(0.005)

    assert workspace.imports.job(import_id).state is ImportState.DONE
    assert workspace.catalogue.items() == (CatalogueItem(item_id="tea", name="Tea"),)
