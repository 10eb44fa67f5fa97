from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.data.history import Purchases, purchases_array
from recsys.models.repeat import DAY_MS, HALF_LIFE_DAYS, MODEL_SHARE, habits, with_own_repeats

N_ITEMS = 8
N_CUSTOMERS = 3
Bought = tuple[int, int, int]
"""Customer, item, milliseconds since 1970."""
Habits = Callable[[list[Bought]], NDArray[np.float32]]
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


def test_beside_a_best_score_of_nearly_nothing_the_order_stays() -> None:
    scores = np.array([[1e-45, -1e3, -1e30, -np.inf]], dtype=np.float32)
    row = with_own_repeats(scores, np.array([[0, 1, 0, 0]], dtype=np.float32))[0]
    assert row[1] >= row[0] > row[2] > row[3]


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


moments = st.integers(-3, 3).map(lambda quarter: quarter * 91 * DAY_MS) | st.integers(0, 400 * DAY_MS)
receipts = st.lists(st.tuples(st.integers(0, N_CUSTOMERS - 1), st.integers(0, N_ITEMS - 1), moments), max_size=20)


def log_of(bought: list[Bought]) -> tuple[Purchases, NDArray[np.int64]]:
    columns = np.array(bought, dtype=np.int64).reshape(-1, 3)
    n = len(columns)
    purchases = purchases_array(timestamp=columns[:, 2], item=columns[:, 1], quantity=np.ones(n), event=np.arange(n))
    return purchases, columns[:, 0]


def habits_of(bought: list[Bought]) -> NDArray[np.float32]:
    own = habits(*log_of(bought), (N_CUSTOMERS, N_ITEMS))
    assert own.dtype == np.float32
    return np.asarray(own.toarray())


@given(receipts)
def test_habits_are_those_of_a_slow_twin_that_takes_purchases_one_by_one(bought: list[Bought]) -> None:
    days: dict[tuple[int, int], set[int]] = defaultdict(set)
    for customer, item, moment in bought:
        days[customer, item].add(moment // DAY_MS)
    latest = {
        customer: max(moment // DAY_MS for who, _, moment in bought if who == customer) for customer, _, _ in bought
    }
    expected = np.zeros((N_CUSTOMERS, N_ITEMS))
    for (customer, item), on in days.items():
        expected[customer, item] = sum(0.5 ** ((latest[customer] - day) / HALF_LIFE_DAYS) for day in on)
    np.testing.assert_allclose(habits_of(bought), expected, rtol=1e-6)


def moves_with_others(of: Habits, bought: list[Bought], others: list[Bought]) -> bool:
    """Whether the first customer's row changes with what the others buy."""
    own = [one for one in bought if one[0] == 0]
    neighbours = [one for one in others if one[0] != 0]
    return of(bought)[0].tobytes() != of(own + neighbours)[0].tobytes()


@given(receipts, receipts)
def test_habits_depend_on_that_customers_purchases_alone(bought: list[Bought], others: list[Bought]) -> None:
    assert not moves_with_others(habits_of, bought, others)


def test_habits_whose_age_is_counted_from_the_shops_latest_day_would_be_found() -> None:
    def from_the_shops_latest_day(bought: list[Bought]) -> NDArray[np.float32]:
        latest = max(moment for _, _, moment in bought) // DAY_MS
        own = np.zeros((N_CUSTOMERS, N_ITEMS), np.float32)
        for customer, item, moment in set(bought):
            own[customer, item] += 0.5 ** ((latest - moment // DAY_MS) / HALF_LIFE_DAYS)
        return own

    mine, late = [(0, 1, 0)], [(0, 1, 0), (2, 1, 40 * DAY_MS)]
    assert moves_with_others(from_the_shops_latest_day, mine, late)
    assert not moves_with_others(habits_of, mine, late)


@given(receipts)
def test_the_order_and_the_repeats_of_rows_do_not_count(bought: list[Bought]) -> None:
    assert habits_of(bought).tobytes() == habits_of([*bought[::-1], *bought]).tobytes()


def test_an_item_of_the_latest_day_comes_before_what_was_never_bought() -> None:
    own = habits_of([(0, 2, 0), (0, 5, 3000 * DAY_MS)])
    row = with_own_repeats(np.linspace(1, 0, N_ITEMS, dtype=np.float32)[None], own[:1])[0]
    assert np.argmax(row) == 5
    assert row[5] >= 1 > MODEL_SHARE >= row[0]


def test_what_was_bought_a_lifetime_ago_was_still_bought() -> None:
    own = habits_of([(0, 2, 0), (0, 5, 200 * 365 * DAY_MS)])
    assert own[0, 2] > 0
    assert np.flatnonzero(own[0]).tolist() == [2, 5]


@pytest.mark.parametrize(
    ("days", "expected"), [([0, 0], 1.0), ([0, 7], 1.0 + 0.5 ** (7 / HALF_LIFE_DAYS)), ([182], 1.0)]
)
def test_a_day_counts_once_and_half_after_a_half_life(days: list[int], expected: float) -> None:
    assert habits_of([(0, 1, day * DAY_MS + hour) for hour, day in enumerate(days)])[0, 1] == pytest.approx(expected)


def test_nobody_has_no_habits() -> None:
    assert habits(*log_of([]), (0, 5)).shape == (0, 5)
    assert not habits_of([]).any()
