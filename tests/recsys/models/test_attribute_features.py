"""Features of items from their attributes: which labels are mixed with numbers."""

import numpy as np
import pytest

from recsys.models.attributes import CENTRES, LARGEST_MIXED, ItemAttributes

GENRES = [["drama"], ["drama", "crime"], ["crime"], ["comedy", "drama"], ["comedy"]] * 40
YEARS = [1950.0 + index for index in range(len(GENRES))]
WORDS = [[f"word-{index // 2}"] for index in range(len(GENRES))]


def test_labels_and_numbers_are_mixed_where_there_is_room() -> None:
    features = ItemAttributes(labels={"genre": GENRES}, numbers={"year": YEARS}).features()
    assert features.shape == (len(GENRES), 3 + CENTRES + 3 * CENTRES)


def test_many_words_are_not_mixed_with_numbers_and_genres_beside_them_are() -> None:
    """A hundred words times a year would be thousands of features, and minutes of work."""
    assert LARGEST_MIXED < 100 * CENTRES
    features = ItemAttributes(labels={"word": WORDS, "genre": GENRES}, numbers={"year": YEARS}).features()
    assert features.shape[1] == 100 + 3 + CENTRES + 3 * CENTRES


@pytest.mark.parametrize("labels", [{}, {"word": WORDS}])
def test_without_numbers_nothing_is_mixed(labels: dict[str, list[list[str]]]) -> None:
    found = ItemAttributes(labels=labels | {"genre": GENRES}).features()
    assert found.shape[1] == 3 + 100 * len(labels)
    assert np.allclose((found.multiply(found)).sum(axis=1), 1 + len(labels))
