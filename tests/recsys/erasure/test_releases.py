"""What becomes of the models that an erased customer was in."""

import math

import pytest

from pipelines.erase import worker as wired_worker
from recsys.errors import BudgetExceededError, NotFoundError
from recsys.training.terms import TrainConfig
from recsys.types import ErasureState, ModelStatus, Trainer
from tests.recsys.erasure.shop import (
    ADA,
    BEN,
    EVE,
    LOG,
    THREE_RELEASES,
    Shop,
    assert_forgotten,
    content,
    live,
    sum_without,
)
from tests.recsys.training.shop import DP_SGD, LOUD, PLENTY, never, train_beside_directions

KEPT = "kept: bounded by its (epsilon, delta) until the next release"
SUPERSEDED = "superseded by a release from the sum without the customer"
TRAINED = "superseded by a training on the purchases without the customer: its trainer keeps no sum"
WITHDRAWN = "withdrawn: its factors were deleted"
TOO_LITTLE = 0.5
"""Less than the training has spent."""


# Releasing again.


def test_a_release_supersedes_the_live_version_and_is_published(shop: Shop) -> None:
    before = live(shop)
    request = shop.erase(ADA, release=True)
    after = live(shop)
    assert after != before
    assert shop.workspace.registry.load(after)[1].model_digest != shop.workspace.registry.load(before)[1].model_digest
    outcome = shop.outcomes(request)[before]
    assert (outcome["outcome"], outcome["superseded_by"]) == (SUPERSEDED, after)
    assert shop.statuses() == {before: ModelStatus.RETIRED, after: ModelStatus.LIVE}
    assert shop.spends() == ["customers", "counts", "gram", "gram"]
    purposes = [entry["purpose"] for entry in shop.workspace.ledger_log.entries() if entry["type"] == "spend"]
    assert purposes == ["train", "train", "train", f"erasure {request.request_id}"]
    answer = shop.recommender.recommend(BEN)
    assert (answer.version, answer.personalized) == (after, True)


def test_a_release_keeps_the_rule_of_the_first_and_the_receipt_says_so(shop: Shop) -> None:
    before = shop.workspace.registry.load(live(shop))[0]
    request = shop.erase(ADA, release=True)
    after = shop.workspace.registry.load(live(shop))[0]
    assert after.popularity.tobytes() == before.popularity.tobytes()
    assert after.item_weights.tobytes() == before.item_weights.tobytes()
    assert after.factors.tobytes() != before.factors.tobytes()
    receipt = shop.workspace.erasures.receipt(request.request_id)
    assert "directions stay as released with the sum's first model" in receipt.decode()


def test_the_released_lists_are_in_the_cache_but_the_customers_are_not(memory_shop: Shop) -> None:
    shop = memory_shop
    shop.erase(ADA, release=True)
    for user in LOG.users:
        lists = shop.cached(user)
        assert (lists is None) if user == ADA else (lists is not None and lists.version == live(shop))


def test_without_a_release_the_version_is_kept_and_nothing_is_drawn(memory_shop: Shop) -> None:
    before = live(memory_shop)
    request = Shop(memory_shop.workspace, never).erase(ADA)
    outcome = memory_shop.outcomes(request)[before]
    assert outcome["outcome"] == KEPT
    assert outcome["epsilon"] == memory_shop.workspace.registry.load(before)[1].privacy["epsilon"]
    assert memory_shop.spends() == ["customers", "counts", "gram"]
    assert live(memory_shop) == before
    assert memory_shop.receipt(request)["steps"]["released"]["lists_published"] is False


def test_the_new_version_is_not_among_those_that_the_customer_was_in(shop: Shop) -> None:
    before = live(shop)
    request = shop.erase(ADA, release=True)
    assert list(shop.outcomes(request)) == [before]
    assert shop.receipt(request)["steps"]["erased"]["versions"] == [before]


def test_a_second_customer_was_in_both_versions(memory_shop: Shop) -> None:
    shop = memory_shop
    first = live(shop)
    shop.erase(ADA, release=True)
    second = live(shop)
    request = shop.erase(BEN, release=True)
    outcomes = {version: entry["outcome"] for version, entry in shop.outcomes(request).items()}
    assert outcomes == {first: KEPT, second: SUPERSEDED}
    assert shop.spends() == ["customers", "counts", "gram", "gram", "gram"]


def test_a_live_version_that_the_customer_was_never_in_is_left_alone(memory_shop: Shop) -> None:
    shop = memory_shop
    first = live(shop)
    newcomer = "newcomer@mail.example"
    shop.workspace.histories.append({shop.key(newcomer): LOG.history(0).purchases})
    shop.budget(PLENTY)
    second = shop.train(TrainConfig(epsilon=1.0)).version
    shop.workspace.registry.promote(first)
    request = shop.erase(newcomer, release=True)
    assert {version: entry["outcome"] for version, entry in shop.outcomes(request).items()} == {second: KEPT}
    assert live(shop) == first


def test_the_wired_worker_releases_with_the_noise_of_the_operating_system(memory_shop: Shop) -> None:
    before = live(memory_shop)
    memory_shop.ask(ADA, release=True)
    told: list[int] = []
    wired_worker(memory_shop.workspace, told.append).run()
    assert live(memory_shop) != before
    assert sum(told) == len(LOG.users) - 1


@pytest.fixture
def shop_beside_directions(untrained_shop: Shop) -> Shop:
    """A shop in memory whose live model was trained with public attributes."""
    train_beside_directions(untrained_shop.workspace, THREE_RELEASES, untrained_shop.entropy)
    untrained_shop.recommender.publish()
    return untrained_shop


def test_beside_directions_an_erased_customer_was_never_in_the_sum(shop_beside_directions: Shop) -> None:
    shop = shop_beside_directions
    before = content(shop)
    shop.erase(ADA)
    shop.erase(BEN)
    after = content(shop)
    assert before.rule.n_directions == after.rule.n_directions > 0
    assert after.to_bytes() == sum_without(before, [ADA, BEN]).to_bytes() != before.to_bytes()
    assert_forgotten(shop, ADA)


def test_beside_directions_a_release_draws_all_three_matrices_anew(shop_beside_directions: Shop) -> None:
    shop, three = shop_beside_directions, ["latent", "cross", "gram"]
    before = live(shop)
    request = shop.erase(ADA, release=True)
    assert shop.outcomes(request)[before]["superseded_by"] == live(shop) != before
    assert shop.spends() == ["customers", "counts", *three, *three]
    purposes = [entry["purpose"] for entry in shop.workspace.ledger_log.entries() if entry["type"] == "spend"]
    assert purposes == ["train"] * 5 + [f"erasure {request.request_id}"] * 3


# Over budget.


def test_a_release_over_budget_leaves_the_request_erased_until_the_budget_is_raised(shop: Shop) -> None:
    before = live(shop)
    shop.budget(LOUD)
    for user in (BEN, EVE):
        shop.erase(user, release=True)
    served = live(shop)
    request, _ = shop.ask(ADA, release=True)
    with pytest.raises(BudgetExceededError):
        Shop(shop.workspace, never).work()
    assert shop.workspace.erasures.request(request.request_id).state is ErasureState.ERASED
    assert_forgotten(shop, ADA)
    assert live(shop) == served != before
    with pytest.raises(NotFoundError, match="erased so far"):
        shop.workspace.erasures.receipt(request.request_id)
    shop.budget(PLENTY)
    assert [done.request_id for done in shop.work()] == [request.request_id]
    assert shop.outcomes(request)[served]["superseded_by"] == live(shop) != served
    assert shop.spends() == ["customers", "counts"] + ["gram"] * 4


def test_a_request_that_cannot_go_on_holds_up_no_other(memory_shop: Shop) -> None:
    shop = memory_shop
    shop.budget(TOO_LITTLE)
    stuck, _ = shop.ask(ADA, release=True)
    other, _ = shop.ask(BEN)
    with pytest.raises(BudgetExceededError):
        shop.work()
    assert shop.workspace.erasures.request(stuck.request_id).state is ErasureState.ERASED
    assert shop.receipt(other)["request_id"] == other.request_id
    assert_forgotten(shop, BEN)


def test_one_release_serves_all_who_were_waiting_for_budget(memory_shop: Shop) -> None:
    """Both terms are out of the sum by then, so the second customer was not in what the first one's release made."""
    shop = memory_shop
    shop.budget(TOO_LITTLE)
    first, second = (shop.ask(user, release=True)[0] for user in (ADA, BEN))
    with pytest.raises(BudgetExceededError):
        shop.work()
    before = live(shop)
    shop.budget(PLENTY)
    shop.work()
    assert list(shop.outcomes(second)) == list(shop.outcomes(first)) == [before]
    assert shop.spends() == ["customers", "counts", "gram", "gram"]
    assert content(shop).to_bytes() == sum_without(content(shop), [ADA, BEN]).to_bytes()


# Other trainers.


def test_an_als_model_is_withdrawn_and_nobody_gets_a_list_of_it_any_more(untrained_shop: Shop) -> None:
    shop = untrained_shop
    version = shop.train(TrainConfig(trainer=Trainer.ALS)).version
    assert shop.recommender.recommend(BEN).personalized
    request = shop.erase(ADA, release=True)
    outcome = shop.outcomes(request)[version]
    assert (outcome["outcome"], outcome["epsilon"]) == (WITHDRAWN, "infinity")
    assert shop.statuses() == {version: ModelStatus.WITHDRAWN}
    assert shop.live() is None
    assert shop.recommender.recommend(BEN).items == ()
    with pytest.raises(NotFoundError):
        shop.workspace.registry.load(version)
    assert shop.receipt(request)["steps"]["erased"]["sums"][0]["subtracted"] is False


def test_an_als_model_that_was_replaced_is_withdrawn_without_a_word_to_who_is_served(untrained_shop: Shop) -> None:
    shop = untrained_shop
    old = shop.train(TrainConfig(trainer=Trainer.ALS)).version
    new = shop.train(THREE_RELEASES).version
    request = shop.erase(ADA)
    outcomes = {version: entry["outcome"] for version, entry in shop.outcomes(request).items()}
    assert outcomes == {old: WITHDRAWN, new: KEPT}
    assert shop.live() == new
    assert shop.recommender.recommend(BEN).version == new


def test_a_model_without_noise_is_withdrawn(untrained_shop: Shop) -> None:
    version = untrained_shop.train(TrainConfig(epsilon=math.inf)).version
    assert untrained_shop.outcomes(untrained_shop.erase(ADA))[version]["outcome"] == WITHDRAWN


def test_a_popularity_model_is_released_again(untrained_shop: Shop) -> None:
    shop = untrained_shop
    before = shop.train(TrainConfig(trainer=Trainer.POPULARITY, releases=2)).version
    request = shop.erase(ADA, release=True)
    assert shop.outcomes(request)[before]["superseded_by"] == shop.live()
    assert shop.spends() == ["counts", "counts"]
    assert content(shop).to_bytes() == sum_without(content(shop), [ADA]).to_bytes()


@pytest.mark.parametrize("trainer", [Trainer.DP_ALS, DP_SGD])
def test_a_private_model_without_a_sum_is_kept_until_it_is_trained_again(
    untrained_shop: Shop, trainer: Trainer
) -> None:
    shop = untrained_shop
    before = shop.train(TrainConfig(trainer=trainer)).version
    booked = shop.spends()
    request = Shop(shop.workspace, never).erase(ADA)
    assert shop.outcomes(request)[before]["outcome"] == KEPT
    assert shop.receipt(request)["steps"]["erased"]["sums"][0]["subtracted"] is False
    assert (shop.live(), shop.spends()) == (before, booked)
    assert_forgotten(shop, ADA)


@pytest.mark.parametrize("trainer", [Trainer.DP_ALS, DP_SGD])
def test_a_private_model_without_a_sum_is_trained_again_without_the_customer(
    untrained_shop: Shop, trainer: Trainer
) -> None:
    shop = untrained_shop
    shop.budget(PLENTY)
    before = shop.train(TrainConfig(trainer=trainer, releases=2)).version
    booked = shop.spends()
    request = shop.erase(ADA, release=True)
    after = live(shop)
    outcome = shop.outcomes(request)[before]
    assert (outcome["outcome"], outcome["superseded_by"]) == (TRAINED, after)
    assert shop.spends() == booked * 2
    assert shop.statuses() == {before: ModelStatus.RETIRED, after: ModelStatus.LIVE}
    later = shop.workspace.registry.load(after)[1]
    sums = [shop.workspace.sums.terms_of(shop.key(user)) for user in (ADA, BEN)]
    assert sums[0] == {}
    assert later.sum_id in sums[1]
    assert shop.recommender.recommend(BEN).version == after


def test_a_training_for_an_erasure_over_budget_waits_until_the_budget_is_raised(untrained_shop: Shop) -> None:
    shop = untrained_shop
    before = shop.train(TrainConfig(trainer=Trainer.DP_ALS)).version
    shop.budget(TOO_LITTLE)
    request, _ = shop.ask(ADA, release=True)
    with pytest.raises(BudgetExceededError):
        Shop(shop.workspace, never).work()
    assert_forgotten(shop, ADA)
    assert live(shop) == before
    shop.budget(PLENTY)
    shop.work()
    assert shop.outcomes(request)[before]["superseded_by"] == live(shop) != before


def test_before_the_first_training_an_erasure_has_no_model_to_look_at(untrained_shop: Shop) -> None:
    request = untrained_shop.erase(ADA, release=True)
    assert_forgotten(untrained_shop, ADA)
    assert untrained_shop.outcomes(request) == {}
    untrained_shop.train(THREE_RELEASES)
    assert untrained_shop.workspace.sums.terms_of(untrained_shop.key(ADA)) == {}


def test_a_sum_that_no_version_came_of_is_cleaned_too(shop: Shop) -> None:
    """A training that died after it had sealed its sum leaves one behind."""
    orphan = content(shop)
    term = shop.workspace.sums.terms_of(shop.key(ADA)).popitem()[1]
    shop.workspace.sums.create_sum("orphan", orphan.to_bytes(), [(shop.key(ADA), term)])
    shop.erase(ADA, release=True)
    after = shop.workspace.sums.load_sum("orphan")
    assert after == sum_without(orphan, [ADA]).to_bytes()
