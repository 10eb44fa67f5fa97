"""What every catalogue keeps."""

from contextlib import suppress
from dataclasses import replace

import pytest

from recsys.errors import InputError, NotFoundError
from recsys.store.workspace import Workspace
from recsys.types import CatalogueItem


def item(item_id: str, name: str = "", category: str = "") -> CatalogueItem:
    return CatalogueItem(item_id=item_id, name=name, category=category)


def test_a_new_catalogue_is_empty(ports: Workspace) -> None:
    ports.catalogue.add_items([])
    assert ports.catalogue.items() == ()


def test_positions_follow_the_order_of_arrival_and_never_change(ports: Workspace) -> None:
    ports.catalogue.add_items([item("b"), item("a")])
    ports.catalogue.add_items([item("a"), item("ä"), item("b"), item("0")])
    assert [known.item_id for known in ports.catalogue.items()] == ["b", "a", "ä", "0"]


def test_name_and_category_are_updated_where_they_are_not_empty(ports: Workspace) -> None:
    ports.catalogue.add_items([item("a", "apple", "fruit"), item("b", "bread", "bakery")])
    ports.catalogue.add_items([item("a", name="Apple"), item("b", category="breads")])
    assert ports.catalogue.items() == (item("a", "Apple", "fruit"), item("b", "bread", "breads"))


def test_an_item_twice_in_one_call_has_one_position_and_the_last_words(ports: Workspace) -> None:
    ports.catalogue.add_items([item("a", "one"), item("b"), item("a", "two")])
    assert ports.catalogue.items() == (item("a", "two"), item("b"))


def test_a_name_with_a_null_character_is_kept_or_refused_as_input(ports: Workspace) -> None:
    # PostgreSQL holds no U+0000 in text; the other stores do.
    with suppress(InputError):
        ports.catalogue.add_items([item("a", "null\0")])
    assert ports.catalogue.items() in {(), (item("a", "null\0"),)}


TEA = CatalogueItem(
    item_id="tea", name="Tea", category="drinks", price=4.5, stock=7, attributes=(("colour", "green"), ("size", "l"))
)


def test_an_item_comes_back_as_it_was_put(ports: Workspace) -> None:
    assert ports.catalogue.put_item(TEA) is True
    assert ports.catalogue.put_item(item("bread")) is True
    assert ports.catalogue.items() == (TEA, item("bread"))


def test_a_put_replaces_everything_but_the_position(ports: Workspace) -> None:
    ports.catalogue.add_items([item("a"), item("tea", "old", "old"), item("b")])
    assert ports.catalogue.put_item(TEA) is False
    assert ports.catalogue.items() == (item("a"), TEA, item("b"))
    ports.catalogue.put_item(item("tea"))
    assert ports.catalogue.items()[1] == item("tea")


def test_a_change_sees_what_is_there_and_says_what_came_of_it(ports: Workspace) -> None:
    ports.catalogue.put_item(TEA)
    sold = ports.catalogue.change_item("tea", lambda old: replace(old, stock=(old.stock or 0) - 1))
    assert sold.stock == 6
    assert ports.catalogue.items() == (sold,)


def test_what_is_not_there_or_was_deleted_cannot_be_changed(ports: Workspace) -> None:
    ports.catalogue.put_item(TEA)
    ports.catalogue.change_item("tea", lambda old: replace(old, deleted=True))
    for item_id in ("tea", "coffee"):
        with pytest.raises(NotFoundError, match="item of the catalogue"):
            ports.catalogue.change_item(item_id, lambda old: old)


def test_a_deleted_item_keeps_its_position_and_comes_back_when_it_is_put_again(ports: Workspace) -> None:
    ports.catalogue.add_items([item("a"), item("b")])
    ports.catalogue.change_item("a", lambda old: replace(old, deleted=True))
    ports.catalogue.add_items([item("a", "again"), item("c")])
    assert [(known.item_id, known.deleted) for known in ports.catalogue.items()] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
    ports.catalogue.put_item(item("a"))
    assert ports.catalogue.items()[0] == item("a")


def test_a_reader_is_told_what_changed_since_it_last_asked(ports: Workspace) -> None:
    assert ports.catalogue.changed_since(-1) == (0, ())
    ports.catalogue.add_items([item("a"), item("b")])
    first, everything = ports.catalogue.changed_since(-1)
    assert everything == ((0, item("a")), (1, item("b")))
    assert ports.catalogue.changed_since(first) == (first, ())

    ports.catalogue.put_item(TEA)
    ports.catalogue.change_item("b", lambda old: replace(old, price=2.0))
    second, changed = ports.catalogue.changed_since(first)
    assert (second > first, changed) == (True, ((1, replace(item("b"), price=2.0)), (2, TEA)))


def test_a_write_that_changes_nothing_is_no_news(ports: Workspace) -> None:
    ports.catalogue.put_item(TEA)
    revision, _ = ports.catalogue.changed_since(-1)
    ports.catalogue.put_item(TEA)
    ports.catalogue.add_items([item("tea")])
    ports.catalogue.change_item("tea", lambda old: old)
    assert ports.catalogue.changed_since(revision) == (revision, ())


def test_items_are_put_together_and_each_says_what_was_there_before(ports: Workspace) -> None:
    ports.catalogue.add_items([item("bread"), item("tea")])
    before = ports.catalogue.put_items([TEA, item("new"), item("bread"), item("new", name="Newer")])

    assert before == [item("tea"), None, item("bread"), item("new")]
    assert ports.catalogue.items() == (item("bread"), TEA, item("new", name="Newer"))
    assert ports.catalogue.put_items([]) == []
