"""Erasures that are followed and changed, through the command line."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests.pipelines.shell import ADA, MAIL, NOBODY, assert_refused, done, privrec

pytestmark = pytest.mark.service


def test_a_dry_run_shows_where_the_customer_is_and_suppresses_nobody(trained: Path) -> None:
    shown = done("erase", ADA, "--dry-run")
    assert "Versions with the customer" in shown.out
    found = done("erase", ADA, "--dry-run", "--json").json
    assert (found["history"], found["terms"], [each["status"] for each in found["versions"]]) == (True, 1, ["live"])
    assert MAIL not in shown.out
    assert "Versions" not in done("erase", NOBODY, "--dry-run").out
    assert done("recommend", ADA, "--json").json["personalized"] is True
    assert done("erasures", "--all", "--json").json == []


def test_in_the_days_of_grace_an_erasure_is_cancelled(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVREC_ERASURE_GRACE_HOURS", "24")
    assert "privrec erasures cancel" in done("erase", ADA).out
    [row] = done("erasures", "--json").json
    assert (row["state"], row["days_left"], row["clock"]) == ("suppressed", "29", "")
    assert done("worker", "--once").out == "finished 0 erasures and 0 imports\n"
    assert "is due on" in done("erasures", "extend", row["request_id"], "--reason", "three systems").out
    assert "tried again" in done("erasures", "retry", row["request_id"]).out
    assert "served as before" in done("erasures", "cancel", row["request_id"]).out
    assert done("recommend", ADA, "--json").json["personalized"] is True
    assert done("erasures", "--json").json == []


def test_after_the_receipt_nothing_is_cancelled_and_a_consent_lets_the_customer_in(trained: Path) -> None:
    request = done("erase", ADA, "--json").json["request_id"]
    assert_refused(privrec("erasures", "cancel", request), 5, "cannot be cancelled")
    assert request in done("erasures", "--all").out
    assert request in done("erasures", "consent", ADA).out
    assert done("erasures", "consent", ADA).out == "nothing kept them out\n"


def test_it_is_proved_whether_a_customer_is_in_a_version(trained: Path, tmp_path: Path) -> None:
    [version] = [each["version"] for each in done("models", "--json").json]
    report, key, stranger = (tmp_path / name for name in ("report.json", "key.pem", "stranger.json"))
    done("models", "report", version, "--output", report)
    key.write_bytes(done("keys", "public").out.encode())
    proof = tmp_path / "proof.json"
    assert " is in the roster" in done("models", "roster", version, "--customer", ADA, "--output", proof).out
    assert " is not in the roster" in done("models", "roster", version, "--customer", NOBODY, "--output", stranger).out

    check = partial(privrec, "verify", report, "--public-key", key, "--roster")
    assert "the customer is in it" in check(proof).out
    assert "or after they had left its sum by an objection" in " ".join(check(proof).out.split())
    assert "the customer is not in it" in check(stranger).out
    shown = json.loads(proof.read_bytes())
    for tampered in (
        shown | {"proof": json.loads(stranger.read_bytes())["proof"] | {"is_in": True}},
        shown | {"manifest": shown["manifest"] | {"parent": "0" * 32}},
    ):
        proof.write_text(json.dumps(tampered))
        assert_refused(check(proof), 6)
    proof.write_text("{}")
    assert_refused(check(proof), 3, "models roster --output")
