"""A shop with tastes, and the model made from it without noise."""

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.models.customer import SumRule, counts_terms
from recsys.models.factorise import item_factors
from recsys.models.factors import ItemFactors
from recsys.models.gram import GramSum, release_counts, release_gram
from tests.recsys.models.shops import catalogue


@pytest.fixture
def purchased(rng: np.random.Generator) -> sp.csr_matrix:
    """(90, 30): three groups of customers, each with a liking for ten items."""
    likes = np.arange(90)[:, None] % 3 == np.arange(30) % 3
    return sp.csr_matrix((rng.random((90, 30)) < np.where(likes, 0.5, 0.05)).astype(np.float32))


@pytest.fixture
def content(purchased: sp.csr_matrix) -> GramSum:
    """The sum over the shop's customers, on a head of 25 of its 30 items."""
    released = release_counts(counts_terms(purchased), 0.0)
    return GramSum.empty(catalogue(30), SumRule(released_counts=released, head_size=25)).add(purchased)


@pytest.fixture
def model(content: GramSum) -> ItemFactors:
    """The shop's model, with 6 factors beside popularity."""
    return item_factors(release_gram(content.gram, 0.0), content.rule, content.items, noise_scale=0.0, n_factors=6)
