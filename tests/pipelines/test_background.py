"""What goes on beside a server, and how much of it is logged."""

import json

import pytest

from pipelines.background import Quietly
from recsys.errors import CacheUnavailableError


def logged(capsys: pytest.CaptureFixture[str], event: str) -> int:
    lines = (json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{"))
    return sum(line.get("event") == event for line in lines)


def test_a_failure_is_logged_when_it_begins_and_when_its_reason_changes(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = iter(["down", "down", "", "down", "gone", "gone"])

    def step() -> None:
        if reason := next(reasons):
            raise CacheUnavailableError(reason)

    quietly = Quietly(step, failed="cache not certified")
    for _ in range(6):
        quietly()
    assert logged(capsys, "cache not certified") == 3
