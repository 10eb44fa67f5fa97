"""Releasing again from a sum that has changed."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.errors import BudgetExceededError, InputError, NotFoundError, StorageError
from recsys.models.attributes import ItemAttributes
from recsys.models.customer import GRID
from recsys.models.gram import GramSum
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.noise import Entropy
from recsys.store.memory import MemoryRegistry
from recsys.store.workspace import Workspace
from recsys.training import fit as training_fit
from recsys.training.fit import fit, fit_again
from recsys.training.release import release_again
from recsys.training.renew import renew
from recsys.training.terms import Terms, TrainConfig
from recsys.training.train import train
from recsys.types import ModelStatus, ModelVersion, PrivacyBudget, Trainer
from tests.recsys.training.shop import (
    DP_SGD,
    LOUD,
    PLENTY,
    described,
    latest_sum,
    never,
    seeded,
    small_log,
    spends,
    train_beside_directions,
)

TWO_RELEASES = TrainConfig(epsilon=LOUD, releases=2)


def sum_of(version: ModelVersion) -> str:
    assert version.sum_id is not None
    return version.sum_id


def test_a_plan_for_two_releases_lets_one_more_through_and_refuses_a_third(shop: Workspace) -> None:
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    second = release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    assert spends(shop) == ["customers", "counts", "gram", "gram"]
    with pytest.raises(BudgetExceededError):
        release_again(shop, sum_of(first), purpose="even more", entropy=never)
    assert spends(shop) == ["customers", "counts", "gram", "gram"]
    assert shop.registry.live() == second.version


def test_a_candidate_is_trained_and_booked_beside_the_live_version(shop: Workspace) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=PLENTY, delta=1e-6))
    first, second = (train(shop, replace(TWO_RELEASES, candidate=kept), entropy=seeded()) for kept in (False, True))
    assert spends(shop) == ["customers", "counts", "gram"] * 2
    assert shop.registry.live() == first.version
    assert [version.status for version in shop.registry.versions()] == [ModelStatus.LIVE, ModelStatus.CANDIDATE]
    assert second.status is ModelStatus.CANDIDATE


def test_a_plan_for_one_release_refuses_a_second(shop: Workspace) -> None:
    first = train(shop, TrainConfig(), entropy=seeded())
    with pytest.raises(BudgetExceededError, match="nothing was drawn"):
        release_again(shop, sum_of(first), purpose="more", entropy=never)
    assert shop.registry.live() == first.version
    assert [version.version for version in shop.registry.versions()] == [first.version]


def test_a_popularity_model_is_released_again_from_its_counts(shop: Workspace) -> None:
    first = train(shop, replace(TWO_RELEASES, trainer=Trainer.POPULARITY), entropy=seeded(1))
    second = release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    assert spends(shop) == ["counts", "counts"]
    before, after = (shop.registry.load(version.version)[0].popularity for version in (first, second))
    assert not np.array_equal(before, after)
    with pytest.raises(BudgetExceededError):
        release_again(shop, sum_of(first), purpose="even more", entropy=never)


def test_the_release_is_booked_before_its_noise_is_drawn(shop: Workspace) -> None:
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    booked_at_each_draw, random = [], seeded(2)

    def entropy(size: int) -> bytes:
        booked_at_each_draw.append(spends(shop))
        return random(size)

    release_again(shop, sum_of(first), purpose="more", entropy=entropy)
    assert booked_at_each_draw[0] == ["customers", "counts", "gram", "gram"]


def test_the_new_version_is_live_and_names_the_one_before_as_its_parent(shop: Workspace) -> None:
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    second = release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    assert (second.parent, second.sum_id, second.config["purpose"]) == (first.version, first.sum_id, "more")
    assert second.model_digest != first.model_digest
    assert Terms.of(second) == Terms.of(first)
    statuses = {version.version: version.status for version in shop.registry.versions()}
    assert statuses == {first.version: ModelStatus.RETIRED, second.version: ModelStatus.LIVE}


def test_what_was_released_with_the_counts_stays(shop: Workspace) -> None:
    """Item weights and popularity are of the first release: they cost nothing again."""
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    second = release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    before, after = (shop.registry.load(version.version)[0] for version in (first, second))
    np.testing.assert_array_equal(before.popularity, after.popularity)
    np.testing.assert_array_equal(before.item_weights, after.item_weights)


def test_the_same_purpose_gives_the_same_version_and_costs_nothing(shop: Workspace) -> None:
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    second = release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    assert release_again(shop, sum_of(first), purpose="more", entropy=never).version == second.version
    assert spends(shop) == ["customers", "counts", "gram", "gram"]


def test_a_release_for_an_old_purpose_does_not_replace_a_newer_model(shop: Workspace) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=PLENTY, delta=1e-6))
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    newest = train(shop, TrainConfig(), entropy=seeded(3))
    release_again(shop, sum_of(first), purpose="more", entropy=never)
    assert shop.registry.live() == newest.version


def test_a_worker_that_died_before_the_promotion_is_followed_by_one_that_promotes(shop: Workspace) -> None:
    class TrippingRegistry(MemoryRegistry):
        trips = False

        def promote(self, version: str) -> None:
            if self.trips:
                msg = "the disk is full"
                raise StorageError(msg)
            super().promote(version)

    registry = TrippingRegistry()
    shop = replace(shop, registry=registry)
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    registry.trips = True
    with pytest.raises(StorageError):
        release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    assert registry.live() == first.version
    registry.trips = False
    second = release_again(shop, sum_of(first), purpose="more", entropy=never)
    assert registry.live() == second.version != first.version
    assert spends(shop) == ["customers", "counts", "gram", "gram"]


def test_a_crash_after_the_booking_costs_that_booking_and_no_more(shop: Workspace) -> None:
    def power_cut(_: int) -> bytes:
        msg = "power cut"
        raise OSError(msg)

    first = train(shop, TrainConfig(releases=3), entropy=seeded(1))
    with pytest.raises(OSError, match="power cut"):
        release_again(shop, sum_of(first), purpose="more", entropy=power_cut)
    assert shop.registry.live() == first.version
    release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    assert spends(shop) == ["customers", "counts", "gram", "gram", "gram"]


def test_the_parent_is_the_version_that_was_served_even_after_a_roll_back(shop: Workspace) -> None:
    first = train(shop, TrainConfig(releases=3), entropy=seeded(1))
    release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    shop.registry.promote(first.version)
    assert release_again(shop, sum_of(first), purpose="even more", entropy=seeded(3)).parent == first.version


@pytest.mark.parametrize("sum_id", ["nothing", "never released"])
def test_a_sum_that_no_version_was_released_from_is_not_found(shop: Workspace, sum_id: str) -> None:
    train(shop, TWO_RELEASES, entropy=seeded())
    shop.sums.create_sum("never released", latest_sum(shop).to_bytes(), [])
    with pytest.raises(NotFoundError):
        release_again(shop, sum_id, purpose="more", entropy=never)
    assert spends(shop) == ["customers", "counts", "gram"]


@pytest.mark.parametrize("attributes", [None, described()], ids=["plain", "beside directions"])
@given(forgotten=st.sets(st.integers(0, 29), min_size=1, max_size=29), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=settings().max_examples * 2 // 5)  # each one trains
def test_the_model_after_a_subtraction_is_the_model_of_who_is_left(
    attributes: ItemAttributes | None, forgotten: set[int], seed: int
) -> None:
    """Unlearning equals retraining, bit for bit, under the same released rule and the same noise."""
    purchased = small_log(30).interactions().matrix
    items = small_log(30).items
    terms = Terms.under(TrainConfig(epsilon=LOUD, attributes=attributes is not None))
    everybody = fit(purchased, items, terms, attributes=attributes, entropy=seeded()).content
    assert everybody is not None
    rest = purchased[[row for row in range(30) if row not in forgotten]]
    retrained = GramSum.empty(items, everybody.rule).add(rest)
    unlearned = everybody.subtract(purchased[sorted(forgotten)])
    assert unlearned.to_bytes() == retrained.to_bytes() != everybody.to_bytes()
    models = [fit_again(content, terms, entropy=seeded(seed)).factors for content in (unlearned, retrained, everybody)]
    assert models[0].digest == models[1].digest != models[2].digest


# Beside directions.

THREE = ["latent", "cross", "gram"]


def test_beside_directions_all_three_matrices_are_booked_first_and_drawn_anew(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_beside_directions(shop, TWO_RELEASES, seeded(1))
    assert spends(shop) == ["customers", "counts", *THREE]
    booked_at_each_draw, drawn, random = [], [], seeded(2)

    def entropy(size: int) -> bytes:
        booked_at_each_draw.append(spends(shop))
        return random(size)

    def noted(name: str) -> Callable[..., NDArray[np.float64]]:
        release = getattr(training_fit, f"release_{name}")

        def instead(matrix: NDArray[np.int64], noise_multiplier: float, entropy: Entropy) -> NDArray[np.float64]:
            drawn.append((name, noise_multiplier))
            released: NDArray[np.float64] = release(matrix, noise_multiplier, entropy)
            assert not np.array_equal(released, matrix / GRID**2)
            return released

        return instead

    for name in THREE:
        monkeypatch.setattr(training_fit, f"release_{name}", noted(name))
    second = release_again(shop, sum_of(first), purpose="more", entropy=entropy)
    assert booked_at_each_draw[0] == spends(shop) == ["customers", "counts", *THREE, *THREE]
    booked = {spend.statistic: spend.noise_multiplier for spend in Terms.of(second).next_spends("", "")}
    assert dict(drawn) == booked
    assert len(drawn) == len(booked) == len(THREE)
    assert second.model_digest != first.model_digest
    with pytest.raises(BudgetExceededError):
        release_again(shop, sum_of(first), purpose="even more", entropy=never)


def test_beside_directions_the_versions_state_what_was_booked_and_the_rule_stays(shop: Workspace) -> None:
    first = train_beside_directions(shop, TWO_RELEASES, seeded(1))
    second = release_again(shop, sum_of(first), purpose="more", entropy=seeded(2))
    assert Terms.of(first) == Terms.of(second) == Terms.under(replace(TWO_RELEASES, attributes=True))
    before, after = (shop.registry.load(version.version)[0] for version in (first, second))
    np.testing.assert_array_equal(before.popularity, after.popularity)
    np.testing.assert_array_equal(before.item_weights, after.item_weights)
    assert second.privacy["epsilon"] == pytest.approx(Terms.of(second).epsilon)
    assert float(cast("float", second.privacy["epsilon_of_all_releases"])) == pytest.approx(LOUD, rel=1e-6)


# Trainers that keep no sum.


@pytest.fixture(params=[Trainer.DP_ALS, DP_SGD])
def stepping(request: pytest.FixtureRequest) -> TrainConfig:
    return TrainConfig(trainer=request.param, epsilon=8.0, releases=2)


def test_a_model_without_a_sum_is_not_released_again_and_the_refusal_says_what_to_do(
    shop: Workspace, stepping: TrainConfig
) -> None:
    first = train(shop, stepping, entropy=seeded(1))
    booked = spends(shop)
    with pytest.raises(InputError, match=f"privrec train --trainer {stepping.trainer}"):
        release_again(shop, sum_of(first), purpose="more", entropy=never)
    assert spends(shop) == booked
    assert shop.registry.live() == first.version


def test_it_is_renewed_by_a_training_that_is_booked_first(shop: Workspace, stepping: TrainConfig) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=PLENTY, delta=1e-6))
    first = train(shop, stepping, entropy=seeded(1))
    booked = spends(shop)
    booked_at_each_draw, random = [], seeded(2)

    def entropy(size: int) -> bytes:
        booked_at_each_draw.append(spends(shop))
        return random(size)

    second = renew(shop, sum_of(first), purpose="more", entropy=entropy)
    assert booked_at_each_draw[0] == spends(shop) == booked * 2
    assert (second.parent, second.config["purpose"], second.trainer) == (first.version, "more", stepping.trainer)
    assert Terms.of(second) == Terms.of(first)
    assert second.sum_id not in {None, first.sum_id}
    assert shop.registry.live() == second.version


def test_renewing_it_for_the_same_purpose_costs_nothing(shop: Workspace, stepping: TrainConfig) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=PLENTY, delta=1e-6))
    first = train(shop, stepping, entropy=seeded(1))
    second = renew(shop, sum_of(first), purpose="more", entropy=seeded(2))
    booked = spends(shop)
    assert renew(shop, sum_of(first), purpose="more", entropy=never).version == second.version
    assert spends(shop) == booked


@pytest.mark.parametrize("config", [TrainConfig(trainer=Trainer.ALS), TrainConfig(epsilon=math.inf)])
def test_what_is_not_private_keeps_no_sum_and_is_trained_again(shop: Workspace, config: TrainConfig) -> None:
    first = train(shop, config, entropy=never)
    with pytest.raises(InputError, match="expected a version whose trainer keeps a sum"):
        release_again(shop, sum_of(first), purpose="more", entropy=never)
    second = renew(shop, sum_of(first), purpose="more", entropy=never)
    assert (second.parent, second.model_digest) == (first.version, first.model_digest)
    assert second.privacy["private"] is False
    assert shop.registry.live() == second.version


def test_what_keeps_a_sum_is_renewed_from_it(shop: Workspace) -> None:
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    second = renew(shop, sum_of(first), purpose="more", entropy=seeded(2))
    assert second.sum_id == first.sum_id
    assert spends(shop) == ["customers", "counts", "gram", "gram"]


def test_a_renewal_over_budget_is_refused_before_anything_is_drawn(shop: Workspace) -> None:
    first = train(shop, TrainConfig(trainer=Trainer.DP_ALS), entropy=seeded(1))
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=0.1, delta=1e-6))
    with pytest.raises(BudgetExceededError, match="nothing was drawn"):
        renew(shop, sum_of(first), purpose="more", entropy=never)
    assert shop.registry.live() == first.version
