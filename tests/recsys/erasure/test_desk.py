"""The desk: acknowledged means suppressed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from recsys.errors import InputError
from recsys.evidence.receipt import subject_commitment
from recsys.serving.sealed_lists import TOMBSTONE
from recsys.types import ErasureState, EventStatus, Task
from tests.recsys.erasure.shop import ADA, BEN, NOBODY, Shop
from tests.recsys.serving.shop import nameless, purchase


def test_from_the_acknowledgement_on_nothing_personal_is_served(shop: Shop) -> None:
    assert shop.recommender.recommend(ADA).personalized
    shop.ask(ADA)
    for task in Task:
        answer, unknown = (shop.recommender.recommend(user, task=task) for user in (ADA, NOBODY))
        assert nameless(answer) == replace(nameless(unknown), generated_at=answer.generated_at)


def test_from_the_acknowledgement_on_no_purchase_is_taken(shop: Shop) -> None:
    shop.ask(ADA)
    before = shop.workspace.histories.history(shop.key(ADA))
    assert shop.recommender.record({ADA: [purchase("new", "i00")]}) == {ADA: [EventStatus.SUPPRESSED]}
    assert shop.workspace.histories.history(shop.key(ADA)) == before


def test_the_cached_list_is_forgotten_at_once(shop: Shop) -> None:
    assert shop.cached(ADA) is not None
    shop.ask(ADA)
    assert shop.cache.get(shop.key(ADA)) == TOMBSTONE
    assert shop.cached(BEN) is not None


def test_a_cache_that_is_down_does_not_keep_a_request_from_being_taken(shop: Shop) -> None:
    shop.cache.down = True
    request, salt = shop.ask(ADA)
    assert (request.state, bool(salt)) == (ErasureState.SUPPRESSED, True)
    shop.cache.down = False
    assert not shop.recommender.recommend(ADA).personalized


def test_the_salt_opens_the_commitment_to_the_customer_and_is_kept_nowhere(shop: Shop) -> None:
    request, salt = shop.ask(ADA)
    assert request.subject == subject_commitment(ADA, bytes.fromhex(salt))
    assert request.subject != subject_commitment(BEN, bytes.fromhex(salt))
    assert len(bytes.fromhex(salt)) == 16
    assert salt not in str(shop.workspace.erasures.requests())


def test_two_customers_get_requests_salts_and_commitments_of_their_own(shop: Shop) -> None:
    (first, first_salt), (second, second_salt) = shop.ask(ADA), shop.ask(BEN)
    assert first.request_id != second.request_id
    assert first.subject != second.subject
    assert first_salt != second_salt


def test_a_second_request_of_a_customer_is_answered_with_the_first_and_without_a_salt(shop: Shop) -> None:
    first, _ = shop.ask(ADA)
    assert shop.ask(ADA, release=True) == (first, "")
    assert len(shop.workspace.erasures.requests()) == 1


def test_a_request_after_the_receipt_is_answered_with_the_finished_one(shop: Shop) -> None:
    finished = shop.erase(ADA)
    assert shop.ask(ADA) == (finished, "")
    assert finished.state is ErasureState.RECEIPTED


def test_two_spellings_of_an_id_are_one_request(shop: Shop) -> None:
    first, salt = shop.ask("zo\u00eb")
    again, _ = shop.ask("zoe\u0308")
    assert again == first
    assert first.subject == subject_commitment("zoe\u0308", bytes.fromhex(salt))


def test_a_request_is_due_a_month_after_it_came(shop: Shop) -> None:
    request, _ = shop.ask(ADA)
    assert request.due_at - request.received_at == timedelta(days=30)


def test_a_reason_that_is_too_long_is_refused_and_nobody_is_suppressed(memory_shop: Shop) -> None:
    from pipelines.erase import desk  # noqa: PLC0415 - the other tests ask through the shop

    with pytest.raises(InputError, match="at most 500"):
        desk(memory_shop.workspace).request(ADA, reason="x" * 501)
    assert memory_shop.recommender.recommend(ADA).personalized
    assert memory_shop.workspace.erasures.requests() == ()


def test_an_id_that_cannot_be_one_is_refused_and_not_repeated(memory_shop: Shop) -> None:
    with pytest.raises(InputError) as caught:
        memory_shop.ask("ada\x00lovelace")
    assert "lovelace" not in str(caught.value)
    assert memory_shop.workspace.erasures.requests() == ()


def test_a_customer_whom_nobody_knows_can_ask_too(shop: Shop) -> None:
    """So that the answer does not tell who is a customer; and what is loaded later is refused."""
    request = shop.erase(NOBODY)
    assert request.state is ErasureState.RECEIPTED
    assert shop.outcomes(request) == {}
    assert shop.recommender.record({NOBODY: [purchase("new", "i00")]}) == {NOBODY: [EventStatus.SUPPRESSED]}
