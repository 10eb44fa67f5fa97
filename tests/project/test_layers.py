"""The direction of imports, held by import-linter, and import-linter held by planted violations."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from importlinter.cli import lint_imports

PLANTED = {
    "doors": ("api/planted.py", "import pipelines"),
    "client": ("privrec/planted.py", "import recsys.ports"),
    "rooms": ("recsys/evidence/planted.py", "import recsys.store"),
    "verifier": ("recsys/evidence/planted_too.py", "import numpy"),
    "auditor": ("pipelines/served.py", "import recsys.store"),
    "frameworks": ("recsys/models/planted.py", "import sqlalchemy"),
    "adapters": ("pipelines/planted.py", "import redis"),
    "implicit": ("recsys/data/planted.py", "import implicit"),
    "torch": ("recsys/store/planted.py", "import torch"),
}
"""For each contract a file that breaks it."""


def test_every_import_contract_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True) == 0


def test_every_contract_breaks_on_the_violation_that_it_is_there_for(
    root: Path, tmp_path: Path, pyproject: dict[str, Any]
) -> None:
    for package in ("recsys", "api", "pipelines", "privrec"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    for name, statement in PLANTED.values():
        (tmp_path / name).write_text(f'"""Broken on purpose."""\n\n{statement}\n')
    command = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    result = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    assert result.returncode == 1, result.stderr
    assert {contract["id"] for contract in contracts} == set(PLANTED)
    kept = [contract["id"] for contract in contracts if f"{contract['name']} BROKEN" not in result.stdout]
    assert kept == []


@pytest.mark.parametrize("module", ["clock", "errors", "identifiers", "types"])
def test_the_ground_floor_needs_the_standard_library_only(root: Path, module: str) -> None:
    tree = ast.parse((root / "recsys" / f"{module}.py").read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported <= sys.stdlib_module_names | {"recsys"}
