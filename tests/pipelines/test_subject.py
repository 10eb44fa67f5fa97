"""One customer's rights on the command line."""

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.corrections import read_corrections
from pipelines.erase import recommender
from recsys.errors import InputError
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.types import CatalogueItem, Purchase
from tests.pipelines.shell import ADA, BEN, assert_refused, done, privrec


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


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A shop with one customer."""
    with open_workspace(Settings(state_dir=tmp_path / "s"), start_cache=False) as workspace:
        workspace.catalogue.add_items([CatalogueItem(item_id=item) for item in ("tea", "coffee")])
        bought = [Purchase(item_id="tea", timestamp=datetime(2026, 1, 31, tzinfo=UTC), event_id="1")]
        recommender(workspace).record({ADA: bought})
    return tmp_path / "s"


def test_each_right_is_one_command(state_dir: Path, tmp_path: Path) -> None:
    at = ("--state-dir", str(state_dir))
    file, corrections = tmp_path / "ada.zip", write(tmp_path, "event_id,item_id\n1,coffee\n2,coffee\n")
    assert "purchases: 1, from 2026-01-31 to 2026-01-31" in done("subject", "show", ADA, *at).out
    assert done("subject", "show", ADA, "--json", *at).json["purchases"]["count"] == 1
    done("subject", "export", ADA, "--output", str(file), *at)
    assert "purchases.csv" in zipfile.ZipFile(file).namelist()
    rectified = done("subject", "rectify", ADA, "--file", str(corrections), "--json", *at).json
    assert rectified == {"statuses": ["corrected", "unknown"]}
    assert done("subject", "object", ADA, "--json", *at).json == {"kind": "objection", "in_force": True}
    assert done("subject", "restrict", ADA, "--json", *at).json == {"kind": "restriction", "in_force": True}
    kinds = [request["kind"] for request in done("subject", "show", ADA, "--json", *at).json["requests"]]
    assert kinds == ["rectification", "objection", "restriction"]
    done("worker", "--once", *at)
    states = {request["state"] for request in done("subject", "show", ADA, "--json", *at).json["requests"]}
    assert states == {"done"}
    assert "taken back" in done("subject", "object", ADA, "--withdraw", *at).out
    assert done("subject", "restrict", ADA, "--lift", "--json", *at).json["in_force"] is False
    done("subject", "erase", ADA, *at)
    nothing = done("subject", "show", ADA, "--json", *at).json
    assert nothing == done("subject", "show", "nobody", "--json", *at).json


def test_two_accounts_become_one_and_a_dry_run_says_how_many_purchases(state_dir: Path) -> None:
    at = ("--state-dir", str(state_dir))
    counts = {"account": 1, "into": 0, "together": 1, "conflicts": 0, "counted": "internal, not private"}
    assert done("subject", "merge", ADA, BEN, "--dry-run", "--json", *at).json == counts
    assert "together" in done("subject", "merge", ADA, BEN, "--dry-run", *at).out
    assert done("subject", "show", ADA, "--json", *at).json["purchases"]["count"] == 1

    assert done("subject", "merge", ADA, BEN, "--json", *at).json == {"status": "acknowledged"}
    assert "privrec worker" in done("subject", "merge", ADA, BEN, *at).out
    assert done("subject", "show", BEN, "--json", *at).json["purchases"]["count"] == 1
    assert done("subject", "show", ADA, "--json", *at).json == done("subject", "show", "nobody", "--json", *at).json
    done("subject", "restrict", BEN, *at)
    assert "restricted" in done("subject", "merge", ADA, BEN, *at).out
    assert_refused(privrec("subject", "merge", BEN, BEN, *at), 3, "two accounts")
