"""What every cache keeps: in memory, and on a real Valkey server."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from redis import Redis

from recsys.errors import CacheUnavailableError
from recsys.ports import Cache
from recsys.serving.sealed_lists import HEADER, TOMBSTONE, Header, Kind, read_header
from recsys.store.cache import RedisCache
from recsys.store.embedded import EmbeddedValkey
from recsys.store.keys import KeyRing
from recsys.store.memory import MemoryCache
from recsys.types import SLOTS, Fence, FenceState, Permit, UserKey


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.service)])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    if request.param == "memory":
        yield MemoryCache()
        return
    url = request.getfixturevalue("valkey_url")
    with Redis.from_url(url) as client:
        client.flushall()
    remote = RedisCache(url, KeyRing.ephemeral(), timeout=5)
    yield remote
    remote.close()


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.service)])
def dead_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    if request.param == "memory":
        cache = MemoryCache()
        cache.down = True
        yield cache
        return
    remote = RedisCache(f"unix://{tmp_path}/nothing", KeyRing.ephemeral(), timeout=0.1)
    yield remote
    remote.close()


Customer = Callable[[int], UserKey]
RIVAL = Permit(7, 2**40)


def permit(cache: Cache, epoch: int = 7, buried: Sequence[UserKey] = ()) -> Permit:
    """A permit of the cache, certified for the epoch."""
    cache.certify(Fence(epoch, FenceState.CERTIFYING, cache.identity()), buried)
    given = cache.permit()
    assert given is not None
    return given


def lists(given: Permit, text: bytes = b"") -> bytes:
    """A value with the header that is written under the permit."""
    return HEADER.pack(Kind.LISTS, given.epoch, 1, given.stamp) + text


def test_values_come_back_with_their_headers(cache: Cache, customer: Customer) -> None:
    given = permit(cache)
    one, two = lists(given, b"one"), lists(given, b"two")
    assert cache.put(given, [(customer(1), one), (customer(2), two)]) == 2
    assert [cache.get(customer(number)) for number in (1, 2, 3)] == [one, two, None]
    assert cache.headers([customer(2), customer(3), customer(1)]) == [two[:25], b"", one[:25]]
    assert cache.headers([]) == []


def test_the_last_value_counts(cache: Cache, customer: Customer) -> None:
    given = permit(cache)
    cache.put(given, [(customer(1), b"old"), (customer(1), b"new")])
    cache.put(given, [(customer(1), b"newest")])
    assert cache.get(customer(1)) == b"newest"


def test_more_values_than_are_sent_at_once_are_all_kept(cache: Cache, customer: Customer) -> None:
    given, keys = permit(cache), [customer(number) for number in range(1001)]
    assert cache.put(given, ((key, b"%d" % place) for place, key in enumerate(keys))) == 1001
    assert cache.headers(keys) == [b"%d" % place for place in range(1001)]


def test_a_cache_that_is_up_answers(cache: Cache) -> None:
    cache.ping()
    assert cache.put(permit(cache), []) == 0


# Epochs: nothing is let in before the certification, nor after it under a permit of before.


def test_nothing_is_let_in_before_the_certification(cache: Cache, customer: Customer) -> None:
    assert cache.permit() is None
    assert cache.put(Permit(0, 0), [(customer(1), b"value")]) == 0
    assert cache.get(customer(1)) is None


def test_a_permit_ends_with_its_epoch(cache: Cache, customer: Customer) -> None:
    old, new = permit(cache, 7), permit(cache, 8)
    assert (old.epoch, new.epoch) == (7, 8)
    assert cache.put(old, [(customer(1), b"old")]) == 0
    assert cache.put(new, [(customer(1), b"new")]) == 1


def test_values_of_an_older_epoch_are_replaced_whatever_their_stamp(cache: Cache, customer: Customer) -> None:
    late = Permit(permit(cache, 7).epoch, 2**40)
    cache.put(late, [(customer(1), lists(late))])
    new = permit(cache, 8)
    assert cache.put(new, [(customer(1), lists(new))]) == 1


def test_another_run_of_the_server_cannot_be_certified(cache: Cache, customer: Customer) -> None:
    with pytest.raises(CacheUnavailableError):
        cache.certify(Fence(1, FenceState.CERTIFYING, "another"), [customer(1)])
    assert cache.permit() is None


# Tombstones: nothing replaces one.


def test_nothing_replaces_a_tombstone(cache: Cache, customer: Customer) -> None:
    given = permit(cache)
    cache.put(given, [(customer(1), lists(given)), (customer(2), lists(given))])
    assert cache.bury(customer(1)) == cache.identity()
    assert cache.put(RIVAL, [(customer(1), lists(RIVAL)), (customer(2), lists(RIVAL))]) == 1
    assert cache.forget([customer(1)]) == cache.identity()
    assert cache.get(customer(1)) == TOMBSTONE


def test_a_certification_begins_with_the_tombstones_of_all_who_were_suppressed(
    cache: Cache, customer: Customer
) -> None:
    before = permit(cache, 7)
    buried = [customer(number) for number in range(600)]
    cache.put(before, [(customer(number), lists(before)) for number in (1, 599, 600)])
    permit(cache, 8, buried)
    assert cache.headers(buried) == [TOMBSTONE] * 600
    assert cache.get(customer(600)) == lists(before)


# Stamps: what a purchase made out of date does not come back.


def test_lists_that_were_being_computed_when_a_purchase_came_are_refused(cache: Cache, customer: Customer) -> None:
    slow = permit(cache)
    cache.put(slow, [(customer(1), lists(slow))])
    assert cache.forget([customer(1), customer(2)]) == cache.identity()
    header = read_header(cache.get(customer(1)) or b"")
    assert header == Header(Kind.STALE, 7, 0)
    assert cache.put(slow, [(customer(number), lists(slow)) for number in (1, 2, 3)]) == 1
    assert read_header(cache.get(customer(2)) or b"") == header


def test_lists_of_a_later_permit_are_not_replaced_by_earlier_ones(cache: Cache, customer: Customer) -> None:
    slow = permit(cache)
    cache.forget([customer(1)])
    fast = cache.permit()
    assert fast is not None
    assert fast.stamp > slow.stamp
    assert cache.put(fast, [(customer(1), lists(fast, b"fresh"))]) == 1
    assert cache.put(slow, [(customer(1), lists(slow, b"stale"))]) == 0
    assert cache.get(customer(1)) == lists(fast, b"fresh")
    assert cache.put(fast, [(customer(1), lists(fast, b"again"))]) == 1


@pytest.mark.parametrize("stamp", [0, 1, 0x41, 0xFF, 0x100, 2**40 - 1, 2**47])
def test_stamps_are_compared_as_numbers(cache: Cache, customer: Customer, stamp: int) -> None:
    epoch = permit(cache, 2**31).epoch
    here, earlier = Permit(epoch, stamp), Permit(epoch, max(stamp - 1, 0))
    cache.put(here, [(customer(1), lists(here, b"here"))])
    assert cache.put(earlier, [(customer(1), lists(earlier, b"earlier"))]) == (stamp == 0)


def test_forgetting_more_customers_than_are_sent_at_once(cache: Cache, customer: Customer) -> None:
    given, keys = permit(cache), [customer(number) for number in range(1001)]
    assert cache.forget(keys) == cache.identity()
    assert cache.put(given, [(key, lists(given)) for key in keys]) == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda cache, key: cache.get(key),
        lambda cache, key: cache.headers([key]),
        lambda cache, key: cache.permit(),
        lambda cache, key: cache.put(Permit(1, 0), [(key, b"secret list")]),
        lambda cache, key: cache.bury(key),
        lambda cache, key: cache.forget([key]),
        lambda cache, key: cache.identity(),
        lambda cache, key: cache.certify(Fence(1, FenceState.CERTIFYING, "run"), [key]),
        lambda cache, key: cache.ping(),
    ],
)
def test_a_cache_that_is_down_says_so_without_naming_key_or_value(
    dead_cache: Cache, customer: Customer, ask: Callable[[Cache, UserKey], object]
) -> None:
    with pytest.raises(CacheUnavailableError) as caught:
        ask(dead_cache, customer(1))
    assert "secret" not in str(caught.value)
    assert customer(1).hex() not in str(caught.value)


# Slots: two versions lie side by side, and what is said of a customer holds for both.


def test_values_of_two_slots_lie_side_by_side(cache: Cache, customer: Customer) -> None:
    given = permit(cache)
    assert [cache.put(given, [(customer(1), lists(given, b"%d" % slot))], slot) for slot in SLOTS] == [1, 1]
    assert [cache.get(customer(1), slot) for slot in SLOTS] == [lists(given, b"%d" % slot) for slot in SLOTS]
    assert [cache.headers([customer(1)], slot) for slot in SLOTS] == [[lists(given)]] * 2


@pytest.mark.parametrize("slot", SLOTS)
def test_a_tombstone_rules_both_slots(cache: Cache, customer: Customer, slot: int) -> None:
    given = permit(cache)
    for each in SLOTS:
        cache.put(given, [(customer(1), lists(given))], each)
    cache.bury(customer(1))
    assert cache.put(RIVAL, [(customer(1), lists(RIVAL))], slot) == 0
    cache.forget([customer(1)])
    assert cache.put(RIVAL, [(customer(1), lists(RIVAL))], slot) == 0
    assert [cache.get(customer(1), each) for each in SLOTS] == [TOMBSTONE, None]


@pytest.mark.parametrize("slot", SLOTS)
def test_a_certification_clears_both_slots_of_who_was_suppressed(cache: Cache, customer: Customer, slot: int) -> None:
    before = permit(cache, 7)
    cache.put(before, [(customer(1), lists(before)), (customer(2), lists(before))], slot)
    permit(cache, 8, [customer(1)])
    assert [cache.get(customer(1), each) for each in SLOTS] == [TOMBSTONE, None]
    assert cache.get(customer(2), slot) == lists(before)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_purchase_makes_the_lists_of_both_slots_out_of_date(cache: Cache, customer: Customer, slot: int) -> None:
    slow = permit(cache)
    for each in SLOTS:
        cache.put(slow, [(customer(1), lists(slow))], each)
    cache.forget([customer(1)])
    assert all(read_header(cache.get(customer(1), each) or b"") != Header(Kind.LISTS, 7, 1) for each in SLOTS)
    assert cache.put(slow, [(customer(1), lists(slow))], slot) == 0


@pytest.mark.parametrize("slot", SLOTS)
def test_a_list_after_a_purchase_takes_the_note_away_and_keeps_what_it_said(
    cache: Cache, customer: Customer, slot: int
) -> None:
    slow = permit(cache)
    cache.forget([customer(1)])
    fast = cache.permit()
    assert fast is not None
    assert cache.put(fast, [(customer(1), lists(fast))], slot) == 1
    assert [cache.put(slow, [(customer(1), lists(slow))], each) for each in SLOTS] == [0, 0]
    assert (cache.get(customer(1), slot), cache.get(customer(1), 1 - slot)) == (lists(fast), None)


@pytest.mark.parametrize("slot", SLOTS)
def test_after_a_tombstone_is_lifted_only_lists_that_are_computed_then_are_kept(
    cache: Cache, customer: Customer, slot: int
) -> None:
    given = permit(cache)
    cache.bury(customer(1))
    cache.unbury(customer(1))
    assert cache.put(given, [(customer(1), b"\1 computed before")], slot) == 0
    later = cache.permit()
    assert later is not None
    assert cache.put(later, [(customer(1), b"\1 computed now")], slot) == 1


def test_lifting_a_tombstone_that_is_not_there_changes_nothing(cache: Cache, customer: Customer) -> None:
    cache.put(permit(cache), [(customer(1), b"\1 a list")])
    cache.unbury(customer(1))
    cache.unbury(customer(2))
    assert [cache.get(customer(number)) for number in (1, 2)] == [b"\1 a list", None]
