"""A synthetic shop of 140,000 customers, 20,000 items and 20,000,000 purchases, grown from MovieLens 1M.

Nobody bought any of it: it shows what size costs, and what size does to the noise.

Items: each of the 3,706 films becomes one variant or more, as many as go with the root of how often it was liked,
20,000 in all. Customers: each has two parents, a training customer of MovieLens in turn and another at random, and
takes 3 of 4 likes of the first and 1 of 4 of the second. Each like becomes one purchase or more (Poisson), as many as
it takes to reach 20,000,000, each of a variant of that film, the variant of rank r in proportion to
1 / (r (r + 1)), so that as in real shops few items make up most of what is sold.
Held-out customers are 600 whom no parent knows: held out of MovieLens first, then grown in the same way from one
another, 80/20 fold-in.

The shop is grown in one process and trained on in another, which reads it from a file: seconds and peak memory are
those of training alone. Without noise the default model knows all items; beside it is the same sum, over the head
alone, without its noise, with as many factors and with all. Of the three sizes CPU seconds are told for one head of
2,000 items, because the head that the rule chooses grows with the shop.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import options, report

CUSTOMERS = 140_000
PURCHASES = 20_000_000
QUICK = 50
"""A smoke run is so many times smaller."""
SIZES = {"x1": 16, "x4": 4, "x16": 1}
"""Parts of the shop's customers."""
HEAD = 2000
QUICK_HEAD = 200


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    report("synthetic", synthetic(chosen.data, quick=chosen.quick), chosen, seeds=[0])


def synthetic(data: Path, *, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    smaller = QUICK if quick else 1
    with tempfile.TemporaryDirectory() as directory:
        shop = Path(directory) / "shop.npz"
        shape = worker("grow", str(data.resolve()), str(shop), str(CUSTOMERS // smaller), str(PURCHASES // smaller))
        # Without noise the head is as large as the shop: a smoke run has not the time for it.
        private, exact = (worker("train", str(shop), epsilon) for epsilon in ("1", "8" if quick else "inf"))
        head = str(QUICK_HEAD if quick else HEAD)
        sizes = {name: worker("size", str(shop), str(part), head) for name, part in SIZES.items()}
    figures = {f"synthetic.{name}": value for name, value in shape.items()}
    figures |= {
        "synthetic.train_seconds": private["seconds"],
        "synthetic.train_cpu_seconds": private["cpu_seconds"],
        "synthetic.peak_gb": private["peak_gb"],
        "synthetic.head": private["head"],
        "synthetic.popularity.recall20.eps1": private["popularity_recall20"],
        "synthetic.gram.recall20.eps1": private["recall20"],
        "synthetic.gram.recall20.inf": exact["recall20"],
        "synthetic.eps1_over_inf": private["recall20"] / exact["recall20"],
        "synthetic.same_sum.recall20.inf": private["same_sum_recall20"],
        "synthetic.same_sum.all_factors.recall20.inf": private["same_sum_all_recall20"],
        "synthetic.eps1_over_same_sum": private["recall20"] / private["same_sum_recall20"],
    }
    for name, size in sizes.items():
        figures |= {
            f"synthetic.train_seconds.{name}": size["cpu_seconds"],
            f"synthetic.purchases.{name}": size["purchases"],
            f"synthetic.sum_seconds.{name}": size["sum_cpu_seconds"],
        }
    return figures


def worker(*arguments: str) -> dict[str, float]:
    """What a fresh process found."""
    command = [sys.executable, "-m", "benchmarks.synthetic_worker", *arguments]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)  # noqa: S603 - ourselves
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
