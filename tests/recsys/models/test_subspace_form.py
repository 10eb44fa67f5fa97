"""The form of a space: where it is cut, and a grid that no entry is near a boundary of."""

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.models.subspace_form import OFFSETS, STEP, WINDOW, cut, on_grid

MARGIN = STEP / 1000


def test_the_cut_is_at_the_widest_gap_of_the_last_eighth() -> None:
    values = np.arange(40.0, 0, -1)
    values[: WINDOW * 4 - 2] += 5  # the widest gap is behind value 30, and 28 to 32 may be kept
    assert cut(values, WINDOW * 4) == 30
    values[:20] += 50  # wider, but too far ahead
    assert cut(values, WINDOW * 4) == 30


def test_of_gaps_that_rounding_cannot_tell_apart_the_last_is_taken() -> None:
    values = np.arange(40.0, 0, -1)
    values[:30] += 1e-9
    assert cut(values, WINDOW * 4) == WINDOW * 4


def test_what_is_rounding_is_not_kept() -> None:
    assert cut(np.array([1.0, 0.5, 1e-12, 0.0]), 4) == 2
    assert cut(np.zeros(4), 4) == 0


def test_an_entry_near_a_boundary_shifts_the_grid_until_none_is() -> None:
    far, near = np.array([[0.0]]), np.array([[0.5 * STEP]])
    offset, [table] = on_grid([far], MARGIN)
    assert (offset, table.tolist()) == (0, [[0.0]])

    offset, tables = on_grid([far, near], MARGIN)
    assert offset == 1
    for exact, rounded in zip([far, near], tables, strict=True):
        assert rounded.dtype == np.float32
        assert abs(float(rounded[0, 0]) - exact[0, 0]) < 0.5 * STEP - MARGIN


def test_two_solvers_on_either_side_of_a_boundary_give_the_same_table() -> None:
    below, above = (np.array([[0.5 * STEP + off, 0.25]]) for off in (-MARGIN / 50, MARGIN / 50))
    (_, [one]), (_, [other]) = (on_grid([table], MARGIN) for table in (below, above))
    assert one.tobytes() == other.tobytes()
    assert np.rint(below / STEP)[0, 0] != np.rint(above / STEP)[0, 0]


def test_without_a_grid_that_fits_it_is_refused() -> None:
    everywhere = np.arange(OFFSETS)[None] * STEP / OFFSETS
    with pytest.raises(InputError, match="ask for fewer factors"):
        on_grid([everywhere], MARGIN)
