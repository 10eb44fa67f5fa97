import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.models.repeat import MODEL_SHARE, with_own_repeats

N_ITEMS = 8
score = st.floats(-100, 100, width=32) | st.just(-np.inf)
rows = st.lists(score, min_size=N_ITEMS, max_size=N_ITEMS)
counts = st.lists(st.integers(0, 30) | st.just(0), min_size=N_ITEMS, max_size=N_ITEMS)


def ranked(scores: list[float], purchases: list[int]) -> list[float]:
    (row,) = with_own_repeats(np.array([scores], np.float32), np.array([purchases], np.float32))
    assert row.dtype == np.float32
    return row.tolist()


@given(scores=rows, purchases=counts)
def test_what_was_bought_more_often_comes_first(scores: list[float], purchases: list[int]) -> None:
    row = ranked(scores, purchases)
    for one in range(N_ITEMS):
        for other in range(N_ITEMS):
            if purchases[one] > purchases[other]:
                assert row[one] > row[other]


@given(scores=rows, purchases=counts)
def test_among_equals_the_model_decides(scores: list[float], purchases: list[int]) -> None:
    row = ranked(scores, purchases)
    for one in range(N_ITEMS):
        for other in range(N_ITEMS):
            if purchases[one] == purchases[other] and scores[one] > scores[other]:
                assert row[one] >= row[other]


@given(scores=rows, purchases=counts)
def test_what_was_never_bought_and_is_unknown_to_the_model_stays_out(scores: list[float], purchases: list[int]) -> None:
    out = [bool(np.isneginf(score)) and not count for score, count in zip(scores, purchases, strict=True)]
    assert [bool(np.isneginf(value)) for value in ranked(scores, purchases)] == out


def test_a_clear_preference_among_equals_is_kept() -> None:
    row = ranked([0.1, 0.9, 0.5, 0.7, 0.3, 0.0, 1.0, 0.2], [0, 0, 3, 3, 0, 1, 0, 3])
    assert np.argsort(row)[::-1].tolist() == [3, 2, 7, 5, 6, 1, 4, 0]
    assert max(row[item] for item in (0, 1, 4, 6)) == np.float32(MODEL_SHARE)


def test_an_item_that_the_model_does_not_know_comes_back_if_it_was_bought() -> None:
    row = ranked([-np.inf, 5.0, 4.0, -np.inf, 3.0, 2.0, 1.0, 0.0], [1, 0, 0, 0, 0, 0, 0, 0])
    assert np.argmax(row) == 0
    assert np.argmin(row) == 3


def test_without_a_model_only_own_purchases_are_left() -> None:
    row = ranked([-np.inf] * N_ITEMS, [0, 2, 0, 1, 0, 0, 0, 0])
    assert row == [-np.inf, 2.0, -np.inf, 1.0, *[-np.inf] * 4]


def test_one_customers_purchases_do_not_move_anothers_list() -> None:
    scores = np.array([[1.0, 2.0], [2.0, 1.0]], np.float32)
    purchases = np.array([[5.0, 0.0], [0.0, 0.0]], np.float32)
    both = with_own_repeats(scores, purchases)
    assert both[1].tolist() == with_own_repeats(scores[1:], purchases[1:])[0].tolist()
    assert both.argmax(axis=1).tolist() == [0, 0]
