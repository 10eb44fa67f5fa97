"""What the command line prints: tables and progress for people, one JSON document for scripts."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from recsys.types import IngestReport, Json

console = Console(highlight=False, soft_wrap=True)
"""Results."""
status_console = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and remarks, so that `--json` output can be piped."""

NOT_PRIVATE = "internal, not private: computed on customers' purchases without noise; do not publish them"
"""Said of exact figures about customers."""

WIDE = 10_000
"""Columns of a table that nobody folds."""


def print_json(document: Json) -> None:
    """One JSON document on standard output."""
    console.out(json.dumps(document, indent=2, ensure_ascii=False), highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, left: int = 1) -> None:
    """A table; the first `left` columns are text, the others numbers. A row without cells draws a line."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left else "right", overflow="fold")
    for row in rows:
        if not row:
            table.add_section()
            continue
        # Text: a product may be called [red], which is no markup.
        table.add_row(*(Text(str(cell)) for cell in row))
    if not console.is_terminal:
        # A file or a pipe has no width: nothing is folded, so that a version's name can be found there.
        table.width = console.measure(table, options=console.options.update_width(WIDE)).maximum
    console.print(table)


def print_records(title: str, columns: Mapping[str, str], rows: Sequence[Sequence[str]], *, as_json: bool) -> None:
    """Rows of text: as a table, or as objects for scripts; `columns` are the names there, each with its heading."""
    if as_json:
        documents: list[Json] = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json(documents)
    else:
        print_table(title, list(columns.values()), rows, left=len(columns))


def print_report(report: IngestReport, title: str = "Ingested", *, as_json: bool) -> None:
    """What an ingestion did, or would do, with the rows."""
    counts = {
        name: count
        for name, count in asdict(report).items()
        if count or name in {"rows", "accepted", "duplicates", "returns"}
    }
    if as_json:
        print_json(dict[str, Json](asdict(report)))
    else:
        print_table(title, ["rows", "number"], [(name, f"{count:,}") for name, count in counts.items()])


@contextmanager
def bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; call what comes back with how much was done."""
    parts = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*parts, console=status_console, transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def steps(description: str) -> Iterator[Callable[[str], None]]:
    """A spinner on standard error that names the step; call what comes back with the next one."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=status_console, transient=True
    ) as progress:
        task = progress.add_task(description, total=None)
        yield lambda step: progress.update(task, description=f"{description}: {step}")
