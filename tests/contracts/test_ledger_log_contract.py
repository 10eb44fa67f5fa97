"""What every ledger log keeps."""

import threading
from typing import Any

import pytest

from recsys.errors import StateError
from recsys.store.workspace import Workspace
from recsys.types import Json

ENTRIES: list[dict[str, Json]] = [
    {"index": 0, "purpose": "größe", "mu": 0.1},
    {"index": 1, "purpose": None, "nested": {"a": [1, 2.5]}},
]


def test_entries_come_back_as_they_were_appended(ports: Workspace) -> None:
    for entry in ENTRIES:
        ports.ledger_log.append(entry)
    assert ports.ledger_log.entries() == ENTRIES


@pytest.mark.parametrize("index", [0, 2, -1, None])
def test_only_the_next_index_is_taken(ports: Workspace, index: Any) -> None:
    ports.ledger_log.append({"index": 0})
    with pytest.raises(StateError, match="retry"):
        ports.ledger_log.append({"index": index, "purpose": "second"})
    assert ports.ledger_log.entries() == [{"index": 0}]


def test_of_those_who_append_at_once_one_wins_and_the_others_are_told(ports: Workspace) -> None:
    barrier, outcomes = threading.Barrier(4), []

    def append(number: int) -> None:
        barrier.wait()
        try:
            ports.ledger_log.append({"index": 0, "number": number})
            outcomes.append("kept")
        except StateError:
            outcomes.append("refused")

    threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", "refused", "refused", "refused"]
    assert len(ports.ledger_log.entries()) == 1


def test_changing_an_entry_that_was_read_does_not_change_the_log(ports: Workspace) -> None:
    ports.ledger_log.append({"index": 0, "mu": 1})
    ports.ledger_log.entries()[0]["mu"] = 2
    assert ports.ledger_log.entries() == [{"index": 0, "mu": 1}]
