"""Item factors that depend on the exact sum alone, bit for bit: whoever is subtracted from it was never there.

1. Customer u is 1_S / sqrt(|S|) over the whole catalogue: no weight and no head that another customer could move.
2. The space of the leading eigenvectors of the sum, in a form that no solver, order or number of threads changes
   (see `subspace_form`).
3. The ridge autoencoder within it as two tables, as in `spectral`, with part of its zero diagonal, and with what sells
   most held back a little.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from recsys.errors import InputError
from recsys.models.customer import GRID, SumRule
from recsys.models.factors import ItemFactors
from recsys.models.gram import GramSum
from recsys.models.subspace_form import Certificate, certified, cut, entry_margin, gaps_behind, on_grid, rotation

Matrix = NDArray[np.float64]

REGULARIZATION = 8.0
"""Of the ridge, in units of the mean diagonal of the Gram. This and the next two were chosen on validation purchases of
MovieLens (docs/decisions/0022-exact-erasure.md)."""
DIAGONAL_POWER = 1.0
"""1 is the zero diagonal of EASE (Steck 2019), 0 is none."""
POPULARITY_POWER = 0.2
"""An item that c customers bought scores c^-POPULARITY_POWER of what it would."""
LARGEST_CATALOGUE = 8192
"""Items: the Gram of these are 512 MiB, and a factorisation takes about a minute and a half."""
FEW = 0.3
"""The part of all eigenvectors up to which a few are made faster than all."""


@dataclass(frozen=True, slots=True, eq=False)
class Erasable:
    """The model of a sum, and how far its space can be from the exact one."""

    factors: ItemFactors
    certificate: Certificate


@dataclass(frozen=True, slots=True, eq=False)
class Leading:
    """The leading eigenvectors that are kept, their values, falling, and the gap behind the last."""

    vectors: Matrix
    values: NDArray[np.float64]
    gap: float


def erasable_rule(n_items: int) -> SumRule:
    """The rule of the sum: the whole catalogue, every item alike. It depends on no customer.

    Raises:
        InputError: the catalogue is too large for a Gram of all of it.
    """
    if n_items > LARGEST_CATALOGUE:
        msg = (
            f"expected a catalogue of at most {LARGEST_CATALOGUE} items for a model that customers can be subtracted "
            f"from, got {n_items}; train without --erasable: an erasure withdraws the version"
        )
        raise InputError(msg)
    return SumRule(released_counts=np.ones(n_items), head_size=n_items, exponent=0.0, deflate=False)


def erasable_factors(content: GramSum, n_factors: int) -> Erasable:
    """The model of this sum with `n_factors` factors at most.

    Args:
        content: the sum, by `erasable_rule`
        n_factors: at most; up to an eighth fewer are kept, where the spectrum has its widest gap

    Raises:
        InputError: the spectrum has no gap there, or no grid fits: with other factors it has.

    Guarantees:
        - Equal sums give equal bytes, whatever the order of the customers and the number of threads.

    Tested by: tests/recsys/models/test_erasable.py::test_a_customer_who_is_subtracted_was_never_there
    """
    return in_one_form(content, leading(content.gram / GRID**2, n_factors))


def leading(gram: Matrix, n_factors: int) -> Leading:
    """The part of the spectrum that is kept, from no more of it than pays: a few vectors are found one by one."""
    if n_factors < FEW * len(gram):
        looked_at = [len(gram) - n_factors - 1, len(gram) - 1]
        values, vectors = linalg.eigh(gram, subset_by_index=looked_at, driver="evr", check_finite=False)
    else:
        values, vectors = linalg.eigh(gram, driver="evd", check_finite=False)
    falling = values[::-1]
    size = cut(falling, n_factors)
    gap = float(gaps_behind(falling, np.array([size]))[0]) if size else 1.0
    return Leading(vectors[:, ::-1][:, :size], falling[:size], gap)


def in_one_form(content: GramSum, spectrum: Leading) -> Erasable:
    """The model of a space that was found, whoever found it."""
    vectors, values = spectrum.vectors, spectrum.values
    residual, bound = certified(content.gram, GRID**2, vectors, values, spectrum.gap)
    ridge = max(REGULARIZATION * float(np.trace(content.gram)) / GRID**2 / len(content.items), np.finfo(float).tiny)
    gains = values / (values + ridge)
    turn = rotation(vectors, content.items)
    counts = content.counts / GRID
    held_back = (1 - (vectors**2) @ gains) ** -DIAGONAL_POWER * np.maximum(counts, 1.0) ** -POPULARITY_POWER
    margin = entry_margin(bound, vectors.shape)
    tables = [vectors @ (gains[:, None] * turn), (vectors @ turn) * held_back[:, None]]
    offset, (encoder, decoder) = on_grid(tables, margin)
    certificate = Certificate(residual=residual, gap=spectrum.gap, bound=bound, margin=margin, offset=offset)
    return Erasable(_model(content, encoder, decoder), certificate)


def _model(content: GramSum, encoder: NDArray[np.float32], decoder: NDArray[np.float32]) -> ItemFactors:
    """The two tables, and zero for what nobody bought."""
    bought = content.counts > 0
    return ItemFactors(
        item_ids=content.items,
        encoder=np.where(bought[:, None], encoder, np.float32(0)),
        factors=np.where(bought[:, None], decoder, np.float32(0)),
        item_weights=bought.astype(np.float32),
        popularity=(content.counts / GRID).astype(np.float32),
    )
