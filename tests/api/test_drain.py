"""SIGTERM to a real API process: not ready at once, answering for a while, finishing what is at hand, gone."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.serve import free_port
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.types import Scope

pytestmark = [pytest.mark.slow, pytest.mark.service]

PATIENCE = 60.0
DRAIN_SECONDS = 2.0


class Process:
    """An API process of its own, and one key."""

    def __init__(self, state_dir: Path, log: Path, drain: float) -> None:
        with open_workspace(Settings(state_dir=state_dir), start_cache=False) as workspace:
            _, self.secret = workspace.api_keys.create("all", frozenset(Scope))
        self.port = free_port()
        command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:from_environment", "--port", str(self.port)]
        environ = {**os.environ, "PRIVREC_STATE_DIR": str(state_dir), "PRIVREC_DRAIN_SECONDS": str(drain)}
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, env=environ, stdout=file, stderr=file)
        self._wait()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def get(self, path: str) -> tuple[int, Any]:
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None
            try:
                self.get("/health/live")
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail("the process did not start")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    found = Process(tmp_path / "state", tmp_path / "log", DRAIN_SECONDS)
    yield found
    found.process.kill()
    found.process.wait()


def test_sigterm_turns_readiness_first_and_requests_at_hand_are_finished(process: Process) -> None:
    body = b'{"events": []}'
    begun = process.connect()
    begun.putrequest("POST", "/v1/events")
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-API-Key": process.secret,
    }.items():
        begun.putheader(name, value)
    begun.endheaders(body[:5])
    assert process.get("/health/ready")[1]["checks"]["process"]["state"] == "ok"

    process.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    while process.get("/health/ready")[1]["checks"]["process"]["state"] != "stopping":
        assert time.monotonic() < told + DRAIN_SECONDS
    status, answer = process.get("/health/ready")
    assert (status, answer["ready"]) == (503, False)
    assert process.get("/health/live")[0] == 200

    time.sleep(DRAIN_SECONDS + 0.5)
    assert process.process.poll() is None, "a request is at hand"
    with pytest.raises(ConnectionRefusedError):
        process.get("/health/live")
    begun.send(body[5:])
    response = begun.getresponse()
    assert (response.status, json.loads(response.read())["results"]) == (200, [])
    assert process.process.wait(timeout=PATIENCE) in {0, -signal.SIGTERM}


def test_a_second_sigterm_is_not_made_to_wait(process: Process) -> None:
    began = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    while process.get("/health/ready")[1]["checks"]["process"]["state"] != "stopping":
        assert time.monotonic() < began + DRAIN_SECONDS
    process.process.send_signal(signal.SIGTERM)

    process.process.wait(timeout=PATIENCE)
    assert time.monotonic() - began < DRAIN_SECONDS
