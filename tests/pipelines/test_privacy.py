"""Erasures, receipts, the ledger and keys, through the command line."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recsys.evidence.receipt import subject_commitment
from tests.pipelines.shell import (
    ADA,
    BEN,
    FIRST_RELEASE,
    MAIL,
    N_CUSTOMERS,
    NOBODY,
    QUANTITIES,
    assert_refused,
    contents,
    done,
    privrec,
    spends,
)


@pytest.fixture
def key(trained: Path, tmp_path: Path) -> Path:
    """The public key, in a file."""
    path = tmp_path / "public-key.pem"
    path.write_text(done("keys", "public").out)
    return path


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    """Where a receipt goes."""
    return tmp_path / "receipt.json"


def outcomes(receipt: Path) -> list[dict[str, Any]]:
    """What became of each version, as the receipt says."""
    released = json.loads(receipt.read_bytes())["body"]["steps"]["released"]["versions"]
    return list(released)


@pytest.mark.service
def test_an_erased_customer_is_gone_from_store_list_and_sum_and_the_receipt_holds(
    trained: Path, key: Path, receipt: Path
) -> None:
    before = contents(trained)
    assert done("recommend", ADA, "--json").json["personalized"] is True
    shown = done("erase", ADA, "--receipt", receipt)
    after = contents(trained)
    assert after["histories"].items() < before["histories"].items()
    assert len(after["histories"]) == N_CUSTOMERS - 1
    assert after["sum"] != before["sum"]
    assert done("recommend", ADA, "--json").json["personalized"] is False
    assert done("recommend", BEN, "--json").json["personalized"] is True
    assert "valid" in done("verify", receipt, "--public-key", key).out
    assert MAIL not in shown.out + shown.err + receipt.read_text()


@pytest.mark.service
def test_without_release_the_model_stays_and_nothing_is_booked(trained: Path, receipt: Path) -> None:
    before = contents(trained)
    done("erase", ADA, "--receipt", receipt)
    after = contents(trained)
    assert (after["live"], after["models"], after["ledger"]) == (before["live"], before["models"], before["ledger"])
    assert [outcome["outcome"].split(":")[0] for outcome in outcomes(receipt)] == ["kept"]


@pytest.mark.service
def test_with_release_a_new_version_is_booked_and_live(trained: Path, receipt: Path) -> None:
    before = contents(trained)["live"]
    done("erase", ADA, "--release", "--receipt", receipt)
    after = contents(trained)
    assert spends(trained) == [*FIRST_RELEASE, "gram"]
    assert [(each["version"], each["superseded_by"]) for each in outcomes(receipt)] == [(before, after["live"])]
    assert done("ledger", "--json").json["epsilon_spent"] == pytest.approx(8)
    assert_refused(privrec("train", "--epsilon", "0.5"), 4, "nothing was drawn")


@pytest.mark.service
def test_a_model_that_cannot_be_subtracted_from_is_withdrawn(purchases: Path, fresh: Path, receipt: Path) -> None:
    done("train", "--data", purchases, *QUANTITIES, "--trainer", "als", "--no-evaluate")
    done("erase", ADA, "--receipt", receipt)
    assert outcomes(receipt)[0]["outcome"].startswith("withdrawn")
    assert done("recommend", BEN, "--json").json["version"] is None


@pytest.mark.service
def test_the_salt_shows_that_the_receipt_is_the_customers(trained: Path, receipt: Path) -> None:
    found = done("erase", ADA, "--receipt", receipt, "--json").json
    body = json.loads(receipt.read_bytes())["body"]
    assert found.keys() == {"request_id", "subject_salt", "receipt"}
    assert found["request_id"] == body["request_id"]
    assert subject_commitment(ADA, bytes.fromhex(found["subject_salt"])) == body["subject"]
    assert subject_commitment(BEN, bytes.fromhex(found["subject_salt"])) != body["subject"]


@pytest.mark.service
def test_asking_again_finds_the_same_request_and_receipt_and_no_salt(trained: Path, tmp_path: Path) -> None:
    first = done("erase", ADA, "--receipt", tmp_path / "1.json", "--json").json
    second = done("erase", ADA, "--receipt", tmp_path / "2.json", "--json").json
    assert (second["request_id"], second["subject_salt"]) == (first["request_id"], "")
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    assert "asked before" in done("erase", ADA).out


@pytest.mark.service
def test_without_a_file_the_receipt_is_printed(trained: Path, key: Path, receipt: Path) -> None:
    receipt.write_text(done("erase", ADA).out.splitlines()[-1])
    assert done("verify", receipt, "--public-key", key, "--json").json["valid"] is True


@pytest.mark.service
def test_somebody_who_never_bought_can_be_erased_too(trained: Path, key: Path, receipt: Path) -> None:
    before = contents(trained)
    done("erase", NOBODY, "--release", "--receipt", receipt)
    after = contents(trained)
    assert (after["histories"], after["ledger"], after["live"]) == (
        before["histories"],
        before["ledger"],
        before["live"],
    )
    assert done("verify", receipt, "--public-key", key, "--json").json["receipt"]["steps"]["released"]["versions"] == []


@pytest.mark.service
def test_what_an_erased_customer_bought_is_not_taken_again(trained: Path, purchases: Path) -> None:
    n_purchases = done("ingest", purchases, *QUANTITIES, "--json").json["duplicates"]
    done("erase", ADA)
    again = done("ingest", purchases, *QUANTITIES, "--json").json
    assert again["suppressed"] > 0
    assert again["suppressed"] + again["duplicates"] == n_purchases
    assert len(contents(trained)["histories"]) == N_CUSTOMERS - 1


@pytest.mark.service
def test_a_refused_release_keeps_the_salt_in_sight_and_holds_up_no_one_else(
    trained: Path, key: Path, receipt: Path
) -> None:
    left = done("ledger", "--json").json["epsilon_left"]
    done("train", "--epsilon", 0.99 * left, "--no-evaluate")
    refused = privrec("erase", ADA, "--release", "--json")
    assert refused.exit_code == 4
    assert subject_commitment(ADA, bytes.fromhex(refused.json["subject_salt"]))
    assert done("recommend", ADA, "--json").json["personalized"] is False
    done("erase", BEN, "--receipt", receipt)
    done("verify", receipt, "--public-key", key)
    done("ledger", "budget", "--epsilon", "12", "--note", "decided by the board")
    assert done("worker", "--once").out == "finished 1 erasures and 0 imports\n"
    assert {request.state.value for request in contents(trained)["requests"]} == {"receipted"}


@pytest.mark.service
def test_a_receipt_that_cannot_be_written_is_kept_and_written_later(trained: Path, key: Path, receipt: Path) -> None:
    refused = privrec("erase", ADA, "--receipt", receipt / "nowhere")
    assert_refused(refused, 5, "run it again")
    assert "salt for the customer: " in refused.out
    done("erase", ADA, "--receipt", receipt)
    done("verify", receipt, "--public-key", key)


@pytest.mark.service
def test_one_changed_byte_of_a_receipt_is_enough(trained: Path, key: Path, receipt: Path, tmp_path: Path) -> None:
    done("erase", ADA, "--receipt", receipt)
    signed, tampered = receipt.read_bytes(), tmp_path / "tampered.json"
    for place in range(0, len(signed), 97):
        tampered.write_bytes(signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :])
        assert privrec("verify", tampered, "--public-key", key).exit_code == 6, f"byte {place}"
    tampered.write_bytes(signed[: len(signed) // 2])
    assert_refused(privrec("verify", tampered, "--public-key", key), 6, "cut")


@pytest.mark.service
def test_another_installations_key_does_not_vouch_for_a_receipt(
    trained: Path, receipt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("erase", ADA, "--receipt", receipt)
    other = tmp_path / "other.pem"
    other.write_text(done("keys", "public", "--state-dir", tmp_path / "other").out)
    assert_refused(privrec("verify", receipt, "--public-key", other), 6, "key")


def test_a_file_that_is_no_key_is_bad_input(tmp_path: Path) -> None:
    file = tmp_path / "no-key.pem"
    file.write_text("-----BEGIN NOTHING-----\n")
    assert_refused(privrec("verify", file, "--public-key", file), 3, "PEM")


def test_the_ledger_shows_what_was_spent_and_what_is_left(trained: Path) -> None:
    found = done("ledger", "--json").json
    assert found["budget"]["epsilon"] == 8
    assert 0 < found["epsilon_left"] < found["epsilon_spent"] < 8
    assert [entry["type"] for entry in found["entries"]] == ["budget", *["spend" for _ in FIRST_RELEASE]]
    shown = done("ledger").out
    assert "budget epsilon=8 at delta=1e-06, per customer, add or remove one" in shown
    assert "gram" in shown


def test_a_larger_budget_is_a_recorded_decision(trained: Path) -> None:
    assert privrec("train", "--epsilon", "8").exit_code == 4
    done("ledger", "budget", "--epsilon", "20", "--note", "decided by the board")
    done("train", "--epsilon", "8", "--no-evaluate")
    budgets = [(e["epsilon"], e["note"]) for e in contents(trained)["ledger"] if e["type"] == "budget"]
    assert budgets == [(8.0, "set by the first training"), (20.0, "decided by the board")]


def test_a_ledger_that_was_tampered_with_is_found_out_and_nothing_is_trained(trained: Path) -> None:
    assert done("ledger", "verify", "--json").json["entries"] == 1 + len(FIRST_RELEASE)
    models = contents(trained)["models"]
    with closing(sqlite3.connect(trained / "privrec.sqlite")) as database, database:
        changed = database.execute("UPDATE ledger SET entry = replace(entry, '8.0', '9.0')").rowcount
    assert changed
    for words in (("ledger", "verify"), ("ledger",), ("train", "--epsilon", "1")):
        assert_refused(privrec(*words), 5, "chain")
    assert contents(trained)["models"] == models


def test_a_key_is_shown_once_and_can_be_revoked(trained: Path) -> None:
    created = done("keys", "create", "till [/b]", "--scope", "write", "--scope", "recommend", "--json").json
    assert created["scopes"] == ["recommend", "write"]
    listed = done("keys", "list")
    assert created["key_id"] in listed.out
    assert "till [/b]" in listed.out
    assert created["secret"] not in listed.out
    done("keys", "revoke", created["key_id"])
    assert [key["status"] for key in done("keys", "list", "--json").json] == ["revoked"]
    assert_refused(privrec("keys", "revoke", "0" * 16), 7, "API key")


def test_people_see_a_keys_name_as_it_is(trained: Path) -> None:
    shown = done("keys", "create", "[/b]", "--scope", "erase").out
    assert "([/b])" in shown
    assert "privrec_" in shown


def test_a_key_needs_a_scope(trained: Path) -> None:
    assert privrec("keys", "create", "till").exit_code == 2
    assert contents(trained)["keys"] == ()
