"""Documents that cannot drift: what they link, name and cite is there, and what they must not hold is not."""

import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from recsys import errors

LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?://|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
NAMED_TEST = re.compile(r"`?(tests/[\w/]+\.py)(?:::(\w+))?`?")
FIGURE = re.compile(r"(?:([\d.,]*\d) \()?`(?:benchmarks/)?results/([a-z][\w-]*)\.json: ([^`]+)`")
MACHINE_PATH = re.compile(r"(?:^|[^\w.])/(?:work|farm|root|home|Users)/", flags=re.MULTILINE)
REGISTRY_HOST = re.compile(r"pypi[.]org|files[.]pythonhosted|registry[.]npmjs|deb[.]debian", flags=re.IGNORECASE)


def headings(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def linked(documents: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Document, linked path and anchor of every link within the repository."""
    for name, text in documents.items():
        for path, anchor in LINK.findall(text):
            yield name, path, anchor.removeprefix("#")


def broken_links(root: Path, documents: Mapping[str, str]) -> list[str]:
    broken = []
    for name, path, anchor in linked(documents):
        target = (root / name).parent / path
        if not target.exists() or (anchor and anchor not in headings(target.read_text())):
            broken.append(f"{name}: {path}#{anchor}")
    return broken


def missing_tests(root: Path, text: str) -> list[str]:
    missing = []
    for path, function in NAMED_TEST.findall(text):
        file = root / path
        names = (
            {node.name for node in ast.walk(ast.parse(file.read_text())) if hasattr(node, "name")}
            if file.exists()
            else set()
        )
        if not file.exists() or (function and function not in names):
            missing.append(f"{path}::{function}")
    return missing


def wrong_figures(results: Path, text: str) -> list[str]:
    """The citations whose key is not in the results file, or whose number is not the figure rounded as written."""
    wrong = []
    for number, benchmark, key in FIGURE.findall(text):
        file = results / f"{benchmark}.json"
        figures = json.loads(file.read_text())["figures"] if file.exists() else {}
        written = number.replace(",", "")
        decimals = len(written.partition(".")[2])
        if key not in figures or (written and abs(figures[key] - float(written)) > 0.5000001 * 10**-decimals):
            wrong.append(f"{benchmark}.json: {key} {number}")
    return wrong


def test_every_linked_file_and_heading_exists(root: Path, documents: Mapping[str, str]) -> None:
    assert len(list(linked(documents))) > 20
    assert broken_links(root, documents) == []


def test_every_document_is_reached_from_the_index(root: Path, documents: Mapping[str, str]) -> None:
    reached: set[str] = set()
    waiting = ["docs/index.md", "README.md"]
    while waiting:
        name = waiting.pop()
        if name not in reached and name in documents:
            reached.add(name)
            targets = [(root / name).parent / path for _, path, _ in linked({name: documents[name]})]
            waiting += [target.resolve().relative_to(root).as_posix() for target in targets if target.suffix == ".md"]
    assert {name for name in documents if name.startswith("docs/")} <= reached


def test_every_named_test_exists(root: Path, source_files: Mapping[str, str]) -> None:
    sources = {name: text for name, text in source_files.items() if not name.startswith("tests/")}
    assert NAMED_TEST.search(sources["docs/guarantees.md"])
    assert {name: missing for name, text in sources.items() if (missing := missing_tests(root, text))} == {}


def test_every_guarantee_names_a_test(documents: Mapping[str, str]) -> None:
    rows = [
        line for line in documents["docs/guarantees.md"].splitlines() if line.startswith("| ") and " --- " not in line
    ]
    promises = [row for row in rows if not row.startswith("| promise |")]
    assert len(promises) >= 7
    assert [row for row in promises if not NAMED_TEST.search(row)] == []


def unshown(page: str) -> list[str]:
    """The features that the page claims without a test, denies with one, or answers with neither yes, partly nor no."""
    table = [re.split(r" *\| *", line.strip("| ")) for line in page.splitlines() if line.startswith("| ")]
    rows = [cells for cells in table if cells[0] not in {"feature", "---"}]
    return [
        feature
        for feature, ours, tests, *_ in rows
        if re.split(r"\W", ours)[0] not in {"yes", "partly", "no"}
        or ours.startswith("no") == any(function for _, function in NAMED_TEST.findall(tests))
    ]


def test_every_feature_that_is_claimed_names_a_test(documents: Mapping[str, str]) -> None:
    page = documents["docs/features.md"]
    assert len(re.findall(r"^\| .+ \| (?:yes|partly|no)\b", page, flags=re.MULTILINE)) > 20
    assert unshown(page) == []


def test_every_pitfall_has_its_number_what_prevents_it_and_a_test(documents: Mapping[str, str]) -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", documents["docs/pitfalls.md"], flags=re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 20))
    for _, pitfall, prevented, tests in rows:
        assert pitfall.endswith(".")
        assert prevented.endswith(".")
        assert all(function for _, function in NAMED_TEST.findall(tests))
        assert NAMED_TEST.search(tests)


def test_every_cited_figure_is_in_its_results_file(root: Path, documents: Mapping[str, str]) -> None:
    wrong = {name: bad for name, text in documents.items() if (bad := wrong_figures(root / "benchmarks/results", text))}
    assert wrong == {}


def test_every_benchmark_has_a_row(root: Path, documents: Mapping[str, str]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", documents["benchmarks/README.md"], flags=re.MULTILINE)
    reporting = {path.stem for path in (root / "benchmarks").glob("*.py") if re.search(r"\breport\(", path.read_text())}
    assert len(rows) == len(set(rows)) > 10
    assert set(rows) == reporting - {"report"}


def test_every_error_is_documented_with_its_exit_code(documents: Mapping[str, str]) -> None:
    tree: dict[str, type[errors.PrivrecError]] = dict(inspect.getmembers(errors, inspect.isclass))
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", documents["docs/errors.md"], flags=re.MULTILINE))
    assert rows == {name: str(error.exit_code) for name, error in tree.items()}


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine paths", "registry hosts"])
def test_no_file_tells_where_it_was_made(source_files: Mapping[str, str], pattern: re.Pattern[str]) -> None:
    assert len(source_files) > 50
    assert {name: found.group() for name, text in source_files.items() if (found := pattern.search(text))} == {}


def test_the_decisions_are_numbered_without_gaps_and_each_tells_the_four_things(documents: Mapping[str, str]) -> None:
    decisions = {name: text for name, text in documents.items() if re.match(r"docs/decisions/\d{4}-", name)}
    numbers = sorted(int(name.split("/")[2][:4]) for name in decisions)
    assert numbers == list(range(1, len(numbers) + 1))
    parts = ["## Context", "## Decision", "## Rejected", "## Consequences"]
    assert {
        name: re.findall(r"^## \w+", text, flags=re.MULTILINE) for name, text in decisions.items()
    } == dict.fromkeys(decisions, parts)


def test_the_checkers_catch_what_they_are_there_for(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("def test_one(): ...\n")
    (tmp_path / "speed.json").write_text('{"figures": {"a.b": 0.1249}}')
    page = {"page.md": "[1](there.md) [2](gone.md) [3](there.md#a-heading) [4](there.md#no-heading)"}
    assert broken_links(tmp_path, page) == ["page.md: gone.md#", "page.md: there.md#no-heading"]
    assert missing_tests(tmp_path, "tests/test_a.py::test_one tests/test_a.py::test_two tests/test_b.py") == [
        "tests/test_a.py::test_two",
        "tests/test_b.py::",
    ]
    claims = [
        "yes | `tests/test_a.py::test_one`",
        "yes | `tests/test_a.py`",
        "partly: half | ",
        "no: but | ",
        "maybe | ",
        "no | `tests/test_a.py::test_one`",
    ]
    rows = "\n".join(f"| {number} | {claim} | yes |" for number, claim in enumerate(claims))
    assert unshown(f"| feature | privrec | shown by | peer |\n| --- | --- | --- | --- |\n{rows}") == [
        "1",
        "2",
        "4",
        "5",
    ]
    cited = "0.125 (`results/speed.json: a.b`) 0.126 (`results/speed.json: a.b`) `results/speed.json: a.c`"
    assert wrong_figures(tmp_path, cited) == ["speed.json: a.b 0.126", "speed.json: a.c "]
    assert MACHINE_PATH.search("see /" + "work/main/x")
    assert REGISTRY_HOST.search("https://pypi" + ".org/simple")
