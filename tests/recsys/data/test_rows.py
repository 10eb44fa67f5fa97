import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.history import EMPTY_HISTORY, event_digest, merge, purchases_array
from recsys.data.rows import (
    UNMAPPED,
    Rows,
    assemble,
    earliest_equal,
    event_digests,
    natural_event_ids,
    occurrences,
    repeated,
)

Row = tuple[int, int, int, int, int]
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),  # user
        st.integers(UNMAPPED, 2),  # item
        st.integers(0, 2),  # timestamp
        st.integers(-1, 2),  # quantity
        st.integers(0, 4),  # event
    ),
    max_size=30,
)


def rows_of(table: list[Row], events: bool) -> Rows:
    user, item, timestamp, quantity, event = np.array(table, dtype=np.int64).reshape(-1, 5).T
    return Rows(
        users=("a", "b", "c"),
        items=("x", "y", "z"),
        user_index=user,
        item_index=item,
        timestamp=timestamp,
        quantity=quantity.astype(np.float32),
        event=event.astype(np.uint64) if events else None,
    )


@given(ROWS)
def test_repeated_events_are_judged_as_merging_them_into_a_history_judges_them(table: list[Row]) -> None:
    rows = rows_of(table, events=True)
    assert rows.event is not None
    duplicate, conflict = repeated(rows, rows.event)
    for user in range(3):
        mine = rows.where(rows.user_index == user)
        assert mine.event is not None
        purchases = purchases_array(
            timestamp=mine.timestamp, item=mine.item_index, quantity=mine.quantity, event=mine.event
        )
        merged = merge(EMPTY_HISTORY, purchases)
        assert duplicate[rows.user_index == user].tolist() == merged.duplicate.tolist()
        assert conflict[rows.user_index == user].tolist() == merged.conflict.tolist()


@given(ROWS, st.booleans())
def test_the_counts_of_the_report_add_up_to_the_rows(table: list[Row], events: bool) -> None:
    log, report = assemble(rows_of(table, events=events))
    assert report.rows == len(table)
    assert report.accepted == len(log)
    parts = (report.accepted, report.duplicates, report.conflicts, report.returns, report.unmapped, report.suppressed)
    assert sum(parts) == len(table)
    assert report.unmapped == sum(item == UNMAPPED for _, item, *_ in table)
    assert report.returns == sum(item != UNMAPPED and quantity <= 0 for _, item, _, quantity, _ in table)


@given(ROWS)
def test_without_event_ids_every_purchase_counts_and_no_two_of_a_customer_share_an_event(table: list[Row]) -> None:
    log, report = assemble(rows_of(table, events=False))
    assert report.duplicates == report.conflicts == 0
    for user in range(len(log.users)):
        events = log.history(user).purchases["event"]
        assert len(np.unique(events)) == len(events)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_same_rows_in_another_order_give_the_same_log(table: list[Row], random: object) -> None:
    shuffled = list(table)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    log, _ = assemble(rows_of(table, events=False))
    again, _ = assemble(rows_of(shuffled, events=False))
    assert (log.users, log.items) == (again.users, again.items)
    assert log.purchases.tobytes() == again.purchases.tobytes()


@given(ROWS)
def test_ingesting_the_same_rows_twice_adds_nothing(table: list[Row]) -> None:
    log, _ = assemble(rows_of(table, events=False))
    again, _ = assemble(rows_of(table, events=False))
    for user in range(len(log.users)):
        merged = merge(log.history(user), again.history(user).purchases)
        assert merged.accepted == 0
        assert merged.duplicate.all()


@given(ROWS)
def test_the_log_names_exactly_the_customers_and_items_with_an_accepted_purchase(table: list[Row]) -> None:
    log, _ = assemble(rows_of(table, events=False))
    bought = [row for row in table if row[1] != UNMAPPED and row[3] > 0]
    assert log.users == tuple(sorted({"abc"[row[0]] for row in bought}))
    assert log.items == tuple(sorted({"xyz"[row[1]] for row in bought}))
    found = [(log.users[u], log.items[p["item"]]) for u, p in zip(log.user_index, log.purchases, strict=True)]
    assert sorted(found) == sorted(("abc"[row[0]], "xyz"[row[1]]) for row in bought)


def test_of_an_event_with_two_contents_the_first_row_counts() -> None:
    log, report = assemble(rows_of([(0, 1, 5, 2, 7), (0, 1, 5, 3, 7), (0, 1, 5, 2, 7), (1, 1, 5, 3, 7)], events=True))
    assert (report.accepted, report.duplicates, report.conflicts) == (2, 1, 1)
    assert log.purchases["quantity"].tolist() == [2.0, 3.0]


def test_a_natural_event_id_names_item_time_quantity_and_number() -> None:
    ids = list(natural_event_ids(rows_of([(0, 2, 5, 1, 0), (1, 2, 5, 1, 0), (0, 2, 5, 1, 0)], events=False)))
    one = int(np.float32(1).view(np.int32))
    assert ids == [f"z\x1f5\x1f{one}\x1f0", f"z\x1f5\x1f{one}\x1f0", f"z\x1f5\x1f{one}\x1f1"]


def test_digests_of_many_event_ids_are_the_digests_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.data.rows.AT_ONCE", 3)
    ids = [f"event {number}" for number in range(10)]
    assert event_digests(ids).tolist() == [event_digest(text) for text in ids]
    assert event_digests([]).dtype == np.uint64


KEYS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=20)


@given(KEYS)
def test_occurrences_and_earliest_equal_are_what_counting_and_searching_say(keys: list[tuple[int, int]]) -> None:
    columns = np.array(keys, dtype=np.int64).reshape(-1, 2).T
    assert occurrences(*columns).tolist() == [keys[:index].count(key) for index, key in enumerate(keys)]
    assert earliest_equal(*columns).tolist() == [keys.index(key) for key in keys]
