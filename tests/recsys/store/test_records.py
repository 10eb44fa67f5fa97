"""Sealed records: bound to their customer and revision, in the database too."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from recsys.data.history import EMPTY_HISTORY, History, Purchases
from recsys.errors import ArtifactError
from recsys.store.keys import KeyRing
from recsys.store.records import new_record, next_record, open_record
from recsys.store.sql.engine import writing
from recsys.store.sql.histories import SqlHistories
from recsys.store.sql.tables import customers
from recsys.types import UserKey

ANN, BEN = UserKey(b"a" * 16), UserKey(b"b" * 16)


@pytest.mark.parametrize("count", [0, 1, 600])
def test_a_record_opens_to_the_history_it_was_made_of(
    ring: KeyRing, shopping: Callable[..., Purchases], count: int
) -> None:
    history = History(shopping(count))
    record = new_record(ring, ANN, history)
    assert open_record(ring, record) == history
    assert record.revision == 1


def test_the_next_record_is_one_revision_later_under_the_same_data_key(
    ring: KeyRing, shopping: Callable[..., Purchases]
) -> None:
    first = new_record(ring, ANN, EMPTY_HISTORY)
    second = next_record(ring, first, History(shopping(2)))
    assert (second.revision, second.data_key) == (2, first.data_key)
    assert len(open_record(ring, second)) == 2


def test_a_long_history_takes_less_space_sealed_than_plain(ring: KeyRing, shopping: Callable[..., Purchases]) -> None:
    history = History(shopping(600))
    assert len(new_record(ring, ANN, history).record) < len(history.to_bytes())


def test_no_two_customers_share_a_data_key(ring: KeyRing, shopping: Callable[..., Purchases]) -> None:
    records = [new_record(ring, ANN, History(shopping(1))) for _ in range(2)]
    assert records[0].data_key != records[1].data_key
    assert records[0].record != records[1].record


def test_records_of_another_installation_do_not_open(ring: KeyRing, shopping: Callable[..., Purchases]) -> None:
    with pytest.raises(ArtifactError):
        open_record(KeyRing.ephemeral(), new_record(ring, ANN, History(shopping(1))))


@pytest.fixture
def stored(engine: Engine, ring: KeyRing, shopping: Callable[..., Purchases]) -> SqlHistories:
    histories = SqlHistories(engine, ring)
    histories.append({ANN: shopping(3), BEN: shopping(3, first=3)})
    return histories


def rows(engine: Engine) -> dict[UserKey, dict[str, Any]]:
    with engine.connect() as connection:
        return {row["user_key"]: dict(row) for row in connection.execute(customers.select()).mappings()}


def change(engine: Engine, user_key: UserKey, **values: object) -> None:
    with writing(engine) as connection:
        connection.execute(customers.update().where(customers.c.user_key == user_key).values(values))


@pytest.mark.parametrize("columns", [["record"], ["data_key"], ["record", "data_key"]])
def test_what_was_moved_from_one_customer_to_another_does_not_open(
    engine: Engine, stored: SqlHistories, columns: list[str]
) -> None:
    other = rows(engine)[BEN]
    change(engine, ANN, **{column: other[column] for column in columns})
    with pytest.raises(ArtifactError):
        stored.history(ANN)
    assert len(stored.history(BEN)) == 3


@pytest.mark.parametrize("revision", [0, 2])
def test_a_record_under_another_revision_does_not_open(engine: Engine, stored: SqlHistories, revision: int) -> None:
    change(engine, ANN, revision=revision)
    with pytest.raises(ArtifactError):
        stored.history(ANN)


def test_an_older_record_put_back_under_the_new_revision_does_not_open(
    engine: Engine, stored: SqlHistories, shopping: Callable[..., Purchases]
) -> None:
    older = rows(engine)[ANN]["record"]
    stored.append({ANN: shopping(1, first=9)})
    change(engine, ANN, record=older)
    with pytest.raises(ArtifactError):
        stored.history(ANN)


def test_a_damaged_record_makes_the_whole_batch_fail(
    engine: Engine, stored: SqlHistories, shopping: Callable[..., Purchases]
) -> None:
    change(engine, ANN, record=b"damaged")
    with pytest.raises(ArtifactError):
        stored.append({ANN: shopping(1, first=9), BEN: shopping(1, first=9)})
    assert len(stored.history(BEN)) == 3


def test_no_row_holds_plain_purchases(engine: Engine, stored: SqlHistories, shopping: Callable[..., Purchases]) -> None:
    plain = shopping(3).tobytes()
    for row in rows(engine).values():
        assert all(plain[start : start + 8] not in row["record"] for start in range(0, len(plain), 8))
    assert stored.history(ANN).to_bytes() == plain
