"""Filters: what is written is what is read, and whatever else is sent is refused with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.serving.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_TEXT,
    And,
    Attribute,
    Category,
    Comparison,
    Filter,
    InStock,
    Not,
    Or,
    Price,
    check_size,
    format_filter,
    parse_filter,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
CONDITIONS = st.one_of(
    st.just(InStock()),
    TEXTS.map(Category),
    st.builds(Price, st.sampled_from(Comparison), st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(Attribute, TEXTS, TEXTS),
)


def joined(part: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    parts = st.lists(part, min_size=2, max_size=3).map(tuple)
    return st.one_of(part.map(Not), parts.map(And), parts.map(Or))


FILTERS = st.recursive(CONDITIONS, joined, max_leaves=12)
WORDS = st.sampled_from(
    ["in_stock", "category", "price", "attribute", "not", "and", "or", "(", ")", "=", "<", ">=", '"a"', "1", "-", '"']
)


@given(FILTERS)
def test_a_filter_that_is_written_is_read_as_itself(where: Filter) -> None:
    text = format_filter(where)
    try:
        check_size(where)
    except InputError:
        with pytest.raises(InputError):
            parse_filter(text)
    else:
        if len(text) <= MAX_TEXT:
            assert parse_filter(text) == where


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=30).map(" ".join)))
def test_any_text_is_a_filter_or_refused_and_never_anything_else(text: str) -> None:
    try:
        where = parse_filter(text)
    except InputError as error:
        assert str(error).startswith("expected ")  # noqa: PT017 - most texts are no filter, some are
    else:
        assert parse_filter(format_filter(where)) == where


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("in_stock", InStock()),
        ('category="tea"', Category("tea")),
        ("price<20", Price(Comparison.BELOW, 20.0)),
        ("price >= -1.5e3", Price(Comparison.AT_LEAST, -1500.0)),
        (r'attribute "a \"b\"" = "\u00fc"', Attribute('a "b"', "ü")),
        ("not not in_stock", Not(Not(InStock()))),
        ("((in_stock))", InStock()),
        ('in_stock and category = "a" or price > 1', Or((And((InStock(), Category("a"))), Price(Comparison.ABOVE, 1)))),
        ('not in_stock and category = "a"', And((Not(InStock()), Category("a")))),
    ],
)
def test_not_binds_before_and_and_and_before_or(text: str, where: Filter) -> None:
    assert parse_filter(text) == where


@pytest.mark.parametrize(
    ("text", "character", "found"),
    [
        ("", 1, "the end"),
        ("in_stock and", 13, "the end"),
        ("in_stock in_stock", 10, "another word"),
        ("price = 3", 7, "another sign"),
        ("price < cheap", 9, "another word"),
        ("price < 1e999", 9, "a larger one"),
        ("category = tea", 12, "another word"),
        ("category = 'tea'", 12, "another character"),
        ('category = "tea', 12, "another character"),
        (r'category = "\x41"', 12, "another escape"),
        (r'category = "\ud800"', 12, "another escape"),
        ("(in_stock", 10, "the end"),
        ("in_stock)", 9, "another sign"),
        ("IN_STOCK", 1, "another character"),
        ("\u2003in_stock", 1, "another character"),
        ("not " * MAX_DEPTH + "in_stock", 4 * MAX_DEPTH + 1, "another word"),
        ("(" * 1000, MAX_DEPTH + 1, "another sign"),
        ("in_stock or " * 1000, MAX_TEXT + 1, "more"),
    ],
)
def test_a_fault_is_refused_with_its_place_and_without_its_text(text: str, character: int, found: str) -> None:
    with pytest.raises(InputError, match=f"at character {character} of the filter, got {found};"):
        parse_filter(text)


def test_a_filter_has_a_limited_number_of_conditions() -> None:
    most = " and ".join(["in_stock"] * MAX_CONDITIONS)

    assert len(parse_filter(most).parts) == MAX_CONDITIONS  # type: ignore[union-attr]
    with pytest.raises(InputError, match=f"at most {MAX_CONDITIONS} conditions"):
        parse_filter(f"{most} or in_stock")
