import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.models.factors import ItemFactors
from recsys.models.popularity import popularity_model
from recsys.models.ranking import model_scores
from tests.recsys.models.shops import Basket, baskets, catalogue, purchases_of

counts = st.lists(st.integers(-100, 10_000), min_size=10, max_size=10)


@given(counts=counts, basket=baskets(10))
def test_everybody_gets_the_items_by_their_released_counts(counts: list[int], basket: Basket) -> None:
    model = popularity_model(np.array(counts, dtype=np.float64), catalogue(10))
    (row,) = model_scores(model, purchases_of([basket], 10))
    assert row.tolist() == [count if count > 0 else -np.inf for count in counts]


@given(counts=counts)
def test_the_model_is_nothing_but_the_counts(counts: list[int]) -> None:
    model = popularity_model(np.array(counts, dtype=np.float64), catalogue(10))
    assert model.n_factors == 0
    assert model.popularity.tolist() == [max(count, 0) for count in counts]
    assert not model.item_weights.any()
    again = ItemFactors.from_bytes(model.to_bytes())
    assert again.digest == model.digest
    assert again.item_ids == catalogue(10)
