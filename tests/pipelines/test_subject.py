"""One customer's rights on the command line."""

from pathlib import Path

import pytest

from pipelines.corrections import read_corrections
from recsys.errors import InputError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "corrections.csv"
    path.write_text(text)
    return path


def test_an_empty_cell_leaves_a_field_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "event_id,delete,item_id,timestamp,quantity\n1,,b,2026-01-31T12:00:00Z,2\n2,true,,,\n")
    first, second = read_corrections(path)
    assert (first.event_id, first.delete, first.item_id, first.quantity) == ("1", False, "b", 2.0)
    assert first.timestamp is not None
    assert (second.delete, second.item_id, second.timestamp, second.quantity) == (True, None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "item_id\nb\n",
        "event_id,price\n1,2\n",
        "event_id,delete\n1,maybe\n",
        "event_id,quantity\n1,two\n",
        "event_id,timestamp\n1,2026-01-31T12:00:00\n",
        "event_id,delete\n,true\n",
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"^expected "):
        read_corrections(write(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="FileNotFoundError"):
        read_corrections(tmp_path / "nothing.csv")
