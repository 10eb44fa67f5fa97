import math
from functools import reduce

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.errors import ArtifactError, InputError
from recsys.models import customer
from recsys.models.customer import (
    COUNTS_BOUND,
    GRID,
    SumRule,
    counts_terms,
    customer_terms,
    customer_vectors,
    pack_term,
    unpack_term,
)
from recsys.models.factorise import item_factors
from recsys.models.gram import GramSum, release_cross, release_gram, release_latent
from recsys.models.subspace import Released, subspace_factors
from recsys.privacy.noise import Entropy
from tests.recsys.models.shops import Basket, baskets, catalogue, orthonormal, purchases_of, shops, vectors_in_the_gram

Shop = tuple[list[Basket], SumRule, int]
Vector = NDArray[np.float64]


def sum_of(customers: list[Basket], rule: SumRule, n_items: int) -> GramSum:
    return GramSum.empty(catalogue(n_items), rule).add(purchases_of(customers, n_items))


def released_beside_directions(content: GramSum, noise_multiplier: float, entropy: Entropy) -> Released:
    """The three matrices of the sum, all with this noise."""
    return Released(
        latent=release_latent(content.latent, noise_multiplier, entropy),
        cross=release_cross(content.cross, noise_multiplier, entropy),
        gram=release_gram(content.gram, noise_multiplier, entropy),
        latent_scale=noise_multiplier,
        cross_scale=noise_multiplier,
        gram_scale=noise_multiplier,
    )


def model_digest(content: GramSum, noise_multiplier: float) -> str:
    """The digest of the model released from the sum, with the same noise every time."""
    if content.rule.n_directions and noise_multiplier:
        released = released_beside_directions(content, noise_multiplier, np.random.default_rng(1).bytes)
        return subspace_factors(released, content.rule, content.items, n_factors=64).digest
    gram = release_gram(content.gram, noise_multiplier, np.random.default_rng(1).bytes)
    return item_factors(gram, content.rule, content.items, noise_scale=noise_multiplier, n_factors=64).digest


@pytest.fixture
def beside(purchased: sp.csr_matrix) -> GramSum:
    """The sum over the shop's customers beside four directions."""
    rule = SumRule(
        released_counts=counts_terms(purchased) / GRID,
        head_size=25,
        directions=orthonormal(30, 4, np.random.default_rng(3)),
        released_customers=91.5,
    )
    return GramSum.empty(catalogue(30), rule).add(purchased)


@given(shop=shops(), data=st.data())
def test_subtracting_a_customer_gives_the_bytes_of_never_adding_them(shop: Shop, data: st.DataObject) -> None:
    customers, rule, n_items = shop
    erased = data.draw(baskets(n_items))
    never_added = sum_of(customers, rule, n_items)
    with_them = sum_of([erased, *customers], rule, n_items)
    # what is kept of a customer for the day they are erased is the packed term
    term = unpack_term(pack_term(np.array(sorted(erased), dtype=np.int32)), n_items)
    subtracted = with_them.subtract(term)
    assert subtracted.to_bytes() == never_added.to_bytes()
    assert subtracted.digest == never_added.digest
    for noise_multiplier in (0.0, 0.5):
        assert model_digest(subtracted, noise_multiplier) == model_digest(never_added, noise_multiplier)


def test_a_customer_who_bought_something_leaves_a_trace_in_the_sum(content: GramSum, purchased: sp.csr_matrix) -> None:
    without = content.subtract(purchased[:1])
    assert without.digest != content.digest
    assert model_digest(without, 0.0) != model_digest(content, 0.0)
    assert (content.n_added, without.n_added) == (90, 89)


@given(shop=shops(), data=st.data())
def test_customers_can_be_added_in_any_order_and_any_parts(shop: Shop, data: st.DataObject) -> None:
    customers, rule, n_items = shop
    order = data.draw(st.permutations(customers))
    cut = data.draw(st.integers(0, len(customers)))
    at_once = sum_of(customers, rule, n_items).to_bytes()
    one_by_one = reduce(
        lambda content, basket: content.add(purchases_of([basket], n_items)), order, sum_of([], rule, n_items)
    )
    assert one_by_one.to_bytes() == at_once
    first, second = sum_of(order[:cut], rule, n_items), sum_of(order[cut:], rule, n_items)
    assert first.merge(second).to_bytes() == second.merge(first).to_bytes() == at_once


@given(shop=shops())
def test_merging_is_associative_and_the_empty_sum_is_neutral(shop: Shop) -> None:
    customers, rule, n_items = shop
    one, two, three = (sum_of(customers[start::3], rule, n_items) for start in range(3))
    assert one.merge(two).merge(three).to_bytes() == one.merge(two.merge(three)).to_bytes()
    assert one.merge(sum_of([], rule, n_items)).to_bytes() == one.to_bytes()


def vector_by_definition(basket: Basket, rule: SumRule) -> list[float]:
    """x = (w_S / ||w_S|| - a p) / sqrt(1 - a²), item by item, in units of the grid."""
    head = rule.head.tolist()
    weights = [float(weight) if item in basket else 0.0 for item, weight in zip(head, rule.weights, strict=True)]
    length = math.hypot(*weights)
    if not length:
        return [0.0] * len(head)
    unit = [weight / length for weight in weights]
    if not rule.deflate:
        return [GRID * value for value in unit]
    norm = math.hypot(*rule.direction.tolist())
    popularity = [float(value) / norm for value in rule.direction]
    overlap = math.fsum(one * other for one, other in zip(unit, popularity, strict=True))
    residual = 1 - overlap**2
    if residual < 1e-6:
        return [0.0] * len(head)
    return [GRID * (u - overlap * p) / math.sqrt(residual) for u, p in zip(unit, popularity, strict=True)]


@given(shop=shops())
def test_a_vector_is_its_definition_rounded_toward_zero(shop: Shop) -> None:
    customers, rule, n_items = shop
    for basket in customers:
        (fast,) = customer_vectors(purchases_of([basket], n_items), rule)
        slow = np.array(vector_by_definition(basket, rule))
        # the factor 1 - 1e-9 moves a number by less than 1e-4, so a whole one at most to the integer below
        assert (np.abs(fast) <= np.abs(slow) + 1e-3).all()
        assert (np.abs(fast) > np.abs(slow) - 1 - 1e-3).all()


@given(shop=shops())
def test_the_sum_is_what_a_loop_over_customers_gives(shop: Shop) -> None:
    customers, rule, n_items = shop
    head = len(rule.head)
    counts, gram = [0] * n_items, [[0] * head for _ in range(head)]
    for basket in customers:
        share = math.floor(min(1.0, math.sqrt(COUNTS_BOUND / max(len(basket), 1))) * GRID)
        for item in basket:
            counts[item] += share
        purchased = purchases_of([basket], n_items)
        (row,) = vectors_in_the_gram(purchased, rule)
        vector = [int(value) for value in row]
        for one in range(head):
            for other in range(head):
                gram[one][other] += vector[one] * vector[other]
    fast = sum_of(customers, rule, n_items)
    assert fast.counts.tolist() == counts
    assert fast.gram.tolist() == gram


@given(shop=shops(beside_directions=True))
def test_beside_directions_the_sum_is_what_a_loop_over_customers_gives(shop: Shop) -> None:
    customers, rule, n_items = shop
    latent, cross = np.zeros((rule.n_directions,) * 2, dtype=object), np.zeros((n_items, rule.n_directions), object)
    for basket in customers:
        terms = customer_terms(purchases_of([basket], n_items), rule)
        z, u = ([int(value) for value in row] for row in (terms.latent[0], terms.units.toarray()[0]))
        latent += np.multiply.outer(np.array(z, dtype=object), np.array(z, dtype=object))
        cross += np.multiply.outer(np.array(u, dtype=object), np.array(z, dtype=object))
    fast = sum_of(customers, rule, n_items)
    assert fast.latent.tolist() == latent.tolist()
    assert fast.cross.tolist() == cross.tolist()


def parts_by_definition(basket: Basket, rule: SumRule) -> tuple[Vector, Vector, Vector]:
    """u, Q^T u and u - a p - Q Q^T u on the head, none of the last two brought to length."""
    own = np.array([weight if item in basket else 0.0 for item, weight in enumerate(rule.catalogue_weights)])
    unit = own / max(np.linalg.norm(own), 1.0)
    public = rule.directions / GRID
    popularity = rule.catalogue_direction / np.linalg.norm(rule.catalogue_direction)
    rest = unit - (unit @ popularity) * popularity - public @ (public.T @ unit)
    return unit, public.T @ unit, rest[rule.head]


@given(shop=shops(beside_directions=True))
def test_beside_directions_the_parts_are_their_definition_but_for_rounding(shop: Shop) -> None:
    customers, rule, n_items = shop
    for basket in customers:
        terms = customer_terms(purchases_of([basket], n_items), rule)
        unit, projected, rest = parts_by_definition(basket, rule)
        np.testing.assert_allclose(terms.units.toarray()[0], unit * GRID, atol=1 + 1e-3)
        for fast, slow in ((terms.latent[0], projected), (terms.residuals[0], rest)):
            length = float(np.linalg.norm(slow))
            # what is rounded to the grid before it is brought to length is off by as much more as it was shorter; a
            # direction is at most two long for every item, and the rounding of a projection comes back through it
            off = 2 + 4 * n_items
            if length * GRID > 100 * off:
                np.testing.assert_allclose(fast, slow / length * GRID, atol=1 + 2 * off / length)


def test_the_size_of_a_batch_does_not_show(
    content: GramSum, beside: GramSum, purchased: sp.csr_matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer, "BATCH", 7)
    for at_once in (content, beside):
        in_small_batches = GramSum.empty(at_once.items, at_once.rule).add(purchased)
        assert in_small_batches.to_bytes() == at_once.to_bytes()


@given(shop=shops())
def test_a_sum_reads_back_from_its_bytes(shop: Shop) -> None:
    content = sum_of(*shop)
    again = GramSum.from_bytes(content.to_bytes())
    assert again.to_bytes() == content.to_bytes()
    assert again.rule.digest == content.rule.digest
    assert (again.items, again.n_added) == (content.items, content.n_added)
    assert again.merge(content).n_added == 2 * content.n_added


def test_a_sum_beside_directions_reads_back_with_all_of_its_parts(beside: GramSum, purchased: sp.csr_matrix) -> None:
    again = GramSum.from_bytes(beside.to_bytes())
    for part in ("counts", "gram", "latent", "cross"):
        assert getattr(again, part).tolist() == getattr(beside, part).tolist()
        assert getattr(again, part).any()
    assert again.rule.directions.tolist() == beside.rule.directions.tolist()
    assert again.rule.released_customers == beside.rule.released_customers == 91.5
    assert again.subtract(purchased).to_bytes() == GramSum.empty(beside.items, beside.rule).to_bytes()


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_cut_sum_is_refused(cut: float) -> None:
    data = sum_of(
        [frozenset({0, 1}), frozenset({2})], SumRule(released_counts=np.arange(3.0), head_size=3), 3
    ).to_bytes()
    with pytest.raises(ArtifactError, match="expected the bytes of a sum"):
        GramSum.from_bytes(data[: int(cut * len(data))])


@settings(max_examples=200)
@given(data=st.data())
def test_a_changed_byte_is_refused_or_makes_another_sum(data: st.DataObject) -> None:
    content = sum_of([frozenset({0, 1}), frozenset({2})], SumRule(released_counts=np.arange(3.0), head_size=3), 3)
    changed = bytearray(content.to_bytes())
    position = data.draw(st.integers(0, len(changed) - 1))
    changed[position] ^= data.draw(st.sampled_from([1, 2, 16, 128]))
    try:
        other = GramSum.from_bytes(bytes(changed))
    except ArtifactError:
        return
    assert other.digest != content.digest


@pytest.mark.parametrize("garbage", [b"", b"not a sum", bytes(1000)])
def test_what_is_no_sum_is_refused(garbage: bytes) -> None:
    with pytest.raises(ArtifactError, match="train again"):
        GramSum.from_bytes(garbage)


def test_sums_of_different_rules_or_items_are_not_merged() -> None:
    counts = np.arange(1.0, 4.0)
    one = GramSum.empty(catalogue(3), SumRule(released_counts=counts, head_size=2))
    for other in (
        SumRule(released_counts=counts + 0.5, head_size=2),
        SumRule(released_counts=counts, head_size=3),
        SumRule(released_counts=counts, head_size=2, exponent=-0.2),
        SumRule(released_counts=counts, head_size=2, deflate=False),
        SumRule(released_counts=counts, head_size=2, released_customers=3.0),
        SumRule(released_counts=counts, head_size=2, directions=np.eye(3, 2) * GRID),
    ):
        assert other.digest != one.rule.digest
        with pytest.raises(InputError, match="expected two sums of one rule"):
            one.merge(GramSum.empty(catalogue(3), other))
    with pytest.raises(InputError, match="same items"):
        one.merge(GramSum.empty(("x", "y", "z"), one.rule))


def test_a_term_holds_the_items_and_nothing_else() -> None:
    term = pack_term(np.array([3, 7, 11], dtype=np.int32))
    assert len(term) == 12
    assert unpack_term(term, 20).indices.tolist() == [3, 7, 11]
    assert unpack_term(b"", 20).nnz == 0
