"""What every catalogue keeps."""

from contextlib import suppress

from recsys.errors import InputError
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
