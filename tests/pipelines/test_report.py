"""`privrec models report`: for people, for scripts, for auditors, and as a picture."""

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.report_plot import BAR, bar
from tests.pipelines.shell import MAIL, QUANTITIES, assert_refused, contents, done, privrec

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def live(trained: Path) -> str:
    """The live version."""
    return str(contents(trained)["live"])


@pytest.fixture
def key(trained: Path, tmp_path: Path) -> Path:
    """The public key, in a file."""
    path = tmp_path / "public-key.pem"
    path.write_text(done("keys", "public").out)
    return path


def test_people_read_what_is_promised_what_went_in_and_what_nobody_promises(live: str) -> None:
    shown = done("models", "report", live).out
    for words in (
        f"Privacy report of version {live}",
        "Private: with or without any one customer",
        "a customer, with everything under one user id",
        "one customer more or less",
        "at delta 1e-06",
        "of 100 even bets",
        "gaussian",
        "Not covered",
        "tuning: settings chosen by looking at private data",
        "none are published with this version",
        "dp-accounting",
        "█",
    ):
        assert words in shown, words
    assert MAIL not in shown


def test_a_version_without_privacy_says_so_first(purchases: Path, fresh: Path) -> None:
    done("train", "--data", purchases, *QUANTITIES, "--trainer", "als", "--no-evaluate")
    shown = done("models", "report", contents(fresh)["live"]).out
    assert "NOT private, no guarantee" in shown
    assert "nothing keeps an observer" in shown
    assert "infinite" in shown
    assert "█" not in shown


def test_a_number_of_factors_of_ones_own_is_in_the_report(purchases: Path, fresh: Path) -> None:
    done("train", "--data", purchases, *QUANTITIES, "--factors", "7", "--no-evaluate")
    assert "not covered if chosen by looking at private data" in done("models", "report", contents(fresh)["live"]).out


def test_scripts_get_the_signed_document(live: str) -> None:
    document = done("models", "report", live, "--json").json
    assert document.keys() == {"body", "key_id", "signature"}
    assert document["body"]["version"] == live


def test_the_written_report_is_verified_with_the_public_key_alone(live: str, key: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    document = done("models", "report", live, "--output", report, "--json").json
    assert json.loads(report.read_bytes()) == document
    assert f"privacy report of version {live}" in done("verify", report, "--public-key", key).out
    found = done("verify", report, "--public-key", key, "--json").json
    assert found == {"valid": True, "checks": ["canonical bytes", "signature"], "report": document["body"]}


def test_one_changed_byte_of_a_written_report_is_enough(live: str, key: Path, tmp_path: Path) -> None:
    report, tampered = tmp_path / "report.json", tmp_path / "tampered.json"
    done("models", "report", live, "--output", report)
    signed = report.read_bytes()
    for place in range(0, len(signed), 97):
        tampered.write_bytes(signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :])
        assert privrec("verify", tampered, "--public-key", key).exit_code == 6, f"byte {place}"


def test_a_report_that_was_changed_in_the_registry_is_not_shown(trained: Path, live: str) -> None:
    path = trained / "models" / live / "privacy-report.json"
    path.write_bytes(path.read_bytes().replace(b'"private":true', b'"private":false'))
    assert_refused(privrec("models", "report", live), 6, "signature")


def test_another_versions_report_is_not_shown(trained: Path, live: str) -> None:
    other = done("train", "--epsilon", "0.5", "--no-evaluate", "--json").json["version"]
    path = trained / "models" / other / "privacy-report.json"
    path.write_bytes((trained / "models" / live / "privacy-report.json").read_bytes())
    assert_refused(privrec("models", "report", other), 6, live)


def test_a_version_that_was_registered_without_a_report_is_not_found(trained: Path, live: str) -> None:
    (trained / "models" / live / "privacy-report.json").unlink()
    assert_refused(privrec("models", "report", live), 7, "without one")
    assert done("models", "show", live).exit_code == 0


def test_a_version_that_is_none_is_not_found(trained: Path) -> None:
    assert_refused(privrec("models", "report", "0" * 32), 7, "privrec models")


def test_metrics_are_published_within_the_epsilon_that_was_asked_for(purchases: Path, fresh: Path) -> None:
    shown = done("train", "--data", purchases, *QUANTITIES, "--publish-metrics").out
    assert "Metrics, released with noise" in shown
    assert "do not publish them" not in shown
    found = done("models", "--json").json[0]
    assert found["metrics"].keys() >= {"recall@20", "ndcg@20", "customers"}
    assert found["privacy"]["epsilon"] == pytest.approx(4)
    assert done("ledger", "--json").json["epsilon_spent"] == pytest.approx(4)
    report = done("models", "report", found["version"]).out
    assert "metrics of held-out customers" in report
    assert "95 of 100 releases" in report
    assert "none are published" not in report


def test_with_published_metrics_no_internal_ones_are_computed(purchases: Path, fresh: Path) -> None:
    found = done("train", "--data", purchases, *QUANTITIES, "--publish-metrics", "--evaluate", "--json").json
    assert found["evaluation"] is None
    assert found["metrics"]["task"] == "discover"


def test_a_number_of_factors_that_was_selected_is_covered_and_said_to_be(purchases: Path, fresh: Path) -> None:
    words = ("--select-factors", "2", "--select-factors", "4", "--no-evaluate", "--json")
    found = done("train", "--data", purchases, *QUANTITIES, *words).json
    assert found["config"]["terms"]["n_factors"] in {2, 4}
    assert done("ledger", "--json").json["epsilon_spent"] == pytest.approx(4)
    report = done("models", "report", found["version"]).out
    assert "so that it is covered, among: [2, 4]" in report
    assert "comparison of candidates" in report
    assert "not covered if chosen by looking" not in report


def test_a_selection_from_one_candidate_is_refused_before_anything_is_stored(purchases: Path, fresh: Path) -> None:
    refused = privrec("train", "--data", purchases, *QUANTITIES, "--select-factors", "4")
    assert_refused(refused, 3, "different numbers of factors")
    assert contents(fresh)["histories"] == {}


def test_metrics_of_a_model_without_noise_are_refused_before_anything_is_stored(purchases: Path, fresh: Path) -> None:
    for words in (("--trainer", "als"), ("--epsilon", "inf")):
        refused = privrec("train", "--data", purchases, *QUANTITIES, *words, "--publish-metrics")
        assert_refused(refused, 4, "--publish-metrics")
    assert contents(fresh)["histories"] == {}
    assert contents(fresh)["ledger"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["curve.png", "curve.svg"])
def test_the_curve_is_drawn_as_a_picture(live: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done("models", "report", live, "--plot", tmp_path / name)
    picture = (tmp_path / name).read_bytes()
    assert picture.startswith(PNG if name.endswith("png") else b"<?xml")
    assert len(picture) > 10_000
    done("models", "report", live, "--plot", tmp_path / f"again-{name}")


@pytest.mark.slow
def test_a_version_without_privacy_has_a_picture_that_says_so(purchases: Path, fresh: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    version = done("train", "--data", purchases, *QUANTITIES, "--trainer", "als", "--no-evaluate", "--json").json
    done("models", "report", version["version"], "--plot", tmp_path / "curve.svg")
    assert "NOT private" in (tmp_path / "curve.svg").read_text()


def test_without_matplotlib_the_extra_is_named(live: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_matplotlib(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    for module in [module for module in sys.modules if module.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    assert_refused(
        privrec("models", "report", live, "--plot", tmp_path / "curve.png"), 3, "pip install 'privrec[plot]'"
    )


def test_a_picture_of_another_kind_is_refused(live: str, tmp_path: Path) -> None:
    assert_refused(privrec("models", "report", live, "--plot", tmp_path / "curve.pdf"), 3, ".png or .svg")


def test_a_report_that_cannot_be_written_says_what_to_do(live: str, tmp_path: Path) -> None:
    assert_refused(privrec("models", "report", live, "--output", tmp_path / "no" / "report.json"), 5, "directory")


@pytest.mark.parametrize(
    ("value", "length"), [(0.0, 0), (8.0, BAR), (4.0, BAR // 2), (8.0 / BAR, 1), (8.0 / BAR / 8, 1)]
)
def test_a_bar_is_as_long_as_its_value(value: float, length: int) -> None:
    assert len(bar(value, 8.0)) == length
    assert bar(value, 0.0) == ""


def test_every_version_that_is_made_has_a_report(trained: Path, live: str) -> None:
    done("train", "--epsilon", "0.5", "--no-evaluate")
    versions: list[str] = [each["version"] for each in done("models", "--json").json]
    assert len(versions) == 2
    assert live in versions
    assert all(done("models", "report", version, "--json").json["body"]["version"] == version for version in versions)
