"""From what is publicly known of items to directions: the kernel by definition, and what must hold of directions."""

import hashlib
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.errors import InputError
from recsys.models.attributes import CENTRES, LARGEST_VOCABULARY, ItemAttributes, directions
from recsys.models.customer import GRID, SumRule
from recsys.models.subspace import public_directions

Matrix = NDArray[np.float64]
Labels = list[frozenset[str]]

label_sets = st.frozensets(st.sampled_from(["bread", "milk", "wine", "soap"]))


def cosine(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / math.sqrt(len(one) * len(other)) if one and other else 0.0


def kernel_of_labels(values: Labels) -> Matrix:
    """Item by item, labels that only one item has left out: they make no two items alike."""
    shared = {label for label in frozenset().union(*values) if sum(label in each for each in values) > 1}
    kept = [each & shared for each in values]
    return np.array([[cosine(one, other) for other in kept] for one in kept]).reshape(len(values), len(values))


def kernel_of_numbers(values: list[float]) -> Matrix:
    known = [value for value in values if math.isfinite(value)]
    spread = float(np.std(known))
    alike = [[math.exp(-abs(one - other) / spread) for other in values] for one in values]
    return np.nan_to_num(np.array(alike))


def kernel(attributes: ItemAttributes) -> Matrix:
    features = attributes.features()
    return np.asarray((features @ features.T).toarray())


@given(st.lists(label_sets, min_size=1, max_size=8))
def test_with_labels_alone_the_features_give_the_cosine_of_the_labels(values: Labels) -> None:
    np.testing.assert_allclose(kernel(ItemAttributes(labels={"kind": values})), kernel_of_labels(values), atol=1e-12)


@given(st.lists(st.tuples(label_sets, label_sets), min_size=1, max_size=8))
def test_kinds_of_labels_add_up(values: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    kinds, brands = (list(each) for each in zip(*values, strict=True))
    both = kernel(ItemAttributes(labels={"kind": kinds, "brand": brands}))
    np.testing.assert_allclose(both, kernel_of_labels(kinds) + kernel_of_labels(brands), atol=1e-12)


def test_a_number_gives_its_kernel_exactly_where_there_are_few_values() -> None:
    # each of them is a quantile, and so a centre
    years = [1950.0, 1960.0, 1980.0, 1981.0] * 12
    np.testing.assert_allclose(kernel(ItemAttributes(numbers={"year": years})), kernel_of_numbers(years), atol=1e-6)


def test_a_number_gives_its_kernel_exactly_at_the_centres_and_nearly_between_them(rng: np.random.Generator) -> None:
    years = rng.uniform(1900, 2000, 1 + 10 * (CENTRES - 1))
    found, expected = kernel(ItemAttributes(numbers={"year": years.tolist()})), kernel_of_numbers(years.tolist())
    centres = np.argsort(years)[::10]
    np.testing.assert_allclose(found[np.ix_(centres, centres)], expected[np.ix_(centres, centres)], atol=1e-6)
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_a_number_tells_more_about_items_with_a_label_in_common() -> None:
    kinds = [frozenset({"drama"}), frozenset({"drama"}), frozenset({"comedy"}), frozenset({"comedy", "drama"})]
    years = [1950.0, 1990.0, 1990.0, 1950.0]
    of_labels, of_numbers = kernel_of_labels(kinds), kernel_of_numbers(years)
    found = kernel(ItemAttributes(labels={"kind": kinds}, numbers={"year": years}))
    np.testing.assert_allclose(found, of_labels + of_numbers * (1 + of_labels), atol=1e-6)


def test_an_item_whose_number_is_unknown_is_like_no_other_by_it() -> None:
    years = [1950.0, math.nan, 1980.0, math.inf, 1980.0]
    found = kernel(ItemAttributes(numbers={"year": years}))
    assert not found[[1, 3]].any()
    np.testing.assert_allclose(
        found[np.ix_([0, 2, 4], [0, 2, 4])], kernel_of_numbers([1950.0, 1980.0, 1980.0]), atol=1e-6
    )


@pytest.mark.parametrize("values", [[math.nan] * 3, [7.0] * 3, [7.0, math.nan, 7.0], []])
def test_a_number_that_is_unknown_or_the_same_everywhere_says_nothing(values: list[float]) -> None:
    assert ItemAttributes(numbers={"year": values}).features().shape == (len(values), 0)


def test_of_a_large_vocabulary_the_most_frequent_labels_count() -> None:
    frequent = [frozenset({f"word {index}"}) for index in range(LARGEST_VOCABULARY) for _ in range(3)]
    rare = [frozenset({f"rare {index}"}) for index in range(9) for _ in range(2)]
    features = ItemAttributes(labels={"word": [*rare, *frequent]}).features()
    assert features.shape == (len(rare) + len(frequent), LARGEST_VOCABULARY)
    assert features[: len(rare)].nnz == 0
    assert features[len(rare) :].nnz == len(frequent)


def test_attributes_of_different_catalogues_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected attributes of one catalogue, got .*'kind': 2.*'year': 3"):
        ItemAttributes(labels={"kind": [["a"], ["b"]]}, numbers={"year": [1.0, 2.0, 3.0]})
    assert ItemAttributes(labels={"kind": [["a"], ["b"]]}, numbers={"year": [1.0, 2.0]}).n_items == 2
    assert ItemAttributes().n_items == 0


@pytest.fixture
def described(rng: np.random.Generator) -> ItemAttributes:
    """Sixty items with a kind and a year."""
    kinds = [[f"kind {index}" for index in rng.choice(12, 2)] for _ in range(60)]
    return ItemAttributes(labels={"kind": kinds}, numbers={"year": rng.uniform(1900, 2000, 60).tolist()})


@pytest.fixture
def rule(rng: np.random.Generator) -> SumRule:
    """Released counts of sixty items, some of them below zero."""
    return SumRule(released_counts=rng.exponential(40, 60) - 10, head_size=40, exponent=-0.15)


@pytest.mark.parametrize("n", [1, 10, 500])
def test_directions_are_orthonormal_and_have_nothing_of_popularity(
    n: int, described: ItemAttributes, rule: SumRule
) -> None:
    found = public_directions(described, rule, n)
    assert (found == np.round(found)).all()
    assert found.shape == (60, min(n, 59))
    public = found / GRID
    np.testing.assert_allclose(public.T @ public, np.eye(public.shape[1]), atol=1e-3)
    np.testing.assert_allclose(rule.unit_catalogue_direction @ public, 0, atol=1e-3)


def test_directions_are_the_leading_eigenvectors_of_the_scaled_kernel(
    described: ItemAttributes, rng: np.random.Generator
) -> None:
    scale, popularity = rng.uniform(0.1, 1, 60), rng.uniform(0.1, 1, 60)
    popularity /= np.linalg.norm(popularity)
    beside = np.eye(60) - np.outer(popularity, popularity)
    values, vectors = np.linalg.eigh(beside @ np.diag(scale) @ kernel(described) @ np.diag(scale) @ beside)
    found = directions(described.features(), scale, popularity, 5)
    leading = vectors[:, ::-1][:, :5]
    assert np.diff(values[-6:]).min() > 1e-3
    np.testing.assert_allclose(np.abs((found * leading).sum(axis=0)), 1, atol=1e-6)
    assert (found.sum(axis=0) >= 0).all()


def test_the_same_attributes_and_counts_give_the_same_bytes(described: ItemAttributes, rule: SumRule) -> None:
    digests = {hashlib.sha256(public_directions(described, rule).tobytes()).hexdigest() for _ in range(3)}
    assert len(digests) == 1


def test_labels_in_another_order_say_the_same(rule: SumRule, described: ItemAttributes) -> None:
    kinds = [list(reversed(list(each))) for each in described.labels["kind"]]
    other = ItemAttributes(labels={"kind": kinds}, numbers=described.numbers)
    assert public_directions(other, rule).tobytes() == public_directions(described, rule).tobytes()


USELESS = {
    "no label": ItemAttributes(labels={"kind": [[]] * 6}),
    "a label each": ItemAttributes(labels={"kind": [[str(index)] for index in range(6)]}),
    "no number": ItemAttributes(numbers={"year": [math.nan] * 6}),
    "one number": ItemAttributes(numbers={"year": [1.0] * 6}),
}


@pytest.mark.parametrize("attributes", USELESS.values(), ids=USELESS)
def test_attributes_that_say_nothing_give_no_direction(attributes: ItemAttributes) -> None:
    rule = SumRule(released_counts=np.arange(6.0), head_size=6)
    assert public_directions(attributes, rule).shape == (6, 0)


@pytest.mark.parametrize("count", [-4.0, 1.0, 9.0, 7.3e5])
def test_one_label_for_all_is_popularity_alone_where_all_sell_alike(count: float) -> None:
    for n_items in range(2, 60):
        rule = SumRule(released_counts=np.full(n_items, count), head_size=6)
        assert public_directions(ItemAttributes(labels={"kind": [["all"]] * n_items}), rule).shape == (n_items, 0)


def test_one_label_for_all_is_one_direction_where_items_sell_differently() -> None:
    attributes = ItemAttributes(labels={"kind": [["all"]] * 6})
    found = public_directions(attributes, SumRule(released_counts=np.arange(1.0, 7.0) ** 3, head_size=6))
    assert found.shape == (6, 1)
    assert np.linalg.norm(found) == pytest.approx(GRID, rel=1e-3)


def test_a_catalogue_of_one_item_has_no_direction() -> None:
    rule = SumRule(released_counts=np.array([7.0]), head_size=1)
    for attributes in (ItemAttributes(labels={"kind": [["a"]]}), ItemAttributes(numbers={"year": [1950.0]})):
        assert public_directions(attributes, rule).shape == (1, 0)
    alone = sp.csr_matrix(np.ones((1, 1)))
    assert directions(alone, np.ones(1), np.ones(1), 5).shape == (1, 0)
