"""Why the head is as large as it is, and popularity weighs what it does: both around the defaults, under noise.

MovieLens 1M (validation customers of two splits, never the test customers) and Online Retail, epsilon 1, 4 and 8,
everything accounted. Noise comes from a seeded generator, so that two settings are compared under the same draw.
"""

import numpy as np

from benchmarks.datasets import Task20, ml1m, onlineretail, recall20
from benchmarks.report import options, report
from recsys.models import factorise
from recsys.models.customer import SumRule, counts_terms
from recsys.models.gram import GramSum, release_counts, release_gram
from recsys.training.terms import Terms, TrainConfig

EPSILONS = (1.0, 4.0, 8.0)
HEADS = (100, 200, 300, 450, 650, 900)
WEIGHTS = (0.6, 0.8, 1.0)
DRAWS = 2


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    sets = {"ml1m": [ml1m(chosen.data, split=split, validation=True) for split in range(1 if chosen.quick else 2)]}
    if not chosen.quick:
        sets["onlineretail"] = [onlineretail(chosen.data)]
    figures: dict[str, float] = {}
    for name, tasks in sets.items():
        for epsilon in EPSILONS[1:2] if chosen.quick else EPSILONS:
            for head in HEADS[2:4] if chosen.quick else HEADS:
                stem = f"{name}.eps{epsilon:g}.head{head}"
                figures |= {f"{stem}.{key}": value for key, value in measure(tasks, epsilon, head).items()}
    report("head", figures, chosen, seeds=list(range(DRAWS)))


def measure(tasks: list[Task20], epsilon: float, head: int) -> dict[str, float]:
    """Mean Recall@20 at each weight of popularity, and how the noise's edge compares with an item's share."""
    terms = Terms.under(TrainConfig(epsilon=epsilon))
    found: dict[float, list[float]] = {weight: [] for weight in WEIGHTS}
    for task in tasks:
        for seed in range(DRAWS):
            entropy = np.random.default_rng(seed).bytes
            released = release_counts(counts_terms(task.train), terms.counts_noise_multiplier, entropy)
            rule = SumRule(released_counts=released, head_size=head)
            gram = release_gram(
                GramSum.empty(task.items, rule).add(task.train).gram, terms.gram_noise_multiplier or 0.0, entropy
            )
            for weight in WEIGHTS:
                model = factorise.item_factors(
                    gram, rule, task.items, noise_scale=terms.noise_scale, n_factors=128, popularity_weight=weight
                )
                found[weight].append(recall20(task, model))
    share = np.mean([task.train.shape[0] for task in tasks]) / head
    edge = terms.noise_scale * np.sqrt(2 * head)
    means = {f"weight{weight:g}.recall20": float(np.mean(values)) for weight, values in found.items()}
    return means | {"edge_over_share": float(edge / share)}


if __name__ == "__main__":
    main()
