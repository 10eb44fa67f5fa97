"""An audit that found nothing because it asked nobody must not pass for one that found nothing."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.audit import NOTHING, Answer, audit, understood, verdict
from tools.bill import Component, read_bill
from tools.licences import main as list_licences

ALPHA = Component(name="Alpha_Lib", version="1.0", licences=("MIT",))
BETA = Component(name="beta", version="2.0", licences=("MIT",))
SKIPPED = {"name": "beta", "skip_reason": "Dependency not found on PyPI and could not be audited: beta (2.0)"}
CLEAN = {"name": "alpha-lib", "version": "1.0", "vulns": []}
VULNERABLE = {"name": "alpha-lib", "version": "1.0", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": []}]}


def ended(code: int, rows: Sequence[object] | None) -> "subprocess.CompletedProcess[str]":
    """A run of pip-audit that ended with this code and these rows, or with a traceback."""
    text = "" if rows is None else json.dumps({"dependencies": rows, "fixes": []})
    return subprocess.CompletedProcess(args=[], returncode=code, stdout=text, stderr="Traceback\ncannot resolve\n")


def test_a_package_that_the_service_does_not_know_was_not_asked_about() -> None:
    assert understood(ended(0, [SKIPPED])) == NOTHING


def test_a_service_that_cannot_be_reached_gave_no_answer_and_the_reason_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert understood(ended(1, None)) == NOTHING
    assert capsys.readouterr().err == "audit: a service failed: cannot resolve\n"


def test_an_answer_tells_its_findings() -> None:
    assert understood(ended(1, [VULNERABLE, SKIPPED])) == Answer(
        asked=frozenset({"alpha-lib"}), findings=("alpha-lib 1.0: PYSEC-2026-1",)
    )


def test_a_pip_audit_that_does_not_take_our_options_is_no_missing_service() -> None:
    with pytest.raises(RuntimeError, match="exit code 2"):
        understood(ended(2, None))


def test_the_second_service_is_asked_about_what_the_first_did_not_know() -> None:
    asked = []

    def ask(service: str, components: Sequence[Component]) -> Answer:
        asked.append((service, [component.name for component in components]))
        return understood(ended(0, [CLEAN, SKIPPED])) if service == "pypi" else NOTHING

    assert audit([ALPHA, BETA], ask) == ((), ("beta",))
    assert asked == [("pypi", ["Alpha_Lib", "beta"]), ("osv", ["beta"])]


def test_where_nobody_answered_no_success_is_claimed_and_only_a_required_audit_fails() -> None:
    text, code = verdict(2, [], ["alpha-lib", "beta"], required=False)
    assert text == "audit: NOT DONE: no vulnerability service gave an answer about any of 2 dependencies\n"
    assert code == 0
    assert verdict(2, [], ["alpha-lib", "beta"], required=True)[1] == 1


def test_a_finding_fails_and_what_was_not_looked_up_is_named() -> None:
    text, code = verdict(2, ["alpha-lib 1.0: PYSEC-2026-1"], ["beta"], required=False)
    assert code == 1
    assert "VULNERABLE: alpha-lib 1.0: PYSEC-2026-1" in text
    assert "NOT LOOKED UP: beta" in text


@pytest.mark.parametrize("required", [False, True])
def test_all_looked_up_and_nothing_found_is_success(required: bool) -> None:
    assert verdict(2, [], [], required=required)[1] == 0


def bill(path: Path, *components: object) -> Path:
    path.write_text(json.dumps({"components": components}))
    return path


def test_a_bill_tells_the_licences_as_they_are_stated(tmp_path: Path) -> None:
    rows = [
        {"name": "b", "version": "1", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
        {"name": "A", "version": "1", "licenses": [{"license": {"id": "MIT"}}]},
        {"name": "c", "version": "1", "licenses": [{"license": {"name": "License :: OSI Approved :: BSD License"}}]},
        {"name": "d", "version": "1"},
    ]
    stated = [(component.name, component.licences) for component in read_bill(bill(tmp_path / "bill.json", *rows))]
    assert stated == [("A", ("MIT",)), ("b", ("MIT OR Apache-2.0",)), ("c", ("BSD License",)), ("d", ())]


def test_a_component_without_a_licence_fails_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bill(tmp_path / "bill.json", {"name": "silent", "version": "1"})
    assert list_licences(path) == 1
    assert "got none from silent" in capsys.readouterr().err
    path = bill(path, {"name": "open", "version": "1", "licenses": [{"license": {"id": "MIT"}}]})
    assert list_licences(path) == 0
