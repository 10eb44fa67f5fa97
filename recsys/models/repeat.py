"""Own repeats: what a customer bought before, by how often. The person's own data, so it costs no privacy budget."""

import numpy as np
from numpy.typing import NDArray

from recsys.models.ranking import Scores

MODEL_SHARE = 0.9
"""Below one purchase: the model orders items that were bought equally often, and everything that was never bought."""


def with_own_repeats(scores: Scores, purchases: NDArray[np.float32]) -> Scores:
    """(n_customers, n_items): bought more often comes first, the model decides among equals.

    Args:
        scores: (n_customers, n_items) of a model; -inf where it knows nothing
        purchases: (n_customers, n_items) how often each customer bought each item
    """
    finite = np.where(np.isfinite(scores), scores, np.nan)
    low = np.fmin.reduce(finite, axis=1, keepdims=True)
    high = np.fmax.reduce(finite, axis=1, keepdims=True)
    share = MODEL_SHARE * (finite - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    known = np.nan_to_num(share, nan=0.0) + purchases
    return np.where(np.isfinite(scores) | (purchases > 0), known, -np.inf).astype(np.float32)
