"""The repository as data: its files, its settings, its documents."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (".ci", "api", "benchmarks", "docs", "pipelines", "privrec", "recsys", "tests", "tools")
CACHES = {"__pycache__", "node_modules"}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def source_files() -> Mapping[str, str]:
    """Every text file of the project, by its path from the root."""
    candidates = [*ROOT.iterdir(), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    files = {}
    for path in candidates:
        if path.is_file() and not CACHES.intersection(path.parts) and path.name not in {".env", ".git"}:
            content = path.read_bytes()
            if b"\0" not in content and not path.name.startswith(".coverage"):
                files[path.relative_to(ROOT).as_posix()] = content.decode()
    return files


@pytest.fixture(scope="session")
def documents(source_files: Mapping[str, str]) -> Mapping[str, str]:
    """Every Markdown file."""
    return {name: text for name, text in source_files.items() if name.endswith(".md")}


@pytest.fixture(scope="session")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
