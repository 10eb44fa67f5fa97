"""Public attributes of items, from a CSV, JSON Lines or Parquet file or from the catalogue.

A column of text is labels, separated by "|" in a field that has several. Text that says something else about nearly
every item (a title, a description) is taken word by word. A column of numbers is numbers.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from recsys.errors import InputError
from recsys.types import CatalogueItem

SEPARATOR = "|"
WORD = re.compile(r"[^\W\d_]{3,}")
"""What counts as a word: shorter ones are articles and units."""
MOSTLY = 0.5
"""Free text is a column of which more than this part of the values differ, and more than this part have two words."""

Values: TypeAlias = Mapping[str, str | float]
"""The value of each item that has one."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DescribedItems:
    """What is known of each item of a catalogue, in its order."""

    labels: Mapping[str, tuple[frozenset[str], ...]]
    """By column: the labels of each item; none for an item that is not described."""
    numbers: Mapping[str, tuple[float, ...]]
    """By column: the number of each item, or NaN."""

    @property
    def n_described(self) -> int:
        """How many items have at least one attribute."""
        labelled = [list(map(bool, values)) for values in self.labels.values()]
        measured = [[not math.isnan(value) for value in values] for values in self.numbers.values()]
        return sum(map(any, zip(*labelled, *measured, strict=True)))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AttributeTable:
    """What a source says of items, by column and item."""

    source: str
    """Its name, for messages."""
    labels: Mapping[str, Mapping[str, frozenset[str]]]
    numbers: Mapping[str, Mapping[str, float]]
    words: frozenset[str] = frozenset()
    """The columns among `labels` that were taken word by word."""

    def of(self, items: Sequence[str]) -> DescribedItems:
        """The attributes of these items, in their order; none for an item that the source does not name.

        Raises:
            InputError: it describes none of them.
        """
        described = DescribedItems(
            labels={
                name: tuple(values.get(item, frozenset()) for item in items) for name, values in self.labels.items()
            },
            numbers={
                name: tuple(values.get(item, math.nan) for item in items) for name, values in self.numbers.items()
            },
        )
        if not described.n_described:
            msg = (
                f"expected attributes of items of the catalogue in {self.source}, got none of its {len(items)} items; "
                "compare the item ids with those of the purchases, and name their column with --attribute-item-column"
            )
            raise InputError(msg)
        return described

    @property
    def kinds(self) -> dict[str, str]:
        """What each column was taken for: labels, words or numbers."""
        texts = {name: "words" if name in self.words else "labels" for name in self.labels}
        return texts | dict.fromkeys(self.numbers, "numbers")


def read_attributes(path: Path, item_column: str = "item") -> AttributeTable:
    """The attributes in a file (formats: see `read_purchases`): every column beside the item's.

    In a CSV file a column is numbers if every value in it is one. A Parquet file says itself what is text.

    Args:
        path: one row an item; the ending of its name says which format it has
        item_column: the column with the item's id

    Raises:
        InputError: the file cannot be used: no item column, no other column, or two rows that say different things
            about one item.
    """
    from recsys.data.attribute_columns import read_columns  # noqa: PLC0415 - pyarrow takes a quarter of a second

    return _table(str(path), read_columns(path, item_column))


def catalogue_attributes(items: Iterable[CatalogueItem]) -> AttributeTable:
    """The categories of these items, and the words of their names.

    Raises:
        InputError: none of them has a category or a name.
    """
    known = list(items)
    categories = {item.item_id: item.category for item in known if item.category.strip()}
    names = {item.item_id: item.name for item in known if item.name.strip()}
    if not categories and not names:
        msg = (
            "expected a catalogue with categories or names to take attributes from, got item ids alone; "
            "bring them in a file: --attributes FILE"
        )
        raise InputError(msg)
    labels = {"category": {item: _labels(text) for item, text in categories.items()}} if categories else {}
    words = {"name": {item: _words(text) for item, text in names.items()}} if names else {}
    return AttributeTable(source="the catalogue", labels=labels | words, numbers={}, words=frozenset(words))


def _table(source: str, columns: Mapping[str, Values]) -> AttributeTable:
    """The columns, each as what it holds."""
    texts = {
        name: {item: str(value) for item, value in values.items()}
        for name, values in columns.items()
        if not all(isinstance(value, float) for value in values.values())
    }
    words = frozenset(name for name, values in texts.items() if is_free_text(list(values.values())))
    return AttributeTable(
        source=source,
        labels={
            name: {item: (_words if name in words else _labels)(text) for item, text in values.items()}
            for name, values in texts.items()
        },
        numbers={
            name: {item: float(value) for item, value in values.items()}
            for name, values in columns.items()
            if name not in texts
        },
        words=words,
    )


def is_free_text(values: Sequence[str]) -> bool:
    """Whether these values, split at the separator, mostly differ and mostly have several words."""
    parts = [part for value in values for part in _labels(value)]
    several = sum(len(WORD.findall(part)) > 1 for part in parts)
    return len(set(parts)) > MOSTLY * len(parts) and several > MOSTLY * len(parts)


def _labels(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(SEPARATOR)) - {""}


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))
