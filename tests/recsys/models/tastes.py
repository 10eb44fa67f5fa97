"""Customers who buy within a few tastes, with a long tail."""

import numpy as np
import scipy.sparse as sp


def tastes(n_customers: int = 400, n_items: int = 90, seed: int = 0) -> sp.csr_matrix:
    """(n_customers, n_items): what they bought."""
    rng = np.random.default_rng(seed)
    taste = rng.gamma(0.3, size=(8, n_items)) ** 2
    chance = rng.dirichlet(np.full(8, 0.3), n_customers) @ (taste / taste.sum(axis=1, keepdims=True))
    return sp.csr_matrix((rng.random(chance.shape) < np.minimum(12 * chance, 0.9)).astype(np.float32))
