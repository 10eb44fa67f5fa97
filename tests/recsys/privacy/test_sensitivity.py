"""One customer more or less: by how much the sums move, and that these checks would find it if they moved further."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.models import customer
from recsys.models.customer import (
    COUNTS_BOUND,
    GRID,
    CustomerTerms,
    SumRule,
    counts_terms,
    customer_terms,
    customer_vectors,
)
from recsys.models.gram import (
    COUNTS_SENSITIVITY,
    CROSS_SENSITIVITY,
    CUSTOMERS_SENSITIVITY,
    GRAM_SENSITIVITY,
    LATENT_SENSITIVITY,
    GramSum,
)
from tests.recsys.models.shops import (
    Basket,
    baskets,
    catalogue,
    orthonormal,
    purchases_of,
    rules,
    shops,
    vectors_in_the_gram,
)

COUNTS_LIMIT = int(COUNTS_BOUND) * int(GRID) ** 2
LENGTH_LIMIT = int(GRID) ** 2
"""Squared lengths, as integers: no rounding stands between a sum and its bound."""
MATRICES = ("latent", "cross", "gram")
"""What a sum beside directions releases with noise."""

Vectors = Callable[[sp.csr_matrix, SumRule], NDArray[np.float64]]


def squared_norm(difference: NDArray[np.int64]) -> int:
    return sum(int(value) ** 2 for value in difference.ravel())


def squared_lengths(purchased: sp.csr_matrix, rule: SumRule, vectors: Vectors = customer_vectors) -> NDArray[np.int64]:
    rows = vectors(purchased, rule)
    assert (rows == np.trunc(rows)).all()
    return (rows.astype(np.int64) ** 2).sum(axis=1)


def one_customer_with(n_bought: int) -> sp.csr_matrix:
    return sp.csr_matrix(np.ones((1, n_bought), dtype=np.float32))


def test_what_is_booked_is_what_is_bounded() -> None:
    assert pytest.approx(COUNTS_LIMIT / GRID**2, rel=1e-15) == COUNTS_SENSITIVITY**2
    assert LENGTH_LIMIT / GRID**2 == GRAM_SENSITIVITY
    # one customer more is one customer more
    assert CUSTOMERS_SENSITIVITY == 1


@given(shop=shops(), n_bought=st.integers(0, 500))
def test_one_customer_moves_the_counts_by_at_most_the_stated_bound(
    shop: tuple[list[Basket], SumRule, int], n_bought: int
) -> None:
    customers, _, _ = shop
    without = counts_terms(purchases_of(customers, 500))
    moved = counts_terms(purchases_of([*customers, range(500 - n_bought, 500)], 500)) - without
    assert np.count_nonzero(moved) == n_bought
    assert squared_norm(moved) <= COUNTS_LIMIT


@pytest.mark.parametrize("n_bought", [50, 51, 52, 199, 200, 201, 450, 800, 5_000, 50_000])
def test_long_histories_attain_the_bound_of_the_counts_and_stay_below(n_bought: int) -> None:
    moved = squared_norm(counts_terms(one_customer_with(n_bought)))
    assert 0.95 * COUNTS_LIMIT < moved <= COUNTS_LIMIT


@pytest.mark.parametrize("n_bought", [1, 2, 49])
def test_short_histories_count_in_full(n_bought: int) -> None:
    assert counts_terms(one_customer_with(n_bought)).tolist() == [GRID] * n_bought


def test_an_item_that_is_stored_twice_is_bought_once(rng: np.random.Generator) -> None:
    items = rng.integers(0, 5, 60)
    twice = sp.csr_matrix((np.ones(60, np.float32), items, [0, 60]), shape=(1, 6))
    assert counts_terms(twice).tolist() == [GRID] * 5 + [0.0]
    assert len(twice.indices) == 60


@given(shop=shops(), data=st.data())
def test_one_customer_moves_the_gram_by_at_most_the_stated_bound(
    shop: tuple[list[Basket], SumRule, int], data: st.DataObject
) -> None:
    customers, rule, n_items = shop
    newcomer = data.draw(baskets(n_items))
    without = GramSum.empty(catalogue(n_items), rule).add(purchases_of(customers, n_items))
    neighbour = without.add(purchases_of([newcomer], n_items))
    assert squared_norm(neighbour.gram - without.gram) <= LENGTH_LIMIT**2


@given(shop=shops(), data=st.data())
def test_one_customer_moves_the_number_of_customers_by_one(
    shop: tuple[list[Basket], SumRule, int], data: st.DataObject
) -> None:
    customers, rule, n_items = shop
    newcomer = purchases_of([data.draw(baskets(n_items))], n_items)
    without = GramSum.empty(catalogue(n_items), rule).add(purchases_of(customers, n_items))
    assert without.add(newcomer).n_added - without.n_added == CUSTOMERS_SENSITIVITY
    assert without.subtract(newcomer).n_added - without.n_added == -CUSTOMERS_SENSITIVITY


@given(shop=shops(max_items=30))
def test_a_customers_vector_is_no_longer_than_one(shop: tuple[list[Basket], SumRule, int]) -> None:
    customers, rule, n_items = shop
    assert (squared_lengths(purchases_of(customers, n_items), rule) <= LENGTH_LIMIT).all()


@given(shop=shops(max_items=30))
def test_a_vector_that_is_not_zero_uses_its_whole_length(shop: tuple[list[Basket], SumRule, int]) -> None:
    customers, rule, n_items = shop
    lengths = squared_lengths(purchases_of(customers, n_items), rule)
    assert (lengths[lengths > 0] > 0.99 * LENGTH_LIMIT).all()


def test_in_a_large_shop_every_vector_attains_and_keeps_the_bound(rng: np.random.Generator) -> None:
    popularity = 1 / np.arange(1, 2001)
    purchased = sp.csr_matrix((rng.random((300, 2000)) < popularity + 0.01).astype(np.float32))
    rule = SumRule(released_counts=counts_terms(purchased) / GRID, head_size=1500)
    lengths = squared_lengths(purchased, rule)
    assert lengths.min() > 0.95 * LENGTH_LIMIT
    assert lengths.max() <= LENGTH_LIMIT
    assert squared_norm(GramSum.empty(catalogue(2000), rule).add(purchased[:1]).gram) > 0.95 * LENGTH_LIMIT**2


def test_next_to_popularity_the_length_is_still_bounded() -> None:
    # everything but one rare item: what is left after deflation is small, and is blown up the most
    for n_items in range(2, 200, 7):
        for rare in (1.0, 10.0, 500.0):
            released = np.array([rare, *np.full(n_items - 1, 1000.0)])
            rule = SumRule(released_counts=released, head_size=n_items)
            lengths = squared_lengths(purchases_of([range(1, n_items), range(n_items - 1)], n_items), rule)
            assert (lengths <= LENGTH_LIMIT).all()


@given(shop=shops(max_items=30), data=st.data())
def test_nearly_every_customer_attains_the_bound_of_the_gram(
    shop: tuple[list[Basket], SumRule, int], data: st.DataObject
) -> None:
    customers, rule, n_items = shop
    newcomer = purchases_of([data.draw(baskets(n_items))], n_items)
    without = GramSum.empty(catalogue(n_items), rule).add(purchases_of(customers, n_items))
    moved = squared_norm(without.add(newcomer).gram - without.gram)
    assert moved == 0 or 0.95**2 * LENGTH_LIMIT**2 < moved <= LENGTH_LIMIT**2
    assert (moved == 0) == (not vectors_in_the_gram(newcomer, rule).any())


@given(shop=shops(), data=st.data())
def test_a_vector_is_the_same_bits_alone_in_a_batch_and_in_any_order(
    shop: tuple[list[Basket], SumRule, int], data: st.DataObject
) -> None:
    customers, rule, n_items = shop
    order = data.draw(st.permutations(range(len(customers))))
    purchased = purchases_of(customers, n_items)
    together = customer_vectors(purchased, rule)
    assert customer_vectors(purchased[order], rule).tobytes() == together[order].tobytes()
    for row in range(len(customers)):
        assert customer_vectors(purchased[row : row + 1], rule).tobytes() == together[row].tobytes()


@given(rule=rules(12), basket=baskets(12), often=st.integers(1, 1000))
def test_how_often_something_was_bought_does_not_matter(rule: SumRule, basket: Basket, often: int) -> None:
    once = purchases_of([basket], 12)
    assert customer_vectors(once * often, rule).tobytes() == customer_vectors(once, rule).tobytes()
    assert counts_terms(once * often).tobytes() == counts_terms(once).tobytes()


@given(rule=rules(12))
def test_who_bought_nothing_of_the_head_adds_nothing_to_the_gram(rule: SumRule) -> None:
    tail = frozenset(range(12)) - frozenset(rule.head.tolist())
    assert not customer_vectors(purchases_of([tail, []], 12), rule).any()


@pytest.mark.parametrize("count", [-5.0, 0.0, 1.0, 1e9])
def test_on_a_head_of_one_item_nobody_differs_from_popularity(count: float) -> None:
    rule = SumRule(released_counts=np.array([count, -1e6]), head_size=1)
    assert not customer_vectors(purchases_of([[0], [1], [0, 1]], 2), rule).any()
    flat = SumRule(released_counts=np.array([count, -1e6]), head_size=1, deflate=False)
    assert customer_vectors(purchases_of([[0], [1], [0, 1]], 2), flat).tolist() == [[GRID - 1], [0], [GRID - 1]]


def test_counts_of_any_size_leave_weights_that_sum_exactly() -> None:
    rule = SumRule(released_counts=np.array([1e9, 1e5, 3.0, 0.0, -7.0]), head_size=5)
    assert rule.weights.tolist() == np.round(rule.weights).tolist()
    assert rule.direction.tolist() == np.round(rule.direction).tolist()
    assert 1 <= rule.weights.min() < rule.weights.max() == 2**12
    assert rule.direction.max() == 2**16


# Beside directions: z in the latent Gram, u in the cross product with it, x in the Gram of what is left.


def moved_by(newcomer: sp.csr_matrix, customers: sp.csr_matrix, rule: SumRule) -> dict[str, int]:
    """The squared norms by which one customer more moves the three matrices of the others."""
    without = GramSum.empty(catalogue(customers.shape[1]), rule).add(customers)
    neighbour = without.add(newcomer)
    return {part: squared_norm(getattr(neighbour, part) - getattr(without, part)) for part in MATRICES}


def squared_lengths_of_parts(
    purchased: sp.csr_matrix, rule: SumRule, terms: Callable[[sp.csr_matrix, SumRule], CustomerTerms] = customer_terms
) -> dict[str, NDArray[np.int64]]:
    """The squared lengths of every customer's three parts."""
    parts = terms(purchased, rule)
    return {
        "units": squared_lengths(purchased, rule, lambda *_: parts.units.toarray()),
        "latent": squared_lengths(purchased, rule, lambda *_: parts.latent),
        "residuals": squared_lengths(purchased, rule, lambda *_: parts.residuals),
    }


def bits_of(terms: CustomerTerms, row: int | None = None) -> list[bytes]:
    rows = slice(None) if row is None else slice(row, row + 1)
    return [part[rows].tobytes() for part in (terms.units.toarray(), terms.latent, terms.residuals)]


@pytest.mark.parametrize("sensitivity", [LATENT_SENSITIVITY, CROSS_SENSITIVITY])
def test_what_is_booked_beside_directions_is_what_is_bounded(sensitivity: float) -> None:
    assert sensitivity == LENGTH_LIMIT / GRID**2


@given(shop=shops(beside_directions=True, max_items=30))
def test_a_customers_parts_beside_directions_are_no_longer_than_one(
    shop: tuple[list[Basket], SumRule, int],
) -> None:
    customers, rule, n_items = shop
    for lengths in squared_lengths_of_parts(purchases_of(customers, n_items), rule).values():
        assert (lengths <= LENGTH_LIMIT).all()
        # all of the length is used, or there is nothing
        assert (lengths[lengths > 0] > 0.99 * LENGTH_LIMIT).all()


@given(shop=shops(beside_directions=True), data=st.data())
def test_one_customer_moves_the_matrices_beside_directions_by_at_most_the_stated_bounds(
    shop: tuple[list[Basket], SumRule, int], data: st.DataObject
) -> None:
    customers, rule, n_items = shop
    newcomer = data.draw(baskets(n_items))
    for moved in moved_by(purchases_of([newcomer], n_items), purchases_of(customers, n_items), rule).values():
        assert moved == 0 or 0.95**2 * LENGTH_LIMIT**2 < moved <= LENGTH_LIMIT**2


def test_in_a_large_shop_nearly_every_customer_attains_the_three_bounds(rng: np.random.Generator) -> None:
    purchased = sp.csr_matrix((rng.random((60, 500)) < 1 / np.arange(1, 501) + 0.02).astype(np.float32))
    counts = counts_terms(purchased) / GRID
    rule = SumRule(released_counts=counts, head_size=300, directions=orthonormal(500, 12, rng))
    for row in range(10):
        for moved in moved_by(purchased[row : row + 1], purchased[10:], rule).values():
            assert 0.95 * LENGTH_LIMIT**2 < moved <= LENGTH_LIMIT**2


@given(shop=shops(beside_directions=True), data=st.data())
def test_parts_beside_directions_are_the_same_bits_alone_in_a_batch_and_in_any_order(
    shop: tuple[list[Basket], SumRule, int], data: st.DataObject
) -> None:
    customers, rule, n_items = shop
    order = data.draw(st.permutations(range(len(customers))))
    purchased = purchases_of(customers, n_items)
    together, shuffled = customer_terms(purchased, rule), customer_terms(purchased[order], rule)
    for place, row in enumerate(order):
        alone = bits_of(customer_terms(purchased[row : row + 1], rule))
        assert bits_of(shuffled, place) == bits_of(together, row) == alone


def test_in_a_large_batch_parts_have_the_bits_that_they_have_alone(rng: np.random.Generator) -> None:
    purchased = sp.csr_matrix((rng.random((300, 400)) < 1 / np.arange(1, 401) + 0.02).astype(np.float32))
    rule = SumRule(released_counts=rng.normal(20, 30, 400), head_size=150, directions=orthonormal(400, 50, rng))
    together = customer_terms(purchased, rule)
    for row in range(0, 300, 7):
        assert bits_of(customer_terms(purchased[row : row + 1], rule)) == bits_of(together, row)


@given(rule=rules(12, beside_directions=True), basket=baskets(12), often=st.integers(1, 1000))
def test_beside_directions_how_often_something_was_bought_does_not_matter(
    rule: SumRule, basket: Basket, often: int
) -> None:
    once = purchases_of([basket], 12)
    assert bits_of(customer_terms(once * often, rule)) == bits_of(customer_terms(once, rule))


@given(rule=rules(6, beside_directions=True), items=st.lists(st.integers(0, 5), max_size=20))
def test_beside_directions_an_item_that_is_stored_twice_or_out_of_order_is_bought_once(
    rule: SumRule, items: list[int]
) -> None:
    stored = sp.csr_matrix((np.arange(1.0, len(items) + 1), np.array(items, np.int32), [0, len(items)]), shape=(1, 6))
    data, indices, indptr = (part.copy() for part in (stored.data, stored.indices, stored.indptr))
    assert bits_of(customer_terms(stored, rule)) == bits_of(customer_terms(purchases_of([set(items)], 6), rule))
    # and what was handed in is as it was
    assert [part.tolist() for part in (stored.data, stored.indices, stored.indptr)] == [
        part.tolist() for part in (data, indices, indptr)
    ]


@given(rule=rules(12, beside_directions=True))
def test_who_bought_nothing_adds_nothing_beside_directions(rule: SumRule) -> None:
    nobody = GramSum.empty(catalogue(12), rule)
    added = nobody.add(purchases_of([[]], 12))
    assert not any(getattr(added, part).any() for part in (*MATRICES, "counts"))
    assert added.n_added == 1


@pytest.mark.parametrize("counts", [[1e9, 1e5, 3.0, 0.0, -7.0], [-1e9] * 5, [0.0] * 5, [1e12, -1e12, 1.0, 1.0, 1.0]])
def test_counts_of_any_size_leave_weights_beside_directions_that_sum_exactly(counts: list[float]) -> None:
    rule = SumRule(released_counts=np.array(counts), head_size=5)
    for numbers, largest in ((rule.catalogue_weights, 2**12), (rule.catalogue_direction, 2**16)):
        assert numbers.tolist() == np.round(numbers).tolist()
        assert 1 <= numbers.min() <= numbers.max() == largest


def test_a_latent_part_that_is_not_brought_to_length_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # a direction for every item: the vector lies within them, and its rounding alone makes it too long
    flat = SumRule(released_counts=np.ones(8), head_size=8, directions=np.eye(8) * GRID)
    twice = SumRule(released_counts=np.ones(8), head_size=8, directions=np.full((8, 2), GRID))
    purchased = purchases_of([range(3)], 8)
    assert all(squared_lengths_of_parts(purchased, rule)["latent"][0] <= LENGTH_LIMIT for rule in (flat, twice))
    monkeypatch.setattr(customer, "_of_unit_length", lambda rows: rows)
    assert all(squared_lengths_of_parts(purchased, rule)["latent"][0] > LENGTH_LIMIT for rule in (flat, twice))


@pytest.mark.parametrize("part", ["units", "latent", "residuals"])
def test_rounding_away_from_zero_beside_directions_is_found(
    part: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = SumRule(released_counts=np.arange(1.0, 21.0), head_size=20, directions=orthonormal(20, 4, rng))
    purchased = purchases_of([range(10)], 20)
    assert squared_lengths_of_parts(purchased, rule)[part][0] <= LENGTH_LIMIT
    monkeypatch.setattr(np, "trunc", rounded_away_from_zero)
    assert squared_lengths_of_parts(purchased, rule)[part][0] > LENGTH_LIMIT


def by_quantity(purchased: sp.csr_matrix, rule: SumRule) -> CustomerTerms:
    """A broken twin: u from how many were bought, not from what was bought."""
    terms = customer_terms(purchased, rule)
    return replace(terms, units=sp.csr_matrix(terms.units.multiply(purchased)))


def test_a_cross_product_with_quantities_is_found(rng: np.random.Generator) -> None:
    rule = SumRule(released_counts=np.arange(1.0, 21.0), head_size=20, directions=orthonormal(20, 4, rng))
    purchased = purchases_of([range(10)], 20) * 2
    assert squared_lengths_of_parts(purchased, rule)["units"][0] <= LENGTH_LIMIT
    assert squared_lengths_of_parts(purchased, rule, by_quantity)["units"][0] > LENGTH_LIMIT


def test_weights_from_the_exact_counts_of_others_would_be_found(rng: np.random.Generator) -> None:
    # one customer more would change the rule, and with it the terms of everybody else
    others = sp.csr_matrix((rng.random((40, 20)) < 0.3).astype(np.float32))
    newcomer = purchases_of([range(10)], 20)
    public = orthonormal(20, 4, rng)

    def total(purchased: sp.csr_matrix, counted: sp.csr_matrix) -> GramSum:
        counts = counts_terms(counted) / GRID
        rule = SumRule(released_counts=counts, head_size=20, exponent=-3.0, directions=public)
        return GramSum.empty(catalogue(20), rule).add(purchased)

    everybody = sp.vstack([others, newcomer], format="csr")
    for part in MATRICES:
        released = getattr(total(everybody, others), part) - getattr(total(others, others), part)
        exact = getattr(total(everybody, everybody), part) - getattr(total(others, others), part)
        assert squared_norm(released) <= LENGTH_LIMIT**2
        assert squared_norm(exact) > LENGTH_LIMIT**2


def not_brought_to_length(purchased: sp.csr_matrix, rule: SumRule) -> NDArray[np.float64]:
    """A broken twin: weights on the grid, as they are."""
    return np.trunc(purchased[:, rule.head].toarray() * rule.weights * GRID / rule.weights.max())


def rounded_away_from_zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.copysign(np.ceil(np.abs(values)), values)


def test_a_vector_that_is_not_brought_to_length_is_found() -> None:
    rule = SumRule(released_counts=np.arange(1.0, 21.0), head_size=20)
    purchased = purchases_of([range(10)], 20)
    assert squared_lengths(purchased, rule)[0] <= LENGTH_LIMIT
    assert squared_lengths(purchased, rule, not_brought_to_length)[0] > LENGTH_LIMIT


@pytest.mark.parametrize("deflate", [True, False])
def test_rounding_away_from_zero_is_found(monkeypatch: pytest.MonkeyPatch, *, deflate: bool) -> None:
    rule = SumRule(released_counts=np.arange(1.0, 21.0), head_size=20, deflate=deflate)
    purchased = purchases_of([range(10)], 20)
    assert squared_lengths(purchased, rule)[0] <= LENGTH_LIMIT
    with monkeypatch.context() as broken:
        broken.setattr(np, "trunc", rounded_away_from_zero)
        assert squared_lengths(purchased, rule)[0] > LENGTH_LIMIT


def test_counts_that_are_rounded_up_or_not_scaled_down_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    purchased = one_customer_with(51)
    assert squared_norm(counts_terms(purchased)) <= COUNTS_LIMIT
    assert squared_norm(np.full(51, int(GRID))) > COUNTS_LIMIT
    with monkeypatch.context() as broken:
        broken.setattr(np, "floor", np.ceil)
        assert squared_norm(counts_terms(purchased)) > COUNTS_LIMIT
