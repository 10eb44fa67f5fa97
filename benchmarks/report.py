"""What every benchmark shares: its options, its results file, its table."""

import argparse
import json
import os
import platform
import resource
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

Figures = Mapping[str, float]
"""Flat: dotted keys to numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command line of a benchmark."""

    data: Path
    """Where the data sets are (see benchmarks/README.md)."""
    quick: bool
    """A smoke run: less data, no results file."""
    commit: str
    """What is measured: the checkout when the benchmark started, results aside."""
    parts: tuple[str, ...] = ()
    """What is measured of a benchmark that takes long, in this order."""


def options(description: str, parts: Sequence[str] = ()) -> Options:
    """The options of this process's command line; `parts` are those that a long benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="directory with the data sets")
    parser.add_argument("--quick", action="store_true", help="a smoke run on less data; writes no results file")
    if parts:
        text = "measure these alone; the figures of the others stay in the results file"
        parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help=text)
    found = parser.parse_args()
    chosen = tuple(found.parts) if parts else ()
    return Options(data=found.data, quick=found.quick, commit=commit(), parts=chosen)


def report(name: str, figures: Figures, chosen: Options, *, seeds: Sequence[int]) -> None:
    """Print the figures as a table and, unless this is a smoke run, write the results file."""
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:.6g}")
    if chosen.quick:
        return
    before = _before(name) if chosen.parts else {}
    document = {
        "benchmark": name,
        "command": f"python -m benchmarks.{name}",  # without --data, which tells where the data lies on this machine
        "commit": chosen.commit,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "seeds": list(seeds),
        "figures": before.get("figures", {}) | {key: float(f"{value:.9g}") for key, value in figures.items()},
    }
    if chosen.parts:
        del document["commit"]
        document["parts"] = before.get("parts", {}) | dict.fromkeys(chosen.parts, chosen.commit)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


def _before(name: str) -> dict[str, Any]:
    """The results file that is there, if it is one with parts."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found if "parts" in found else {}


def commit() -> str:
    """The name of the checkout's commit, marked if anything but a results file was changed since."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)benchmarks/results")
    name = _git("describe", "--always", "--abbrev=12") or "unknown"
    return f"{name}-dirty" if changed else name


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    models = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    cpu = models[0] if models else platform.processor()
    return {"cpu": cpu, "cores": os.cpu_count() or 0, "python": platform.python_version(), "system": platform.system()}


def peak_gb() -> float:
    """The largest resident memory of this process and of any child that has ended, in GB (10^9 bytes)."""
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(peaks) * 1024 / 1e9


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 - git
    return done.stdout.strip()


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
