"""Scores of items for customers."""

from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.factors import ItemFactors
from recsys.models.fold_in import fold_in

Scores: TypeAlias = NDArray[np.float32]
"""(n_customers, n_items); -inf marks an item that must not be in the list."""


def model_scores(model: ItemFactors, purchased: sp.csr_matrix) -> Scores:
    """(n_customers, n_items): what the model says about every item it knows; -inf about the others.

    A model without factors ranks by popularity. So does any model for a customer of whom it knows no purchase.
    """
    return vector_scores(model, fold_in(model, purchased))


def vector_scores(model: ItemFactors, vectors: NDArray[np.float32]) -> Scores:
    """(n_customers, n_items): as `model_scores`, for customers whose vectors (n_customers, n_factors) are known."""
    scores = vectors @ model.factors.T
    blank = ~scores.any(axis=1)
    scores[blank] = model.popularity
    known = (model.item_weights > 0) if model.n_factors else (model.popularity > 0)
    return np.where(known, scores, -np.inf).astype(np.float32)
