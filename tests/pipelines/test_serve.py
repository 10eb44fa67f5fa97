"""What `privrec serve` is made of; the processes themselves run in tests/e2e."""

import signal
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines import background, serve
from pipelines.api_process import running_api
from pipelines.erase import desk, recommender
from pipelines.serve import check_port, environment, free_port, publish, publisher_thread, work, worker_thread
from recsys.data.import_job import ImportKind, ImportState
from recsys.errors import StateError
from recsys.store.memory import MemoryCache
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, memory_workspace
from recsys.types import CatalogueItem, ErasureState, Purchase
from tests.api.shop import ITEM_IDS, tea_and_coffee
from tests.api.shop import publish as publish_model
from tests.pipelines.shell import MAIL, NOBODY
from tests.pipelines.test_imports import announce, send
from tests.recsys.training.shop import TickingClock

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


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(StateError, match=r"port 99999, got: there is no such port; .*--port"):
        check_port("127.0.0.1", 99999)


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
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
    workspace = memory_workspace()
    desk(workspace).request(NOBODY)
    before = threading.enumerate()
    with worker_thread(workspace):
        assert {"work", "work_files"} <= {thread.name for thread in threading.enumerate()}
        wait_for_receipts(workspace)
        desk(workspace).request("somebody else")
        wait_for_receipts(workspace)
    assert set(threading.enumerate()) <= set(before)


def test_a_store_that_is_away_is_tried_again_and_the_log_names_no_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
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


def test_an_erasure_that_is_finished_is_logged_though_another_has_to_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, stop = memory_workspace(clock=TickingClock(), wait=lambda _: None), threading.Event()
    first, _ = desk(workspace).request(NOBODY)
    announce(workspace, "an upload that has not come yet")
    second, _ = desk(workspace).request("somebody else")
    monkeypatch.setattr(stop, "wait", lambda _: stop.set())
    work(workspace, stop)
    logged = capsys.readouterr().err

    assert [request.request_id for request, _ in workspace.erasures.pending()] == [second.request_id]
    assert "erasure postponed" in logged
    assert first.request_id in logged
    assert second.request_id not in logged


def lists_of(workspace: Workspace, user_id: str) -> bytes | None:
    return workspace.cache.get(workspace.keys.user_key(user_id))


def a_shop(workspace: Workspace, user_ids: Iterable[str]) -> Workspace:
    workspace.catalogue.add_items([CatalogueItem(item_id=item) for item in ITEM_IDS])
    publish_model(workspace, tea_and_coffee())
    bought = Purchase(event_id="1", item_id="tea-1", timestamp=datetime(2026, 1, 31, 12, tzinfo=UTC))
    recommender(workspace).record({user_id: [bought] for user_id in user_ids})
    return workspace


def test_a_server_publishes_beside_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
    workspace = a_shop(memory_workspace(), ["ada"])
    stale, before = lists_of(workspace, "ada"), threading.enumerate()
    with publisher_thread(workspace):
        deadline = time.monotonic() + PATIENCE
        while lists_of(workspace, "ada") == stale and time.monotonic() < deadline:
            time.sleep(0.005)
    assert len(lists_of(workspace, "ada") or b"") > len(stale or b"")
    assert set(threading.enumerate()) <= set(before)


def test_publishing_is_tried_again_until_the_cache_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
    workspace = replace(memory_workspace(wait=lambda _: None), cache=(cache := MemoryCache()))
    a_shop(workspace, [MAIL])
    cache.down = True
    logged, deadline = "", time.monotonic() + PATIENCE
    with publisher_thread(workspace):
        while "lists published" not in logged and time.monotonic() < deadline:
            time.sleep(0.005)
            logged += capsys.readouterr().err
            cache.down = cache.down and "lists not published" not in logged
    assert "expected the cache to answer" in logged
    assert "lists published" in logged
    assert MAIL not in logged
    assert lists_of(workspace, MAIL)


def test_a_server_that_ends_does_not_wait_for_the_last_customer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "POLL_SECONDS", 0.0)
    monkeypatch.setattr("recsys.serving.publisher.PUBLISH_BATCH", 1)
    workspace, stop = a_shop(memory_workspace(), ["ada", "bo", "cy"]), threading.Event()
    put = workspace.cache.put
    written = []

    def stopped_after_the_first(*given: Any) -> int:
        stop.set()
        written.append(given)
        return put(*given)

    monkeypatch.setattr(workspace.cache, "put", stopped_after_the_first)
    publish(workspace, stop)
    assert len(written) == 1


def test_without_a_live_model_there_is_nothing_to_publish(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(background, "POLL_SECONDS", 0.0)
    publish(memory_workspace(), threading.Event())
    assert capsys.readouterr().err == ""


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
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
    workspace = memory_workspace(wait=lambda _: None)
    import_id = send(workspace, "item_id,name\ntea,Tea\n", kind=ImportKind.CATALOGUE)
    deadline = time.monotonic() + PATIENCE
    with worker_thread(workspace):
        while workspace.imports.lying() and time.monotonic() < deadline:
            time.sleep(0.005)

    assert workspace.imports.job(import_id).state is ImportState.DONE
    assert workspace.catalogue.items() == (CatalogueItem(item_id="tea", name="Tea"),)
