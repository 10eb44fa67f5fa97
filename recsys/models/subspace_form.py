"""One form of a leading eigenspace: the same numbers from every solver, up to what an a posteriori bound allows.

An eigenvector whose value lies close to the next is at the mercy of rounding, and so is any table with a column for
each. The space of the k leading ones depends on one gap alone, the one behind value k. So nothing here is per
eigenvector:

    k      the cut with the widest gap among the last eighth of those allowed
    basis  B = V Q, with V^T W = Q R, R with a positive diagonal and W fixed, public and of full rank: whatever
           rotation or sign V comes in, B is the same
    grid   entries rounded to a sixteenth-shifted grid; the shift is the first for which no entry is near a boundary

The bound is a theorem (Davis and Kahan 1970): the sine of the largest angle between the space and the exact one is at
most the norm of the residual G V - V (V^T G V) over the gap. The norm is bounded from a few random directions (Halko,
Martinsson and Tropp 2011, lemma 4.1: wrong once in 10^8). Two things are estimates: the gap, whose far side is a
computed value, and what the bound means for one entry.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from recsys.errors import InputError
from recsys.types import Json

Matrix = NDArray[np.float64]

NEGLIGIBLE = 1e-9
"""An eigenvalue below this part of the largest is rounding."""
WINDOW = 8
"""The cut is looked for among the last eighth of the factors allowed."""
TIE = 1e-6
"""Gaps that differ by less than this part are one: the later cut is taken."""
STEP = 2.0**-11
"""The grid: on MovieLens, recall was level from 2^-10 to no grid at all."""
OFFSETS = 16
"""Shifts of the grid, in sixteenths of a step: multiples of 2^-15, exact in float32."""
SAFETY = 50.0
"""How many estimated errors an entry must keep from a boundary. Two solvers differed by half of one at most."""
ROUNDING = 1e-14
"""What the estimate is at least: the products that follow round, too."""
PROBES = 27
"""Random directions for the residual: its norm is underestimated with a probability of 2^-27, below 10^-8."""
LOOSE = 2 * np.sqrt(2 / np.pi)
"""Times the longest image of a random direction bounds the norm: with the 2 goes that probability."""
LARGEST_BOUND = 1e-6
"""A space that is known less well is not published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """How far a published space can be from the exact one."""

    residual: float
    """A bound of the norm of G V - V (V^T G V)."""
    gap: float
    """Between the last value that is kept and the first that is not."""
    bound: float
    """Of the sine of the largest angle to the exact space."""
    margin: float
    """How far every entry was from a boundary of the grid at least."""
    offset: int
    """The shift of the grid, in sixteenths of a step."""

    def to_json(self) -> dict[str, Json]:
        """For a manifest."""
        return dict(asdict(self))


def cut(values: NDArray[np.float64], n_factors: int) -> int:
    """How many leading eigenvectors are kept, of values that fall: at most `n_factors`.

    Args:
        values: falling, at least one more than `n_factors` where there are as many
        n_factors: at most
    """
    most = min(n_factors, int((values > NEGLIGIBLE * max(values[0], np.finfo(float).tiny)).sum()))
    if not most:
        return 0
    sizes = np.arange(max(most - most // WINDOW, 1), most + 1)
    gaps = gaps_behind(values, sizes)
    return int(sizes[gaps >= gaps.max() * (1 - TIE)][-1])


def gaps_behind(values: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Between the last value that is kept and the next; behind all of them comes zero."""
    return np.asarray(values[sizes - 1] - np.append(values, 0.0)[sizes])


def certified(
    gram: NDArray[np.int64], scale: float, vectors: Matrix, values: Matrix, gap: float
) -> tuple[float, float]:
    """A bound of the residual's norm, and of the sine of the largest angle to the exact space.

    Args:
        gram: (n, n), integers
        scale: what the integers are divided by
        vectors: (n, k), orthonormal
        values: (k,), of the vectors
        gap: behind the last of them

    Raises:
        InputError: the gap is too narrow for what float64 can resolve.
    """
    probes = np.random.default_rng(0).standard_normal((len(values), PROBES))
    left = product(gram, vectors @ probes) / scale - vectors @ (values[:, None] * probes)
    residual = float(LOOSE * np.sqrt((left**2).sum(axis=0).max()))
    bound = residual / gap if gap > 0 else np.inf
    if not bound <= LARGEST_BOUND:
        msg = (
            f"expected a space of items that is known to {LARGEST_BOUND:g}, got {bound:.1g}: the spectrum has no gap "
            "there; ask for fewer factors: privrec train --factors N"
        )
        raise InputError(msg)
    return residual, bound


def product(gram: NDArray[np.int64], columns: Matrix, rows: int = 256) -> Matrix:
    """(n, m): integers times a few columns, made float64 a few rows at a time."""
    parts = [gram[start : start + rows].astype(np.float64) @ columns for start in range(0, len(gram), rows)]
    return np.concatenate(parts) if parts else columns


def rotation(vectors: Matrix, items: Sequence[str]) -> Matrix:
    """(k, k): the orthogonal Q that makes `vectors @ Q` the same for every basis of their space."""
    sketch = vectors.T @ public_columns(items, vectors.shape[1])
    orthogonal, triangle = linalg.qr(sketch, check_finite=False)
    return np.asarray(orthogonal * np.where(np.diag(triangle) < 0, -1.0, 1.0))


def public_columns(items: Sequence[str], count: int) -> Matrix:
    """(n_items, count): numbers of 16 bits that an item's name alone decides, as good as random."""
    drawn = b"".join(hashlib.shake_128(item.encode()).digest(2 * count) for item in items)
    return np.frombuffer(drawn, "<i2").reshape(len(items), count).astype(np.float64)


def entry_margin(bound: float, shape: tuple[int, int]) -> float:
    """How far an entry must be from a boundary: SAFETY times the angle that was seen, spread over the table."""
    return float(SAFETY * (bound / LOOSE / np.sqrt(max(shape[0] * shape[1], 1)) + ROUNDING))


def on_grid(tables: Sequence[Matrix], margin: float) -> tuple[int, list[NDArray[np.float32]]]:
    """The first offset for which no entry is within the margin of a boundary, and the tables on that grid.

    Raises:
        InputError: there is no such offset.
    """
    for offset in range(OFFSETS):
        found = [_rounded(table, offset, margin) for table in tables]
        if all(table is not None for table in found):
            return offset, [table for table in found if table is not None]
    msg = (
        f"expected a grid that no entry is within {margin:.1g} of a boundary of, got none of {OFFSETS}; "
        "ask for fewer factors: privrec train --factors N"
    )
    raise InputError(msg)


def _rounded(table: Matrix, offset: int, margin: float) -> NDArray[np.float32] | None:
    """The table on the grid of this offset; None where an entry is too near a boundary."""
    steps = table / STEP - offset / OFFSETS
    nearest = np.rint(steps)
    steps -= nearest
    if np.abs(steps).max(initial=0.0) > 0.5 - margin / STEP:
        return None
    return ((nearest + offset / OFFSETS) * STEP).astype(np.float32)
