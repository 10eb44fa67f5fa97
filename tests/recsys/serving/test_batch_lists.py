"""Lists of many customers at once, against the lists of each."""

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.models.factors import ItemFactors
from recsys.serving.batch_lists import batch_lists
from recsys.serving.ranker import Ranker
from recsys.types import Task

N_ITEMS, N_FACTORS, NEWER, LENGTH = 300, 6, 4, 12


def model_of(rng: np.random.Generator, *, n_factors: int = N_FACTORS, regularization: float = 0.0) -> ItemFactors:
    """Every fifth item is unknown; some scores tie."""
    known = (np.arange(N_ITEMS) % 5 > 0).astype(np.float32)
    tables = np.round(rng.normal(size=(N_ITEMS, n_factors)), 1).astype(np.float32) * known[:, None]
    return ItemFactors(
        item_ids=tuple(map(str, range(N_ITEMS))),
        encoder=tables,
        factors=tables,
        item_weights=known if n_factors else np.zeros(N_ITEMS, dtype=np.float32),
        popularity=known * rng.integers(0, 9, N_ITEMS).astype(np.float32),
        regularization=regularization,
    )


@pytest.fixture
def own(rng: np.random.Generator) -> sp.csr_matrix:
    """Habits of many, of none, of newer items only, of an unknown item only, of nearly everything."""
    habits = rng.random((40, N_ITEMS + NEWER)) * (rng.random((40, N_ITEMS + NEWER)) < 0.05)
    habits[0] = 0
    habits[1] = 0
    habits[1, N_ITEMS:] = 1
    habits[2] = 0
    habits[2, 0] = 1
    habits[3, : N_ITEMS - 5] = 1
    return sp.csr_matrix(habits.astype(np.float32))


@pytest.mark.parametrize(("n_factors", "regularization"), [(N_FACTORS, 0.0), (N_FACTORS, 3.0), (0, 0.0)])
def test_a_batch_is_what_each_customer_gets_alone(
    rng: np.random.Generator, own: sp.csr_matrix, n_factors: int, regularization: float
) -> None:
    ranker = Ranker.of(model_of(rng, n_factors=n_factors, regularization=regularization), length=LENGTH)
    batch = batch_lists(ranker, own)
    for row in range(own.shape[0]):
        [alone] = ranker.lists(own[row])
        for task in Task:
            found, count = batch[task], batch[task].counts[row]
            np.testing.assert_array_equal(found.items[row, :count], alone[task].items)
            np.testing.assert_array_equal(found.scores[row, :count].view(np.int32), alone[task].scores.view(np.int32))
            np.testing.assert_array_equal(found.bought[row, :count], alone[task].bought)


def test_nobody_gets_no_lists(rng: np.random.Generator) -> None:
    batch = batch_lists(Ranker.of(model_of(rng), length=LENGTH), sp.csr_matrix((0, N_ITEMS), dtype=np.float32))
    assert {len(found.counts) for found in batch.values()} == {0}
