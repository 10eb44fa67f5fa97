"""What corrections make of a history, and of a term that was made from it."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys.data.corrections import Correction, CorrectionStatus, corrected, moved
from recsys.data.history import History, event_digest, purchases_array

Pairs = list[tuple[str, int]]


def history(pairs: Pairs) -> History:
    """Purchases as (event id, item), a second apart."""
    events = np.array([event_digest(event) for event, _ in pairs], dtype=np.uint64)
    items = [item for _, item in pairs]
    return History(purchases_array(timestamp=1000 * np.arange(len(pairs)), item=items, quantity=1.0, event=events))


def test_a_correction_changes_what_it_names_and_nothing_else() -> None:
    before = history([("a", 1), ("b", 2)])
    done = corrected(before, [Correction(event_id="b", item=5, timestamp=77, quantity=2.0)])
    assert done.statuses == (CorrectionStatus.CORRECTED,)
    assert done.history.purchases[["timestamp", "item", "quantity"]].tolist() == [(0, 1, 1.0), (77, 5, 2.0)]
    assert before == history([("a", 1), ("b", 2)])


def test_what_the_history_does_not_have_is_unknown() -> None:
    done = corrected(history([("a", 1)]), [Correction(event_id="x"), Correction(event_id="a", delete=True)])
    assert done.statuses == (CorrectionStatus.UNKNOWN, CorrectionStatus.DELETED)
    assert len(done.history) == 0
    assert not corrected(done.history, [Correction(event_id="a")]).changed


@pytest.mark.parametrize(
    ("pairs", "correction", "after"),
    [
        ([("a", 1), ("b", 2)], Correction(event_id="b", delete=True), [1]),
        ([("a", 1), ("b", 1)], Correction(event_id="b", delete=True), [1]),
        ([("a", 1), ("b", 2)], Correction(event_id="b", item=7), [1, 7]),
        ([("a", 1), ("b", 2), ("c", 2)], Correction(event_id="b", item=7), [1, 2, 7]),
        ([("a", 1), ("b", 2)], Correction(event_id="b", quantity=3.0), [1, 2]),
    ],
)
def test_a_term_follows_the_history(pairs: Pairs, correction: Correction, after: list[int]) -> None:
    before = history(pairs)
    assert moved(before.items, corrected(before, [correction]).moves).tolist() == after


def test_a_term_from_before_a_purchase_is_not_moved_by_its_correction() -> None:
    before = history([("a", 1), ("b", 2)])
    done = corrected(before, [Correction(event_id="b", item=7)])
    assert moved(np.array([1], np.int32), done.moves).tolist() == [1]


def test_a_correction_of_a_later_purchase_of_the_new_item_stays_out_of_the_term() -> None:
    before = history([("a", 1), ("b", 2)])
    done = corrected(before, [Correction(event_id="a", item=2), Correction(event_id="b", item=3)])
    assert moved(np.array([1], np.int32), done.moves).tolist() == [2]


@example(pairs=[("0", 0)], changes=[(0, 2), (0, 1)])
@given(
    pairs=st.lists(st.integers(0, 5), min_size=1, max_size=8).map(
        lambda items: [(str(n), i) for n, i in enumerate(items)]
    ),
    changes=st.lists(st.tuples(st.integers(0, 8), st.one_of(st.none(), st.integers(0, 5))), max_size=6),
)
def test_a_term_of_the_whole_history_is_that_of_the_corrected_one(
    pairs: Pairs, changes: list[tuple[int, int | None]]
) -> None:
    before = history(pairs)
    corrections = [Correction(event_id=str(n), delete=item is None, item=item) for n, item in changes]
    done = corrected(before, corrections)
    assert moved(before.items, done.moves).tolist() == done.history.items.tolist()
