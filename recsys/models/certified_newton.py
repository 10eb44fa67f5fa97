"""A step of Newton's method towards the optimum, by conjugate gradients in the items alone.

The customers are eliminated with the inverses of their matrices (a Schur complement), and the items' own are the
preconditioner. Both may be of a point nearby: what that costs is made up by the next step. A solution can be turned,
X -> X Q and V -> V Q, without a change, so there are directions W = V S with S skew in which nothing happens and
conjugate gradients would be lost; every iterate is projected on those with V^T W symmetric.

All of it may be single precision, and is linear: what it misses of a step the next one makes up, from a gradient in
double precision. This is the influence function of Koh and Liang (2017), of the problem in which the customers are
solved for, iterated; the removal of Guo et al. (2020) is its first step.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.certified_problem import Matrix, Problem
from recsys.models.certified_sweep import inverses

Table = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Inverses:
    """The inverses of the customers' and of the items' matrices, at some point near the one they are used at."""

    customers: Table
    items: Table

    @classmethod
    def at(cls, problem: Problem, customers: Matrix, items: Matrix, precision: type[np.floating]) -> "Inverses":
        """At this point; all that is made with them has their precision."""
        customers, items = customers.astype(precision), items.astype(precision)
        unobserved = problem.weights.unobserved
        return cls(
            inverses(problem.bought, items, problem.customer_penalties, unobserved),
            inverses(problem.by_item, customers, problem.item_penalties, unobserved),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Half the gradient of the objective, in double precision."""

    customers: Matrix
    items: Matrix
    missing: NDArray[np.float64]
    """(nnz,): x_u v_j - 1 of every purchase."""

    @classmethod
    def at(cls, problem: Problem, customers: Matrix, items: Matrix) -> "Slopes":
        """At this point."""
        missing = np.asarray(problem.at_purchases(customers, items) - 1, dtype=np.float64)
        table, unobserved = problem.table(missing), problem.weights.unobserved
        of_customers = table @ items + unobserved * customers @ (items.T @ items)
        of_items = table.T @ customers + unobserved * items @ (customers.T @ customers)
        return cls(
            of_customers + problem.customer_penalties[:, None] * customers,
            of_items + problem.item_penalties[:, None] * items,
            missing,
        )


@dataclass(frozen=True)
class Curvature:
    """The second derivative at a point, by products with it."""

    problem: Problem
    customers: Table
    items: Table
    missing: sp.csr_matrix
    inverses: Inverses

    @classmethod
    def at(cls, problem: Problem, customers: Matrix, items: Matrix, slopes: Slopes, inverses: Inverses) -> "Curvature":
        """At this point, with inverses of one nearby."""
        precision = inverses.items.dtype
        missing = problem.table(slopes.missing.astype(precision))
        return cls(problem, customers.astype(precision), items.astype(precision), missing, inverses)

    def of_items(self, turned: Table) -> Table:
        """(m, d): what a change of the items does to their slopes while the customers follow."""
        pairs = self.problem.at_purchases(self.customers, turned)
        follow = self.follow(turned, pairs)
        pairs = pairs + self.problem.at_purchases(follow, self.items)
        penalties = self.problem.item_penalties.astype(turned.dtype)[:, None]
        everywhere = turned @ self._within_customers
        return self._items_by(pairs, follow) + penalties * turned + everywhere

    def follow(self, turned: Table, pairs: Table | None = None) -> Table:
        """(n, d): how the customers follow a change of the items."""
        if pairs is None:
            pairs = self.problem.at_purchases(self.customers, turned)
        both = self.items.T @ turned
        moved = self.problem.table(pairs) @ self.items + self.missing @ turned
        moved += self.problem.weights.unobserved * (self.customers @ (both + both.T))
        return -self.solved(moved)

    def of_customers(self, moved: Table) -> Table:
        """(m, d): what a change of the customers does to the slopes of the items."""
        return self._items_by(self.problem.at_purchases(moved, self.items), moved)

    def solved(self, slopes: Table) -> Table:
        """(n, d): the customers' slopes through the inverses of their matrices."""
        return np.einsum("uij,uj->ui", self.inverses.customers, slopes)

    def preconditioned(self, slopes: Table) -> Table:
        """(m, d): the items' slopes through the inverses of theirs, without what only turns the solution."""
        return self.straightened(np.einsum("uij,uj->ui", self.inverses.items, slopes))

    def straightened(self, turned: Table) -> Table:
        """(m, d): the part of a change with V^T W symmetric."""
        values, vectors = self._spectrum
        skew = vectors.T @ (self.items.T @ turned) @ vectors
        skew = vectors @ ((skew - skew.T) / (values[:, None] + values)) @ vectors.T
        return np.asarray(turned - self.items @ skew)

    def _items_by(self, pairs: Table, moved: Table) -> Table:
        both = self.customers.T @ moved
        of_items = self.problem.table(pairs).T @ self.customers + self.missing.T @ moved
        return np.asarray(of_items + self.problem.weights.unobserved * (self.items @ (both + both.T)))

    @cached_property
    def _within_customers(self) -> Table:
        return self.problem.weights.unobserved * (self.customers.T @ self.customers)

    @cached_property
    def _spectrum(self) -> tuple[Table, Table]:
        values, vectors = np.linalg.eigh(self.items.T @ self.items)
        return np.maximum(values, np.finfo(values.dtype).tiny), vectors


def step(curvature: Curvature, slopes: Slopes, *, tolerance: float, rounds: int) -> tuple[Matrix, Matrix, int]:
    """What to add to the customers and to the items, and how many products it took.

    Args:
        curvature: at the point
        slopes: at the point
        tolerance: what part of the slopes may be left
        rounds: products at most
    """
    size = float(np.abs(slopes.items).max() + np.abs(slopes.customers).max()) or 1.0
    precision = curvature.items.dtype
    of_items, of_customers = (slopes.items / size).astype(precision), (slopes.customers / size).astype(precision)
    alone = -curvature.solved(of_customers)
    wanted = -of_items - curvature.of_customers(alone)
    turned, taken = _conjugate_gradients(curvature, curvature.straightened(wanted), tolerance, rounds)
    return size * (alone + curvature.follow(turned)).astype(np.float64), size * turned.astype(np.float64), taken


def _conjugate_gradients(curvature: Curvature, wanted: Table, tolerance: float, rounds: int) -> tuple[Table, int]:
    found, left = np.zeros_like(wanted), wanted.copy()
    better = curvature.preconditioned(left)
    direction, energy = better, np.vdot(left, better)
    enough = tolerance**2 * energy
    for taken in range(1, rounds + 1):
        product = curvature.straightened(curvature.of_items(direction))
        bend = np.vdot(direction, product)
        if not bend > 0:
            return (found if taken > 1 else direction), taken
        found += energy / bend * direction
        left -= energy / bend * product
        better = curvature.preconditioned(left)
        before, energy = energy, np.vdot(left, better)
        if not energy > enough:
            return found, taken
        direction = better + energy / before * direction
    return found, rounds
