"""The catalogue as columns: filters say what they say item by item, and changes are seen."""

import operator
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import NotFoundError
from recsys.serving.filters import And, Attribute, Category, Comparison, Filter, InStock, Not, Or, Price
from recsys.serving.products import ProductReader, Products
from recsys.store.memory import MemoryCatalogue
from recsys.types import CatalogueItem

NAMES = st.sampled_from(["", "a", "b"])
ITEMS = st.builds(
    CatalogueItem,
    item_id=st.sampled_from(["1", "2", "3", "4", "5"]),
    category=NAMES,
    price=st.sampled_from([None, 0.0, 1.0, 2.5]),
    stock=st.sampled_from([None, 0, 3]),
    attributes=st.dictionaries(st.sampled_from(["a", "b"]), NAMES).map(lambda pairs: tuple(sorted(pairs.items()))),
    deleted=st.booleans(),
)
CONDITIONS = st.one_of(
    st.just(InStock()),
    NAMES.map(Category),
    st.builds(Price, st.sampled_from(Comparison), st.sampled_from([-1.0, 0.0, 1.0, 2.5])),
    st.builds(Attribute, NAMES, NAMES),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda part: st.one_of(part.map(Not), st.tuples(part, part).map(And), st.tuples(part, part).map(Or)),
    max_leaves=6,
)


def meets(item: CatalogueItem, where: Filter) -> bool:
    """The same in the plain way: one item at a time."""
    match where:
        case InStock():
            found = item.stock is None or item.stock > 0
        case Category(name):
            found = bool(name) and item.category == name
        case Attribute(name, value):
            found = (name, value) in item.attributes
        case Price(comparison, amount):
            found = item.price is not None and COMPARE[comparison](item.price, amount)
        case Not(part):
            found = not meets(item, part)
        case And(parts):
            found = all(meets(item, part) for part in parts)
        case Or(parts):
            found = any(meets(item, part) for part in parts)
    return found


COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@given(st.lists(st.lists(ITEMS, max_size=4), max_size=4), FILTERS, st.lists(st.sampled_from(["1", "2", "x"])))
def test_a_mask_is_what_the_filter_says_item_by_item_however_the_catalogue_came_to_be(
    batches: list[list[CatalogueItem]], where: Filter, exclude: list[str]
) -> None:
    catalogue = MemoryCatalogue()
    reader = ProductReader(catalogue)
    for batch in batches:
        for item in batch:
            catalogue.put_item(item)
        reader.read()
    products = reader.read()

    expected = [not item.deleted and meets(item, where) and item.item_id not in exclude for item in catalogue.items()]
    assert products.items == catalogue.items()
    assert products.allowed(where, exclude).tolist() == expected
    assert products.allowed(None).tolist() == [not item.deleted for item in catalogue.items()]


def test_products_that_were_read_never_change() -> None:
    catalogue = MemoryCatalogue()
    catalogue.put_item(CatalogueItem(item_id="tea", price=1.0))
    reader = ProductReader(catalogue)
    before = reader.read()
    catalogue.change_item("tea", lambda item: replace(item, price=2.0, deleted=True))

    assert reader.read().prices.tolist() == [2.0]
    assert (before.prices.tolist(), before.on_sale.tolist()) == ([1.0], [True])


def test_an_unchanged_catalogue_is_not_made_anew() -> None:
    catalogue = MemoryCatalogue()
    catalogue.add_items([CatalogueItem(item_id="tea", category="drinks")])
    reader = ProductReader(catalogue)
    first = reader.read()
    assert reader.read() is first
    catalogue.change_item("tea", lambda item: replace(item, stock=3))
    second = reader.read()

    assert second is not first
    assert second.labels is first.labels


def test_a_place_is_told_of_what_is_on_sale_only() -> None:
    catalogue = MemoryCatalogue()
    catalogue.add_items([CatalogueItem(item_id="tea"), CatalogueItem(item_id="coffee")])
    catalogue.change_item("tea", lambda item: replace(item, deleted=True))
    products = ProductReader(catalogue).read()

    assert products.position("coffee") == 1
    for item_id in ("tea", "water"):
        with pytest.raises(NotFoundError):
            products.position(item_id)


def test_a_new_shop_has_no_products() -> None:
    assert Products().allowed(InStock()).shape == (0,)
    assert np.array_equal(Products().find(["x"]), np.zeros(0))
