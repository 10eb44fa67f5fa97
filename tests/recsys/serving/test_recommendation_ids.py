"""Ids of answers: only this installation makes them, and they say nothing about the customer."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.serving.recommendation_ids import ID_LENGTH, SERIAL_BYTES, Issued, make_id, model_mark, new_serial, read_id
from recsys.store.keys import KeyRing
from tests.recsys.serving.shop import NOON, Shop

RING = KeyRing.ephemeral()
SERIAL = bytes(range(SERIAL_BYTES))
IDENTIFIER = make_id(RING, SERIAL, version="v", made=NOON)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - the strategy adds it
    max_value=datetime(2099, 12, 31),  # noqa: DTZ001 - the strategy adds it
    timezones=st.just(UTC),
)


@given(st.binary(min_size=SERIAL_BYTES, max_size=SERIAL_BYTES), st.text(max_size=40), moments)
def test_an_id_says_what_it_was_made_of(serial: bytes, version: str, made: datetime) -> None:
    identifier = make_id(RING, serial, version=version, made=made)

    assert len(identifier) == ID_LENGTH
    day = made.replace(hour=0, minute=0, second=0, microsecond=0)
    assert read_id(RING, identifier) == Issued(serial=serial, day=day, model=model_mark(version))


@pytest.mark.parametrize("place", range(ID_LENGTH))
def test_an_id_with_a_character_changed_is_none(place: int) -> None:
    for other in (LETTERS[(LETTERS.index(IDENTIFIER[place]) + 1) % 64], "=", "+", "\n", "é"):
        assert read_id(RING, IDENTIFIER[:place] + other + IDENTIFIER[place + 1 :]) is None


@given(st.text(max_size=60))
def test_other_text_is_no_id(text: str) -> None:
    assert read_id(RING, text) is None


def test_an_id_of_another_installation_is_none() -> None:
    assert read_id(KeyRing.ephemeral(), IDENTIFIER) is None


def test_two_lists_of_one_customer_have_no_more_in_common_than_those_of_two(shop: Shop) -> None:
    for customer in ("ada", "ben"):
        shop.buy(customer, "tea-0")
    first = [
        read_id(shop.workspace.keys, shop.recommender.recommend(name).recommendation_id or "")
        for name in ("ada", "ben")
    ]
    shop.buy("ada", "tea-1")
    second = read_id(shop.workspace.keys, shop.recommender.recommend("ada").recommendation_id or "")
    found = [each for each in (*first, second) if each is not None]

    assert len({each.serial for each in found}) == 3
    assert len({(each.day, each.model) for each in found}) == 1


def test_a_kept_list_keeps_its_id_until_it_is_made_anew(shop: Shop) -> None:
    shop.buy("ada", "tea-0")
    kept = {shop.recommender.recommend("ada", n=n).recommendation_id for n in (5, 20, 5)}
    shop.buy("ada", "tea-1")

    assert len(kept) == 1
    assert shop.recommender.recommend("ada").recommendation_id not in kept


def test_popular_lists_have_an_id_each(shop: Shop) -> None:
    assert len({shop.recommender.recommend("nobody").recommendation_id for _ in range(3)}) == 3


def test_serials_differ() -> None:
    assert len({new_serial() for _ in range(1000)}) == 1000
