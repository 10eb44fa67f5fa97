"""An auditor with a key, a receipt and an export: what `privrec verify --retrain` shows, and what it takes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from privrec.transport import HttpTransport
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from tests.pipelines.shell import BEN, NOBODY, QUANTITIES, assert_refused, done, privrec

ERASABLE = ("--epsilon", "inf", "--erasable", "--factors", "8", "--no-evaluate")
SHOP = "http://shop.example"
HOLDS = ["manifest named by the receipt", "model file", "export", "retrained"]


@pytest.fixture(scope="module")
def exact_template(tmp_path_factory: pytest.TempPathFactory, purchases: Path) -> Path:
    """A state directory with an erasable model; tests get copies."""
    state_dir = tmp_path_factory.mktemp("exact") / "state"
    done("train", "--data", purchases, *QUANTITIES, *ERASABLE, "--state-dir", state_dir)
    return state_dir


@pytest.fixture
def exact(exact_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRIVREC_STATE_DIR", str(shutil.copytree(exact_template, tmp_path / "state")))
    return tmp_path


@pytest.fixture
def key(exact: Path) -> Path:
    (exact / "key.pem").write_text(done("keys", "public").out)
    return exact / "key.pem"


@pytest.mark.service
def test_a_receipt_and_the_model_that_it_names(exact: Path, key: Path, purchases: Path) -> None:
    receipt, export = exact / "receipt.json", exact / "export"
    done("erase", BEN, "--receipt", receipt)
    assert "hand it over sealed" in done("audit", "export", export).out
    assert {path.stat().st_mode & 0o777 for path in (export, *export.iterdir())} == {0o700, 0o600}

    own = {row.split(",")[1] for row in purchases.read_text().splitlines() if row.startswith(BEN)}
    (exact / "history").write_text("\n".join(own))
    asked = ("verify", receipt, "--public-key", key, "--retrain", export, "--history", exact / "history")
    found = done(*asked, "--json").json["retrain"]
    assert (found["checks"], found["customers"], found["customers_with_this_history"]) == (HOLDS, 39, 0)
    text = done(*asked).out
    assert "retrained" in text
    assert "not checked: that there is no copy" in text


@pytest.mark.service
def test_the_privacy_report_names_a_model_too(exact: Path, key: Path) -> None:
    export = exact / "export"
    version = done("audit", "export", export, "--json").json["version"]
    found = done("verify", export / "privacy-report.json", "--public-key", key, "--retrain", export, "--json").json
    assert found["retrain"]["checks"] == ["manifest named by the report", *HOLDS[1:]]
    assert found["retrain"]["version"] == version


@pytest.mark.service
def test_a_version_that_somebody_was_erased_from_has_no_export(exact: Path) -> None:
    before = done("models", "--json").json[0]["version"]
    done("erase", BEN, "--receipt", exact / "receipt.json")
    assert_refused(privrec("audit", "export", exact / "export", "--version", before), 7, "withdrawn")
    assert not (exact / "export").exists()


def test_under_noise_it_says_why_the_model_is_not_made_again(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(done("keys", "public").out)
    export = tmp_path / "export"
    done("audit", "export", export)
    asked = ("verify", export / "privacy-report.json", "--public-key", tmp_path / "key.pem", "--retrain", export)
    found = done(*asked, "--json").json["retrain"]
    assert found["checks"] == ["manifest named by the report", "model file", "export"]
    assert found["not_checked"][0].startswith("retraining: noise went into it")
    assert done("models", "--json").json[0]["config"]["audit_export_digest"] in (export / "manifest.json").read_text()

    done("erase", BEN, "--release", "--receipt", trained / "ben.json")
    done("audit", "export", tmp_path / "after")
    asked = ("verify", trained / "ben.json", "--public-key", tmp_path / "key.pem", "--retrain", tmp_path / "after")
    assert done(*asked, "--json").json["retrain"]["checks"] == HOLDS[:3]
    version = json.loads((export / "privacy-report.json").read_text())["body"]["version"]
    assert_refused(privrec("audit", "export", tmp_path / "again", "--version", version), 5, "somebody was erased since")


def changed(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "code", "found"),
    [
        ("customers.jsonl", lambda data: data[: data.rindex(b"\n", 0, -1) + 1], 6, "a customer or a purchase"),
        ("model.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1]), 6, "a factor was changed"),
        ("manifest.json", lambda data: data.replace(b'"n_factors":8', b'"n_factors":9'), 6, "that the report names"),
        ("manifest.json", lambda data: data + b" ", 5, "manifest"),
        ("customers.jsonl", lambda _: b"nothing", 3, "audit export"),
    ],
)
def test_a_file_of_the_export_that_was_changed(
    exact: Path, key: Path, name: str, change: Callable[[bytes], bytes], code: int, found: str
) -> None:
    export = exact / "export"
    done("audit", "export", export)
    changed(export / name, change)
    asked = ("verify", export / "privacy-report.json", "--public-key", key, "--retrain", export)
    assert_refused(privrec(*asked), code, found)


def test_what_is_asked_for_wrongly(exact: Path, key: Path) -> None:
    export = exact / "export"
    done("audit", "export", export)
    report = ("verify", export / "privacy-report.json", "--public-key", key)
    assert_refused(privrec("audit", "export", export), 3, "does not exist yet")
    assert_refused(privrec(*report, "--retrain", exact / "nothing"), 3, "privrec audit export")
    assert_refused(privrec(*report, "--history", key), 3, "--retrain")
    assert_refused(privrec(*report, "--retrain", export, "--api-key", key), 3, "--served")
    (exact / "checkpoint").write_text(done("log", "checkpoint").out)
    asked = ("verify", exact / "checkpoint", "--public-key", key, "--retrain", export)
    assert_refused(privrec(*asked), 3, "names no version")


@pytest.mark.service
def test_a_server_is_asked_for_samples(exact: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = exact / "export"
    done("audit", "export", export)
    (exact / "secret").write_text(done("keys", "create", "auditor", "--scope", "recommend", "--json").json["secret"])
    alone = ("verify", export / "privacy-report.json", "--public-key", key, "--retrain", export, "--served", SHOP)
    assert_refused(privrec(*alone), 3, "--api-key")
    asked = (*alone, "--api-key", exact / "secret")
    with open_workspace(Settings.load(), lock=False, start_cache=False) as workspace:
        application = TestClient(create_app(Settings(), workspace=workspace))

        def answered(
            _: object, method: str, path: str, headers: dict[str, str], body: bytes | None
        ) -> tuple[int, bytes]:
            response = application.request(method, path, headers=headers, content=body)
            return response.status_code, response.content

        monkeypatch.setattr(HttpTransport, "__call__", answered)
        assert "20 baskets" in done(*asked).out
        (exact / "known").write_text(json.dumps({"user_id": NOBODY, "items": ["i01"]}))
        assert_refused(privrec(*asked, "--customers", exact / "known"), 6, "test customer 1")
        (exact / "known").write_text("")
        assert '"customers": 0' in done(*asked, "--customers", exact / "known", "--json").out
