"""`privrec serve` as a process: it finishes erasures by itself, ends cleanly, and goes on after kill -9."""

import os
import re
import signal
from pathlib import Path

import pytest
from redis import Redis

from recsys.evidence.receipt import verify_receipt
from recsys.evidence.signing import read_public_key
from recsys.store.embedded import SOCKET_FILE, EmbeddedValkey
from recsys.types import ErasureState
from tests.contracts.conftest import Database
from tests.e2e.processes import Server, Shop, assert_serves_soon, serving, wait_for
from tests.pipelines.shell import (
    ADA,
    BEN,
    FIRST_RELEASE,
    MAIL,
    N_CUSTOMERS,
    QUANTITIES,
    TRAINED,
    assert_refused,
    contents,
    done,
    privrec,
    spends,
)

pytestmark = [pytest.mark.e2e, pytest.mark.service, pytest.mark.slow]


def cache_of(state_dir: Path) -> tuple[Path, int]:
    """The socket and the process of the cache's server that was started beside `privrec serve`."""
    path = Path((state_dir / SOCKET_FILE).read_text())
    with Redis(unix_socket_path=str(path)) as client:
        return path, int(client.info("server")["process_id"])


def gone(process_id: int) -> bool | None:
    """True once there is no such process, or nothing of it but its name."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{process_id}/stat")
    return (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z") or None


def assert_nothing_is_told(server: Server) -> None:
    """What was printed names no customer and no item, and nothing went wrong."""
    assert "listening on" in server.printed
    assert "/v1/users/{user_id}/recommendations" in server.printed
    assert MAIL not in server.printed
    assert re.findall(r"\bi\d\d\b", server.printed) == []
    assert "Traceback" not in server.printed


def assert_receipt_holds(receipt: bytes, request_id: str) -> None:
    body = verify_receipt(receipt, read_public_key(done("keys", "public").out.encode()))
    assert body["request_id"] == request_id


def test_an_erasure_is_finished_by_the_server_itself_and_sigterm_leaves_nothing_behind(
    trained: Path, tmp_path: Path
) -> None:
    with serving(tmp_path / "log") as (server, shop):
        assert [shop.recommend(user)["personalized"] for user in (ADA, BEN)] == [True, True]
        assert shop.buy(BEN, shop.recommend(BEN, task="discover")["items"][0]["item_id"]) == "accepted"
        assert_refused(privrec("train", "--epsilon", "1"), 5, "expected to own", str(server.process.pid))
        request_id = shop.erase(ADA, release=True)["request_id"]
        assert shop.recommend(ADA)["personalized"] is False
        assert_receipt_holds(wait_for(lambda: shop.receipt(request_id)), request_id)
        assert spends(trained) == [*FIRST_RELEASE, "gram"]
        assert_serves_soon(shop, str(contents(trained)["live"]))

        socket, cache = cache_of(trained)
        assert server.end(signal.SIGTERM) == 0
        assert wait_for(lambda: gone(cache))
    assert not socket.parent.exists()
    assert not (trained / SOCKET_FILE).exists()
    assert not list(trained.glob("lock.*"))
    assert len(contents(trained)["histories"]) == N_CUSTOMERS - 1
    assert_nothing_is_told(server)


NOT_SERVED = {"alembic", "dp_accounting", "implicit", "matplotlib", "opacus", "pandas", "pyarrow", "torch"}
"""What trains, accounts or migrates: each takes a good part of a server's start, and none of it answers a request."""
NOT_SERVED_PARTS = {
    "recsys.audit",
    "recsys.privacy.accounting",
    "recsys.training",
    "scipy.optimize",
    "scipy.signal",
    "scipy.stats",
}


def test_a_server_loads_nothing_that_trains(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with serving(tmp_path / "log") as (server, shop):
        assert shop.buy(BEN, shop.recommend(BEN, task="discover")["items"][0]["item_id"]) == "accepted"
        assert shop.recommend(BEN)["personalized"] is True
        wait_for(lambda: "lists published" in server.printed or None)
    loaded = set(re.findall(r"^import time: .* ([\w.]+)$", server.printed, re.MULTILINE))

    assert {"api.routes.recommendations", "numpy", "recsys.models.top_k"} <= loaded
    assert {name.partition(".")[0] for name in loaded} & NOT_SERVED == set()
    assert loaded & NOT_SERVED_PARTS == set()


def test_an_acknowledged_erasure_survives_kill_9_and_is_finished_by_the_next_server(
    trained: Path, tmp_path: Path
) -> None:
    with serving(tmp_path / "log 1") as (killed, shop):
        assert shop.recommend(ADA)["personalized"] is True
        request_id = shop.erase(ADA, release=False)["request_id"]
        killed.end(signal.SIGKILL)
        _, orphan = cache_of(trained)
    with serving(tmp_path / "log 2") as (server, shop):
        assert gone(orphan)
        assert shop.recommend(ADA)["personalized"] is False
        assert_receipt_holds(wait_for(lambda: shop.receipt(request_id)), request_id)
        assert server.end(signal.SIGTERM) == 0
    after = contents(trained)
    assert [request.state for request in after["requests"]] == [ErasureState.RECEIPTED]
    assert len(after["histories"]) == N_CUSTOMERS - 1
    for each in (killed, server):
        assert_nothing_is_told(each)


def test_api_and_worker_share_a_postgresql_database_and_a_cache(
    fresh: Path, purchases: Path, tmp_path: Path, postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql_database(tmp_path) as url, EmbeddedValkey(tmp_path) as cache:
        monkeypatch.setenv("PRIVREC_DATABASE_URL", url)
        monkeypatch.setenv("PRIVREC_REDIS_URL", cache.url)
        done("train", "--data", purchases, *QUANTITIES, *TRAINED)
        assert done("publish", "--json").json["customers"] == N_CUSTOMERS
        with serving(tmp_path / "log", "--no-worker") as (server, shop):
            assert_erased_by_the_worker_alone(shop, fresh)
            assert server.end(signal.SIGTERM) == 0
        assert len(contents(fresh)["histories"]) == N_CUSTOMERS - 1
        assert spends(fresh) == [*FIRST_RELEASE, "gram"]
    assert not (fresh / "privrec.sqlite").exists()
    assert_nothing_is_told(server)


def assert_erased_by_the_worker_alone(shop: Shop, state_dir: Path) -> None:
    """The API acknowledges and suppresses; the rest waits for the worker, whose release the API then serves."""
    before = shop.recommend(ADA)
    assert (before["personalized"], before["degraded"]) == (True, False)
    request_id = shop.erase(ADA, release=True)["request_id"]
    assert shop.recommend(ADA)["personalized"] is False
    assert shop.answer("GET", f"/v1/erasures/{request_id}")["state"] == ErasureState.SUPPRESSED
    assert shop.receipt(request_id) is None
    assert done("worker", "--once").out == "finished 1 erasures and 0 imports\n"
    receipt = shop.receipt(request_id)
    assert receipt is not None
    assert_receipt_holds(receipt, request_id)
    live = str(contents(state_dir)["live"])
    assert live != before["version"]
    assert_serves_soon(shop, live)
