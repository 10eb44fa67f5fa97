"""A customer's vector in a finished model, from that customer's own purchases: nothing personal is kept in the model.

Only the person's own data and the released model go in, so under joint differential privacy (the billboard model, Hsu
et al. 2014) a result that is shown to this person alone costs no budget.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.factors import ItemFactors


def fold_in(model: ItemFactors, purchased: sp.csr_matrix) -> NDArray[np.float32]:
    """(n_customers, n_factors): the customers' vectors.

    Args:
        model: the item tables
        purchased: (n_customers, n_items) over the model's items; what is stored was bought, how often does not matter
    """
    bought = sp.csr_matrix(
        (np.ones_like(purchased.data, dtype=np.float32), purchased.indices, purchased.indptr), purchased.shape
    )
    return _ridge(model, bought) if model.regularization else _sum(model, bought)


def _sum(model: ItemFactors, bought: sp.csr_matrix) -> NDArray[np.float32]:
    """z = sum over j in S of w_j E_j / ||w_S||."""
    length = np.sqrt(bought @ model.item_weights**2)
    total = bought @ (model.encoder * model.item_weights[:, None])
    return np.divide(total, length[:, None], out=np.zeros_like(total), where=length[:, None] > 0)


def _ridge(model: ItemFactors, bought: sp.csr_matrix) -> NDArray[np.float32]:
    """z = (F^T F + F^T (C - I) F + lambda I)^-1 F^T C p, equation 4 of Hu, Koren and Volinsky 2008, C = alpha on S."""
    factors = model.factors
    gramian = factors.T @ factors + model.regularization * np.eye(model.n_factors, dtype=np.float32)
    vectors = np.zeros((bought.shape[0], model.n_factors), dtype=np.float32)
    for row, (start, stop) in enumerate(zip(bought.indptr, bought.indptr[1:], strict=False)):
        own = factors[bought.indices[start:stop]]
        vectors[row] = np.linalg.solve(gramian + (model.alpha - 1) * own.T @ own, model.alpha * own.sum(axis=0))
    return vectors
