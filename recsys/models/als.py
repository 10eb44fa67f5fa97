"""Implicit-feedback ALS through the `implicit` library: the baseline without privacy. The only file that imports it."""

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from recsys.models.factors import ItemFactors


@dataclass(frozen=True, kw_only=True, slots=True)
class ALSConfig:
    """Settings of implicit's ALS; the defaults are what worked best over our data sets (benchmarks/LOG.md)."""

    factors: int = 64
    regularization: float = 10.0
    alpha: float = 1.0
    iterations: int = 15


def train_als(
    purchased: sp.csr_matrix, items: tuple[str, ...], config: ALSConfig, *, seed: int = 0, progress: bool = False
) -> ItemFactors:
    """Item factors by alternating least squares (Hu, Koren and Volinsky 2008). Not private: not to be released as such.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        items: (n_items,) the catalogue
        config: the settings
        seed: for the initial factors
        progress: whether implicit shows its bar
    """
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - half a second that serving never needs

    bought = sp.csr_matrix(purchased, dtype=np.float32, copy=True)
    bought.data[:] = 1
    with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            alpha=config.alpha,
            iterations=config.iterations,
            random_state=seed,
        )
        model.fit(bought, show_progress=progress)
    factors = np.asarray(model.item_factors, dtype=np.float32)
    return ItemFactors(
        item_ids=items,
        encoder=np.zeros_like(factors),
        factors=factors,
        item_weights=np.ones(len(items), dtype=np.float32),
        popularity=np.asarray(bought.sum(axis=0), dtype=np.float32).ravel(),
        regularization=config.regularization,
        alpha=config.alpha,
    )
