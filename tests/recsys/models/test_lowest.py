"""The least of all scores, found in float32 and told in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.models import lowest, top_k
from recsys.models.top_k import TopK


@pytest.fixture(autouse=True, scope="module")
def small_steps() -> object:
    """Items are left out of a catalogue as small as these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lowest, "BLOCK", 8)
        patch.setattr(lowest, "LARGEST_BLOCK", 16)
        patch.setattr(lowest, "GROUP", 3)
        patch.setattr(top_k, "BATCH", 3)
        yield


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(0, 4), st.sampled_from([0.0, 0.5, 3.0]), st.booleans()
)
def test_the_least_is_that_of_all_scores(seed: int, n_items: int, n_factors: int, popular: float, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_items, n_factors)) * rng.random((n_items, 1)) ** 3 + popular * rng.random((n_items, 1))
    vectors = rng.normal(size=(7, n_factors))
    vectors[0] = 0
    if ties:
        factors, vectors = np.round(factors), np.round(vectors)
    table, asking, known = factors.astype(np.float32), vectors.astype(np.float32), rng.random(n_items) < 0.8
    exact = asking.astype(np.float64) @ table[known].astype(np.float64).T
    search = TopK(table, known)
    found = search.lowest_batch(asking)
    np.testing.assert_array_equal(found, [search.lowest(vector) for vector in asking])
    np.testing.assert_allclose(found, exact.min(axis=1, initial=np.inf), rtol=1e-6, atol=1e-12)


def test_without_customers_there_is_nothing() -> None:
    assert len(TopK(np.ones((2, 3), dtype=np.float32)).lowest_batch(np.empty((0, 3), dtype=np.float32))) == 0
