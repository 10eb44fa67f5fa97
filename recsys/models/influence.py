"""By how much each customer's term moves what all customers are shown of some items: for finding poisoned profiles.

The model is, but for its cut and the weights of its items, the ridge autoencoder B = G R with R = (G + lambda I)^-1,
and the mean score of item i is h^T B e_i, with h the mean of the customers' vectors. A customer adds x x^T to G. The
first-order effect of that (the influence function of Koh and Liang 2017, here in closed form, as
dB = lambda R dG R) is

    lambda (x^T R h) (x^T R e_i)

so that two solves do for everybody: R h and R e_i. Then each customer costs a product with their own few items.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import linalg

from recsys.errors import InputError
from recsys.models.customer import GRID, batches, customer_vectors
from recsys.models.erasable import REGULARIZATION
from recsys.models.gram import GramSum

Vector = NDArray[np.float64]


def influences(content: GramSum, purchased: sp.csr_matrix, items: Sequence[str]) -> Vector:
    """(n_customers,): how much of these items' mean score is there because of each customer's term, to first order.

    Exact figures about customers: internal, not private.

    Args:
        content: the sum that the customers are in
        purchased: (n_customers, n_items) what went into it; what is stored was bought
        items: whose scores are added up

    Guarantees:
        - Where the model is the ridge autoencoder itself, a small part of a term taken off moves the score by that part
          of the influence.

    Tested by: tests/recsys/models/test_influence.py::test_it_is_the_derivative_of_the_mean_score

    Raises:
        InputError: an item is not in the sum, or the sum has no Gram of items, or one beside directions.
    """
    targets = _targets(content, items)
    gram = content.gram / GRID**2
    ridge = max(REGULARIZATION * float(np.trace(gram)) / len(gram), np.finfo(float).tiny)
    solve = linalg.cho_factor(gram + ridge * np.eye(len(gram)), overwrite_a=True, check_finite=False)
    columns = np.stack([_mean(purchased, content), targets], axis=1)
    toward = linalg.cho_solve(solve, columns, check_finite=False)
    parts = [customer_vectors(batch, content.rule) / GRID @ toward for batch in batches(purchased)]
    moved = np.concatenate(parts) if parts else np.zeros((0, 2))
    return np.asarray(ridge * moved[:, 0] * moved[:, 1])


def _mean(purchased: sp.csr_matrix, content: GramSum) -> Vector:
    """(head,): the mean of the customers' vectors."""
    total = np.zeros(len(content.gram))
    for batch in batches(purchased):
        total += customer_vectors(batch, content.rule).sum(axis=0)
    return np.asarray(total / (GRID * max(purchased.shape[0], 1)))


def _targets(content: GramSum, items: Sequence[str]) -> Vector:
    """(head,): one for each of the items.

    Raises:
        InputError: as `influences`.
    """
    if content.rule.n_directions or not len(content.gram):
        msg = (
            "expected a sum of which items go together, got one without, or one beside directions from attributes; "
            "ask for a version of the trainer gram without --attributes"
        )
        raise InputError(msg)
    covered = {content.items[place]: row for row, place in enumerate(content.rule.head)}
    unknown = sum(item not in covered for item in items)
    if unknown or not items:
        msg = f"expected items that the model covers, got {unknown} others; see the catalogue: privrec export FILE"
        raise InputError(msg)
    targets = np.zeros(len(content.gram))
    targets[[covered[item] for item in items]] = 1.0
    return targets
