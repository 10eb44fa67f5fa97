"""Public attributes of items through the command line: trained with, measured with, and refused with the reason."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.types import CatalogueItem
from tests.pipelines.shell import (
    ADA,
    BEN,
    QUANTITIES,
    assert_refused,
    contents,
    done,
    privrec,
    shop_rows,
    spends,
    write_csv,
)

STATISTICS = ["customers", "counts", "latent", "cross", "gram"]
ITEMS = sorted({item for _, item, _, _ in shop_rows()})


def write_kinds(path: Path, items: Sequence[str], item_column: str = "item") -> Path:
    """A file of attributes, a number and a label, of these items."""
    rows = [(item, f"kind {place % 3}", place) for place, item in enumerate(items)]
    return write_csv(path, rows, (item_column, "kind", "size"))


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    """Attributes of all items of the shop but one."""
    return write_kinds(tmp_path / "kinds.csv", ITEMS[1:])


@pytest.mark.service
def test_from_attributes_to_an_erased_customer_and_a_verified_receipt(
    purchases: Path, kinds: Path, fresh: Path, tmp_path: Path
) -> None:
    words = ("--epsilon", "8", "--releases", "2", "--attributes", kinds, "--json")
    found = done("train", "--data", purchases, *QUANTITIES, *words).json
    assert found["attributes"] == {
        "items": len(ITEMS),
        "described": len(ITEMS) - 1,
        "columns": {"kind": "labels", "size": "numbers"},
    }
    assert len(found["evaluation"]["rows"]) > 0
    assert spends(fresh) == STATISTICS
    assert done("recommend", BEN, "--json").json["personalized"] is True
    before = contents(fresh)
    receipt, key = tmp_path / "receipt.json", tmp_path / "key.pem"
    done("erase", ADA, "--release", "--receipt", receipt)
    key.write_text(done("keys", "public").out)
    assert "valid" in done("verify", receipt, "--public-key", key).out
    after = contents(fresh)
    assert (after["live"] != before["live"], after["sum"] != before["sum"]) == (True, True)
    assert spends(fresh) == [*STATISTICS, "latent", "cross", "gram"]
    assert done("recommend", ADA, "--json").json["personalized"] is False
    report = done("models", "report", after["live"]).out
    assert all(word in report for word in ("latent", "cross", "attributes of the items"))
    ledger = done("ledger").out
    assert all(word in ledger for word in ("latent", "cross"))
    assert "releases left like the last one, erasures say: 0" in ledger


def test_a_training_says_how_many_items_have_attributes_and_what_columns_are(
    trained: Path, kinds: Path, tmp_path: Path
) -> None:
    done("ledger", "budget", "--epsilon", "20")
    shown = done("train", "--attributes", kinds, "--no-evaluate").out
    assert f"{len(ITEMS) - 1} of {len(ITEMS)} items have some (kind: labels, size: numbers)" in shown


def test_the_item_column_of_attributes_goes_by_its_own_name(purchases: Path, tmp_path: Path) -> None:
    file = write_kinds(tmp_path / "kinds.csv", ITEMS, "sku")
    words = ("evaluate", "--data", purchases, "--trainer", "gram", "--attributes", file)
    assert_refused(privrec(*words), 3, "--attribute-item-column", "sku, kind, size")
    assert "items have some" in done(*words, "--attribute-item-column", "sku").out


def test_only_the_trainer_that_uses_attributes_is_measured_with_them(purchases: Path, kinds: Path) -> None:
    words = ("evaluate", "--data", purchases, "--trainer", "gram", "--trainer", "als", "--task", "any", "--json")
    plain, described = done(*words).json, done(*words, "--attributes", kinds).json
    assert described["attributes"]["described"] == len(ITEMS) - 1
    assert "attributes" not in plain
    of_als = [[row for row in found["rows"] if row["ranker"] == "als"] for found in (plain, described)]
    assert of_als[0] == of_als[1]


def test_the_catalogue_can_be_its_own_attributes(trained: Path) -> None:
    words = ("evaluate", "--trainer", "gram", "--attributes", "catalogue")
    assert_refused(privrec(*words), 3, "ids alone", "--attributes FILE")
    with open_workspace(Settings.load(), start_cache=False) as workspace:
        named = [CatalogueItem(item_id=item, name=f"Jar {item}", category="jars") for item in ITEMS]
        workspace.catalogue.add_items(named)
    assert "(category: labels, name: words)" in done(*words).out


NO_USE = [("--epsilon", "inf"), ("--trainer", "popularity"), ("--trainer", "als"), ("--trainer", "dp_als")]


@pytest.mark.parametrize("words", NO_USE, ids=" ".join)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_attributes_that_nothing_would_use_are_refused(
    command: str, words: tuple[str, str], trained: Path, kinds: Path
) -> None:
    before = contents(trained)
    assert_refused(privrec(command, *words, "--attributes", kinds), 3, "gram", "leave --attributes out")
    assert contents(trained) == before


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("item,kind\nno-such-item,a\n", "none of its"),
        ("item\na\n", "no other column"),
        ("item,kind\na,x\na,y\n", "rows 1 and 2"),
        ("", "an empty file"),
    ],
)
def test_a_wrong_file_of_attributes_leaves_state_as_it_was(
    text: str, found: str, trained: Path, purchases: Path, tmp_path: Path
) -> None:
    before = contents(trained)
    file = tmp_path / "attributes.csv"
    file.write_text(text)
    more = write_csv(tmp_path / "more.csv", [(ADA, "new-item", "2026-03-01", 1.0)])
    assert_refused(privrec("train", "--data", more, *QUANTITIES, "--attributes", file), 3, found)
    assert contents(trained) == before


def test_a_file_of_attributes_that_is_not_there_is_said_so(trained: Path) -> None:
    assert_refused(privrec("train", "--attributes", "gone.csv"), 3, "nothing there")
    assert_refused(privrec("evaluate", "--trainer", "gram", "--attributes", "genres"), 3, ".parquet")
