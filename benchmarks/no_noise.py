"""The sum without noise beside implicit's ALS and popularity, on UCI Online Retail: first purchases, temporal 80/20.

Customers and items with at least 5 of the other, quantity > 0. Also the settings around the defaults, so that a default
can be seen to be no accident; they are looked at on the test purchases, as the peer's settings are.
"""

import math
import time

import numpy as np
import scipy.sparse as sp

from benchmarks.datasets import MINIMUM, onlineretail, recall20
from benchmarks.report import options, report
from recsys.models.als import ALSConfig, train_als
from recsys.models.customer import SumRule
from recsys.models.factors import ItemFactors
from recsys.models.spectral import EXPONENT, spectral_factors
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Trainer

FACTORS = (64, 128, 256)
REGULARIZATIONS = (7.5, 15.0, 30.0)
ALS_FACTORS = (64, 128)
ALS_REGULARIZATIONS = (1.0, 10.0, 30.0)
ALS_ALPHAS = (1.0, 5.0)


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    task = onlineretail(chosen.data, core=20 if chosen.quick else MINIMUM)
    figures: dict[str, float] = {
        "onlineretail.customers": task.train.shape[0],
        "onlineretail.items": len(task.items),
        "onlineretail.tested": len(task.protocol.users),
    }
    for trainer in (Trainer.POPULARITY, Trainer.GRAM, Trainer.ALS):
        started = time.process_time()
        model = fit(task.train, task.items, Terms.under(TrainConfig(trainer=trainer, epsilon=math.inf))).factors
        seconds = time.process_time() - started
        figures |= {
            f"onlineretail.{trainer}.recall20": recall20(task, model),
            f"onlineretail.{trainer}.cpu_seconds": seconds,
        }
    if not chosen.quick:
        figures |= {
            f"sweep.gram.{name}.recall20": recall20(task, model) for name, model in gram_sweep(task.train, task.items)
        }
        figures |= {
            f"sweep.als.{name}.recall20": recall20(task, model) for name, model in als_sweep(task.train, task.items)
        }
    report("no_noise", figures, chosen, seeds=[0])


def gram_sweep(train: sp.csr_matrix, items: tuple[str, ...]) -> list[tuple[str, ItemFactors]]:
    """The sum's model at every setting around the defaults."""
    counts = np.bincount(train.indices, minlength=len(items)).astype(float)
    rule = SumRule(released_counts=counts, head_size=int(np.count_nonzero(counts)), exponent=EXPONENT)
    return [
        (f"factors{n}.reg{reg:g}", spectral_factors(train, rule, items, n_factors=n, regularization=reg))
        for n in FACTORS
        for reg in REGULARIZATIONS
    ]


def als_sweep(train: sp.csr_matrix, items: tuple[str, ...]) -> list[tuple[str, ItemFactors]]:
    """Implicit's ALS at twelve settings."""
    configs = [
        ALSConfig(factors=factors, regularization=reg, alpha=alpha)
        for factors in ALS_FACTORS
        for reg in ALS_REGULARIZATIONS
        for alpha in ALS_ALPHAS
    ]
    return [
        (f"factors{c.factors}.reg{c.regularization:g}.alpha{c.alpha:g}", train_als(train, items, c)) for c in configs
    ]


if __name__ == "__main__":
    main()
