"""The two commands of the README, in a checkout where nothing is installed yet, and what CI makes of them."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A directory with what the Makefile looks at and no environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(root / name, tmp_path)
    for package in ("recsys", "api", "pipelines", "privrec"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def steps(checkout: Path, target: str) -> list[str]:
    """The commands that `make` would run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", target]
    result = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [line for line in result.stdout.splitlines() if line.startswith((".venv/", "python3 -m"))]


def pretend(checkout: Path, stamp: str) -> None:
    """As if the environment had been made and the stamp's installation had just been done."""
    (checkout / ".venv/bin").mkdir(parents=True, exist_ok=True)
    (checkout / ".venv/bin/python").touch()
    (checkout / ".venv" / stamp).touch()


def test_the_first_demo_makes_the_environment_installs_and_runs(checkout: Path) -> None:
    environment, install, run = steps(checkout, "demo")
    assert environment == "python3 -m venv .venv"
    assert install.endswith("'.[demo]'")
    assert run.split() == [".venv/bin/privrec", "demo"]


def test_the_second_demo_only_runs(checkout: Path) -> None:
    pretend(checkout, ".installed-demo")
    assert [step.split()[0] for step in steps(checkout, "demo")] == [".venv/bin/privrec"]


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt", "recsys/__init__.py"])
def test_a_demo_after_a_change_installs_again(checkout: Path, changed: str) -> None:
    pretend(checkout, ".installed-demo")
    later = (checkout / ".venv/.installed-demo").stat().st_mtime + 10
    os.utime(checkout / changed, (later, later))
    assert any("'.[demo]'" in step for step in steps(checkout, "demo"))


def test_a_demo_beside_a_development_installation_uses_it(checkout: Path) -> None:
    pretend(checkout, ".installed-dev")
    assert [step.split()[0] for step in steps(checkout, "demo")] == [".venv/bin/privrec"]


def test_the_tests_run_on_an_editable_installation_with_coverage(checkout: Path) -> None:
    _, install, run = steps(checkout, "test")
    assert install.endswith("--editable '.[dev]'")
    assert run.startswith(".venv/bin/pytest")
    assert "--cov" in run


def test_continuous_integration_ends_with_the_test_command_of_the_readme(root: Path) -> None:
    script = root / ".ci/run"
    commands = [line for line in script.read_text().splitlines() if line.startswith("make ")]
    assert commands == ["make lint", "make audit", "make test"]
    assert script.read_text().rstrip().endswith("make test")
    assert script.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in script.read_text()
