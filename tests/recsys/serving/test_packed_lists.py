"""Lists take few bytes, and what an answer tells of them comes back to the digit."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import milliseconds
from recsys.models.list_order import EMPTY
from recsys.serving.lists import KEPT_LENGTH, CachedLists, Row, told
from recsys.serving.packed_lists import (
    MARKS,
    REASONS,
    Columns,
    first_list,
    from_document,
    pack_lists,
    pack_origin,
    to_document,
)
from recsys.types import Reason, Task

VERSION = "0123456789abcdef" * 2
LISTS = CachedLists(
    version=VERSION,
    revision=3,
    recommendation_id="r" * 40,
    generated_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    lists={
        Task.ANY: ((7, 1.5, Reason.BOUGHT_BEFORE), (3, 0.25, Reason.MODEL)),
        Task.DISCOVER: ((3, 0.25, Reason.MODEL),),
    },
)

scores = st.floats(-2.0, 2.0, width=32) | st.floats(width=32, allow_nan=False, allow_infinity=False)
positions = st.integers(0, 2**32 - 1)
rows = st.lists(st.tuples(positions, scores, st.sampled_from(Reason)), max_size=5).map(tuple)
any_lists = st.builds(
    CachedLists,
    version=st.text(max_size=60),
    revision=st.integers(0, 2**62),
    recommendation_id=st.text("abcXYZ089-_", min_size=40, max_size=40),
    generated_at=st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - strategies add it
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    lists=st.fixed_dictionaries(dict.fromkeys(Task, rows)),
)


def as_told(lists: CachedLists) -> CachedLists:
    told_rows = {
        task: tuple((item, told(score), reason) for item, score, reason in rows) for task, rows in lists.lists.items()
    }
    return replace(lists, lists=told_rows)


@given(any_lists)
def test_all_that_is_told_of_lists_comes_back(lists: CachedLists) -> None:
    found = from_document(to_document(lists), lists.version)
    assert found is not None
    assert as_told(found) == as_told(lists)


@given(any_lists)
def test_the_first_list_is_the_one_that_is_asked_for_most(lists: CachedLists) -> None:
    made, name, items, text = first_list(to_document(lists))
    rows = as_told(lists).lists[Task.ANY]
    assert items == tuple(item for item, _, _ in rows)
    assert text.decode() == "".join(f"{score!r}{MARKS[REASONS.index(reason)]}" for _, score, reason in rows)
    assert (made, name.decode()) == (milliseconds(lists.generated_at), lists.recommendation_id)


def columns(lists: list[tuple[Row, ...]]) -> Columns:
    shape = (len(lists), max(map(len, lists), default=0))
    found = Columns(np.full(shape, EMPTY), np.full(shape, -np.inf), np.zeros(shape, np.int64))
    for place, listed in enumerate(lists):
        for column, (item, score, reason) in enumerate(listed):
            found.items[place, column], found.scores[place, column] = item, score
            found.reasons[place, column] = REASONS.index(reason)
    return found


@given(st.lists(st.tuples(rows, rows), max_size=6))
def test_many_lists_are_packed_as_each_of_them(lists: list[tuple[tuple[Row, ...], tuple[Row, ...]]]) -> None:
    origin = pack_origin(LISTS.revision, LISTS.generated_at, LISTS.recommendation_id)
    alone = [to_document(replace(LISTS, lists={Task.ANY: one, Task.DISCOVER: other})) for one, other in lists]
    together = {
        Task.ANY: columns([one for one, _ in lists]),
        Task.DISCOVER: columns([other for _, other in lists]),
    }
    assert [origin + packed for packed in pack_lists(together)] == alone


@pytest.mark.parametrize("length", range(len(to_document(LISTS))))
def test_a_document_that_was_cut_is_none(length: int) -> None:
    assert from_document(to_document(LISTS)[:length], VERSION) is None


def test_a_document_with_an_unknown_reason_is_none() -> None:
    assert from_document(to_document(LISTS)[:-1] + b"\x63", VERSION) is None


def test_two_whole_lists_are_small() -> None:
    """Sealed, with a header, the value fits into the server's step of 640 bytes. The benchmark measures all of it."""
    many: tuple[Row, ...] = tuple((item, 0.9999 - item / 100, Reason.MODEL) for item in range(KEPT_LENGTH))
    assert len(to_document(replace(LISTS, lists=dict.fromkeys(Task, many)))) < 580
