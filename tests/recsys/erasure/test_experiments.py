"""What an erasure makes of an experiment: nobody is compared on a version that the erased customer is in."""

import math

import pytest

from recsys.erasure.promotion import begin
from recsys.errors import VersionConflictError
from recsys.training.terms import TrainConfig
from recsys.types import Experiment, Trainer
from tests.recsys.erasure.shop import ADA, LOG, Shop, live

NEWCOMER = "newcomer@mail.example"
CANDIDATE = TrainConfig(epsilon=1.0)


@pytest.fixture
def shop(memory_shop: Shop) -> Shop:
    memory_shop.budget(1000.0)
    return memory_shop


def join(shop: Shop) -> None:
    """A customer who is in no version that there is."""
    shop.workspace.histories.append({shop.key(NEWCOMER): LOG.history(0).purchases})


def compared(shop: Shop, version: str, share: int = 50) -> Experiment:
    """The experiment, which runs."""
    experiment = Experiment(name="more", version=version, share=share, salt="5a" * 8)
    shop.workspace.registry.warm(version)
    stores = shop.workspace
    begin(experiment, stores, published=lambda: 1.0)
    return experiment


def running(shop: Shop) -> Experiment | None:
    return shop.workspace.registry.served().experiment


def second(shop: Shop, config: TrainConfig = CANDIDATE) -> str:
    """A version that was trained after the live one, which stays live."""
    first = live(shop)
    version = shop.train(config).version
    shop.workspace.registry.promote(first)
    return version


def test_an_erasure_of_somebody_in_both_versions_leaves_everybody_the_live_one(shop: Shop) -> None:
    first = live(shop)
    compared(shop, second(shop))
    shop.erase(ADA)
    assert (live(shop), running(shop)) == (first, None)


def test_an_erasure_of_somebody_in_the_version_beside_leaves_everybody_the_live_one(shop: Shop) -> None:
    first = live(shop)
    join(shop)
    version = second(shop)
    compared(shop, version)
    shop.erase(NEWCOMER)
    assert (live(shop), running(shop)) == (first, None)
    with pytest.raises(VersionConflictError, match="train again"):
        compared(shop, version)


def test_an_erasure_of_somebody_in_the_live_version_leaves_everybody_the_other_one(shop: Shop) -> None:
    first = live(shop)
    join(shop)
    newer = shop.train(CANDIDATE).version
    compared(shop, first)
    request = shop.erase(NEWCOMER)
    assert list(shop.outcomes(request)) == [newer]
    assert (live(shop), running(shop)) == (first, None)


def test_an_erasure_that_releases_ends_the_experiment_with_the_new_version(shop: Shop) -> None:
    first, version = live(shop), second(shop)
    compared(shop, version)
    shop.erase(ADA, release=True)
    assert live(shop) not in {first, version}
    assert running(shop) is None


def test_an_erasure_of_somebody_in_neither_version_leaves_the_experiment_as_it_is(shop: Shop) -> None:
    experiment = compared(shop, second(shop))
    join(shop)
    shop.erase(NEWCOMER)
    assert running(shop) == experiment


def test_a_live_version_without_privacy_is_withdrawn_and_everybody_gets_the_other_one(shop: Shop) -> None:
    first = live(shop)
    join(shop)
    shop.budget(math.inf)
    bare = shop.train(TrainConfig(trainer=Trainer.ALS)).version
    compared(shop, first)
    shop.erase(NEWCOMER)
    assert bare not in {live(shop), *shop.workspace.registry.served().slots}
    assert (live(shop), running(shop)) == (first, None)


def test_an_acknowledged_erasure_is_enough_to_refuse_an_experiment(shop: Shop) -> None:
    version = second(shop)
    shop.ask(ADA)
    with pytest.raises(VersionConflictError, match="train again"):
        compared(shop, version)


def test_an_erasure_while_an_experiment_is_started_wins(shop: Shop) -> None:
    first, version = live(shop), second(shop)
    experiment = Experiment(name="more", version=version, share=50, salt="5a" * 8)
    shop.workspace.registry.warm(version)
    stores = shop.workspace

    def published() -> float:
        shop.erase(ADA)
        return 1.0

    with pytest.raises(VersionConflictError, match="train again"):
        begin(experiment, stores, published=published)
    assert (live(shop), running(shop)) == (first, None)


def test_an_experiment_that_runs_already_is_not_looked_at_again(shop: Shop) -> None:
    experiment = compared(shop, second(shop))
    stores = shop.workspace
    begin(experiment, stores, published=lambda: 0.0)
    assert running(shop) == experiment
