"""There is no way back to a version that an erased customer was in."""

import pytest

from recsys.erasure.promotion import WARM, promote, warm
from recsys.errors import NotFoundError, VersionConflictError
from recsys.training.terms import TrainConfig
from tests.recsys.erasure.shop import ADA, Shop, live


def promote_in(shop: Shop, version: str) -> None:
    promote(version, shop.workspace)


def warm_in(shop: Shop, version: str) -> None:
    warm(version, shop.workspace)


def two_versions(shop: Shop) -> tuple[str, str]:
    """The version before, and the live one; both with everybody."""
    first = live(shop)
    shop.budget(1000.0)
    return first, shop.train(TrainConfig(epsilon=1.0)).version


def test_a_version_is_rolled_back_to_while_nobody_is_erased(memory_shop: Shop) -> None:
    first, second = two_versions(memory_shop)
    promote_in(memory_shop, first)
    assert live(memory_shop) == first
    promote_in(memory_shop, second)
    assert live(memory_shop) == second


@pytest.mark.parametrize("finished", [False, True], ids=["acknowledged", "receipted"])
def test_a_version_with_an_erased_customer_is_not_promoted_again(memory_shop: Shop, finished: bool) -> None:
    first, second = two_versions(memory_shop)
    memory_shop.ask(ADA)
    if finished:
        memory_shop.work()
    with pytest.raises(VersionConflictError, match="train again"):
        promote_in(memory_shop, first)
    with pytest.raises(VersionConflictError, match="train again"):
        warm_in(memory_shop, first)
    assert live(memory_shop) == second


def test_a_version_is_made_live_once_enough_lists_are_ready(memory_shop: Shop) -> None:
    first, second = two_versions(memory_shop)
    stores = memory_shop.workspace
    with pytest.raises(VersionConflictError, match="got 50%"):
        promote(first, stores, published=lambda: WARM - 0.45)
    assert live(memory_shop) == second
    promote(first, stores, published=lambda: WARM)
    assert live(memory_shop) == first


def test_an_erasure_while_lists_are_counted_wins(memory_shop: Shop) -> None:
    first, second = two_versions(memory_shop)
    stores = memory_shop.workspace

    def published() -> float:
        memory_shop.ask(ADA)
        return 1.0

    with pytest.raises(VersionConflictError, match="train again"):
        promote(first, stores, published=published)
    assert live(memory_shop) == second


def test_the_live_version_stays_until_it_is_replaced(memory_shop: Shop) -> None:
    """It is bounded by its epsilon; promoting it changes nothing."""
    version = live(memory_shop)
    memory_shop.erase(ADA)
    promote_in(memory_shop, version)
    assert live(memory_shop) == version


def test_a_version_that_was_made_after_the_erasure_is_promoted(memory_shop: Shop) -> None:
    memory_shop.budget(1000.0)
    memory_shop.erase(ADA)
    second = memory_shop.train(TrainConfig(epsilon=1.0)).version
    memory_shop.train(TrainConfig(epsilon=1.0))
    promote_in(memory_shop, second)
    assert live(memory_shop) == second


def test_a_version_that_nobody_knows_is_not_promoted(memory_shop: Shop) -> None:
    with pytest.raises(NotFoundError):
        promote_in(memory_shop, "0" * 32)
