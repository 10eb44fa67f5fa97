"""The catalogue as a file."""

import csv
import json
import stat
from pathlib import Path

import pyarrow.parquet
import pytest

from pipelines.encode import FORMULA
from pipelines.export import export_catalogue
from recsys.errors import InputError, StorageError
from recsys.types import CatalogueItem
from tests.pipelines.shell import MAIL, N_ITEMS, QUANTITIES, assert_refused, done, privrec

TEA = CatalogueItem(item_id="tea", name="Tea, grün", category="drinks", price=2.5, stock=3, attributes=(("leaf", "x"),))
JAM = CatalogueItem(item_id="jam")
GONE = CatalogueItem(item_id="gone", deleted=True)
TEA_ROW = {"item": "tea", "name": "Tea, grün", "category": "drinks", "price": 2.5, "stock": 3, "attribute.leaf": "x"}


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_format_holds_the_items_that_are_in_the_shop(tmp_path: Path) -> None:
    table, lines, parquet = (tmp_path / f"a.{ending}" for ending in ("csv", "jsonl", "parquet"))
    assert [export_catalogue([TEA, GONE, JAM], path) for path in (table, lines, parquet)] == [2, 2, 2]
    jam = dict.fromkeys(TEA_ROW, "") | {"item": "jam"}
    assert cells(table) == [{name: str(value) for name, value in TEA_ROW.items()}, jam]
    assert json.loads(lines.read_text().splitlines()[0]) == TEA_ROW
    assert pyarrow.parquet.read_table(parquet).to_pylist()[0] == TEA_ROW


@pytest.mark.parametrize("start", FORMULA)
def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path, start: str) -> None:
    text = f"{start}1+cmd|' /C calc'!A0"
    item = CatalogueItem(item_id=text, name=text, category=text, attributes=((text, text),))
    export_catalogue([item], tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        found = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in found if cell.startswith(FORMULA)]
    assert found.count(f"'{text}") == 4


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_empty_catalogue_is_a_file_too(tmp_path: Path, ending: str) -> None:
    assert export_catalogue([], tmp_path / f"a.{ending}") == 0
    assert (tmp_path / f"a.{ending}").exists()


def test_only_the_owner_reads_the_file_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")
    export_catalogue([TEA], path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_another_format_or_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv, \.jsonl or \.parquet"):
        export_catalogue([TEA], tmp_path / "a.xlsx")
    with pytest.raises(StorageError, match="expected to write"):
        export_catalogue([TEA], tmp_path / "nowhere" / "a.csv")


def test_the_command_writes_what_was_ingested_and_nothing_of_a_customer(
    purchases: Path, fresh: Path, tmp_path: Path
) -> None:
    done("ingest", purchases, *QUANTITIES)
    path = tmp_path / "items.csv"
    assert done("export", path, "--json").json == {"items": N_ITEMS}
    assert len(cells(path)) == N_ITEMS
    assert MAIL not in path.read_text()
    assert_refused(privrec("export", tmp_path / "items.xlsx"), 3)
