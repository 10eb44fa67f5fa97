"""Erasure: what it costs, what is left of a customer after it, and what other ways to forget leave.

Under RecEraser's split of MovieLens 1M, trained on its train rows alone, settings chosen on its valid_inferred rows
(docs/decisions/0022); on UCI Online Retail and Complete Journey as the parts say:

    gram      digests and CPU time of the exact sum beside a training that never saw the customer
    peers     full training, nothing, shards, warm starts, downdates
    attacks   membership of erased customers, planted customers
    als       the same of ALS at its optimum (also alone: erasure_als)
    live      acknowledgement, worker, receipt, check
"""

from benchmarks import erasure_als, erasure_attacks, erasure_gram, erasure_live, erasure_peers
from benchmarks.report import options, report


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    figures = erasure_gram.figures(chosen.data, quick=chosen.quick)
    figures |= erasure_peers.figures(chosen.data, quick=chosen.quick)
    figures |= erasure_attacks.figures(chosen.data, quick=chosen.quick)
    figures |= erasure_als.figures(chosen.data, chosen.quick)
    figures |= erasure_live.figures(quick=chosen.quick)
    report("erasure", figures, chosen, seeds=[0])


if __name__ == "__main__":
    main()
