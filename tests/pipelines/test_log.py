"""The log of receipts through the command line: what the officer hands out, and what the auditor finds with it."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipelines.shell import ADA, BEN, NOBODY, assert_refused, contents, done, privrec

CHECKS = ["canonical bytes", "signature", "checkpoint", "inclusion"]
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file by its name."""

    def written(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return written


@pytest.fixture
def key(trained: Path, write: Write) -> Path:
    return write("key.pem", done("keys", "public").out)


@pytest.mark.service
def test_an_auditor_who_kept_a_checkpoint_knows_the_log_again(trained: Path, key: Path, write: Write) -> None:
    asked, receipt, later = done("erase", ADA, "--json").json, trained / "ada.json", trained / "nobody.json"
    done("erase", ADA, "--receipt", receipt)
    kept = write("kept.txt", done("log", "checkpoint").out)
    done("erase", BEN, "--receipt", trained / "ben.json")
    done("erase", NOBODY, "--receipt", later)
    proof = write("proof.json", done("log", "consistency", "--from", 1).out)
    held = ("--public-key", key, "--checkpoint", kept, "--consistency", proof, "--json")

    assert done("verify", later, *held).json["checks"] == [*CHECKS, "consistency"]
    latest = write("latest.txt", done("log", "checkpoint").out)
    assert done("verify", latest, *held).json["checkpoint"]["size"] == 3
    theirs = ("--user", ADA, "--salt", asked["subject_salt"], "--request", asked["request_id"])
    mine = done("verify", receipt, "--public-key", key, "--checkpoint", kept, *theirs)
    assert "entry 0 of a log of 1" in mine.out
    assert "checked: canonical bytes, signature, checkpoint, inclusion, consistency, request, subject" in mine.out
    assert "checkpoint of a log of 3 receipts" in done("verify", latest, "--public-key", key).out


@pytest.mark.service
def test_each_check_that_fails_ends_with_6_and_is_named(trained: Path, key: Path, write: Write) -> None:
    receipt, other = trained / "ada.json", trained / "ben.json"
    salt = done("erase", ADA, "--json").json["subject_salt"]
    done("erase", ADA, "--receipt", receipt)
    done("erase", BEN, "--receipt", other)
    document = json.loads(receipt.read_text())
    document["log"] = json.loads(other.read_text())["log"]
    moved = write("moved.json", json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))

    assert_refused(privrec("verify", moved, "--public-key", key), 6, "inclusion")
    held = ("verify", other, "--public-key", key)
    assert_refused(privrec(*held, "--user", BEN, "--salt", salt), 6, "subject")
    assert_refused(privrec(*held, "--request", document["body"]["request_id"]), 6, "request")
    assert_refused(privrec(*held, "--user", BEN), 3, "--salt")
    ada, ben = contents(trained)["requests"]
    for name, request in (("ada", ada), ("ben", ben)):
        write(f"{name}.details", json.dumps({"details": dict(request.details)}))
    assert done(*held, "--details", key.parent / "ben.details", "--json").json["checks"][-1] == "details"
    assert_refused(privrec(*held, "--details", key.parent / "ada.details"), 6, "steps")
    kept = write("kept.txt", document["body"]["request_id"])
    assert_refused(privrec(*held, "--checkpoint", kept), 6, "checkpoint")


@pytest.mark.service
def test_a_restored_backup_is_found_out_by_a_checkpoint_that_was_kept(trained: Path, key: Path, write: Write) -> None:
    done("erase", ADA, "--receipt", trained / "ada.json")
    backup = (trained / "privrec.sqlite").read_bytes()
    done("erase", BEN, "--receipt", trained / "ben.json")
    kept = write("kept.txt", done("log", "checkpoint").out)
    (trained / "privrec.sqlite").write_bytes(backup)
    for name in ("privrec.sqlite-wal", "privrec.sqlite-shm"):
        (trained / name).unlink(missing_ok=True)
    restored = privrec("log", "consistency", "--from", 2)
    told, _, refusal = restored.err.partition("\n")
    assert json.loads(told)["erasures_again"] == 1
    assert_refused(replace(restored, err=refusal), 7, "cut")
    done("erase", NOBODY, "--receipt", trained / "nobody.json")

    seen = ("verify", trained / "nobody.json", "--public-key", key)
    assert (
        done(*seen).exit_code == 0
    )  # a signature and a proof of its own are all that it takes, without the log of before
    # Ben was erased again: the log is longer than the one that was kept, and another one all the same.
    proof = write("proof.json", done("log", "consistency", "--from", 2).out)
    assert_refused(privrec(*seen, "--checkpoint", kept, "--consistency", proof), 6, "forked")


@pytest.mark.service
def test_a_log_whose_rows_were_changed_gives_no_checkpoint(trained: Path) -> None:
    done("erase", ADA, "--receipt", trained / "ada.json")
    with closing(sqlite3.connect(trained / "privrec.sqlite")) as database, database:
        database.execute("UPDATE log_nodes SET hash = ?", [bytes(32)])

    assert_refused(privrec("log", "checkpoint"), 5, "changed from outside")


def test_an_empty_log_has_a_checkpoint_to_begin_with(trained: Path, key: Path, write: Write) -> None:
    first = write("first.txt", done("log", "checkpoint").out)
    assert "checkpoint of a log of 0 receipts" in done("verify", first, "--public-key", key).out
    assert done("log", "consistency", "--from", 0).json == {"from": 0, "to": 0, "proof": []}
