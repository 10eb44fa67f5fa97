from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from recsys.data.split import split_at
from recsys.data.worlds import checkerboard
from recsys.errors import InputError
from recsys.evaluation import protocol as protocol_module
from recsys.evaluation.metrics import EMPTY
from recsys.evaluation.protocol import Protocol, top_lists
from recsys.types import Task

Build = Callable[[Sequence[Sequence[int]], int], sp.csr_matrix]
Scores = NDArray[np.float64]

TRAIN = [[0, 1], [1], [], [2], [0]]
TEST = [[0, 2], [1], [0], [], [3]]


def columns(matrix: sp.csr_matrix) -> list[list[int]]:
    return [matrix[row].indices.tolist() for row in range(matrix.shape[0])]


def test_for_any_everything_bought_later_is_right_and_nothing_is_masked(matrix_of: Build) -> None:
    protocol = Protocol.build(matrix_of(TRAIN, 4), matrix_of(TEST, 4), Task.ANY)
    assert protocol.users.tolist() == [0, 1, 4]
    assert columns(protocol.targets) == [[0, 2], [1], [3]]
    assert columns(protocol.mask) == [[], [], []]
    assert (protocol.without_target, protocol.without_history) == (1, 1)


def test_for_discover_only_first_purchases_are_right_and_earlier_ones_are_masked(matrix_of: Build) -> None:
    protocol = Protocol.build(matrix_of(TRAIN, 4), matrix_of(TEST, 4), Task.DISCOVER)
    assert protocol.users.tolist() == [0, 4]
    assert columns(protocol.targets) == [[2], [3]]
    assert columns(protocol.mask) == [[0, 1], [0]]
    assert (protocol.without_target, protocol.without_history) == (2, 1)


PURCHASES = hnp.arrays(np.int8, (6, 5), elements=st.integers(0, 2))


@given(PURCHASES, PURCHASES, st.sampled_from(Task))
def test_every_customer_is_evaluated_or_counted_as_left_out(train: Scores, test: Scores, task: Task) -> None:
    later = (test > 0) & ~((train > 0) & (task is Task.DISCOVER))
    evaluated = (train > 0).any(axis=1) & later.any(axis=1)
    if not evaluated.any():
        with pytest.raises(InputError, match="on both sides of the split, got none"):
            Protocol.build(sp.csr_matrix(train), sp.csr_matrix(test), task)
        return
    protocol = Protocol.build(sp.csr_matrix(train), sp.csr_matrix(test), task)
    assert protocol.users.tolist() == np.flatnonzero(evaluated).tolist()
    assert len(protocol.users) + protocol.without_target + protocol.without_history == 6
    assert (protocol.targets.toarray() == later[evaluated]).all()
    assert not protocol.targets.multiply(protocol.mask).nnz


def test_a_scorer_that_knows_the_answers_has_1_and_one_that_avoids_them_has_0(rng: np.random.Generator) -> None:
    world = checkerboard()
    split = split_at(world.log, world.cut_ms)
    train, test = split.train.interactions().matrix, split.test.interactions().matrix
    for task in Task:
        protocol = Protocol.build(train, test, task)
        perfect = protocol.evaluate(lambda users: test[users].toarray(), k=5, rng=rng)
        hopeless = protocol.evaluate(lambda users: -test[users].toarray(), k=5, rng=rng)
        assert [estimate.mean for estimate in perfect.values()] == pytest.approx([1, 1])
        assert [estimate.mean for estimate in hopeless.values()] == [0, 0]
        assert perfect.keys() == {"recall@5", "ndcg@5"}
        assert perfect["recall@5"].n == len(world.log.users)


def test_on_the_checkerboard_like_minded_customers_give_the_answers_away(rng: np.random.Generator) -> None:
    world = checkerboard()
    split = split_at(world.log, world.cut_ms)
    train = split.train.interactions().matrix.toarray()
    protocol = Protocol.build(sp.csr_matrix(train), split.test.interactions().matrix, Task.DISCOVER)
    neighbours = protocol.evaluate(lambda users: train[users] @ train.T @ train, k=2, rng=rng)
    popular = protocol.evaluate(lambda users: np.tile(train.sum(axis=0), (len(users), 1)), k=2, rng=rng)
    assert neighbours["recall@2"].mean == 1
    assert popular["recall@2"].high < 0.7


def test_for_discover_what_was_bought_before_takes_no_place(matrix_of: Build, rng: np.random.Generator) -> None:
    scores = np.array([[9.0, 8, 7, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [9, 0, 0, 8]])
    for task, right in ((Task.DISCOVER, 1.0), (Task.ANY, 0.5)):
        protocol = Protocol.build(matrix_of([TRAIN[0], [], [], [], TRAIN[4]], 4), matrix_of(TEST, 4), task)
        assert protocol.evaluate(lambda users: scores[users], k=1, rng=rng)["recall@1"].mean == right


def test_batches_do_not_change_the_values_and_bound_what_a_scorer_is_asked(
    matrix_of: Build, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = rng.random((40, 6))
    bought = matrix_of([[user % 6] for user in range(40)], 6)
    later = matrix_of([[(user + 1) % 6, (user * user) % 6] for user in range(40)], 6)
    protocol = Protocol.build(bought, later, Task.DISCOVER)
    asked: list[int] = []

    def scorer(users: NDArray[np.int64]) -> Scores:
        asked.append(len(users))
        return scores[users]

    whole = protocol.per_user(scorer, k=3)
    monkeypatch.setattr(protocol_module, "CELLS", 7 * 6)
    parts = protocol.per_user(scorer, k=3)
    assert asked == [40, 7, 7, 7, 7, 7, 5]
    for name, values in whole.items():
        assert values.tolist() == parts[name].tolist()
        assert values.shape == (40,)


def test_the_scores_of_a_scorer_are_not_written_to(matrix_of: Build, rng: np.random.Generator) -> None:
    scores = rng.random((2, 4))
    scores.flags.writeable = False
    protocol = Protocol.build(matrix_of([[0, 1], [0]], 4), matrix_of([[2], [3]], 4), Task.DISCOVER)
    protocol.evaluate(lambda _: scores, rng=rng)


@pytest.mark.parametrize(
    "scores",
    [np.zeros((1, 4)), np.zeros((2, 3)), np.zeros(2), np.full((2, 4), np.nan)],
    ids=["customers", "items", "axes", "NaN"],
)
def test_scores_of_another_shape_or_with_nan_are_refused(matrix_of: Build, scores: Scores) -> None:
    protocol = Protocol.build(matrix_of([[0], [0]], 4), matrix_of([[2], [3]], 4), Task.DISCOVER)
    with pytest.raises(InputError, match=r"expected scores of shape \(2, 4\) without NaN"):
        protocol.per_user(lambda _: scores)


def test_lists_of_no_item_and_matrices_of_two_shapes_are_refused(matrix_of: Build) -> None:
    with pytest.raises(InputError, match="got k = 0"):
        Protocol.build(matrix_of([[0]], 4), matrix_of([[1]], 4), Task.ANY).per_user(lambda _: np.zeros((1, 4)), k=0)
    with pytest.raises(InputError, match=r"got \(1, 4\) and \(1, 5\)"):
        Protocol.build(matrix_of([[0]], 4), matrix_of([[1]], 5), Task.ANY)


SCORES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 8)),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]),
)


@given(SCORES, st.integers(1, 10))
def test_the_best_items_are_those_of_a_stable_sort(scores: Scores, k: int) -> None:
    expected = np.full((len(scores), k), EMPTY)
    for row, values in enumerate(scores):
        best = [item for item in np.argsort(-values, kind="stable") if values[item] > -np.inf][:k]
        expected[row, : len(best)] = best
    assert top_lists(scores, k).tolist() == expected.tolist()
