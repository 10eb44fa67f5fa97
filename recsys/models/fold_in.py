"""A customer's vector in a finished model, from that customer's own purchases: nothing personal is kept in the model.

Only the person's own data and the released model go in, so under joint differential privacy (the billboard model, Hsu
et al. 2014) a result that is shown to this person alone costs no budget.
"""

from dataclasses import dataclass
from itertools import pairwise

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
    return FoldIn.of(model).vectors(purchased)


@dataclass(frozen=True, slots=True, eq=False)
class FoldIn:
    """What does not depend on the customer, made once for each model."""

    model: ItemFactors
    inverse: NDArray[np.float64]
    """(n_factors, n_factors): (F^T F + lambda I)^-1; of no use, and empty, where the model needs no ridge."""

    @classmethod
    def of(cls, model: ItemFactors) -> "FoldIn":
        """For this model."""
        if not model.regularization:
            return cls(model, np.zeros((0, 0)))
        factors = model.factors.astype(np.float64)
        gramian = factors.T @ factors + model.regularization * np.eye(model.n_factors)
        return cls(model, np.linalg.inv(gramian).astype(np.float64))

    def vector(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """(n_factors,): the vector of a customer who bought these items, each named once.

        Guarantees:
            - The same bits alone and in a batch.

        Tested by: tests/recsys/models/test_fold_in.py::test_other_customers_change_nothing
        """
        return self._ridge(items) if self.model.regularization else self._sum(items)

    def vectors(self, purchased: sp.csr_matrix) -> NDArray[np.float32]:
        """(n_customers, n_factors): as `vector`, of everyone; what is stored was bought."""
        vectors = np.empty((purchased.shape[0], self.model.n_factors), dtype=np.float32)
        bounds = purchased.indptr.tolist()
        for row, (start, stop) in enumerate(pairwise(bounds)):
            vectors[row] = self.vector(purchased.indices[start:stop])
        return vectors

    def _sum(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """z = sum over j in S of w_j E_j / ||w_S||."""
        weights = self.model.item_weights[items]
        counted = weights * weights > 0  # so that an item without weight changes no bit
        items, weights = items[counted], weights[counted]
        length = np.sqrt(weights @ weights)
        return weights @ self.model.encoder[items] / (length or np.float32(1))

    def _ridge(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """z = (A + (alpha - 1) U^T U)^-1 alpha U^T 1, equation 4 of Hu, Koren and Volinsky 2008.

        A = F^T F + lambda I, and U are the factors of the items bought. For fewer items than factors by the identity of
        Woodbury: with W = A^-1 U^T, z = alpha W (I + (alpha - 1) U W)^-1 1, and alpha W 1 where alpha is 1.
        """
        alpha, own = self.model.alpha, self.model.factors[items].astype(np.float64)
        if alpha == 1:
            return (self.inverse @ own.sum(axis=0)).astype(np.float32)
        within = own @ self.inverse
        if len(own) > own.shape[1]:
            moved = np.eye(own.shape[1]) + (alpha - 1) * within.T @ own
            return np.linalg.solve(moved, alpha * within.sum(axis=0)).astype(np.float32)
        share = np.linalg.solve(np.eye(len(own)) + (alpha - 1) * within @ own.T, np.full(len(own), alpha))
        return (share @ within).astype(np.float32)
