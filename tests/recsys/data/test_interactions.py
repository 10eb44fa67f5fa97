import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.history import purchases_array
from recsys.data.interactions import PurchaseLog

USERS, ITEMS = ("a", "b", "c", "d"), ("w", "x", "y", "z")
TABLES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 5)), max_size=20)
Table = list[tuple[int, int, int]]


def log_of(table: Table) -> PurchaseLog:
    user, item, moment = np.array(table, dtype=np.int64).reshape(-1, 3).T
    events = np.arange(len(table))
    return PurchaseLog.build(
        USERS, ITEMS, user, purchases_array(timestamp=moment, item=item, quantity=np.ones(len(table)), event=events)
    )


def named(log: PurchaseLog) -> list[tuple[str, str, int]]:
    return [
        (log.users[user], log.items[row["item"]], int(row["timestamp"]))
        for user, row in zip(log.user_index, log.purchases, strict=True)
    ]


@given(TABLES)
def test_a_log_holds_the_purchases_it_was_built_from_in_the_order_of_customers_and_time(table: Table) -> None:
    log = log_of(table)
    assert sorted(named(log)) == sorted((USERS[user], ITEMS[item], moment) for user, item, moment in table)
    assert [(user, moment) for user, _, moment in named(log)] == sorted((USERS[u], m) for u, _, m in table)


@given(TABLES)
def test_a_log_rebuilt_from_its_histories_is_the_same(table: Table) -> None:
    log = log_of(table)
    again = PurchaseLog.from_histories(USERS, ITEMS, [log.history(user) for user in range(len(USERS))])
    assert again.offsets.tolist() == log.offsets.tolist()
    assert again.purchases.tobytes() == log.purchases.tobytes()


@given(TABLES, st.data())
def test_where_keeps_the_marked_purchases_and_every_position(table: Table, data: st.DataObject) -> None:
    log = log_of(table)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(log), max_size=len(log))), dtype=np.bool_)
    kept = log.where(keep)
    assert (kept.users, kept.items) == (USERS, ITEMS)
    assert named(kept) == [row for row, marked in zip(named(log), keep, strict=True) if marked]


@given(TABLES, st.sets(st.integers(0, 3)))
def test_the_log_of_some_customers_holds_their_purchases_alone(table: Table, chosen: set[int]) -> None:
    log = log_of(table)
    some = log.of_users(np.array(sorted(chosen), dtype=np.int64))
    assert some.users == tuple(USERS[user] for user in sorted(chosen))
    assert some.items == ITEMS
    assert named(some) == [row for row in named(log) if row[0] in some.users]


@given(TABLES)
def test_compacting_drops_names_and_no_purchase(table: Table) -> None:
    log = log_of(table)
    before = log.purchases.tobytes()
    compact = log.compact()
    assert named(compact) == named(log)
    assert compact.users == tuple(sorted({user for user, *_ in named(log)}))
    assert compact.items == tuple(sorted({item for _, item, _ in named(log)}))
    assert log.purchases.tobytes() == before


@given(TABLES)
def test_the_matrix_counts_how_often_each_customer_bought_each_item(table: Table) -> None:
    interactions = log_of(table).interactions()
    expected = np.zeros((4, 4))
    for user, item, _ in table:
        expected[user, item] += 1
    assert interactions.matrix.toarray().tolist() == expected.tolist()
    for user in range(4):
        assert interactions.items_of(user).tolist() == np.flatnonzero(expected[user]).tolist()


@given(TABLES, st.sets(st.sampled_from(USERS)))
def test_the_retain_set_is_the_matrix_of_a_shop_where_the_customers_never_were(table: Table, gone: set[str]) -> None:
    log = log_of(table)
    stay = [index for index, user in enumerate(USERS) if user not in gone]
    never = log.of_users(np.array(stay, dtype=np.int64)).interactions()
    retained = log.interactions().without(gone)
    assert retained.users == never.users
    assert retained.digest == never.digest


def test_the_digest_tells_apart_users_items_and_counts() -> None:
    tables: list[Table] = [[(0, 0, 1)], [(0, 0, 1), (0, 0, 2)], [(1, 0, 1)], [(0, 1, 1)], []]
    assert len({log_of(table).interactions().digest for table in tables}) == len(tables)
    assert log_of([(0, 0, 1)]).interactions().digest == log_of([(0, 0, 9)]).interactions().digest


def test_the_matrix_is_read_only() -> None:
    matrix = log_of([(0, 0, 1)]).interactions().matrix
    with pytest.raises(ValueError, match="read-only"):
        matrix.data[0] = 5
