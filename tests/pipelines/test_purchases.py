"""Purchases from files into the store, and models from them, through the command line."""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.ingest import BATCH
from recsys.models import dp_als, dp_sgd
from recsys.types import IngestReport
from tests.pipelines.shell import (
    ADA,
    BEN,
    COLUMNS,
    FIRST_RELEASE,
    MAIL,
    N_CUSTOMERS,
    N_ITEMS,
    NOBODY,
    QUANTITIES,
    Row,
    assert_refused,
    contents,
    done,
    privrec,
    shop_rows,
    spends,
    write_csv,
    write_json_lines,
    write_parquet,
)
from tests.recsys.training.shop import NEEDS_TORCH

OWN_NAMES = ("who", "what", "when", "how many")
NAMED = [word for field, name in zip(COLUMNS, OWN_NAMES, strict=True) for word in (f"--{field}-column", name)]


def bought(user: str) -> set[str]:
    """The items that the customer of the fixtures bought."""
    return {item for who, item, _, quantity in shop_rows() if who == user and quantity > 0}


def items(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_every_row_of_a_file_is_accounted_for(purchases: Path, fresh: Path) -> None:
    report = done("ingest", purchases, *QUANTITIES, "--json").json
    assert report.keys() == set(IngestReport.__slots__)
    assert report["rows"] == report["accepted"] == len(shop_rows())
    assert len(contents(fresh)["histories"]) == N_CUSTOMERS


def test_ingesting_twice_adds_nothing(purchases: Path, fresh: Path) -> None:
    done("ingest", purchases, *QUANTITIES)
    before = contents(fresh)
    again = done("ingest", purchases, *QUANTITIES, "--json").json
    assert (again["accepted"], again["duplicates"]) == (0, len(shop_rows()))
    assert contents(fresh) == before


def test_a_dry_run_says_what_an_ingestion_will_do_and_stores_nothing(tmp_path: Path, fresh: Path) -> None:
    done("ingest", write_csv(tmp_path / "before.csv", shop_rows()), *QUANTITIES)
    done("erase", ADA, "--receipt", tmp_path / "receipt.json")
    rows = [*shop_rows(), (BEN, "never seen", "2026-01-31", 2.0), (BEN, "i01", "2026-01-31", -1.0)]
    file = write_csv(tmp_path / "more.csv", rows)
    before = contents(fresh)
    foretold = done("ingest", file, *QUANTITIES, "--dry-run", "--json").json
    assert contents(fresh) == before
    assert foretold == done("ingest", file, *QUANTITIES, "--json").json
    assert (foretold["accepted"], foretold["returns"]) == (1, 1)
    assert foretold["suppressed"] == sum(who == ADA for who, *_ in shop_rows())
    assert foretold["duplicates"] == len(shop_rows()) - foretold["suppressed"]


def test_a_dry_run_tells_who_objects_from_who_is_restricted(tmp_path: Path, fresh: Path) -> None:
    done("ingest", write_csv(tmp_path / "before.csv", shop_rows()), *QUANTITIES)
    done("subject", "object", ADA)
    done("subject", "restrict", BEN)
    rows = [(who, "i01", "2026-01-31", 1.0) for who in (ADA, BEN)]
    file = write_csv(tmp_path / "more.csv", rows)
    foretold = done("ingest", file, *QUANTITIES, "--dry-run", "--json").json
    assert (foretold["accepted"], foretold["suppressed"]) == (1, 1)
    assert foretold == done("ingest", file, *QUANTITIES, "--json").json


def test_a_dry_run_tells_conflicts_with_what_is_stored(tmp_path: Path, fresh: Path) -> None:
    columns, named = (*COLUMNS, "event"), ("--event-column", "event")
    done("ingest", write_csv(tmp_path / "a.csv", [(BEN, "tea", "2026-01-31", 1, "e1")], columns), *named)
    file = write_csv(tmp_path / "b.csv", [(BEN, "jam", "2026-01-31", 1, "e1")], columns)
    report = done("ingest", file, *named, "--dry-run", "--json").json
    assert (report["accepted"], report["conflicts"]) == (0, 1)
    assert [item.item_id for item in contents(fresh)["catalogue"]] == ["tea"]


def test_people_see_that_a_dry_run_was_one(purchases: Path, fresh: Path) -> None:
    assert "Would be ingested" in done("ingest", purchases, *QUANTITIES, "--dry-run").out
    assert contents(fresh)["histories"] == {}


def test_people_get_the_report_as_a_table(purchases: Path, fresh: Path) -> None:
    shown = done("ingest", purchases, *QUANTITIES).out
    assert f"{len(shop_rows()):,}" in shown
    assert "duplicates" in shown


@pytest.mark.parametrize("write", [write_csv, write_json_lines, write_parquet])
def test_any_columns_of_any_file_will_do(write: Any, tmp_path: Path, fresh: Path) -> None:
    suffix = {write_csv: "csv", write_json_lines: "jsonl", write_parquet: "parquet"}[write]
    file = write(tmp_path / f"mine.{suffix}", shop_rows(), OWN_NAMES)
    report = done("ingest", file, *NAMED, "--json").json
    assert report["accepted"] == len(shop_rows())


def test_the_same_purchases_are_the_same_in_every_format(tmp_path: Path, fresh: Path) -> None:
    done("ingest", write_csv(tmp_path / "mine.csv", shop_rows()), *QUANTITIES)
    for file in (
        write_parquet(tmp_path / "mine.parquet", shop_rows()),
        write_json_lines(tmp_path / "mine.jsonl", shop_rows()),
    ):
        again = done("ingest", file, *QUANTITIES, "--json").json
        assert (again["accepted"], again["duplicates"]) == (0, len(shop_rows()))


def test_more_customers_than_one_transaction_takes_are_all_kept(tmp_path: Path, fresh: Path) -> None:
    rows = [(f"u{number}", "i", "2026-01-31", 1) for number in range(BATCH + 1)]
    done("ingest", write_csv(tmp_path / "many.csv", rows))
    assert len(contents(fresh)["histories"]) == BATCH + 1


def test_a_file_is_ingested_and_trained_on_in_one_command(purchases: Path, fresh: Path) -> None:
    words = ("--data", purchases, *QUANTITIES, "--epsilon", "8", "--delta", "1e-5", "--releases", "2", "--json")
    version = done("train", *words).json
    after = contents(fresh)
    assert after["live"] == version["version"]
    assert len(after["histories"]) == N_CUSTOMERS
    assert spends(fresh) == FIRST_RELEASE
    assert version["trainer"] == "gram"
    assert version["privacy"]["private"] is True
    assert version["privacy"]["epsilon"] < 8
    assert version["privacy"]["delta"] == 1e-5


def test_a_training_without_a_file_takes_what_was_ingested(purchases: Path, fresh: Path) -> None:
    done("ingest", purchases, *QUANTITIES)
    assert "is live (gram, epsilon=4 at delta=1e-06)" in done("train", "--no-evaluate").out


def test_a_training_needs_purchases(fresh: Path) -> None:
    assert_refused(privrec("train"), 3, "got none", "privrec ingest")
    assert contents(fresh)["ledger"] == []


def test_popularity_books_counts_alone(purchases: Path, fresh: Path) -> None:
    done("train", "--data", purchases, *QUANTITIES, "--trainer", "popularity")
    assert spends(fresh) == ["counts"]


@pytest.mark.parametrize(
    ("trainer", "statistics"),
    [
        ("dp_als", ["counts", *dp_als.STATISTICS]),
        pytest.param("dp_sgd", ["counts", dp_sgd.STATISTIC], marks=NEEDS_TORCH),
    ],
)
def test_the_private_peers_book_what_they_release(
    trainer: str, statistics: list[str], purchases: Path, fresh: Path
) -> None:
    told = done("train", "--data", purchases, *QUANTITIES, "--trainer", trainer, "--no-evaluate").out
    assert re.search(rf"is live \({trainer}, epsilon=(4|3\.99\d*|4\.00) at delta=1e-06\)", told), told
    assert spends(fresh) == statistics


def test_without_torch_its_trainer_is_refused_with_the_way_to_get_it(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(trained)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert_refused(privrec("train", "--trainer", "dp_sgd"), 3, "torch", "pip install 'privrec[dp]'")
    assert contents(trained) == before


@pytest.mark.parametrize("trainer", ["als", "als_certified"])
def test_als_says_that_it_is_not_private(purchases: Path, fresh: Path, trainer: str) -> None:
    words = ("--data", purchases, *QUANTITIES, "--trainer", trainer)
    assert f"is live ({trainer}, NOT private)" in done("train", *words).out
    [version] = done("models", "--json").json
    assert (version["privacy"]["private"], version["privacy"]["epsilon"]) == (False, "infinity")
    assert done("ledger", "--json").json["epsilon_spent"] == "infinity"


def test_the_penalty_of_als_stands_in_the_manifest(purchases: Path, fresh: Path) -> None:
    words = ("--trainer", "als_certified", "--penalty", 0.8, "--no-evaluate", "--json")
    config = done("train", "--data", purchases, *QUANTITIES, *words).json["config"]
    assert config["terms"]["penalty"] == 0.8
    assert config["certificate"]["outside_bound"] <= 1


def test_als_does_not_fit_a_budget_that_promises_something(trained: Path) -> None:
    before = contents(trained)
    assert_refused(privrec("train", "--trainer", "als"), 4, "nothing was drawn")
    assert contents(trained) == before


def test_a_customer_gets_a_personal_list_and_new_items_where_only_those_are_asked_for(trained: Path) -> None:
    anything = done("recommend", ADA, "--json").json
    new = done("recommend", ADA, "--task", "discover", "--json", "-n", N_ITEMS).json
    assert anything["personalized"] is True
    assert anything["version"] == new["version"] == contents(trained)["live"]
    assert items(anything)[0] in bought(ADA)
    assert set(items(new)).isdisjoint(bought(ADA))
    assert new["items"]


def test_the_list_is_as_long_as_asked_for(trained: Path) -> None:
    assert len(done("recommend", ADA, "-n", "3", "--json").json["items"]) == 3


def test_a_list_can_be_filtered_and_be_of_own_habits_alone(trained: Path) -> None:
    again = done("recommend", ADA, "--task", "buy_again", "--json").json
    nothing = done("recommend", ADA, "--filter", "not in_stock", "--json").json

    assert again["items"]
    assert {item["reason"] for item in again["items"]} == {"bought_before"}
    assert nothing["items"] == []
    assert_refused(privrec("recommend", ADA, "--filter", "price"), 3, "at character 6 of the filter")


def test_the_titles_say_whose_list_it_is(trained: Path) -> None:
    assert "For this customer" in done("recommend", ADA).out
    assert "Popular" in done("recommend", NOBODY).out


def test_without_a_model_a_list_is_empty_and_names_no_version(fresh: Path) -> None:
    answer = done("recommend", ADA, "--json").json
    assert (answer["items"], answer["version"], answer["personalized"]) == ([], None, False)


@pytest.mark.service
def test_everybodys_lists_are_published(trained: Path) -> None:
    assert done("publish", "--json").json == {"customers": N_CUSTOMERS, "version": contents(trained)["live"]}
    assert f"published {N_CUSTOMERS} customers" in done("publish").out


@pytest.mark.service
def test_without_a_model_there_is_nothing_to_publish(fresh: Path) -> None:
    assert_refused(privrec("publish"), 3, "privrec train")


def test_products_may_be_called_what_they_like(tmp_path: Path, fresh: Path) -> None:
    names = ("[/red]", "[bold]", "\\[x]", ":smile:")
    rows = [(f"u{user}", item, f"2026-01-0{place + 1}", 1) for user in range(9) for place, item in enumerate(names)]
    done("train", "--data", write_csv(tmp_path / "odd.csv", rows))
    shown = done("recommend", "u1", "-n", "4").out
    assert [name for name in names if name not in shown] == []


def test_a_second_training_retires_the_first_and_either_can_be_made_live(trained: Path) -> None:
    first = contents(trained)["live"]
    second = done("train", "--epsilon", "1", "--json").json["version"]
    assert statuses() == {first: "retired", second: "live"}
    done("models", "promote", first)
    assert statuses() == {first: "live", second: "retired"}
    assert done("recommend", ADA, "--json").json["version"] == first


def test_a_candidate_is_made_live_by_hand(trained: Path) -> None:
    first = contents(trained)["live"]
    second = done("train", "--epsilon", "1", "--candidate", "--json").json["version"]
    assert statuses() == {first: "live", second: "candidate"}
    done("models", "publish", second)
    done("models", "promote", second, "--now")
    assert statuses() == {first: "retired", second: "live"}


def statuses() -> dict[str, str]:
    return {version["version"]: version["status"] for version in done("models", "--json").json}


def test_a_versions_manifest_is_shown_with_its_size(trained: Path) -> None:
    version = contents(trained)["live"]
    shown = done("models", "show", version).json
    assert shown["version"] == version
    assert shown["n_items"] == N_ITEMS
    assert version in done("models").out


@pytest.mark.parametrize("words", [("show",), ("promote",)])
def test_a_version_that_is_none_is_not_found(words: Sequence[str], trained: Path) -> None:
    before = contents(trained)
    for name in ("0" * 32, "../keys"):
        assert_refused(privrec("models", *words, name), 7, "privrec models")
    assert contents(trained) == before


def test_the_files_that_people_bring_name_their_customers_and_the_store_does_not(trained: Path) -> None:
    rows: list[Row] = shop_rows()
    assert all(MAIL in user for user, *_ in rows)
    files = {path.name: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert "privrec.sqlite" in files
    assert [name for name, content in files.items() if MAIL.encode() in content] == []
