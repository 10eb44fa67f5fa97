"""A value of the cache says at once what it is, and opens for its own customer alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.serving.lists import CachedLists, Row
from recsys.serving.sealed_lists import (
    TOMBSTONE,
    Header,
    Kind,
    from_document,
    generation_of,
    open_answer,
    open_lists,
    read_header,
    seal_lists,
    to_document,
)
from recsys.store.keys import KeyRing
from recsys.types import Reason, Task, UserKey

RING = KeyRing.ephemeral()
ADA, BEN = UserKey(b"a" * 16), UserKey(b"b" * 16)
VERSION = "0123456789abcdef" * 2
ANSWER = b'{"items":[]}'
LISTS = CachedLists(
    version=VERSION,
    revision=3,
    serial=b"12345678",
    generated_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    lists={
        Task.ANY: ((7, 1.5, Reason.BOUGHT_BEFORE), (3, 0.25, Reason.MODEL)),
        Task.DISCOVER: ((3, 0.25, Reason.MODEL),),
    },
)

rows = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.floats(width=32, allow_nan=False), st.sampled_from(Reason)), max_size=5
).map(tuple)
any_lists = st.builds(
    CachedLists,
    version=st.text(max_size=60).filter(lambda text: len(text.encode(errors="replace")) < 250).filter(str.isprintable),
    revision=st.integers(0, 2**62),
    serial=st.binary(min_size=8, max_size=8),
    generated_at=st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - strategies add it
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    lists=st.fixed_dictionaries(dict.fromkeys(Task, rows)),
)


def value(*, epoch: int = 5, stamp: int = 9) -> bytes:
    return seal_lists(RING, ADA, epoch=epoch, stamp=stamp, lists=LISTS, answer=ANSWER)


@given(any_lists, st.binary(max_size=100), st.integers(0, 2**63), st.integers(0, 2**48))
def test_answer_and_lists_come_back_for_the_customer(lists: CachedLists, answer: bytes, epoch: int, stamp: int) -> None:
    sealed = seal_lists(RING, ADA, epoch=epoch, stamp=stamp, lists=lists, answer=answer)
    assert open_answer(RING, ADA, sealed) == answer
    assert open_lists(RING, ADA, sealed) == lists
    assert read_header(sealed) == Header(Kind.LISTS, epoch, generation_of(lists.version))


def test_a_value_with_a_byte_changed_is_no_value() -> None:
    whole = value()
    for position in range(len(whole)):
        changed = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        assert open_answer(RING, ADA, changed) is None
        assert open_lists(RING, ADA, changed) is None


def test_a_value_that_was_cut_is_no_value() -> None:
    whole = value()
    assert {open_answer(RING, ADA, whole[:length]) for length in range(len(whole))} == {None}


@pytest.mark.parametrize(("ring", "customer"), [(RING, BEN), (KeyRing.ephemeral(), ADA)])
def test_nobody_elses_value_opens(ring: KeyRing, customer: UserKey) -> None:
    assert open_answer(ring, customer, value()) is None
    assert open_lists(ring, customer, value()) is None


@pytest.mark.parametrize("read", [open_answer, open_lists])
@pytest.mark.parametrize("other", [TOMBSTONE, b"", b"\x02" + bytes(24), b"\x01", b"\x07" * 99, b'{"version":"old"}'])
def test_what_is_no_list_is_none(read: Callable[[KeyRing, UserKey, bytes], object], other: bytes) -> None:
    assert read(RING, ADA, other) is None


def test_a_header_is_read_without_a_key() -> None:
    assert read_header(TOMBSTONE) == Header(Kind.TOMBSTONE, 0, 0)
    assert read_header(value(epoch=6)) == Header(Kind.LISTS, 6, generation_of(VERSION))
    assert read_header(b"\x02" + bytes(7) + b"\x04" + bytes(16)) == Header(Kind.STALE, 4, 0)
    assert [read_header(odd) for odd in (b"", b"\x01", TOMBSTONE * 25, b"\x03" * 25)] == [None] * 4


def test_generations_of_two_versions_differ() -> None:
    assert generation_of(VERSION) != generation_of(VERSION[::-1])
    assert 0 <= generation_of(VERSION) < 2**64


@given(st.integers(0, 100))
def test_a_document_that_was_cut_is_none(length: int) -> None:
    whole = to_document(LISTS)
    assert from_document(whole[: min(length, len(whole) - 1)]) is None


def test_a_document_with_an_unknown_reason_is_none() -> None:
    assert from_document(to_document(LISTS)[:-1] + b"\x63") is None


def test_a_value_of_24_items_without_an_answer_is_small() -> None:
    """What the cache's server adds to it is measured by the benchmark."""
    many: tuple[Row, ...] = tuple((item, float(np.float32(item / 7)), Reason.MODEL) for item in range(24))
    lists = replace(LISTS, lists={Task.ANY: many})
    assert len(seal_lists(RING, ADA, epoch=1, lists=lists, answer=b"")) < 400
