"""Popularity from released counts: the floor that every model must beat."""

import numpy as np
from numpy.typing import NDArray

from recsys.models.factors import ItemFactors


def popularity_model(released_counts: NDArray[np.float64], items: tuple[str, ...]) -> ItemFactors:
    """A model without factors: the same list for everybody, by released counts.

    Args:
        released_counts: (n_items,) customers per item, as released (with noise, under DP)
        items: (n_items,) the catalogue
    """
    nothing = np.zeros((len(items), 0), dtype=np.float32)
    return ItemFactors(
        item_ids=items,
        encoder=nothing,
        factors=nothing,
        item_weights=np.zeros(len(items), dtype=np.float32),
        popularity=np.maximum(released_counts, 0).astype(np.float32),
    )
