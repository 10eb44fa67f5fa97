"""`python -m pipelines.cli` is `privrec`."""

from pipelines.cli import main

main()
