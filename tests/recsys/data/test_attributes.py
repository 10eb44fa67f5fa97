"""Attributes of items: what a column is taken for, and which files are refused with what advice."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.attributes import AttributeTable, DescribedItems, catalogue_attributes, is_free_text, read_attributes
from recsys.errors import InputError
from recsys.types import CatalogueItem

WriteCsv = Callable[[str], Path]
WriteParquet = Callable[[Mapping[str, Sequence[object] | pa.Array]], Path]

FILMS = """item,title,genres,year
1,Toy Story (1995),Animation|Comedy,1995
2,The Big Heat,Crime | Drama,1953
3,A Room with a View,Drama,
"""


def plain(found: DescribedItems) -> dict[str, list[set[str]]]:
    """The labels of each item, by column."""
    return {name: [set(labels) for labels in values] for name, values in found.labels.items()}


def test_text_becomes_labels_free_text_becomes_words_and_numbers_stay_numbers(write_csv: WriteCsv) -> None:
    table = read_attributes(write_csv(FILMS))
    assert table.kinds == {"title": "words", "genres": "labels", "year": "numbers"}
    found = table.of(["3", "unheard-of", "1", "2"])
    assert plain(found)["title"] == [{"room", "view", "with"}, set(), {"story", "toy"}, {"big", "heat", "the"}]
    assert plain(found)["genres"] == [{"Drama"}, set(), {"Animation", "Comedy"}, {"Crime", "Drama"}]
    assert found.numbers["year"] == pytest.approx((math.nan, math.nan, 1995, 1953), nan_ok=True)
    assert found.n_described == 3


def test_a_csv_and_a_parquet_file_say_the_same(write_csv: WriteCsv, write_parquet: WriteParquet) -> None:
    columns = {
        "year": pa.array([1995, 1953, None]),
        "item": [1, 2, 3],
        "genres": pa.array(["Animation|Comedy", "Crime | Drama", "Drama"]).dictionary_encode(),
        "title": ["Toy Story (1995)", "The Big Heat", "A Room with a View"],
    }
    csv, parquet = read_attributes(write_csv(FILMS)), read_attributes(write_parquet(columns))
    assert csv.labels == parquet.labels
    assert csv.numbers == parquet.numbers


def test_a_parquet_file_says_itself_what_is_text(write_parquet: WriteParquet) -> None:
    columns = {"item": ["a", "b"], "department": ["101", "102"], "organic": [True, False], "litres": [0.5, math.nan]}
    table = read_attributes(write_parquet(columns))
    assert table.kinds == {"department": "labels", "organic": "labels", "litres": "numbers"}
    assert table.labels["organic"] == {"a": {"true"}, "b": {"false"}}
    assert table.numbers["litres"] == {"a": 0.5}


def test_a_column_with_one_value_that_is_no_number_is_text(write_csv: WriteCsv) -> None:
    table = read_attributes(write_csv("item,year,size\na,1995,inf\nb,about 1950,2\nc,,1e300\nd,,nan\n"))
    assert table.kinds == {"year": "labels", "size": "numbers"}
    assert table.numbers["size"] == {"b": 2.0}


def test_columns_and_rows_without_a_value_say_nothing(write_csv: WriteCsv) -> None:
    table = read_attributes(write_csv("sku,brand,note\na,acme,\nb, ,\n,acme,\n"), "sku")
    assert table.kinds == {"brand": "labels"}
    assert table.of(["a", "b"]).n_described == 1


def test_the_same_row_twice_is_one(write_csv: WriteCsv) -> None:
    table = read_attributes(write_csv("item,brand,size\na,acme,1\na,acme,1.0\n"))
    assert table.labels["brand"] == {"a": {"acme"}}


@given(words=st.lists(st.sampled_from(["red wine", "white wine", "beer"]), min_size=12))
def test_a_few_values_again_and_again_are_labels_whatever_they_look_like(words: list[str]) -> None:
    assert not is_free_text(words)
    assert not is_free_text(["|".join(words)] * 12)


def test_values_that_differ_are_labels_too_if_each_is_one_word() -> None:
    assert is_free_text(["green tea", "black tea", "plum jam"])
    assert not is_free_text(["B00A1", "B00A2", "B00A3"])


REFUSED = {
    "no item column": ("sku,brand\na,acme\n", "--attribute-item-column"),
    "no other column": ("item\na\n", "no other column"),
    "a column twice": ("item,brand,brand\na,acme,acme\n", "'brand' 2 times"),
    "no value": ("item,brand\na,\n", "no value"),
    "an item with two brands": ("item,brand\na,acme\nb,acme\na,best\n", r"rows 1 and 3.*\|"),
    "an item with and without a brand": ("item,brand\na,acme\na,\n", "rows 1 and 2"),
    "a header alone": ("item,brand\n", "at least one row"),
    "no header": ("1,2\n3,4\n", "put a header above it"),
}


@pytest.mark.parametrize(("text", "found"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(text: str, found: str, write_csv: WriteCsv) -> None:
    with pytest.raises(InputError, match=rf"expected .*{found}"):
        read_attributes(write_csv(text))


def test_a_column_of_another_kind_is_refused_by_name(write_parquet: WriteParquet) -> None:
    with pytest.raises(InputError, match=r"column 'genres', got list.*\| between them"):
        read_attributes(write_parquet({"item": ["a"], "genres": [["Drama", "Crime"]]}))


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet"])
def test_a_file_that_is_not_there_is_said_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing there"):
        read_attributes(tmp_path / name)


def test_attributes_of_another_catalogue_are_refused() -> None:
    table = AttributeTable(source="films.csv", labels={"genre": {"a": frozenset({"Drama"})}}, numbers={})
    with pytest.raises(InputError, match=r"films\.csv, got none of its 2 items.*--attribute-item-column"):
        table.of(["b", "c"])


def test_the_catalogue_gives_its_categories_and_the_words_of_its_names() -> None:
    items = [CatalogueItem(item_id="a", name="Plum Jam 2", category="SPREADS"), CatalogueItem(item_id="b")]
    table = catalogue_attributes(items)
    assert table.kinds == {"category": "labels", "name": "words"}
    found = table.of(["b", "a"])
    assert plain(found) == {"category": [set(), {"SPREADS"}], "name": [set(), {"jam", "plum"}]}
    assert found.n_described == 1


def test_a_catalogue_of_ids_alone_is_refused() -> None:
    with pytest.raises(InputError, match=r"ids alone; .*--attributes FILE"):
        catalogue_attributes([CatalogueItem(item_id="a")])
