"""The grown shop: what its docstring says of it."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks.datasets import ease
from benchmarks.synthetic_worker import ITEMS, grown, read, train, variants
from recsys.models.spectral import autoencoder

FILMS = 50


@pytest.fixture
def parents(rng: np.random.Generator) -> sp.csr_matrix:
    return sp.csr_matrix((rng.random((30, FILMS)) < np.linspace(0.6, 0.05, FILMS)).astype(np.float32))


def test_every_film_has_a_variant_and_popular_films_have_more(parents: sp.csr_matrix) -> None:
    likes = np.asarray(parents.sum(axis=0)).ravel()
    each = np.diff(variants(likes))
    assert each.sum() == ITEMS
    assert each.min() >= 1
    assert each[likes.argmax()] > each[likes.argmin()]


def test_a_grown_customer_buys_variants_of_what_the_parents_like(
    parents: sp.csr_matrix, rng: np.random.Generator
) -> None:
    offsets = variants(np.ones(FILMS, np.float32))
    shop = grown(parents[:1], offsets, 40, 1.5, rng)
    films = np.unique(np.searchsorted(offsets, shop.indices, side="right") - 1)
    assert set(films.tolist()) == set(parents[0].indices.tolist())


def test_there_are_as_many_purchases_as_asked_for(parents: sp.csr_matrix, rng: np.random.Generator) -> None:
    offsets = variants(np.asarray(parents.sum(axis=0)).ravel())
    shop = grown(parents, offsets, 3000, 1.5, rng)
    assert shop.shape == (3000, ITEMS)
    assert shop.sum() == pytest.approx(1.5 * parents.nnz * 100, rel=0.03)


def test_a_shop_in_a_file_is_trained_on(tmp_path: Path, parents: sp.csr_matrix, rng: np.random.Generator) -> None:
    offsets = variants(np.asarray(parents.sum(axis=0)).ravel())
    shop = grown(parents, offsets, 200, 1.5, rng)
    later = sp.csr_matrix((np.ones(3, np.float32), ([0, 1, 2], offsets[[3, 4, 5]])), shape=(3, ITEMS))
    arrays = {
        f"{name}.{key}": getattr(part, key)
        for name, part in {"train": shop, "known": shop[:3], "later": later}.items()
        for key in ("indices", "indptr")
    }
    np.savez(tmp_path / "shop.npz", **arrays)
    assert read(tmp_path / "shop.npz").train.nnz == shop.nnz
    figures = train(tmp_path / "shop.npz", 1.0)
    assert figures["head"] == 100
    assert 0 < figures["peak_gb"] < 10


def test_ease_ranks_by_its_weights_whatever_the_counts(parents: sp.csr_matrix) -> None:
    dense = parents.toarray().astype(np.float64)
    scores = ease(parents * 3, parents * 2, 5.0)(np.array([4, 2]))
    np.testing.assert_allclose(scores, dense[[4, 2]] @ autoencoder(dense.T @ dense, 5.0))
