"""What a results file says of how it came to be: the command that anybody can run, and the commit that was measured."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import report


def git(*arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@shop.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with code and a results file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "benchmarks/results")
    report.RESULTS.mkdir(parents=True)
    (tmp_path / "code.py").write_text("")
    (report.RESULTS / "other.json").write_text("{}")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "All of it")
    return tmp_path


def test_a_commit_is_marked_where_code_was_changed_and_not_where_results_were(checkout: Path) -> None:
    (report.RESULTS / "other.json").write_text('{"figures": {}}')
    clean = report.commit()
    assert len(clean) == 12

    (checkout / "code.py").write_text("changed = True\n")
    assert report.commit() == f"{clean}-dirty"


def test_the_command_tells_no_path_of_the_machine(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["benchmark", "--data", str(checkout / "data")])
    report.report("made_up", {"a": 1.0}, report.options("Made up."), seeds=[])

    written = (report.RESULTS / "made_up.json").read_text()
    assert json.loads(written)["command"] == "python -m benchmarks.made_up"
    assert str(checkout) not in written


def test_a_part_leaves_the_figures_of_the_others_and_says_what_it_measured(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmark", "--parts", "one"])
    report.report("made_up", {"a": 1.0}, report.options("Made up.", ("one", "two")), seeds=[])
    before = report.commit()
    (checkout / "code.py").write_text("changed = True\n")
    monkeypatch.setattr("sys.argv", ["benchmark", "--parts", "two"])
    report.report("made_up", {"b": 2.0}, report.options("Made up.", ("one", "two")), seeds=[])

    written = json.loads((report.RESULTS / "made_up.json").read_text())
    assert written["figures"] == {"a": 1.0, "b": 2.0}
    assert written["parts"] == {"one": before, "two": f"{before}-dirty"}
    assert "commit" not in written
