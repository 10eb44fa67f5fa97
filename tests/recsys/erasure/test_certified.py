"""ALS at its optimum in the shop: after an erasure its model is the one that never saw the customer."""

import math
from dataclasses import replace

import pytest

from recsys.errors import InputError
from recsys.training.terms import Terms, TrainConfig
from recsys.training.train import train
from recsys.types import ModelStatus, Trainer
from tests.recsys.erasure.shop import ADA, BEN, EVE, LOG, Shop, assert_forgotten, live
from tests.recsys.erasure.test_exact import retrained_digest as retrained
from tests.recsys.training.shop import never, open_shop

CERTIFIED = TrainConfig(trainer=Trainer.ALS_CERTIFIED, epsilon=math.inf, penalty=0.5)
FOUND_AGAIN = "withdrawn, and superseded by the model of the purchases without the customer, which is the only one"


def retrained_digest(*gone: str) -> str:
    """The model's digest in another shop, from another seed, whose customers never were these."""
    return retrained(LOG, *gone, config=replace(CERTIFIED, seed=9))


@pytest.fixture
def certified_shop(untrained_shop: Shop) -> Shop:
    untrained_shop.train(CERTIFIED)
    untrained_shop.recommender.publish()
    return untrained_shop


def test_the_model_after_an_erasure_has_the_digest_of_a_training_that_never_saw_the_customer(
    certified_shop: Shop,
) -> None:
    shop, before = certified_shop, live(certified_shop)
    old = shop.workspace.registry.load(before)[1]
    request = shop.erase(ADA)
    new = shop.workspace.registry.load(live(shop))[1]
    assert new.model_digest == retrained_digest(ADA) != old.model_digest
    assert shop.statuses() == {before: ModelStatus.WITHDRAWN, new.version: ModelStatus.LIVE}
    assert_forgotten(shop, ADA)
    assert shop.recommender.recommend(BEN).version == new.version
    outcome = shop.outcomes(request)[before]
    assert (outcome["outcome"], outcome["superseded_by"]) == (FOUND_AGAIN, new.version)
    assert (outcome["digest_before"], outcome["digest_after"]) == (old.model_digest, new.model_digest)
    assert outcome["certificate"]["outside_bound"] <= 1
    assert 0 <= outcome["certificate"]["bound"] < 1e-9 * outcome["certificate"]["size"]


def test_one_training_serves_everybody_who_asked(certified_shop: Shop) -> None:
    shop, before = certified_shop, live(certified_shop)
    requests = [shop.ask(user)[0] for user in (ADA, BEN, EVE)]
    shop.work()
    new = shop.workspace.registry.load(live(shop))[1]
    assert new.model_digest == retrained_digest(ADA, BEN, EVE)
    assert shop.statuses() == {before: ModelStatus.WITHDRAWN, new.version: ModelStatus.LIVE}
    assert [shop.outcomes(request)[before]["superseded_by"] for request in requests] == [new.version] * 3


def test_no_privacy_is_claimed_and_the_version_says_how_near_it_is(certified_shop: Shop) -> None:
    version = certified_shop.workspace.registry.load(live(certified_shop))[1]
    assert (version.privacy["private"], version.privacy["epsilon"]) == (False, "infinity")
    assert version.certificate == version.config["certificate"]
    assert Terms.of(version).penalty == 0.5


def test_what_cannot_be_certified_again_is_withdrawn(certified_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        msg = "expected a solution with nothing missing, got one with 1.2 outside"
        raise InputError(msg)

    monkeypatch.setattr("recsys.training.fit.certified_als", refuse)
    before = live(certified_shop)
    outcome = certified_shop.outcomes(certified_shop.erase(ADA))[before]
    assert outcome["outcome"] == "withdrawn: its factors were deleted"
    assert "nothing missing" in outcome["not_superseded"]
    assert certified_shop.live() is None
    assert_forgotten(certified_shop, ADA)


def test_too_few_columns_are_refused_with_what_to_do(untrained_shop: Shop) -> None:
    with pytest.raises(InputError, match=r"at most 1 columns, got more; train with more columns or a larger penalty"):
        train(untrained_shop.workspace, replace(CERTIFIED, n_factors=1), entropy=never)
    assert untrained_shop.live() is None


@pytest.mark.parametrize("penalty", [0.0, -1.0, math.inf, math.nan])
def test_a_penalty_that_is_none_is_refused(penalty: float) -> None:
    with pytest.raises(InputError, match="expected a penalty above zero"):
        TrainConfig(trainer=Trainer.ALS_CERTIFIED, penalty=penalty)


def test_the_order_of_customers_and_the_seed_change_nothing(certified_shop: Shop) -> None:
    digest = certified_shop.workspace.registry.load(live(certified_shop))[1].model_digest
    assert train(open_shop(LOG), replace(CERTIFIED, seed=3), entropy=never).model_digest == digest
