"""An API process without a worker: a cache that nobody certified is certified, and a reason why not is told once."""

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest
from redis import Redis
from starlette.testclient import TestClient

from api import certifier
from api.app import create_app
from api.certifier import Certifier
from recsys.errors import CacheUnavailableError
from recsys.store.embedded import EmbeddedValkey
from recsys.store.logs import json_logger
from recsys.store.settings import Settings

PATIENCE = 30.0


class Turns:
    """Certifies as it is told, one turn after the other."""

    def __init__(self, *turns: str) -> None:
        self.turns = list(turns)

    def __call__(self) -> bool:
        reason = self.turns.pop(0)
        if reason:
            raise CacheUnavailableError(reason)
        return True


def test_a_reason_is_logged_when_it_is_a_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    turns = Turns("down", "down", "", "down", "busy")
    keeper = Certifier(turns, json_logger())
    for _ in range(5):
        asyncio.run(keeper.look())

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("cache not certified", reason) for reason in ("down", "down", "busy")
    ]


def test_it_looks_again_and_again_while_it_runs_and_not_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certifier, "SECONDS", 0.001)
    turns, enough = Turns(*[""] * 1000), threading.Event()

    def look() -> bool:
        if len(turns.turns) < 998:
            enough.set()
        return turns()

    async def watch() -> int:
        async with Certifier(look, json_logger()).running():
            await asyncio.to_thread(enough.wait, PATIENCE)
        return len(turns.turns)

    left = asyncio.run(watch())
    assert left < 998
    assert len(turns.turns) == left


@pytest.mark.service
@pytest.mark.slow
def test_a_server_that_nobody_certified_is_certified_by_the_api_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certifier, "SECONDS", 0.05)

    def wait_for(client: TestClient, state: str) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if client.get("/health/ready").json()["checks"]["cache"]["state"] == state:
                return True
            time.sleep(0.05)
        return False

    with EmbeddedValkey(tmp_path) as cache:
        settings = Settings(state_dir=tmp_path / "state", redis_url=cache.url, drain_seconds=0)
        with TestClient(create_app(settings)) as client:
            assert wait_for(client, "certified")
            flush(cache.url)
            assert wait_for(client, "certified")


def flush(url: str) -> None:
    with Redis.from_url(url) as server:
        server.flushall()
        assert server.dbsize() == 0
