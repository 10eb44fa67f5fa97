import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.history import EMPTY_HISTORY, History, Purchases, event_digest, merge, purchases_array
from recsys.errors import ArtifactError

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, 3), st.integers(0, 6)), max_size=15)
Rows = list[tuple[int, int, int, int]]


def purchases(rows: Rows) -> Purchases:
    moment, item, quantity, event = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return purchases_array(timestamp=moment, item=item, quantity=quantity, event=event)


@given(ROWS)
def test_the_bytes_of_a_history_read_back_as_the_history(rows: Rows) -> None:
    history = History(purchases(rows))
    again = History.from_bytes(history.to_bytes())
    assert again == history
    assert hash(again) == hash(history)
    assert len(history.to_bytes()) == 24 * len(rows)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_leaves_no_trace_in_the_bytes(rows: Rows, random: object) -> None:
    unique = list({row[3]: row for row in rows}.values())
    shuffled = list(unique)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert History(purchases(unique)).to_bytes() == History(purchases(shuffled)).to_bytes()


@given(ROWS)
def test_merging_the_same_purchases_again_changes_nothing(rows: Rows) -> None:
    once = merge(EMPTY_HISTORY, purchases(rows))
    again = merge(once.history, once.history.purchases)
    assert again.history == once.history
    assert again.accepted == 0
    assert again.duplicate.all()


@given(ROWS, ROWS)
def test_merging_in_two_parts_is_merging_at_once(first: Rows, second: Rows) -> None:
    in_parts = merge(merge(EMPTY_HISTORY, purchases(first)).history, purchases(second))
    at_once = merge(EMPTY_HISTORY, purchases(first + second))
    assert in_parts.history == at_once.history
    assert in_parts.conflict.tolist() == at_once.conflict[len(first) :].tolist()
    assert in_parts.duplicate.tolist() == at_once.duplicate[len(first) :].tolist()


def test_a_known_event_with_other_content_is_a_conflict_and_the_first_content_stays() -> None:
    merged = merge(History(purchases([(1, 0, 1, 7)])), purchases([(1, 0, 2, 7), (1, 0, 1, 7), (2, 0, 1, 8)]))
    assert merged.conflict.tolist() == [True, False, False]
    assert merged.duplicate.tolist() == [False, True, False]
    assert merged.accepted == 1
    assert merged.history.purchases["quantity"].tolist() == [1.0, 1.0]


def test_a_history_that_was_cut_is_refused() -> None:
    whole = History(purchases([(1, 0, 1, 7)])).to_bytes()
    with pytest.raises(ArtifactError, match="23 bytes"):
        History.from_bytes(whole[:-1])


def test_a_history_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        History(purchases([(1, 0, 1, 7)])).purchases["item"][0] = 3


def test_the_items_of_a_history_are_distinct_and_sorted() -> None:
    assert History(purchases([(1, 3, 1, 0), (2, 0, 1, 1), (3, 3, 1, 2)])).items.tolist() == [0, 3]


def test_an_event_digest_is_the_64_bit_blake2b_of_the_id() -> None:
    assert event_digest("order-1") == event_digest("order-1") != event_digest("order-2")
    assert 0 <= event_digest("") < 2**64
