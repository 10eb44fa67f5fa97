"""The optimum, from any start: Newton's steps where they help, sweeps where not, columns where some are missing.

    start -> (step, or sweeps if the step makes it worse) until the bound is small -> norm of what is outside
          -> above 1: columns more, and again -> at most 1: this is the optimum

A training starts from random items, an erasure from those that are published: all else is one and the same, and so is
where it ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recsys.errors import InputError
from recsys.models.certified_bound import Balanced, distance, scale
from recsys.models.certified_newton import Curvature, Inverses, Slopes, step
from recsys.models.certified_outside import Norm, Outside, norm, widened
from recsys.models.certified_problem import Matrix, Problem
from recsys.models.certified_search import best_length
from recsys.models.certified_sweep import customers_of, swept

FIRST_SWEEPS = 10
"""From a random start."""
SWEEPS = 5
"""Where a step does not help."""
PRODUCTS = 60
"""Of a step at most."""
TOLERANCE = 1e-3
"""What a step leaves of the slopes."""
FAR_TOLERANCE = 0.03
"""The same, while the bound is no smaller a part of |M|_F than NEAR."""
NEAR = 1e-3
STALE = 0.03
"""Inverses are made anew if a step leaves more than this part of the bound."""
LONG = 0.5
"""A step that was cut to a smaller part was kept from going further by the objective's shape, not by old inverses."""
NEGLIGIBLE = 1e-8
"""A column that is a smaller part of the first, or of what one score of 1 is, is none."""
KEPT = 1e-3
"""The part of the first that a column must be to be kept after the first sweeps."""
LEVEL_BOUND = 1e-9
"""The bound, as a part of |M|_F, below which a step that gains less than half is the last."""
ROUGH = 1e-6
"""The bound, as a part of |M|_F, at which missing columns are looked for first."""
SINGLE = 1e-7
"""The same, from which on a step that gains little is one for which single precision does not do."""
LEVEL = 1e-12
"""Objectives that differ by a smaller part are equal."""
MOST_STEPS = 60
MOST_WIDENED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """A solution that is certified."""

    spaces: Balanced
    bound: float
    """Of |M - M*|_F."""
    size: float
    """|M|_F."""
    outside: Norm


Enough = Callable[[Balanced, float], bool]
"""Whether spaces with this bound are known well enough."""


class Point(NamedTuple):
    """Factors, and what is known at them."""

    customers: Matrix
    items: Matrix
    spaces: Balanced
    slopes: Slopes
    bound: float
    objective: float


def optimum(problem: Problem, start: Matrix, *, enough: Enough, most_columns: int, sweeps: int = 0) -> Optimum:
    """The one solution of the problem.

    Args:
        problem: the problem
        start: (m, d): items to start from
        enough: how well it has to be known; if rounding lets nothing better be reached, less comes back
        most_columns: that it may have
        sweeps: over both sides before the first step: from a random start, FIRST_SWEEPS

    Raises:
        InputError: it has more columns, or it could not be certified.
    """
    return _Search(problem, enough, most_columns).run(_first(problem, start, sweeps))


def random_start(n_items: int, columns: int, seed: int) -> Matrix:
    """(n_items, columns): small numbers."""
    return 0.1 * np.random.default_rng(seed).standard_normal((n_items, columns))


def looked_at(problem: Problem, customers: Matrix, items: Matrix) -> Point:
    """What is known at these factors, brought to equal lengths on both sides, without columns that are none."""
    spaces = Balanced.of(problem, customers, items)
    largest = max(float(spaces.values.max(initial=0.0)), scale(problem))
    spaces = spaces.kept(int((spaces.values > NEGLIGIBLE * largest).sum()))
    customers, items = _turned(problem, spaces, items)
    slopes = Slopes.at(problem, customers, items)
    bound = distance(problem, spaces, customers, items, slopes.missing)
    objective = problem.objective(customers, items, slopes.missing)
    return Point(customers, items, spaces, slopes, bound, objective)


def _turned(problem: Problem, spaces: Balanced, before: Matrix) -> tuple[Matrix, Matrix]:
    """The factors, turned to be as near as they can be to items from before: inverses from there stay good."""
    customers, items = spaces.factors(problem)
    if items.shape != before.shape:
        return customers, items
    left, _, right = np.linalg.svd(items.T @ (problem.item_penalties[:, None] * before))
    return customers @ (left @ right), items @ (left @ right)


def size_of(point: Point) -> float:
    """|M|_F."""
    return float(np.sqrt(np.vdot(point.customers.T @ point.customers, point.items.T @ point.items)))


def outside_of(problem: Problem, point: Point) -> Outside:
    """What is outside the spaces there."""
    missing = problem.table(point.slopes.missing)
    return Outside(problem, point.spaces, point.customers, point.items, missing)


def _first(problem: Problem, start: Matrix, sweeps: int) -> Point:
    if not sweeps:
        return looked_at(problem, customers_of(problem, start), start)
    point = looked_at(problem, *swept(problem, start, sweeps))
    values = point.spaces.values
    spaces = point.spaces.kept(int((values > KEPT * values.max(initial=0.0)).sum()))
    return looked_at(problem, *swept(problem, spaces.factors(problem)[1], 1))


Known = Callable[[Point], bool]
"""Whether a point is known well enough."""


@dataclass(slots=True)
class _Search:
    """The way to the optimum."""

    problem: Problem
    enough: Enough
    most_columns: int
    inverses: Inverses | None = None
    precision: type[np.floating] = np.float32

    @property
    def _advice(self) -> str:
        """What lets a solution have fewer columns, or more room."""
        more, larger = 2 * self.most_columns, 1.5 * self.problem.weights.penalty
        return f"train with more columns or a larger penalty: privrec train --factors {more}, or --penalty {larger:.2g}"

    def run(self, point: Point) -> Optimum:
        """The optimum, from here."""
        point, _ = self._complete(point, _roughly)
        point, found = self._complete(point, lambda at: self.enough(at.spaces, at.bound))
        if found.bound > 1:
            msg = (
                f"""expected a solution with nothing missing, got one with {found.bound:.4f} outside; {self._advice}"""
            )
            raise InputError(msg)
        return Optimum(point.spaces, point.bound, size_of(point), found)

    def _complete(self, point: Point, known: Known) -> tuple[Point, Norm]:
        """Where the bound is as small as is wanted, with all the columns that this far are seen to be missing."""
        for _ in range(MOST_WIDENED):
            point = self._settled(point, known)
            outside = outside_of(self.problem, point)
            found = norm(outside)
            if found.seen <= 1:
                return point, found
            point = self._widened(outside, found)
        msg = (
            f"expected the columns of the solution within {MOST_WIDENED} rounds, got more missing ones; {self._advice}"
        )
        raise InputError(msg)

    def _widened(self, outside: Outside, found: Norm) -> Point:
        _, items = widened(outside, found)
        if items.shape[1] > self.most_columns:
            msg = f"expected a solution with at most {self.most_columns} columns, got more; {self._advice}"
            raise InputError(msg)
        self.inverses = None
        return looked_at(self.problem, *swept(self.problem, items, 1))

    def _settled(self, point: Point, known: Known) -> Point:
        """Where the bound is as small as is wanted, with these columns or fewer."""
        for _ in range(MOST_STEPS):
            if known(point):
                return point
            following = self._stepped(point)
            if self.precision is np.float64 and point.bound / 2 < following.bound <= LEVEL_BOUND * size_of(point):
                return min(point, following, key=lambda each: each.bound)
            if following.bound > STALE * point.bound and point.bound < SINGLE * size_of(point):
                self.precision, self.inverses = np.float64, None
            point = following
        msg = f"expected the solution within {MOST_STEPS} steps, got a bound of {point.bound:.1g} only; {self._advice}"
        raise InputError(msg)

    def _stepped(self, point: Point) -> Point:
        """After a step if it makes things better, and after sweeps if not."""
        if self.inverses is None or self.inverses.items.shape[1] != point.items.shape[1]:
            self.inverses = Inverses.at(self.problem, point.customers, point.items, self.precision)
        curvature = Curvature.at(self.problem, point.customers, point.items, point.slopes, self.inverses)
        tolerance = TOLERANCE if point.bound < NEAR * size_of(point) else FAR_TOLERANCE
        customers, items, _ = step(curvature, point.slopes, tolerance=tolerance, rounds=PRODUCTS)
        length = best_length(self.problem, (point.customers, point.items), point.slopes, (customers, items))
        following = looked_at(self.problem, point.customers + length * customers, point.items + length * items)
        if length > LONG and following.bound > STALE * point.bound:
            self.inverses = None
        if _better(following, point) or point.bound <= LEVEL_BOUND * size_of(point):
            return following
        self.inverses = None
        return looked_at(self.problem, *swept(self.problem, point.items, SWEEPS))


def _roughly(point: Point) -> bool:
    return point.bound <= ROUGH * size_of(point)


def _better(new: Point, old: Point) -> bool:
    """Whether the objective fell; where it is level within rounding, whether the bound did."""
    level = LEVEL * abs(old.objective)
    return new.objective < old.objective - level or (new.objective <= old.objective + level and new.bound < old.bound)
