"""Lists take few bytes, and what an answer tells of them comes back to the digit."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import milliseconds
from recsys.models.list_order import EMPTY
from recsys.serving.lists import KEPT_LENGTH, PARTS, CachedLists, Row, told
from recsys.serving.packed_lists import (
    LARGEST,
    REASONS,
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
HIGH = LARGEST / PARTS

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
    first, rows = first_list(to_document(lists)), lists.lists[Task.ANY]
    if first is None:
        assert max(abs(score) for _, score, _ in rows) > HIGH
        return
    said = [divmod(number, len(REASONS)) for number in first.rows[1::2]]
    found = [(item, parts / PARTS, REASONS[place]) for item, (parts, place) in zip(first.rows[::2], said, strict=True)]
    assert tuple(found) == as_told(lists).lists[Task.ANY]
    assert (first.made, first.recommendation_id) == (
        milliseconds(lists.generated_at),
        lists.recommendation_id.encode(),
    )


@pytest.mark.parametrize(("score", "short"), [(HIGH, True), (-HIGH, True), (HIGH + 1, False), (-HIGH - 1, False)])
def test_a_list_with_a_score_that_does_not_fit_has_long_rows(score: float, short: bool) -> None:
    lists = replace(LISTS, lists=dict.fromkeys(Task, ((1, 0.5, Reason.MODEL), (2, score, Reason.MODEL))))
    assert (first_list(to_document(lists)) is not None) is short


@given(st.lists(rows, max_size=6))
def test_many_lists_are_packed_as_each_of_them(lists: list[tuple[Row, ...]]) -> None:
    shape = (len(lists), max(map(len, lists), default=0))
    items, scores, reasons = np.full(shape, EMPTY), np.full(shape, -np.inf), np.zeros(shape, np.int64)
    for place, listed in enumerate(lists):
        for column, (item, score, reason) in enumerate(listed):
            items[place, column], scores[place, column] = item, score
            reasons[place, column] = REASONS.index(reason)
    origin = pack_origin(LISTS.revision, LISTS.generated_at, LISTS.recommendation_id)
    alone = [to_document(replace(LISTS, lists={Task.ANY: listed})) for listed in lists]
    empty = to_document(replace(LISTS, lists={}))[-2:]
    assert [origin + packed + empty for packed in pack_lists(items, scores, reasons)] == alone


@pytest.mark.parametrize("length", range(len(to_document(LISTS))))
def test_a_document_that_was_cut_is_none(length: int) -> None:
    assert from_document(to_document(LISTS)[:length], VERSION) is None


def test_a_document_with_an_unknown_reason_is_none() -> None:
    long = replace(LISTS, lists=dict.fromkeys(Task, ((7, 1e6, Reason.MODEL),)))
    assert from_document(to_document(long)[:-1] + b"\x63", VERSION) is None


def test_two_whole_lists_take_less_than_half_a_kilobyte() -> None:
    """What the cache's server adds to it is measured by the benchmark."""
    many: tuple[Row, ...] = tuple((item, item / 7, Reason.MODEL) for item in range(KEPT_LENGTH))
    assert len(to_document(replace(LISTS, lists=dict.fromkeys(Task, many)))) < 450
