"""What is asked on a page: the last purchase is looked for, and nothing of it is known."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from benchmarks.context import K, Pages, in_order, measured, pages, recall
from benchmarks.datasets import HELD_OUT, MINIMUM
from recsys.models.factors import ItemFactors


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


@pytest.mark.parametrize(("taken", "found"), [(K + 1, 1), (K + 2, 0)])
def test_neither_what_is_known_nor_the_item_of_the_page_takes_a_place(taken: int, found: float) -> None:
    n_items = 2 * K
    falling = np.arange(n_items, 0, -1, dtype=np.float32)
    ones = np.ones(n_items, np.float32)
    model = ItemFactors(
        item_ids=tuple(map(str, range(n_items))),
        encoder=falling[:, None],
        factors=falling[:, None],
        item_weights=ones,
        popularity=ones,
    )
    task = Pages(
        items=model.item_ids,
        train=sp.csr_matrix((0, n_items)),
        known=sp.csr_matrix(([1.0], ([0], [0])), shape=(1, n_items)),
        page=np.array([1]),
        taken=np.array([taken]),
    )

    assert recall(model, task, np.ones((1, 1), np.float32)) == found
