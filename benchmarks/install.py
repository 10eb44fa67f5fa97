"""What the README's two commands take on this machine: a fresh clone, an empty environment, wall seconds and disk."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.report import options, report

KEPT = ("PATH", "HOME", "LANG")
MEGABYTE = 1_000_000


def main() -> None:
    """Clone the checkout at its last commit twice, and time one command in each."""
    chosen = options(__doc__ or "")
    with tempfile.TemporaryDirectory() as directory:
        clone = _clone(Path(directory) / "demo")
        demo_seconds = _run("make", "demo", at=clone)
        figures = {"readme.make_demo_seconds": demo_seconds, "readme.demo_disk_mb": _megabytes(clone / ".venv")}
        figures["readme.state_mb"] = _megabytes(clone / "privrec-data")
        again = _run(".venv/bin/privrec", "demo", "--fresh", at=clone)
        figures |= {"readme.demo_seconds": again, "readme.install_seconds": demo_seconds - again}
        if not chosen.quick:
            clone = _clone(Path(directory) / "test")
            figures["readme.make_test_seconds"] = _run("make", "test", at=clone)
            figures["readme.dev_disk_mb"] = _megabytes(clone / ".venv")
            figures["readme.make_fast_seconds"] = _run("make", "fast", at=clone)
    report("install", figures, chosen, seeds=[])


def _clone(directory: Path) -> Path:
    _run("git", "clone", "--quiet", str(Path.cwd()), str(directory), at=Path.cwd())
    return directory


def _run(*command: str, at: Path) -> float:
    """Wall seconds of a command in an environment with nothing of privrec's in it; it must succeed."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    started = time.monotonic()
    subprocess.run(command, cwd=at, env=environment, check=True)  # noqa: S603 - commands written here
    return time.monotonic() - started


def _megabytes(directory: Path) -> float:
    return sum(file.lstat().st_size for file in directory.rglob("*") if not file.is_dir()) / MEGABYTE


if __name__ == "__main__":
    main()
