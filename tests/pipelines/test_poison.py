"""Planted profiles: found by their influence, erased in one batch by handles, and nothing is left of them."""

import csv
import json
from pathlib import Path

import pytest

from tests.pipelines.shell import (
    ADA,
    BEN,
    MAIL,
    NOBODY,
    QUANTITIES,
    Row,
    assert_refused,
    contents,
    done,
    privrec,
    shop_rows,
    write_csv,
)

ERASABLE = ("--epsilon", "inf", "--erasable", "--factors", "8", "--no-evaluate")
TARGET = "planted"
N_POISON = 6


def planted() -> list[Row]:
    """Profiles of one item that nobody else bought, and what sells best."""
    when = "2026-01-01T00:00:00+00:00"
    return [
        (f"planted-{number}@{MAIL}", item, when, 1.0) for number in range(N_POISON) for item in (TARGET, "i00", "i01")
    ]


@pytest.fixture
def poisoned(fresh: Path, tmp_path: Path) -> Path:
    file = write_csv(tmp_path / "poisoned.csv", [*shop_rows(), *planted()])
    done("train", "--data", file, *QUANTITIES, *ERASABLE)
    return fresh


def clean_digest(tmp_path: Path) -> str:
    """Of the model of a shop in which the item is on sale, and nobody planted anything."""
    once = [(f"once@{MAIL}", TARGET, "2026-01-01T00:00:00+00:00", 1.0)]
    file = write_csv(tmp_path / "clean.csv", [*shop_rows(), *once])
    elsewhere = tmp_path / "clean"
    done("ingest", file, *QUANTITIES, "--state-dir", elsewhere)
    done("erase", once[0][0], "--state-dir", elsewhere)
    done("train", *ERASABLE, "--state-dir", elsewhere)
    return str(done("models", "--state-dir", elsewhere, "--json").json[0]["model_digest"])


@pytest.mark.service
def test_planted_profiles_are_found_and_erased_as_if_they_had_never_been(poisoned: Path, tmp_path: Path) -> None:
    file = tmp_path / "profiles.csv"
    found = done("influence", TARGET, "--top", N_POISON, "--output", file, "--json").json
    assert "internal, not private" in found["counted"]
    assert MAIL not in file.read_text()
    handles = [row["handle"] for row in csv.DictReader(file.read_text().splitlines())]
    assert handles == [each["handle"] for each in found["customers"]]
    assert {each["items"] for each in found["customers"]} == {3}
    table = done("influence", TARGET).out
    assert found["customers"][0]["handle"] in table
    assert "internal, not private" in table

    receipts = tmp_path / "receipts"
    asked = done("erase", "--handles", file, "--reason", "poisoning", "--receipt", receipts, "--json").json
    live = [version for version in done("models", "--json").json if version["status"] == "live"]
    assert [version["model_digest"] for version in live] == [clean_digest(tmp_path)]
    assert len(done("models", "--json").json) == 2, "one model serves all of them"
    assert len(contents(poisoned)["histories"]) == 40
    (tmp_path / "key.pem").write_text(done("keys", "public").out)
    for handle, request in zip(handles, asked, strict=True):
        receipt = receipts / f"{request['request_id']}.json"
        named = ("--user", handle, "--salt", request["subject_salt"])
        done("verify", receipt, "--public-key", tmp_path / "key.pem", *named)
        assert json.loads(receipt.read_text())["body"]["reason"] == "poisoning"
    assert_refused(privrec("erase", "--handles", file), 3, "6 of nobody")


@pytest.mark.service
def test_a_file_of_ids_is_erased_in_one_batch(poisoned: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "ids.csv", [(ADA,), (BEN,), (ADA,), (NOBODY,)], ["customer"])
    out = done("erase", "--file", file, "--user-column", "customer").out
    assert "erased 3 customers" in out
    assert MAIL not in out
    assert [request.state for request in contents(poisoned)["requests"]] == ["receipted"] * 3
    assert len(done("models", "--json").json) == 2


def test_a_file_that_names_nobody_asks_for_nothing(poisoned: Path, tmp_path: Path) -> None:
    empty = write_csv(tmp_path / "empty.csv", [], ["user"])
    other = write_csv(tmp_path / "other.csv", [("a",)], ["customer"])
    long = write_csv(tmp_path / "long.csv", [(ADA,), ("x" * 600,)], ["user"])
    for words, found in (
        ((), "one of USER"),
        ((ADA, "--file", other), "got 2"),
        (("--file", empty), "nobody"),
        (("--file", other), "'user'"),
        (("--file", tmp_path / "missing.csv"), "missing.csv"),
        (("--file", long), "id"),
        (("--handles", other), "'handle'"),
    ):
        assert_refused(privrec("erase", *words), 3, found)
    assert contents(poisoned)["requests"] == ()


def test_what_has_no_sum_or_item_is_refused(trained: Path, tmp_path: Path, purchases: Path) -> None:
    assert_refused(privrec("influence", "nothing"), 3, "items that the model covers")
    assert done("influence", "i01", "--top", 3, "--json").json["customers"][0]["influence"] > 0
    als = ("--state-dir", tmp_path / "als")
    done("train", "--trainer", "als", "--no-evaluate", "--data", purchases, *QUANTITIES, *als)
    assert_refused(privrec("influence", "i01", *als), 3, "keeps its sum")
    assert_refused(privrec("influence", "i01", "--state-dir", tmp_path / "none"), 7, "privrec train")
