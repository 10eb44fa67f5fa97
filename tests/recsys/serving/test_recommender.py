"""What a customer is answered: the four rules of the recommender, one after the other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.models.factors import ItemFactors
from recsys.serving.lists import KEPT_LENGTH, LIST_LENGTH, CachedLists
from recsys.serving.packed_lists import COUNT, ROW, to_document
from recsys.serving.recommendation_ids import ID_LENGTH
from recsys.serving.sealed_lists import HEADER, Kind, generation_of, seal_document
from recsys.types import CatalogueItem, EventStatus, Reason, Task
from tests.recsys.serving.shop import COFFEES, POPULAR, TEAS, Shop, ids, nameless, tea_and_coffee

OTHER_STRENGTH = 2.0


def cached(shop: Shop, user_id: str = "ada") -> CachedLists:
    lists = shop.cached(user_id)
    assert lists is not None
    return lists


def sealed(shop: Shop, lists: CachedLists, document: bytes | None = None) -> bytes:
    """The value with these lists, or with other bytes in their place: all that the seal cannot tell from the right."""
    header = HEADER.pack(Kind.LISTS, 1, generation_of(lists.version), 2**40)
    document = to_document(lists) if document is None else document
    return seal_document(shop.workspace.keys, shop.key("ada"), header=header, document=document)


def plant(shop: Shop, value: bytes, user_id: str = "ada") -> None:
    permit = shop.cache.permit()
    assert permit is not None
    assert shop.cache.put(replace(permit, stamp=2**40), [(shop.key(user_id), value)]) == 1


def one_taste(items: tuple[str, ...]) -> ItemFactors:
    """A model that prefers low positions, whatever was bought."""
    falling = np.linspace(1, 0.5, len(items), dtype=np.float32)
    return ItemFactors(
        item_ids=items,
        encoder=falling[:, None],
        factors=falling[:, None],
        item_weights=np.ones(len(items), dtype=np.float32),
        popularity=falling,
    )


# Without a model, and how lists look.


def test_while_no_model_is_live_the_list_is_empty_and_says_so(empty_shop: Shop) -> None:
    empty_shop.buy("ada", "tea-0")
    answer = empty_shop.recommend("ada")
    assert (answer.items, answer.version, answer.personalized) == ((), None, False)


def test_own_purchases_come_first_by_how_often_and_then_what_goes_with_them(shop: Shop) -> None:
    answer = shop.recommend("ada", n=6)
    assert ids(answer) == ["tea-4", "tea-3", "tea-0", "tea-1", "tea-2", "tea-5"]
    assert [item.reason for item in answer.items] == [Reason.BOUGHT_BEFORE] * 2 + [Reason.MODEL] * 4
    assert answer.personalized
    assert not answer.degraded


def test_discover_shows_nothing_that_was_bought_before(shop: Shop) -> None:
    answer = shop.recommend("ada", task=Task.DISCOVER)
    assert ids(answer)[:4] == ["tea-0", "tea-1", "tea-2", "tea-5"]
    assert not {"tea-3", "tea-4"} & set(ids(answer))
    assert {item.reason for item in answer.items} == {Reason.MODEL}


def test_scores_fall_along_the_list(shop: Shop) -> None:
    for task in Task:
        scores = [item.score for item in shop.recommend("ada", task=task).items]
        assert scores == sorted(scores, reverse=True)


def test_items_come_with_their_names(shop: Shop) -> None:
    assert [item.name for item in shop.recommend("ada", n=1).items] == ["Finest tea-4"]


def test_an_item_without_a_name_is_called_by_its_id(shop: Shop) -> None:
    shop.workspace.catalogue.add_items([CatalogueItem(item_id="nameless")])
    shop.buy("ada", "nameless", "nameless", "nameless")
    assert shop.recommend("ada", n=1).items[0].name == "nameless"


@pytest.mark.parametrize("n", [0, -1, LIST_LENGTH + 1])
def test_a_length_out_of_range_is_refused(shop: Shop, n: int) -> None:
    with pytest.raises(InputError, match=f"between 1 and {LIST_LENGTH}"):
        shop.recommend("ada", n=n)


@pytest.mark.parametrize("n", [1, 5, LIST_LENGTH])
def test_a_list_is_as_long_as_asked_for_or_as_there_are_items(shop: Shop, n: int) -> None:
    assert len(shop.recommend("ada", n=n).items) == min(n, 12)
    assert len(shop.recommend("nobody", n=n).items) == min(n, 12)


@pytest.mark.parametrize("published", [False, True])
def test_more_than_the_cache_keeps_of_a_list_is_computed(empty_shop: Shop, published: bool) -> None:
    more = tuple(f"item {position}" for position in range(2 * KEPT_LENGTH))
    empty_shop.workspace.catalogue.add_items([CatalogueItem(item_id=item) for item in more])
    items = TEAS + COFFEES + more
    empty_shop.release(one_taste(items))
    empty_shop.buy("ada", items[40])
    if published:
        assert empty_shop.recommender.publish() == 1
    longest = empty_shop.recommend("ada", n=len(items))
    assert ids(longest) == [items[40], *(item for item in items if item != items[40])]
    assert [len(rows) for rows in cached(empty_shop).lists.values()] == [KEPT_LENGTH, KEPT_LENGTH]
    for n in (1, KEPT_LENGTH, KEPT_LENGTH + 1):
        assert empty_shop.recommend("ada", n=n).items == longest.items[:n]


def test_an_id_that_cannot_be_one_is_refused_and_not_repeated(shop: Shop) -> None:
    with pytest.raises(InputError) as caught:
        shop.recommend("ada\x00lovelace")
    assert "lovelace" not in str(caught.value)


# Rule 1: who is suppressed, which revision and which model: read with every request.


def test_a_purchase_changes_the_very_next_answers(shop: Shop) -> None:
    before = {task: shop.recommend("ada", task=task) for task in Task}
    assert "tea-0" in ids(before[Task.DISCOVER])
    shop.buy("ada", "tea-0", "tea-0", "tea-0")
    after = {task: shop.recommend("ada", task=task) for task in Task}
    assert "tea-0" not in ids(after[Task.DISCOVER])
    assert ids(after[Task.ANY])[0] == "tea-0"
    assert after[Task.ANY].items[0].reason is Reason.BOUGHT_BEFORE


def test_a_new_live_model_is_served_with_the_very_next_answer(shop: Shop) -> None:
    before = shop.recommend("ada")
    version = shop.release(tea_and_coffee(OTHER_STRENGTH))
    after = shop.recommend("ada")
    assert before.version != after.version == version


def test_suppression_counts_from_the_very_next_answer(shop: Shop) -> None:
    assert shop.recommend("ada").personalized
    shop.forget("ada")
    assert not shop.recommend("ada").personalized


def test_a_withdrawn_model_is_no_longer_served(shop: Shop) -> None:
    version = shop.recommend("ada").version
    assert version is not None
    shop.workspace.registry.withdraw(version)
    assert shop.recommend("ada").items == ()
    assert shop.recommend("nobody").version is None


# Rule 2: a cached list counts only for the live version and the present revision.


def test_a_valid_cached_list_is_served_without_reading_the_history(shop: Shop) -> None:
    first = shop.recommend("ada")
    reads = shop.histories.reads
    second = shop.recommend("ada")
    assert shop.histories.reads == reads
    assert ids(first) == ids(second)
    assert [item.score for item in second.items] == pytest.approx([item.score for item in first.items], abs=1e-4)


def test_the_time_of_an_answer_is_that_of_its_list(shop: Shop) -> None:
    first = shop.recommend("ada")
    shop.now += timedelta(minutes=1)
    assert shop.recommend("nobody").generated_at == first.generated_at + timedelta(minutes=1)
    assert shop.recommend("ada").generated_at == first.generated_at


def misleading(shop: Shop) -> CachedLists:
    """A list that would pass for ada's but that nobody can have computed."""
    shop.recommend("ada")
    marked = ((0, 9.0, Reason.BOUGHT_BEFORE),)
    return replace(cached(shop), lists=dict.fromkeys(Task, marked))


def test_a_list_of_the_right_version_and_revision_is_what_is_served(shop: Shop) -> None:
    """Without this the refusals below would prove nothing."""
    plant(shop, sealed(shop, misleading(shop)))
    assert ids(shop.recommend("ada")) == ["tea-0"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda shop, lists: sealed(shop, replace(lists, revision=lists.revision - 1)),
        lambda shop, lists: sealed(shop, replace(lists, revision=lists.revision + 1)),
        lambda shop, lists: sealed(shop, replace(lists, version="0" * 32)),
        lambda shop, lists: sealed(shop, lists, to_document(lists)[: -ROW.itemsize - COUNT.size]),
        lambda shop, lists: sealed(shop, lists, to_document(lists)[:-1]),
        lambda shop, lists: sealed(shop, lists, to_document(lists)[:-1] + b"\x63"),
        lambda shop, lists: sealed(shop, lists, b""),
        lambda shop, lists: sealed(shop, lists)[:-1],
        lambda shop, lists: b"\x02" + sealed(shop, lists)[1:],
        lambda *_: b"",
        lambda *_: b"\xff\x00garbage",
    ],
    ids=[
        "older revision",
        "newer revision",
        "other version",
        "a list missing",
        "cut",
        "no such reason",
        "no lists",
        "cut outside",
        "out of date",
        "empty",
        "garbage",
    ],
)
@pytest.mark.parametrize("task", Task)
def test_a_cached_list_that_is_not_valid_is_never_served(
    shop: Shop, task: Task, spoil: Callable[[Shop, CachedLists], bytes]
) -> None:
    right = ids(shop.recommend("ada", task=task))
    plant(shop, spoil(shop, misleading(shop)))
    reads = shop.histories.reads
    answer = shop.recommend("ada", task=task)
    assert ids(answer) == right
    assert shop.histories.reads == reads + 1
    assert not answer.degraded


def test_a_list_that_was_computed_replaces_the_stale_one(shop: Shop) -> None:
    shop.recommend("ada")
    shop.buy("ada", "coffee-0")
    shop.recommend("ada")
    assert cached(shop).revision == shop.histories.state(shop.key("ada")).revision
    reads = shop.histories.reads
    shop.recommend("ada")
    assert shop.histories.reads == reads


# Rule 3: a cache that is down costs time only.


def test_a_cache_that_is_down_costs_nothing_but_time(shop: Shop) -> None:
    healthy = shop.recommend("ada")
    shop.cache.down = True
    answer = shop.recommend("ada")
    assert answer.degraded
    assert answer.personalized
    assert ids(answer) == ids(healthy)
    shop.cache.down = False
    assert not shop.recommend("ada").degraded


def test_a_purchase_is_taken_while_the_cache_is_down_and_counts_when_it_is_back(shop: Shop) -> None:
    shop.recommend("ada")
    shop.cache.down = True
    assert shop.buy("ada", "coffee-0", "coffee-0", "coffee-0") == [EventStatus.ACCEPTED] * 3
    shop.cache.down = False
    assert ids(shop.recommend("ada"))[0] == "coffee-0"


def test_an_unpersonal_answer_does_not_depend_on_the_cache(shop: Shop) -> None:
    shop.cache.down = True
    assert not shop.recommend("nobody").degraded


# Rule 4: unknown and suppressed customers get the same popular list.


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("down", [False, True])
def test_unknown_and_suppressed_customers_get_equal_answers(shop: Shop, task: Task, down: bool) -> None:
    shop.recommend("ada")
    shop.forget("ada")
    shop.cache.down = down
    unknown = shop.recommend("nobody", task=task)
    shop.now += timedelta(seconds=1)
    suppressed = shop.recommend("ada", task=task)
    assert nameless(suppressed) == replace(nameless(unknown), generated_at=suppressed.generated_at)
    assert len(suppressed.recommendation_id or "") == len(unknown.recommendation_id or "") == ID_LENGTH
    assert suppressed.generated_at > unknown.generated_at


def test_the_popular_list_is_by_released_counts(shop: Shop) -> None:
    answer = shop.recommend("nobody")
    assert tuple(ids(answer)) == POPULAR
    assert [item.score for item in answer.items] == list(range(12, 0, -1))
    assert {item.reason for item in answer.items} == {Reason.POPULAR}


def test_an_item_that_nobody_bought_is_not_popular(shop: Shop) -> None:
    model = tea_and_coffee()
    shop.release(replace(model, popularity=np.where(np.arange(12) < 2, 1, 0).astype(np.float32)))
    assert ids(shop.recommend("nobody")) == ["tea-0", "tea-1"]


def test_nothing_is_cached_for_unknown_and_suppressed_customers(shop: Shop) -> None:
    shop.forget("ada")
    for user_id in ("ada", "nobody"):
        shop.recommend(user_id)
        assert shop.cached(user_id) is None


# The catalogue grows.


@pytest.mark.parametrize("trained_on_factors", [True, False])
def test_an_item_newer_than_the_model_can_be_bought_and_bought_again(shop: Shop, trained_on_factors: bool) -> None:
    if not trained_on_factors:
        shop.release(without_factors())
    shop.workspace.catalogue.add_items([CatalogueItem(item_id="cocoa", name="Dark cocoa")])
    assert shop.buy("ada", "cocoa", "cocoa", "cocoa") == [EventStatus.ACCEPTED] * 3
    first = shop.recommend("ada").items[0]
    assert (first.item_id, first.name, first.reason) == ("cocoa", "Dark cocoa", Reason.BOUGHT_BEFORE)
    assert "cocoa" not in ids(shop.recommend("ada", task=Task.DISCOVER))


def test_a_customer_who_bought_only_what_the_model_does_not_know_discovers_what_is_popular(shop: Shop) -> None:
    shop.workspace.catalogue.add_items([CatalogueItem(item_id="cocoa")])
    shop.buy("eve", "cocoa")
    assert tuple(ids(shop.recommend("eve", task=Task.DISCOVER))) == POPULAR
    assert ids(shop.recommend("eve"))[0] == "cocoa"


def test_a_process_that_learnt_the_catalogue_before_it_grew_names_the_new_items(shop: Shop) -> None:
    """The list is in the cache, put there by another process that knew the item."""
    shop.recommend("ada")
    shop.workspace.catalogue.add_items([CatalogueItem(item_id="cocoa", name="Dark cocoa")])
    plant(shop, sealed(shop, replace(cached(shop), lists=dict.fromkeys(Task, ((12, 1.0, Reason.MODEL),)))))
    assert [item.name for item in shop.recommend("ada").items] == ["Dark cocoa"]


def without_factors() -> ItemFactors:
    nothing = np.zeros((12, 0), dtype=np.float32)
    return replace(tea_and_coffee(), encoder=nothing, factors=nothing, item_weights=np.zeros(12, dtype=np.float32))


def test_a_model_without_factors_shows_everybody_what_is_popular_after_their_own(shop: Shop) -> None:
    shop.release(without_factors())
    others = [item for item in POPULAR if item not in {"tea-3", "tea-4"}]
    assert ids(shop.recommend("ada")) == ["tea-4", "tea-3", *others]
    assert ids(shop.recommend("ada", task=Task.DISCOVER)) == others


def test_customers_of_other_tastes_get_other_lists(shop: Shop) -> None:
    shop.buy("ben", "coffee-5")
    ada, ben = (ids(shop.recommend(user, n=6)) for user in ("ada", "ben"))
    assert set(ada) == set(TEAS)
    assert not set(ada) & set(ben)
