"""The slope outside the spaces of a solution: its norm, and the columns that are missing where it is above 1.

Lanczos' method sees a norm from below. From a start that is drawn independently of the matrix, it is too low by a part
of e in the square after q rounds with a probability of at most 1.648 sqrt(n) exp(-sqrt(e) (2 q - 1)) (Kuczynski and
Wozniakowski 1992, theorem 4.2). So the norm is bounded from above, but for a chance that is a constant here.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy import linalg

from recsys.models.certified_bound import Balanced
from recsys.models.certified_problem import Matrix, Problem, Vector

CHANCE = 1e-9
"""Of a norm above its bound."""
ROUNDS = 40
"""Between two looks."""
MOST_ROUNDS = 600
NOTHING = 1e-12
"""What is left of a vector is rounding: norms that matter are near 1."""
MOST_COLUMNS = 16
"""That are added at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Outside:
    """What is outside, by products with it."""

    problem: Problem
    spaces: Balanced
    customers: Matrix
    items: Matrix
    missing: sp.csr_matrix
    """(n, m): x_u v_j - 1 of every purchase."""

    def by_items(self, vector: Vector) -> Vector:
        """(n,): its product with a vector over the items."""
        return self._by_items(_without(self.spaces.items, vector))

    def by_customers(self, vector: Vector) -> Vector:
        """(m,): the product of its transpose with a vector over the customers."""
        return self._by_customers(_without(self.spaces.customers, vector))

    def squared(self, vector: Vector) -> Vector:
        """(m,): the product of its transpose and itself with a vector over the items that is outside of their space."""
        return self._by_customers(self._by_items(vector))

    def _by_items(self, vector: Vector) -> Vector:
        scaled = vector / np.sqrt(self.problem.item_penalties)
        everywhere = self.problem.weights.unobserved * self.customers @ (self.items.T @ scaled)
        slope = self.missing @ scaled + everywhere
        return _without(self.spaces.customers, slope / np.sqrt(self.problem.customer_penalties))

    def _by_customers(self, vector: Vector) -> Vector:
        scaled = vector / np.sqrt(self.problem.customer_penalties)
        everywhere = self.problem.weights.unobserved * self.items @ (self.customers.T @ scaled)
        slope = self.missing.T @ scaled + everywhere
        return _without(self.spaces.items, slope / np.sqrt(self.problem.item_penalties))


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """What is known of the norm of what is outside."""

    seen: float
    """From below."""
    bound: float
    """From above, but for CHANCE."""
    values: Vector
    """Singular values above 1, falling."""
    directions: Matrix
    """(m, k): theirs, over the items."""


def norm(outside: Outside) -> Norm:
    """Of what is outside: until it is known to be at most 1, or above it, or for MOST_ROUNDS."""
    space = _Space(outside)
    while True:
        space.grow()
        found = space.known()
        if found.bound <= 1 or found.seen > 1 or len(space.diagonal) >= MOST_ROUNDS:
            return found


class _Space:
    """What Lanczos' method has seen so far: an orthonormal basis, and the operator in it, three diagonals."""

    def __init__(self, outside: Outside) -> None:
        drawn = np.random.default_rng(0).standard_normal(len(outside.problem.item_penalties))
        drawn = _without(outside.spaces.items, drawn)
        self.outside = outside
        self.next: Vector = drawn / max(float(np.linalg.norm(drawn)), NOTHING)
        self.basis: Matrix = np.empty((0, len(drawn)))
        self.diagonal: list[float] = []
        self.beside: list[float] = []

    @property
    def whole(self) -> bool:
        """Whether nothing is left to be seen."""
        return bool(self.beside) and (self.beside[-1] < NOTHING or len(self.diagonal) == len(self.next))

    def grow(self) -> None:
        """A few rounds."""
        begin = len(self.diagonal)
        basis = np.vstack([self.basis, np.empty((ROUNDS, len(self.next)))])
        while len(self.diagonal) < begin + ROUNDS and not self.whole:
            basis[len(self.diagonal)] = self.next
            rest = self.outside.squared(self.next)
            self.diagonal.append(float(self.next @ rest))
            seen = basis[: len(self.diagonal)]
            for _ in range(2):
                rest -= (seen @ rest) @ seen
            self.beside.append(float(np.linalg.norm(rest)))
            self.next = rest / max(self.beside[-1], NOTHING)
        self.basis = basis[: len(self.diagonal)]

    def known(self) -> Norm:
        """What so many rounds say."""
        beside = self.beside[:-1]
        values, vectors = linalg.eigh_tridiagonal(self.diagonal, beside)
        roots = np.sqrt(np.maximum(values[::-1], 0.0))
        above = np.flatnonzero(roots > 1)[:MOST_COLUMNS]
        part = 0.0 if self.whole else (np.log(1.648 * np.sqrt(len(self.next)) / CHANCE) / (2 * len(roots) - 1)) ** 2
        bound = float(roots[0] / np.sqrt(1 - part)) if part < 1 else np.inf
        return Norm(float(roots[0]), bound, roots[above], self.basis.T @ vectors[:, ::-1][:, above])


def widened(outside: Outside, found: Norm) -> tuple[Matrix, Matrix]:
    """X and V with a column more for each direction that is missing, each as long as is best for it alone."""
    customers, items = outside.spaces.factors(outside.problem)
    for value, direction in zip(found.values, found.directions.T, strict=True):
        left = -outside.by_items(direction) / value / np.sqrt(outside.problem.customer_penalties)
        right = direction / np.sqrt(outside.problem.item_penalties)
        pairs = outside.problem.at_purchases(left[:, None], right[:, None])
        size = (value - 1) / (outside.problem.weights.unobserved * (left @ left) * (right @ right) + pairs @ pairs)
        customers = np.column_stack([customers, np.sqrt(size) * left])
        items = np.column_stack([items, np.sqrt(size) * right])
    return customers, items


def _without(space: Matrix, vector: Vector) -> Vector:
    return np.asarray(vector - space @ (space.T @ vector))
