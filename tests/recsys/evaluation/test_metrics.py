import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.evaluation.metrics import EMPTY, hits, ndcg_at_k, recall_at_k

Build = Callable[[Sequence[Sequence[int]], int], sp.csr_matrix]
N_ITEMS = 9
PLACES = st.permutations(range(N_ITEMS))
TARGETS = st.sets(st.integers(0, N_ITEMS - 1), min_size=1)
CASES = st.lists(st.tuples(PLACES, TARGETS, st.integers(0, N_ITEMS)), min_size=1, max_size=6)
Case = list[tuple[list[int], set[int], int]]


def slow_recall(ranked: list[int], targets: set[int], k: int) -> float:
    return len(set(ranked[:k]) & targets) / min(k, len(targets))


def slow_ndcg(ranked: list[int], targets: set[int], k: int) -> float:
    gain = sum(1 / math.log2(place + 1) for place, item in enumerate(ranked[:k], start=1) if item in targets)
    best = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(targets)) + 1))
    return gain / best


@given(CASES, st.integers(1, N_ITEMS))
def test_the_metrics_are_those_of_plain_python(matrix_of: Build, cases: Case, k: int) -> None:
    ranked = [[*places[:filled], *[EMPTY] * (N_ITEMS - filled)] for places, _, filled in cases]
    lists = np.array(ranked)[:, :k]
    targets = matrix_of([sorted(right) for _, right, _ in cases], N_ITEMS)
    slow = [
        (slow_recall(row, right, k), slow_ndcg(row, right, k)) for row, (_, right, _) in zip(ranked, cases, strict=True)
    ]
    np.testing.assert_allclose(recall_at_k(lists, targets), [recall for recall, _ in slow], rtol=1e-12)
    np.testing.assert_allclose(ndcg_at_k(lists, targets), [ndcg for _, ndcg in slow], rtol=1e-12)


@given(TARGETS, st.integers(1, N_ITEMS))
def test_a_list_that_starts_with_all_targets_has_1(matrix_of: Build, right: set[int], k: int) -> None:
    best = np.array([[*sorted(right), *sorted(set(range(N_ITEMS)) - right)][:k]])
    targets = matrix_of([sorted(right)], N_ITEMS)
    assert recall_at_k(best, targets).tolist() == [1.0]
    assert ndcg_at_k(best, targets) == pytest.approx([1.0])


def test_known_values(matrix_of: Build) -> None:
    targets = matrix_of([[1, 2, 3], [0]], 5)
    lists = np.array([[1, 0, 2], [1, 2, 3]])
    assert recall_at_k(lists, targets).tolist() == pytest.approx([2 / 3, 0.0])
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert ndcg_at_k(lists, targets).tolist() == pytest.approx([(1 + 1 / 2) / ideal, 0.0])


def test_an_empty_place_is_no_hit_even_beside_the_last_item_of_the_customer_before(matrix_of: Build) -> None:
    targets = matrix_of([[4], [0]], 5)
    assert not hits(np.array([[EMPTY, 0], [EMPTY, 1]]), targets).any()


def test_an_earlier_hit_counts_more_for_ndcg_and_the_same_for_recall(matrix_of: Build) -> None:
    targets = matrix_of([[0], [0]], 3)
    lists = np.array([[0, 1], [1, 0]])
    early, late = ndcg_at_k(lists, targets)
    assert early > late > 0
    assert recall_at_k(lists, targets).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("metric", [recall_at_k, ndcg_at_k])
def test_a_customer_without_a_target_is_refused(matrix_of: Build, metric: Callable[[object, object], object]) -> None:
    with pytest.raises(InputError, match="got 1 without"):
        metric(np.array([[0], [1]]), matrix_of([[0], []], 3))


@pytest.mark.parametrize("metric", [recall_at_k, ndcg_at_k])
def test_lists_of_other_customers_are_refused(matrix_of: Build, metric: Callable[[object, object], object]) -> None:
    with pytest.raises(InputError, match="a list for each of 2 customers, got 1"):
        metric(np.array([[0]]), matrix_of([[0], [1]], 3))
