"""What is asked on a page: the last purchase is looked for, and nothing of it is known."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from benchmarks.context import in_order, measured, pages
from benchmarks.datasets import HELD_OUT, MINIMUM


def places(n_customers: int, n_items: int = 40) -> sp.csr_matrix:
    rng = np.random.default_rng(0)
    bought = [rng.permutation(n_items)[:8] for _ in range(n_customers)]
    return sp.csr_matrix(
        (np.tile(np.arange(1.0, 9), n_customers), np.concatenate(bought), np.arange(n_customers + 1) * 8)
    )


def test_an_item_has_the_place_of_its_first_purchase_in_the_customers_order() -> None:
    table = pa.table({"user": [7] * 7 + [9], "item": list("baabcdea"), "seq": [3, 1, 2, 0, 4, 5, 6, 0]})

    assert in_order(table, by="seq").toarray().tolist() == [[2, 1, 3, 4, 5]]
    assert MINIMUM == 5


@pytest.mark.parametrize("which", ["validation", "test"])
def test_the_page_is_the_purchase_before_the_one_that_is_looked_for(which: str) -> None:
    found = places(2 * HELD_OUT + 10)
    task = pages(found, 0, which)

    assert (task.known.shape[0], task.train.shape[0]) == (HELD_OUT, 10)
    assert np.diff(task.known.indptr).tolist() == [6] * HELD_OUT
    for row in range(5):
        assert not {task.page[row], task.taken[row]} & set(task.known[row].indices)
        places_of = [asked for asked in found.toarray() if asked[task.page[row]] == 7 and asked[task.taken[row]] == 8]
        assert places_of
    assert measured([task], float("inf")).keys() >= {"weight0", "weight1", "page_alone", "as_purchase"}
