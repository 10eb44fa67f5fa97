"""What `privrec demo` shows and takes, in a fresh state directory: its table, wall seconds and peak memory."""

import tempfile
from pathlib import Path

from benchmarks.report import options, peak_gb, report
from pipelines.demo import DemoConfig, run_demo
from recsys.store.settings import Settings


def main() -> None:
    """Run the demo once; it reads its data from a PyPI package, so `--data` says nothing here."""
    chosen = options(__doc__ or "")
    with tempfile.TemporaryDirectory() as directory:
        figures = run_demo(Settings.load(state_dir=Path(directory) / "state"), DemoConfig())
    report("demo", {**figures, "demo.peak_gb": peak_gb()}, chosen, seeds=[0])


if __name__ == "__main__":
    main()
