"""A value of the cache says at once what it is, and opens for its own customer alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.serving.packed_lists import to_document
from recsys.serving.sealed_lists import (
    TOMBSTONE,
    Header,
    Kind,
    generation_of,
    open_document,
    open_lists,
    read_header,
    seal_lists,
)
from recsys.store.keys import KeyRing
from recsys.types import UserKey
from tests.recsys.serving.test_packed_lists import LISTS, VERSION

RING = KeyRing.ephemeral()
ADA, BEN = UserKey(b"a" * 16), UserKey(b"b" * 16)


def value(*, epoch: int = 5, stamp: int = 9) -> bytes:
    return seal_lists(RING, ADA, epoch=epoch, stamp=stamp, lists=LISTS)


def lists_in(ring: KeyRing, customer: UserKey, sealed: bytes) -> object:
    return open_lists(ring, customer, sealed, VERSION)


@given(st.integers(0, 2**63), st.integers(0, 2**48))
def test_the_lists_come_back_for_the_customer(epoch: int, stamp: int) -> None:
    sealed = value(epoch=epoch, stamp=stamp)
    assert open_document(RING, ADA, sealed) == to_document(LISTS)
    assert open_lists(RING, ADA, sealed, VERSION) == LISTS
    assert read_header(sealed) == Header(Kind.LISTS, epoch, generation_of(VERSION))


def test_the_lists_of_another_version_are_none() -> None:
    sealed = seal_lists(RING, ADA, epoch=1, lists=replace(LISTS, version="another"))
    assert open_lists(RING, ADA, sealed, VERSION) is None
    assert open_lists(RING, ADA, sealed, "another") == replace(LISTS, version="another")


def test_a_value_with_a_byte_changed_is_no_value() -> None:
    whole = value()
    for position in range(len(whole)):
        changed = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        assert open_document(RING, ADA, changed) is None
        assert open_lists(RING, ADA, changed, VERSION) is None


def test_a_value_that_was_cut_is_no_value() -> None:
    whole = value()
    assert {open_document(RING, ADA, whole[:length]) for length in range(len(whole))} == {None}


@pytest.mark.parametrize(("ring", "customer"), [(RING, BEN), (KeyRing.ephemeral(), ADA)])
def test_nobody_elses_value_opens(ring: KeyRing, customer: UserKey) -> None:
    assert open_document(ring, customer, value()) is None
    assert open_lists(ring, customer, value(), VERSION) is None


@pytest.mark.parametrize("read", [open_document, lists_in])
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
