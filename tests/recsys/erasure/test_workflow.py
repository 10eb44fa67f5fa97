"""From the acknowledgement to the receipt, in memory and on SQLite."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from recsys.erasure.rules import ORDER
from recsys.errors import CacheUnavailableError, InputError, VerificationError
from recsys.evidence.receipt import subject_commitment, verify_receipt
from recsys.models.gram import GramSum
from recsys.store.keys import KeyRing
from recsys.store.memory import MemoryErasures, MemoryState
from recsys.training.terms import TrainConfig
from recsys.types import SLOTS, ErasureState, Json
from tests.recsys.erasure.shop import ADA, BEN, EVE, LOG, NOBODY, Shop, assert_forgotten, content, live, sum_without
from tests.recsys.training.shop import PLENTY, never

# What is removed.


@pytest.mark.parametrize("release", [False, True])
def test_after_an_erasure_nothing_of_the_customer_is_in_any_store(shop: Shop, release: bool) -> None:
    request = shop.erase(ADA, release=release)
    assert request.state is ErasureState.RECEIPTED
    assert_forgotten(shop, ADA)


def test_the_sum_is_that_of_a_shop_which_never_had_the_customer(shop: Shop) -> None:
    before = content(shop)
    shop.erase(ADA)
    assert content(shop).to_bytes() == sum_without(before, [ADA]).to_bytes()
    shop.erase(EVE)
    assert content(shop).to_bytes() == sum_without(before, [ADA, EVE]).to_bytes()
    assert content(shop).to_bytes() != before.to_bytes()


def test_every_sum_that_holds_the_customer_is_changed(shop: Shop) -> None:
    shop.budget(PLENTY)
    shop.train(TrainConfig(epsilon=1.0))
    sum_ids = {version.sum_id for version in shop.workspace.registry.versions()}
    assert len(sum_ids) == 2
    request = shop.erase(ADA)
    for sum_id in sum_ids:
        after = GramSum.from_bytes(shop.workspace.sums.load_sum(str(sum_id)))
        assert after.to_bytes() == sum_without(after, [ADA]).to_bytes()
        assert after.n_added == len(LOG.users) - 1
    listed = shop.receipt(request)["steps"]["erased"]["sums"]
    assert listed == [{"sum_id": sum_id, "subtracted": True} for sum_id in sorted(map(str, sum_ids))]


def test_the_other_customers_are_served_as_before(memory_shop: Shop) -> None:
    shop = memory_shop
    before = shop.recommender.recommend(BEN).items
    shop.erase(ADA)
    assert shop.recommender.recommend(BEN).items == before


def test_an_erased_customer_is_not_taken_in_again(shop: Shop) -> None:
    shop.erase(ADA)
    key, purchases = shop.key(ADA), LOG.history(LOG.users.index(ADA)).purchases
    assert shop.workspace.histories.append({key: purchases}) == {key: None}
    assert_forgotten(shop, ADA)
    shop.budget(PLENTY)
    shop.train(TrainConfig(epsilon=1.0))
    assert shop.workspace.sums.terms_of(key) == {}


def test_a_customer_who_is_in_no_sum_is_erased_too(memory_shop: Shop) -> None:
    shop = memory_shop
    newcomer = "newcomer@mail.example"
    shop.workspace.histories.append({shop.key(newcomer): LOG.history(0).purchases})
    before = content(shop).to_bytes()
    request = shop.erase(newcomer, release=True)
    assert_forgotten(shop, newcomer)
    assert content(shop).to_bytes() == before
    assert shop.outcomes(request) == {}
    assert shop.spends() == ["customers", "counts", "gram"]


# The states.


def test_the_states_are_passed_in_their_order(memory_shop: Shop) -> None:
    passed: list[ErasureState] = []

    class Watched(MemoryErasures):
        def erase_customers(self, details: Mapping[str, Mapping[str, Json]], sums: Mapping[str, bytes]) -> None:
            super().erase_customers(details, sums)
            passed.extend(self.request(request_id).state for request_id in details)

        def advance(self, request_id: str, state: ErasureState, details: Mapping[str, Json]) -> None:
            super().advance(request_id, state, details)
            passed.append(self.request(request_id).state)

    state = memory_shop.workspace.erasures._state  # type: ignore[attr-defined]
    assert isinstance(state, MemoryState)
    watched = Shop(replace(memory_shop.workspace, erasures=Watched(state)), memory_shop.entropy)
    request, _ = watched.ask(ADA, release=True)
    assert request.state is ErasureState.SUPPRESSED
    watched.work()
    assert [request.state, *passed] == list(ORDER)


def test_the_receipts_of_all_that_is_pending_are_written_oldest_first(shop: Shop) -> None:
    asked = [shop.ask(user)[0].request_id for user in (EVE, ADA, BEN)]
    assert [request.request_id for request in shop.work()] == asked
    assert shop.workspace.erasures.pending() == ()
    for user in (ADA, BEN, EVE):
        assert_forgotten(shop, user)


def test_with_nothing_pending_there_is_nothing_to_do(memory_shop: Shop) -> None:
    shop = memory_shop
    assert shop.work() == ()


# The receipt.


@pytest.mark.parametrize("release", [False, True])
def test_the_receipt_is_verified_with_the_public_key_alone_and_says_what_was_done(shop: Shop, release: bool) -> None:
    request = shop.erase(ADA, release=release)
    body = shop.receipt(request)
    assert (body["request_id"], body["subject"]) == (request.request_id, request.subject)
    assert list(body["steps"]) == ["erased", "purged", "released", "verified"]
    assert body["steps"]["erased"]["history"] == body["steps"]["erased"]["data_key"] == "destroyed"
    assert body["steps"]["erased"]["feedback"] == "none is kept by customer"
    assert body["steps"]["purged"]["cache"] == "deleted and read back"
    times = [body["received_at"], *(body["steps"][step]["at"] for step in ("erased", "released", "purged", "verified"))]
    assert sorted(times) == times
    assert body["completed_at"] >= times[-1]


def test_the_receipt_is_the_customers_for_whoever_holds_the_salt(memory_shop: Shop) -> None:
    shop = memory_shop
    request, salt = shop.ask(ADA)
    shop.work()
    assert shop.receipt(request)["subject"] == subject_commitment(ADA, bytes.fromhex(salt))


def test_another_key_or_a_changed_byte_is_found_out(memory_shop: Shop) -> None:
    shop = memory_shop
    request = shop.erase(ADA)
    receipt = shop.workspace.erasures.receipt(request.request_id)
    with pytest.raises(VerificationError):
        verify_receipt(receipt, KeyRing.ephemeral().public_key)
    with pytest.raises(VerificationError):
        verify_receipt(receipt.replace(b"destroyed", b"deployed!"), shop.workspace.public_key)


@pytest.mark.parametrize("release", [False, True])
def test_neither_id_nor_key_of_any_customer_is_in_the_receipt(shop: Shop, release: bool) -> None:
    request, salt = shop.ask(ADA, release=release)
    shop.work()
    receipt = shop.workspace.erasures.receipt(request.request_id)
    for user in LOG.users:
        assert user.encode() not in receipt
        assert shop.key(user).hex().encode() not in receipt
    assert salt.encode() not in receipt


def test_the_number_of_customers_is_not_in_the_receipt(memory_shop: Shop) -> None:
    """Exact counts of customers are not released: neither those in the sum nor those whose lists were published."""
    shop = memory_shop
    body = shop.receipt(shop.erase(ADA, release=True))
    numbers = [value for value in leaves(body) if isinstance(value, int) and not isinstance(value, bool)]
    assert numbers == []
    assert body["steps"]["released"]["lists_published"] is True


def leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def test_a_worker_that_runs_again_changes_nothing(shop: Shop) -> None:
    request = shop.erase(ADA, release=True)
    receipt, spent, version = shop.workspace.erasures.receipt(request.request_id), shop.spends(), shop.live()
    assert shop.work() == ()
    assert shop.workspace.erasures.receipt(request.request_id) == receipt
    assert (shop.spends(), shop.live()) == (spent, version)


# The cache.


def test_a_cache_that_is_down_holds_the_request_until_it_is_back(shop: Shop) -> None:
    request, _ = shop.ask(ADA)
    shop.cache.down = True
    with pytest.raises(CacheUnavailableError):
        shop.work()
    assert shop.workspace.erasures.request(request.request_id).state is ErasureState.RELEASED
    shop.cache.down = False
    assert [done.request_id for done in shop.work()] == [request.request_id]
    assert shop.receipt(request)["request_id"] == request.request_id


def test_a_cache_that_goes_away_while_lists_are_published_costs_no_second_release(shop: Shop) -> None:
    before = live(shop)
    request, _ = shop.ask(ADA, release=True)
    shop.cache.down = True
    with pytest.raises(CacheUnavailableError):
        shop.work()
    assert shop.workspace.erasures.request(request.request_id).state is ErasureState.ERASED
    released = live(shop)
    shop.cache.down = False
    Shop(shop.workspace, never).work()
    assert {version: entry["superseded_by"] for version, entry in shop.outcomes(request).items()} == {before: released}
    assert live(shop) == released
    assert shop.receipt(request)["steps"]["released"]["lists_published"] is True
    assert shop.spends() == ["customers", "counts", "gram", "gram"]


@pytest.mark.parametrize("slot", SLOTS)
def test_a_list_that_a_slow_request_kept_after_the_acknowledgement_is_purged(memory_shop: Shop, slot: int) -> None:
    shop = memory_shop
    kept, permit = shop.cache.get(shop.key(ADA)), shop.cache.permit()
    assert kept is not None
    assert permit is not None
    shop.ask(ADA)
    assert shop.cache.put(permit, [(shop.key(ADA), kept)], slot) == 0
    shop.cache._values[slot][shop.key(ADA)] = kept  # as a server would that was put back to an old snapshot
    assert not shop.recommender.recommend(ADA).personalized
    shop.work()
    assert_forgotten(shop, ADA)


def test_a_newer_model_stays_live_when_an_old_request_is_finished(memory_shop: Shop) -> None:
    shop = memory_shop
    request, _ = shop.ask(ADA, release=True)
    shop.cache.down = True
    with pytest.raises(CacheUnavailableError):
        shop.work()
    shop.cache.down = False
    shop.budget(PLENTY)
    newest = shop.train(TrainConfig(epsilon=1.0)).version
    shop.work()
    assert live(shop) == newest
    assert shop.receipt(request)["request_id"] == request.request_id


def test_the_receipt_is_canonical_json(memory_shop: Shop) -> None:
    shop = memory_shop
    receipt = shop.workspace.erasures.receipt(shop.erase(ADA).request_id)
    assert (
        json.dumps(json.loads(receipt), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == receipt
    )


def test_a_customer_cannot_slip_into_a_sum_between_request_and_erasure(shop: Shop) -> None:
    shop.ask(ADA)
    with pytest.raises(InputError, match="not suppressed"):
        shop.workspace.sums.create_sum("late", content(shop).to_bytes(), [(shop.key(ADA), b"")])
    shop.work()
    assert not shop.recommender.recommend(NOBODY).personalized
