"""The catalogue as columns, so that a filter is a mask over all items at once."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from recsys.errors import NotFoundError
from recsys.ports import Catalogue
from recsys.serving.filters import And, Attribute, Category, Comparison, Condition, Filter, InStock, Not, Or, Price
from recsys.types import CatalogueItem

Mask: TypeAlias = NDArray[np.bool_]
"""(n_items,): whether an item is meant."""

Number = TypeVar("Number", np.bool_, np.float64)

COMPARE = {
    Comparison.BELOW: np.less,
    Comparison.AT_MOST: np.less_equal,
    Comparison.ABOVE: np.greater,
    Comparison.AT_LEAST: np.greater_equal,
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Products:
    """Every item at one revision of the catalogue, by position."""

    revision: int = -1
    items: tuple[CatalogueItem, ...] = ()
    positions: Mapping[str, int] = field(default_factory=dict)
    on_sale: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    """False where an item was deleted."""
    in_stock: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    prices: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """NaN where it is not known: a comparison with it is false."""
    labels: Mapping[tuple[str, ...], NDArray[np.int64]] = field(default_factory=dict)
    """The positions of the items of each category, as (name,), and with each attribute, as (name, value)."""

    def position(self, item_id: str) -> int:
        """Where the item is.

        Raises:
            NotFoundError: it is not in the catalogue, or it was deleted.
        """
        position = self.positions.get(item_id)
        if position is None or not self.on_sale[position]:
            raise no_item()
        return position

    def find(self, item_ids: Iterable[str]) -> NDArray[np.int64]:
        """The positions of those of the items that are in the catalogue, in order, each once."""
        found = {self.positions[item_id] for item_id in item_ids if item_id in self.positions}
        return np.array(sorted(found), dtype=np.int64)

    def allowed(self, where: Filter | None, exclude: Collection[str] = ()) -> Mask:
        """The items on sale that the filter lets through, without the excluded ones."""
        mask = self.on_sale if where is None else self.on_sale & self.mask(where)
        if not exclude:
            return mask
        mask = mask.copy()
        mask[self.find(exclude)] = False
        return mask

    def mask(self, where: Filter) -> Mask:
        """The items for which the filter holds."""
        match where:
            case Not(part):
                return ~self.mask(part)
            case And(parts):
                return reduce(np.logical_and, map(self.mask, parts))
            case Or(parts):
                return reduce(np.logical_or, map(self.mask, parts))
            case condition:
                return self._meeting(condition)

    def _meeting(self, condition: Condition) -> Mask:
        match condition:
            case InStock():
                return self.in_stock
            case Category(name):
                return self._labelled((name,))
            case Attribute(name, value):
                return self._labelled((name, value))
            case Price(comparison, amount):
                return COMPARE[comparison](self.prices, amount)

    def changed(self, revision: int, changes: Sequence[tuple[int, CatalogueItem]]) -> "Products":
        """The products after the changes; labels are collected anew only if one of them changed."""
        n_items = max(len(self.items), changes[-1][0] + 1)
        items = [*self.items, *(item for position, item in changes if position >= len(self.items))]
        for position, item in changes:
            items[position] = item
        same = n_items == len(self.items) and all(_labels(self.items[at]) == _labels(item) for at, item in changes)
        return Products(
            revision=revision,
            items=tuple(items),
            positions=self.positions if same else {item.item_id: position for position, item in enumerate(items)},
            on_sale=_column(self.on_sale, n_items, [(at, not item.deleted) for at, item in changes]),
            in_stock=_column(
                self.in_stock, n_items, [(at, item.stock is None or item.stock > 0) for at, item in changes]
            ),
            prices=_column(
                self.prices, n_items, [(at, np.nan if item.price is None else item.price) for at, item in changes]
            ),
            labels=self.labels if same else collect_labels(items),
        )

    def _labelled(self, label: tuple[str, ...]) -> Mask:
        mask = np.zeros(len(self.items), dtype=np.bool_)
        mask[self.labels.get(label, [])] = True
        return mask


class ProductReader:
    """Reads the catalogue once, and afterwards what changed in it. Safe to share between threads."""

    def __init__(self, catalogue: Catalogue) -> None:
        """A reader of this catalogue."""
        self._catalogue = catalogue
        self._products = Products()

    def read(self) -> Products:
        """The products as they are now."""
        # Two threads may both take a change in: each has a whole answer, and either may be the one that stays.
        products = self._products
        revision, changes = self._catalogue.changed_since(products.revision)
        if changes:
            products = products.changed(revision, changes)
            self._products = products
        return products


def no_item() -> NotFoundError:
    """The error for an item that is not in the shop; what was asked for is not repeated."""
    msg = "expected an item of the catalogue, got another id; check it, or add the item: PUT /v1/items/ITEM_ID"
    return NotFoundError(msg)


def collect_labels(items: Iterable[CatalogueItem]) -> dict[tuple[str, ...], NDArray[np.int64]]:
    """The positions of the items under each of their labels."""
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, item in enumerate(items):
        for label in _labels(item):
            found[label].append(position)
    return {label: np.array(positions, dtype=np.int64) for label, positions in found.items()}


def _column(old: NDArray[Number], n_items: int, values: Sequence[tuple[int, float]]) -> NDArray[Number]:
    """The column at its new length, with these values at their positions."""
    column = np.zeros(n_items, dtype=old.dtype)
    column[: len(old)] = old
    for position, value in values:
        column[position] = value
    return column


def _labels(item: CatalogueItem) -> tuple[tuple[str, ...], ...]:
    return ((item.category,), *item.attributes) if item.category else item.attributes
