"""Erasure: what it costs, what is left of a customer after it, and what other ways to forget leave.

Under RecEraser's split of MovieLens 1M, trained on its train rows alone, settings chosen on its valid_inferred rows
(docs/decisions/0022); on UCI Online Retail and Complete Journey as the parts say:

    live      acknowledgement, worker, receipt, check
    gram      digests and CPU time of the exact sum beside a training that never saw the customer
    als       quality and CPU time of ALS at its optimum, beside plain ALS
    digests   erasures from ALS beside trainings that never saw the customers
    peers     full training, nothing, shards, warm starts, downdates
    attacks   membership of erased customers, planted customers
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks import erasure_als, erasure_attacks, erasure_gram, erasure_live, erasure_peers
from benchmarks.report import Figures, Options, options, report

PARTS = ("live", "gram", "als", "digests", "peers", "attacks")


def main() -> None:
    """Measure part by part, and report each as soon as it is done."""
    chosen = options(__doc__ or "", PARTS)
    measures = _measures(chosen)
    for part in chosen.parts:
        report("erasure", measures[part](), replace(chosen, parts=(part,)), seeds=[0])


def _measures(chosen: Options) -> dict[str, Callable[[], Figures]]:
    on_data: dict[str, Callable[..., Figures]] = {
        "gram": erasure_gram.figures,
        "als": erasure_als.figures,
        "digests": erasure_als.compared,
        "peers": erasure_peers.figures,
        "attacks": erasure_attacks.figures,
    }
    measures: dict[str, Callable[[], Figures]] = {"live": partial(erasure_live.figures, quick=chosen.quick)}
    for part, measure in on_data.items():
        measures[part] = partial(measure, chosen.data, quick=chosen.quick)
    return measures


if __name__ == "__main__":
    main()
