"""A model without noise that keeps its exact sum: after an erasure it is the one that never saw the customer."""

import math
from dataclasses import replace
from typing import Any, cast

import pytest

from recsys.data.interactions import PurchaseLog
from recsys.errors import InputError
from recsys.models.erasable import LARGEST_CATALOGUE
from recsys.training.renew import renew
from recsys.training.terms import TrainConfig
from recsys.training.train import refuse_early, train
from recsys.types import Json, ModelStatus, Trainer
from tests.recsys.erasure.shop import ADA, BEN, EVE, LOG, Shop, assert_forgotten, content, live, sum_without
from tests.recsys.training.shop import never, open_shop

ERASABLE = TrainConfig(epsilon=math.inf, erasable=True, n_factors=8)
UNLEARNED = "withdrawn, and superseded by the model of the exact sum without the customer"
WITHDRAWN = "withdrawn: its factors were deleted"


def retrained_digest(log: PurchaseLog, *gone: str, config: TrainConfig = replace(ERASABLE, seed=9)) -> str:  # noqa: B008
    """The model's digest in another shop, whose customers come in another order and never were these."""
    index = {user: place for place, user in enumerate(log.users)}
    kept = log.where(~sum((log.user_index == index[user] for user in gone), start=log.user_index < 0))
    shop = open_shop(kept)
    return train(shop, config, entropy=never).model_digest


@pytest.fixture
def exact_shop(untrained_shop: Shop) -> Shop:
    untrained_shop.train(ERASABLE)
    untrained_shop.recommender.publish()
    return untrained_shop


def test_the_model_after_an_erasure_has_the_digest_of_a_training_that_never_saw_the_customer(exact_shop: Shop) -> None:
    shop, before = exact_shop, live(exact_shop)
    old = shop.workspace.registry.load(before)[1]
    request = shop.erase(ADA)
    new = shop.workspace.registry.load(live(shop))[1]
    assert new.model_digest == retrained_digest(LOG, ADA) != old.model_digest
    assert shop.statuses() == {before: ModelStatus.WITHDRAWN, new.version: ModelStatus.LIVE}
    assert content(shop).to_bytes() == sum_without(content(shop), [ADA]).to_bytes()
    assert_forgotten(shop, ADA)
    assert shop.recommender.recommend(BEN).version == new.version
    outcome = shop.outcomes(request)[before]
    assert (outcome["outcome"], outcome["superseded_by"]) == (UNLEARNED, new.version)
    assert (outcome["digest_before"], outcome["digest_after"]) == (old.model_digest, new.model_digest)
    assert 0 <= outcome["certificate"]["residual"] / outcome["certificate"]["gap"] <= outcome["certificate"]["bound"]


def test_one_customer_after_another_leaves_no_trace(exact_shop: Shop) -> None:
    for user in (ADA, BEN, EVE):
        exact_shop.erase(user)
    digest = exact_shop.workspace.registry.load(live(exact_shop))[1].model_digest
    assert digest == retrained_digest(LOG, ADA, BEN, EVE)
    assert sorted(exact_shop.statuses().values()) == ["live", "withdrawn", "withdrawn", "withdrawn"]


def test_one_model_serves_everybody_who_asked(exact_shop: Shop) -> None:
    shop, before = exact_shop, live(exact_shop)
    requests = [shop.ask(user)[0] for user in (ADA, BEN, EVE)]
    shop.work()
    new = shop.workspace.registry.load(live(shop))[1]
    assert new.model_digest == retrained_digest(LOG, ADA, BEN, EVE)
    assert shop.statuses() == {before: ModelStatus.WITHDRAWN, new.version: ModelStatus.LIVE}
    assert [shop.outcomes(request)[before]["superseded_by"] for request in requests] == [new.version] * 3
    published = [shop.receipt(request)["steps"]["released"]["lists_published"] for request in requests]
    assert published == [True, False, False]


def test_no_privacy_is_claimed(exact_shop: Shop) -> None:
    exact_shop.erase(ADA)
    privacy = exact_shop.workspace.registry.load(live(exact_shop))[1].privacy
    assert (privacy["private"], privacy["epsilon"]) == (False, "infinity")


def test_a_worker_that_died_after_the_release_is_followed_by_one_that_withdraws(exact_shop: Shop) -> None:
    shop, before = exact_shop, live(exact_shop)
    request, _ = shop.ask(ADA)
    key = shop.key(ADA)
    sum_id = next(iter(shop.workspace.sums.terms_of(key)))
    erased = {sum_id: sum_without(content(shop), [ADA]).to_bytes()}
    done: dict[str, Json] = {"erased": {"at": "now", "history": "", "data_key": "", "sums": [], "versions": [before]}}
    shop.workspace.erasures.erase_customers({request.request_id: done}, erased)
    new = renew(shop.workspace, sum_id, purpose=f"erasure {request.request_id}").version
    shop.work()
    assert shop.outcomes(request)[before]["superseded_by"] == new == live(shop)
    assert shop.statuses() == {before: ModelStatus.WITHDRAWN, new: ModelStatus.LIVE}


def test_a_version_that_was_replaced_is_withdrawn_without_a_successor(exact_shop: Shop) -> None:
    old, new = live(exact_shop), exact_shop.train(ERASABLE).version
    released = cast("dict[str, Any]", exact_shop.erase(ADA).details["released"])
    outcomes = {found["version"]: found["outcome"] for found in released["versions"]}
    assert outcomes == {old: WITHDRAWN, new: UNLEARNED}


def test_a_budget_that_was_lowered_holds_up_no_erasure(exact_shop: Shop) -> None:
    before = live(exact_shop)
    exact_shop.budget(1.0)
    outcome = exact_shop.outcomes(exact_shop.erase(ADA))[before]
    assert outcome["outcome"] == WITHDRAWN
    assert "budget" in outcome["not_superseded"]
    assert exact_shop.live() is None
    assert_forgotten(exact_shop, ADA)


@pytest.mark.parametrize(("trainer", "epsilon"), [(Trainer.GRAM, 4.0), (Trainer.ALS, math.inf)])
def test_only_the_gram_without_noise_can_be_asked_for(trainer: Trainer, epsilon: float) -> None:
    with pytest.raises(InputError, match="leave --erasable out"):
        TrainConfig(trainer=trainer, epsilon=epsilon, erasable=True)


def test_a_catalogue_that_is_too_large_is_refused_before_anything_is_booked(untrained_shop: Shop) -> None:
    items = [f"item {index}" for index in range(LARGEST_CATALOGUE + 1)]
    with pytest.raises(InputError, match="expected a catalogue of at most"):
        refuse_early(untrained_shop.workspace, ERASABLE, items=items)
    assert untrained_shop.spends() == []
