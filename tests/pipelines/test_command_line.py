"""The command line itself: what it offers, how it ends, what it prints, and what it does not import."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from pipelines.cli import EXIT_CODES, app, data
from recsys import errors
from recsys.training.terms import N_FACTORS
from tests.pipelines.shell import ADA, done, in_a_process, privrec

COMMANDS = {
    "demo",
    "ingest",
    "export",
    "train",
    "evaluate",
    "publish",
    "serve",
    "worker",
    "recommend",
    "erase",
    "subject",
    "register",
    "erasures",
    "influence",
    "verify",
    "ledger",
    "log",
    "audit",
    "models",
    "experiment",
    "keys",
    "feedback",
    "webhooks",
}
HEAVY = {"numpy", "scipy", "sqlalchemy", "redis", "fastapi", "pyarrow", "dp_accounting", "uvicorn"}


def every_command() -> Iterator[tuple[str, Any]]:
    """Each command with its words."""
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        yield words, command
        waiting += [(f"{words} {name}".strip(), child) for name, child in getattr(command, "commands", {}).items()]


def test_the_help_names_every_command_and_the_exit_codes() -> None:
    shown = done("--help").out
    assert {name for name in COMMANDS if f"│ {name} " in shown} == COMMANDS
    assert {words for words, _ in every_command() if words and " " not in words} == COMMANDS
    assert "Exit codes" in shown


@pytest.mark.parametrize("words", sorted(words for words, _ in every_command() if words))
def test_every_command_says_what_it_does(words: str) -> None:
    shown = done(*words.split(), "--help").out
    command = dict(every_command())[words]
    assert (command.help or "").split()[0] in shown


@pytest.mark.parametrize("words", sorted(words for words, _ in every_command()))
def test_every_option_and_argument_says_what_it_is(words: str) -> None:
    silent = [each.name for each in dict(every_command())[words].params if not getattr(each, "help", None)]
    assert silent == []


def test_without_a_command_the_help_is_shown_and_the_usage_is_wrong() -> None:
    result = privrec()
    assert result.exit_code == 2
    assert "Start with: privrec demo" in result.out


@pytest.mark.parametrize("words", [("frobnicate",), ("train", "--trainer", "magic"), ("train", "--factors", "0")])
def test_wrong_usage_ends_with_2_and_touches_nothing(words: tuple[str, ...], fresh: Path) -> None:
    assert privrec(*words).exit_code == 2
    assert not fresh.exists()


def test_the_exit_codes_of_the_help_are_those_of_the_errors() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.PrivrecError)]
    codes = {kind.exit_code for kind in kinds if kind is not errors.PrivrecError}
    listed = {int(word) for word in EXIT_CODES.split() if word.rstrip().isdigit()}
    assert codes == listed - {0, 2}


def test_the_default_number_of_factors_is_the_trainers() -> None:
    for command in (data.train, data.evaluate):
        assert inspect.signature(command).parameters["factors"].default == N_FACTORS


def test_an_error_is_json_where_the_output_is(fresh: Path) -> None:
    result = privrec("recommend", "a\nb", "--json")
    assert result.exit_code == 3
    assert result.out == ""
    error = json.loads(result.err)["error"]
    assert error["code"] == "InputError"
    assert error["message"].startswith("expected a customer id")


@pytest.mark.parametrize(
    "words",
    [
        ("recommend", ADA),
        ("ledger",),
        ("ledger", "verify"),
        ("models",),
        ("experiment", "show"),
        ("keys", "list"),
        ("keys", "create", "till", "--scope", "write"),
        ("audit", "canaries", "--trainings", "8"),
        ("evaluate", "--trainer", "popularity"),
        ("train", "--epsilon", "1"),
    ],
    ids=" ".join,
)
def test_with_json_one_document_is_printed_and_nothing_else(words: tuple[str, ...], trained: Path) -> None:
    result = done(*words, "--json")
    assert result.json is not None
    assert json.dumps(result.json, indent=2, ensure_ascii=False) + "\n" == result.out


@pytest.mark.parametrize("words", [("ledger",), ("models",), ("keys", "list")], ids=" ".join)
def test_an_empty_installation_is_shown_as_such(words: tuple[str, ...], fresh: Path) -> None:
    assert not any(value for value in listed(done(*words, "--json").json))
    assert done(*words).exit_code == 0


def listed(document: object) -> list[object]:
    """The values of a document, or its parts."""
    return list(document.values()) if isinstance(document, dict) else [document]


def imported_by(statement: str, cwd: Path) -> set[str]:
    """The packages that a process has imported once the statement has ended."""
    code = f"import sys\ntry:\n    {statement}\nexcept SystemExit as end:\n    assert not end.code, end\nfinally:\n"
    code += "    print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd)
    return set(ran.stderr.split())


def test_the_command_line_imports_nothing_heavy_by_itself(tmp_path: Path) -> None:
    packages = imported_by("import pipelines.cli", tmp_path)
    assert packages & HEAVY == set()
    assert "typer" in packages


@pytest.mark.service
def test_verifying_a_receipt_needs_neither_numpy_nor_a_database_nor_a_server(trained: Path, tmp_path: Path) -> None:
    receipt, key, elsewhere = tmp_path / "receipt.json", tmp_path / "key.pem", tmp_path / "elsewhere"
    done("erase", ADA, "--receipt", receipt)
    key.write_text(done("keys", "public").out)
    elsewhere.mkdir()
    argv = ["privrec", "verify", str(receipt), "--public-key", str(key)]
    packages = imported_by(f"sys.argv = {argv!r}; from pipelines.cli import main; main()", elsewhere)
    assert packages & HEAVY == set()
    assert "cryptography" in packages
    assert list(elsewhere.iterdir()) == []


def test_an_error_in_a_process_of_its_own_ends_with_its_code_and_no_traceback(tmp_path: Path) -> None:
    result = in_a_process("verify", "missing", "--public-key", "missing", cwd=tmp_path)
    assert (result.exit_code, result.out) == (3, "")
    assert result.err.splitlines() == [
        "privrec: expected to read missing, got: No such file or directory; check the path"
    ]
