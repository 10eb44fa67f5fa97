"""Implicit ALS at its optimum: item tables that are a function of the purchases alone, and an erasure proven.

1. The one solution of a convex problem (`certified_problem`), from any start (`certified_solver`), with a bound of the
   distance to it (`certified_bound`) and of what is missing (`certified_outside`).
2. In one form: of the scaled scores U S B^T only B and S are used, in a way that no sign, order or turn of columns with
   equal values changes, on a grid (`subspace_form`).
3. Two tables: the head, with large values held back, in which a customer is folded in by ridge, and the items as they
   were found, which serve nobody and are what the next erasure starts from. Nothing else is kept of a training.

Closest is Unlearn-ALS (Xu et al. 2023, "Netflix and Forget", arXiv 2302.06676): sweeps from a warm start, towards no
certificate. Guo et al. (2020) hide under noise what a first step leaves; here nothing is left.
"""

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp

from recsys.errors import InputError
from recsys.models.certified_bound import Balanced, angle
from recsys.models.certified_problem import USUAL, Matrix, Problem, Weights
from recsys.models.certified_solver import FIRST_SWEEPS, Optimum, optimum, random_start
from recsys.models.factors import ItemFactors
from recsys.models.subspace_form import cut, gaps_behind, on_grid, rotation
from recsys.types import Json

POWER = 0.25
"""Columns of the head are held back by this power of their value. This and the next three were chosen on validation
purchases of MovieLens (docs/decisions/0027-certified-als.md)."""
RIDGE = 1.0
"""Of the fold-in, in mean values of the head's columns."""
UNOBSERVED = 0.3
"""What an entry that was not bought weighs in the fold-in."""
HEAD_SIZE = 0.25
"""The root of the mean square of the head."""
ITEMS_SIZE = 4.0
"""Times the items, in the table that the next erasure starts from."""
FAINT = 2e-4
"""A last column of less than this part of the first is hardly known: then the table ends where the values fall most. No
more is left out than has to be, because the next search has to find it again."""
MARGIN = 2e-10
"""How far an entry must be from a boundary of the grid."""
SAFETY = 10.0
"""As many estimated errors of an entry."""
BETTER = 4.0
"""Times as well as is needed is worked towards."""
LARGEST_TABLES = 2**29
"""Numbers in the inverses of all customers and items: 2 GiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoresCertificate:
    """How far published scores can be from the only ones that the purchases allow."""

    bound: float
    """Of |M - M*|_F: a theorem, up to rounding, if `outside_bound` is at most 1."""
    size: float
    """|M|_F."""
    columns: int
    """Of the solution, without faint ones at its end."""
    outside: float
    """The norm of what is outside the solution's spaces, as it was seen."""
    outside_bound: float
    """The norm is at most this, up to a chance of 10^-9."""
    angle: float
    """A bound of the sine of the largest angle between the items' space and the exact one."""
    margin: float
    """How far every entry was from a boundary of the grid at least."""
    offset: int
    """The shift of the grid, in sixteenths of a step."""

    def to_json(self) -> dict[str, Json]:
        """For a manifest."""
        return dict(asdict(self))


@dataclass(frozen=True, slots=True, eq=False)
class CertifiedALS:
    """The model, and how far it can be from the only one that the purchases allow."""

    factors: ItemFactors
    certificate: ScoresCertificate


def certified_als(
    purchased: sp.csr_matrix,
    items: tuple[str, ...],
    *,
    weights: Weights = USUAL,
    n_factors: int,
    seed: int = 0,
    before: ItemFactors | None = None,
) -> CertifiedALS:
    """The model of these purchases. Not private: not to be released as such.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        items: (n_items,) the catalogue
        weights: of the problem
        n_factors: columns that the solution may have
        seed: for the items to start from, where there is no model from before
        before: a model of other customers of the shop: what it knows of items is where the search starts

    Raises:
        InputError: nothing was bought, the solution has more columns, it cannot be certified, or the shop is too large.

    Guarantees:
        - Equal purchases give equal bytes, whatever the start, the order of the customers and the number of threads,
          but for chances that decision 0027 names.

    Tested by: tests/recsys/models/test_certified_als.py::test_whoever_is_erased_was_never_there
    """
    problem = Problem.of(purchased, weights)
    if not problem.bought.nnz:
        msg = "expected purchases to train on, got none; ingest some: privrec ingest"
        raise InputError(msg)
    _require_room(problem, n_factors)
    enough = partial(_known, problem)
    start = None if before is None else items_in(before, items)
    try:
        if start is not None:
            return in_one_form(problem, items, optimum(problem, start, enough=enough, most_columns=n_factors))
    except (InputError, np.linalg.LinAlgError):
        pass  # from the beginning, then: a start that is far away is worse than none
    start = random_start(len(items), min(n_factors, *problem.bought.shape), seed)
    found = optimum(problem, start, enough=enough, most_columns=n_factors, sweeps=FIRST_SWEEPS)
    return in_one_form(problem, items, found)


def in_one_form(problem: Problem, items: tuple[str, ...], found: Optimum) -> CertifiedALS:
    """The model of a solution, whoever found it.

    Raises:
        InputError: the solution is not known well enough for the grid, or no grid fits.
    """
    spaces, gap = published(found.spaces)
    error = entry_error(problem, found.spaces, found.bound)
    if not error * SAFETY <= MARGIN:
        msg = (
            f"expected entries that are known to {MARGIN / SAFETY:.1g}, got {error:.1g}: the last column hardly "
            "differs from none; train with another penalty: privrec train --penalty X"
        )
        raise InputError(msg)
    offset, (encoder, factors) = on_grid(_tables(problem, items, spaces), MARGIN)
    bought = problem.counts > 0
    certificate = ScoresCertificate(
        bound=found.bound,
        size=found.size,
        columns=len(spaces.values),
        outside=found.outside.seen,
        outside_bound=found.outside.bound,
        angle=angle(problem, gap, found.bound),
        margin=MARGIN,
        offset=offset,
    )
    model = ItemFactors(
        item_ids=items,
        encoder=np.where(bought[:, None], encoder, np.float32(0)),
        factors=np.where(bought[:, None], factors, np.float32(0)),
        item_weights=bought.astype(np.float32),
        popularity=problem.counts.astype(np.float32),
        regularization=RIDGE * HEAD_SIZE**2 * len(items),
        alpha=1 + 1 / UNOBSERVED,
    )
    return CertifiedALS(model, certificate)


def _tables(problem: Problem, items: tuple[str, ...], spaces: Balanced) -> list[Matrix]:
    """The items as they were found, and the head; a column of zeros where nobody has anything in common."""
    if not len(spaces.values):
        return [np.zeros((len(items), 1))] * 2
    whole = ITEMS_SIZE * spaces.factors(problem)[1]
    head = whole * spaces.values**-POWER
    head *= HEAD_SIZE / _size(head)
    return [table @ rotation(table, items) for table in (whole, head)]


def published(spaces: Balanced) -> tuple[Balanced, float]:
    """The columns that are published, and the gap behind the last; the gap is 1 where there is none.

    Columns come and go at zero as customers do. One that has just come has a value, and no direction that two searches
    would agree on.
    """
    values, size = spaces.values, len(spaces.values)
    if not size:
        return spaces, 1.0
    if values[-1] < FAINT * values[0]:
        size = cut(values, size)
    return spaces.kept(size), float(gaps_behind(values, np.array([size]))[0])


def entry_error(problem: Problem, spaces: Balanced, bound: float) -> float:
    """An estimate of what one entry of the tables is off by: the angle, spread over the columns."""
    kept, gap = published(spaces)
    largest = max(ITEMS_SIZE * _size(kept.factors(problem)[1]), HEAD_SIZE)
    return float(angle(problem, gap, bound) / np.sqrt(max(len(kept.values), 1)) * largest)


def _known(problem: Problem, spaces: Balanced, bound: float) -> bool:
    return entry_error(problem, spaces, bound) * SAFETY * BETTER <= MARGIN


def items_in(before: ItemFactors, items: tuple[str, ...]) -> Matrix:
    """(n_items, d): the items as they were found before; zero for those that are new."""
    places = {item: place for place, item in enumerate(before.item_ids)}
    rows = np.array([places.get(item, len(places)) for item in items])
    known = np.vstack([before.encoder, np.zeros((1, before.n_factors), dtype=np.float32)])
    return known[rows].astype(np.float64) / ITEMS_SIZE


def _size(table: Matrix) -> float:
    return float(np.sqrt(np.mean(table**2))) if table.size else 0.0


def _require_room(problem: Problem, n_factors: int) -> None:
    columns = min(n_factors, *problem.bought.shape)
    needed = sum(problem.bought.shape) * columns**2
    if needed > LARGEST_TABLES:
        msg = (
            f"expected customers and items times the square of the factors up to {LARGEST_TABLES}, got {needed}; "
            "train with fewer factors, and a larger penalty: privrec train --factors N --penalty X"
        )
        raise InputError(msg)
