"""Measurements: `python -m benchmarks.NAME [--data DIR] [--quick]` writes `benchmarks/results/NAME.json`."""
