"""What is installed to serve, and how files are read: no format that runs code."""

import ast
import json
import re
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

LOADERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
"""Modules that run what they read."""
NOT_SERVED = {"demo", "dev", "dp"}
"""Extras that are no part of the bill: data for a demonstration, tools, and torch, whose versions are not pinned."""
UNSAFE = {
    "S301": "import pickle\n\npickle.loads(b'')\n",
    "S302": "import marshal\n\nmarshal.loads(b'')\n",
    "S506": "import yaml\n\nyaml.load('')\n",
}
"""For each rule that `make lint` holds, code that breaks it."""


def unsafe_reads(source: str) -> Iterator[str]:
    """What in this code could read a format that runs code, and is not left to the linter."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] in LOADERS)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in LOADERS:
                yield module
            case ast.keyword(arg="allow_pickle", value=value) if not is_false(value):
                yield "allow_pickle"
            case ast.Attribute(value=ast.Name(id="torch"), attr="load"):
                yield "torch.load"


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_no_file_of_the_product_is_read_in_a_format_that_runs_code(source_files: Mapping[str, str]) -> None:
    sources = {
        name: text for name, text in source_files.items() if name.endswith(".py") and not name.startswith("tests/")
    }
    assert len(sources) > 100
    assert {name: found for name, text in sources.items() if (found := list(unsafe_reads(text)))} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "from joblib.numpy import load",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=chosen)",
        "torch.load(path)",
    ],
)
def test_a_planted_loader_is_found(planted: str) -> None:
    assert len(list(unsafe_reads(planted))) == 1
    assert list(unsafe_reads("np.load(path, allow_pickle=False)")) == []


@pytest.mark.parametrize("rule", sorted(UNSAFE))
def test_the_linter_refuses_what_runs_code(root: Path, rule: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--output-format=json", "--stdin-filename=recsys/planted.py", "-"]
    done = subprocess.run(command, cwd=root, input=UNSAFE[rule], capture_output=True, text=True, check=False)
    assert rule in {found["code"] for found in json.loads(done.stdout)}


def test_no_rule_about_running_code_is_switched_off(source_files: Mapping[str, str]) -> None:
    switched_off = re.compile(rf"noqa: .*\b({'|'.join(UNSAFE)})\b")
    assert {name for name, text in source_files.items() if name.endswith(".py") and switched_off.search(text)} == set()


def test_the_bill_of_materials_covers_every_extra_that_serves(root: Path, pyproject: Mapping[str, Any]) -> None:
    (installed,) = re.findall(r"--python=\$\(RUNTIME\)\S* install .*'\.\[(.*)\]'", (root / "Makefile").read_text())
    assert set(installed.split(",")) == set(pyproject["project"]["optional-dependencies"]) - NOT_SERVED


def test_the_bill_of_an_environment_is_valid_and_the_same_twice(root: Path, tmp_path: Path) -> None:
    words = ["environment", "--pyproject", "pyproject.toml", "--output-reproducible", "--validate", "--output-file"]
    assert f"cyclonedx-py {' '.join(words)} $@" in (root / "Makefile").read_text()
    venv.create(tmp_path / "runtime")
    (packages,) = (tmp_path / "runtime").glob("lib/python*/site-packages")
    (packages / "alpha-1.0.dist-info").mkdir()
    (packages / "alpha-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.4\nName: alpha\nVersion: 1.0\n")
    first, second = (bill_of(root, words, tmp_path / name) for name in ("first.json", "second.json"))
    assert first == second
    assert [component["name"] for component in json.loads(first)["components"]] == ["alpha"]


def bill_of(root: Path, words: list[str], path: Path) -> bytes:
    command = [sys.executable, "-m", "cyclonedx_py", *words, str(path), str(path.parent / "runtime/bin/python")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path.read_bytes()
