"""A real server is killed, flushed, put back to an old snapshot and stopped while customers are erased: nothing leaks.

`python -m benchmarks.leaks` runs five hundred such cycles.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fence_cycles import CUSTOMERS, FAULTS, play_cycles

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: a socket's must be."""
    with tempfile.TemporaryDirectory(prefix="privrec-") as short:
        yield Path(short)


def test_no_cycle_serves_whom_an_acknowledgement_ruled_out(directory: Path) -> None:
    record = play_cycles(directory, 2 * len(FAULTS))
    assert record.leaks == 0
    assert len(record.acknowledged) == 2 * len(FAULTS) * CUSTOMERS
    assert len(record.served) > 2 * len(FAULTS) * CUSTOMERS
    assert record.fences.read().epoch > len(FAULTS)


def test_the_control_leaks_in_the_same_cycles(directory: Path) -> None:
    assert play_cycles(directory, len(FAULTS), fenced=False).leaks > 0
