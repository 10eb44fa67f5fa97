"""A version beside the live one: the figures are those of the lists that customers would see, and nobody sees any."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.errors import InputError, NotFoundError, VersionConflictError
from recsys.models.factors import ItemFactors
from recsys.serving.shadow import LARGEST_SAMPLE, Comparison, Tally, sample, shadow
from recsys.types import CatalogueItem, Task, UserKey
from tests.recsys.serving.shop import COFFEES, TEAS, Shop, ids, open_shop, tea_and_coffee

CUSTOMERS = tuple(f"customer-{number}" for number in range(30))


@pytest.fixture
def shop() -> Shop:
    """Thirty customers, each with another tea or coffee first, and a live version."""
    found = open_shop()
    found.release(tea_and_coffee())
    for place, user in enumerate(CUSTOMERS):
        found.buy(user, *(TEAS + COFFEES)[place % 12 : place % 12 + 2])
    return found


def upside_down() -> ItemFactors:
    """A model in which the last of a kind fits best, and which knows neither the first tea nor the first coffee."""
    factors = tea_and_coffee()
    tables = np.ascontiguousarray(np.vstack([factors.factors[5::-1], factors.factors[:5:-1]]))
    known = np.array([item not in {TEAS[0], COFFEES[0]} for item in TEAS + COFFEES], dtype=np.float32)
    return replace(factors, encoder=tables, factors=tables, item_weights=known)


def compared(
    shop: Shop, version: str, n: int = 1000, *, task: Task = Task.ANY, told: list[int] | None = None
) -> Comparison:
    workspace = shop.workspace
    return shadow(
        version,
        n,
        task=task,
        registry=workspace.registry,
        histories=shop.histories,
        catalogue=workspace.catalogue,
        progress=(told if told is not None else []).append,
    )


def seen(shop: Shop, task: Task = Task.ANY) -> dict[str, list[str]]:
    """What every customer sees of the live version."""
    return {user: ids(shop.recommend(user, task=task)) for user in CUSTOMERS}


@pytest.mark.parametrize("task", Task)
def test_the_figures_are_those_of_what_customers_would_see(shop: Shop, task: Task) -> None:
    live, version = shop.workspace.registry.live(), shop.register(upside_down())
    told: list[int] = []
    found = compared(shop, version, task=task, told=told)
    before = seen(shop, task)
    shop.workspace.registry.promote(version)
    after = seen(shop, task)

    pairs = [(before[user], after[user]) for user in CUSTOMERS]
    overlaps = [len({*first} & {*second}) / max(len(first), len(second)) for first, second in pairs]
    shown = [{item for items in lists.values() for item in items} for lists in (before, after)]
    assert found.overlap20 == pytest.approx(sum(overlaps) / len(overlaps))
    assert found.first_differs == sum(first[0] != second[0] for first, second in pairs) / len(pairs)
    assert (found.coverage_live, found.coverage_version) == tuple(len(items) / 12 for items in shown)
    assert (found.live, found.version, found.task, found.customers) == (live, version, task, len(CUSTOMERS))
    assert 0 < found.overlap20 < 1
    assert found.first_differs > 0
    assert sum(told) == len(CUSTOMERS)


def test_the_live_version_is_its_own_double(shop: Shop) -> None:
    found = compared(shop, str(shop.workspace.registry.live()))
    assert (found.overlap20, found.first_differs) == (1.0, 0.0)
    assert found.coverage_live == found.coverage_version > 0


def test_nobody_sees_anything_of_it_and_nothing_is_kept(shop: Shop) -> None:
    version = shop.register(upside_down())
    served, before = shop.workspace.registry.served(), seen(shop)
    values = [shop.cache.get(shop.key(user), slot) for user in CUSTOMERS for slot in (0, 1)]
    compared(shop, version)
    assert shop.workspace.registry.served() == served
    assert [shop.cache.get(shop.key(user), slot) for user in CUSTOMERS for slot in (0, 1)] == values
    assert seen(shop) == before


def test_a_sample_goes_round_and_reads_nobody_else(shop: Shop) -> None:
    keys = sorted(shop.key(user) for user in CUSTOMERS)
    for start in (UserKey(bytes(16)), keys[20], UserKey(b"\xff" * 16)):
        later = [key for key in keys if key > start]
        expected = [*later, *(key for key in keys if key <= start)]
        for n in (1, 15, 30, 1000):
            assert [key for key, _, _ in sample(shop.histories, n, start=start)] == expected[:n]


def test_the_same_versions_are_compared_on_the_same_customers_and_others_on_others(shop: Shop) -> None:
    first, second = shop.register(upside_down()), shop.register(tea_and_coffee(2.0))
    assert compared(shop, first, 10) == compared(shop, first, 10)
    assert compared(shop, first, 10).customers == compared(shop, second, 10).customers == 10


def test_who_asked_to_be_forgotten_is_in_no_sample(shop: Shop) -> None:
    for user in CUSTOMERS[:10]:
        shop.forget(user)
    assert compared(shop, shop.register(upside_down())).customers == 20


def test_a_shop_without_customers_has_nothing_to_differ(shop: Shop) -> None:
    for user in CUSTOMERS:
        shop.forget(user)
    found = compared(shop, shop.register(upside_down()))
    assert (found.customers, found.overlap20, found.first_differs, found.coverage_live) == (0, 1.0, 0.0, 0.0)


def test_items_newer_than_both_versions_and_deleted_ones_are_no_trouble(shop: Shop) -> None:
    catalogue = shop.workspace.catalogue
    catalogue.add_items([CatalogueItem(item_id="new")])
    shop.buy(CUSTOMERS[0], "new")
    version = shop.register(upside_down())
    with_everything = compared(shop, version)
    for item in TEAS:
        catalogue.change_item(item, lambda found: replace(found, deleted=True))
    without_tea = compared(shop, version)
    assert with_everything.coverage_version == 1.0
    assert without_tea.coverage_version == 1.0
    assert without_tea.overlap20 == with_everything.overlap20


@pytest.mark.parametrize("n", [0, -1, LARGEST_SAMPLE + 1])
def test_a_sample_of_nobody_or_of_too_many_is_refused(shop: Shop, n: int) -> None:
    with pytest.raises(InputError, match="1 to 10000"):
        compared(shop, str(shop.workspace.registry.live()), n)


def test_without_a_live_version_there_is_nothing_to_compare_with(shop: Shop) -> None:
    version = shop.register(upside_down())
    shop.workspace.registry.withdraw(str(shop.workspace.registry.live()))
    with pytest.raises(VersionConflictError, match="privrec models promote"):
        compared(shop, version)


def test_an_unknown_version_is_not_found(shop: Shop) -> None:
    with pytest.raises(NotFoundError):
        compared(shop, "0" * 32)


def test_lists_of_different_length_overlap_by_the_longer_one_and_empty_ones_fully() -> None:
    tally = Tally()
    tally.add([1, 2, 3, 4], [2, 1])
    tally.add([], [])
    tally.add([], [5])
    assert tally.overlaps == [0.5, 1.0, 0.0]
    assert tally.differing == 2
    assert tally.shown == ({1, 2, 3, 4}, {1, 2, 5})
