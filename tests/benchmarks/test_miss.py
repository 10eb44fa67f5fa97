"""What is timed gives the same lists."""

import pytest

from benchmarks.miss import Case, K, measured, ours, plain, synthetic
from recsys.serving.ranker import Ranker

N_ITEMS = 3000


@pytest.fixture(params=[True, False], ids=["sum", "ridge"])
def case(request: pytest.FixtureRequest) -> Case:
    return synthetic(N_ITEMS, exponent=0.5, popularity=request.param)


def test_a_product_with_all_items_finds_what_the_search_finds(case: Case) -> None:
    ranker = Ranker.of(case.model, length=K)
    for basket in [case.customers[row].indices.astype("int64") for row in range(20)]:
        found = ours(ranker, basket)
        assert found.tolist() == plain(ranker, basket[:0], basket).tolist()
        assert not set(found.tolist()) & set(basket.tolist())


def test_every_way_is_timed(case: Case) -> None:
    found = measured(case, runs=1)
    assert all(found[way] > 0 for way in ("ours_us", "plain_us", "implicit_us", "batch_us", "implicit_batch_us"))
    assert found["speedup_over_implicit"] == pytest.approx(found["implicit_us"] / found["ours_us"])
