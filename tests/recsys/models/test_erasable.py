"""The model of an exact sum: one form from every solver, and nobody in it who was subtracted."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from threadpoolctl import threadpool_limits

from recsys.errors import InputError
from recsys.models.customer import GRID
from recsys.models.erasable import (
    LARGEST_CATALOGUE,
    POPULARITY_POWER,
    REGULARIZATION,
    Leading,
    erasable_factors,
    erasable_rule,
    in_one_form,
    leading,
)
from recsys.models.gram import GramSum
from recsys.models.ranking import model_scores
from recsys.models.spectral import autoencoder
from recsys.models.subspace_form import STEP
from tests.recsys.models.shops import baskets, catalogue, purchases_of


def shop(n_customers: int = 400, n_items: int = 90, seed: int = 0) -> sp.csr_matrix:
    """Customers who buy within a few tastes, with a long tail."""
    rng = np.random.default_rng(seed)
    taste = rng.gamma(0.3, size=(8, n_items)) ** 2
    chance = rng.dirichlet(np.full(8, 0.3), n_customers) @ (taste / taste.sum(axis=1, keepdims=True))
    return sp.csr_matrix((rng.random(chance.shape) < np.minimum(12 * chance, 0.9)).astype(np.float32))


def sum_of(purchased: sp.csr_matrix) -> GramSum:
    n_items = purchased.shape[1]
    return GramSum.empty(catalogue(n_items), erasable_rule(n_items)).add(purchased)


@pytest.mark.parametrize("n_erased", [1, 10, 200])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_customer_who_is_subtracted_was_never_there(n_erased: int, threads: int) -> None:
    purchased, rng = shop(), np.random.default_rng(n_erased)
    order = rng.permutation(purchased.shape[0])
    erased, others = order[:n_erased], order[n_erased:]
    with threadpool_limits(threads):
        unlearned = erasable_factors(sum_of(purchased).subtract(purchased[erased]), 32)
    with threadpool_limits(1):
        retrained = erasable_factors(sum_of(purchased[others]), 32)
    assert unlearned.factors.digest == retrained.factors.digest
    assert unlearned.factors.digest != erasable_factors(sum_of(purchased), 32).factors.digest


@pytest.mark.parametrize("n_factors", [1, 7, 32, 90, 200])
def test_another_basis_of_the_same_space_gives_the_same_bytes(n_factors: int) -> None:
    content = sum_of(shop())
    spectrum = leading(content.gram / GRID**2, n_factors)
    expected = in_one_form(content, spectrum).factors.digest
    signs = np.random.default_rng(1).choice([-1.0, 1.0], len(spectrum.values))
    turned = replace(spectrum, vectors=spectrum.vectors * signs)
    assert in_one_form(content, turned).factors.digest == expected
    assert in_one_form(content, by_another_solver(content, len(spectrum.values))).factors.digest == expected


def by_another_solver(content: GramSum, size: int) -> Leading:
    """The same space, of the Gram with its items turned around."""
    values, vectors = linalg.eigh((content.gram / GRID**2)[::-1, ::-1], driver="ev")
    falling, gap = values[::-1], values[-size] - (values[-size - 1] if size < len(values) else 0)
    return Leading(vectors[::-1, ::-1][:, :size], falling[:size], float(gap))


def test_equal_items_whose_vectors_any_solver_may_mix_do_no_harm() -> None:
    # Each block alike: its eigenvalues come in equal pairs, and only the space of a pair is defined.
    purchased = sp.block_diag([purchases_of([[0, 1], [0, 1, 2], [2]], 3)] * 2).tocsr()
    content = sum_of(purchased)
    spectrum = leading(content.gram / GRID**2, 4)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    mixed = spectrum.vectors.copy()
    mixed[:, :2] = mixed[:, :2] @ turn
    assert spectrum.values[0] == pytest.approx(spectrum.values[1])
    digest = in_one_form(content, spectrum).factors.digest
    assert in_one_form(content, replace(spectrum, vectors=mixed)).factors.digest == digest


def test_a_space_that_is_not_that_of_the_sum_is_refused() -> None:
    content = sum_of(shop())
    spectrum = leading(content.gram / GRID**2, 32)
    off = linalg.orth(spectrum.vectors + 1e-4 * np.random.default_rng(0).normal(size=spectrum.vectors.shape))
    with pytest.raises(InputError, match="known to 1e-06"):
        in_one_form(content, replace(spectrum, vectors=off))


def test_the_bound_is_above_the_true_angle() -> None:
    content = sum_of(shop())
    exact = leading(content.gram / GRID**2, 32)
    noise = 1e-13 * np.random.default_rng(0).normal(size=exact.vectors.shape)
    near = replace(exact, vectors=linalg.qr(exact.vectors + noise, mode="economic")[0])
    sine = np.linalg.norm(near.vectors - exact.vectors @ (exact.vectors.T @ near.vectors), 2)
    bound = in_one_form(content, near).certificate.bound
    assert sine < bound < 1e5 * sine


def test_at_full_rank_the_scores_are_those_of_the_autoencoder() -> None:
    purchased = shop()
    content = sum_of(purchased)
    gram = content.gram / GRID**2
    ridge = REGULARIZATION * np.trace(gram) / len(gram)
    weights = autoencoder(gram, ridge) * np.maximum(content.counts / GRID, 1) ** -POPULARITY_POWER
    unit = purchased.toarray() / np.sqrt(np.maximum(purchased.toarray().sum(axis=1, keepdims=True), 1))
    expected, seen = unit @ weights, purchased.toarray() > 0
    values, vectors = linalg.eigh(gram)
    model = in_one_form(content, Leading(vectors, values, gap=1.0)).factors
    scores = model_scores(model, purchased)
    known = content.counts > 0
    assert np.abs(scores - expected)[:, known][~seen[:, known]].max() < 20 * STEP


def test_what_nobody_bought_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    shift = np.float32(STEP / 16)  # on a shifted grid no entry is 0 by itself
    monkeypatch.setattr(
        "recsys.models.erasable.on_grid", lambda tables, _: (1, [table.astype(np.float32) + shift for table in tables])
    )
    purchased = sp.hstack([shop(n_items=20), sp.csr_matrix((400, 2), dtype=np.float32)]).tocsr()
    model = erasable_factors(sum_of(purchased), 8).factors
    assert not model.encoder[20:].any()
    assert not model.factors[20:].any()
    assert not model.item_weights[20:].any()
    assert model.item_weights[:20].all()


@given(st.lists(baskets(6), min_size=1, max_size=6), st.integers(1, 8))
def test_a_shop_of_any_size_has_a_model(customers: list[frozenset[int]], n_factors: int) -> None:
    content = sum_of(purchases_of(customers, 6))
    try:
        model = erasable_factors(content, n_factors).factors
    except InputError as refusal:
        assert "ask for fewer factors" in str(refusal)  # noqa: PT017 - both ends are right
        return
    assert model.n_factors <= n_factors
    again = sum_of(purchases_of(customers[::-1], 6))
    assert erasable_factors(again, n_factors).factors.digest == model.digest


def test_a_catalogue_that_is_too_large_is_refused() -> None:
    with pytest.raises(InputError, match="train without --erasable"):
        erasable_rule(LARGEST_CATALOGUE + 1)
