"""How far a factorisation is from the one optimum, without knowing it: a theorem, evaluated.

P(M) = sum over bought (1 - m)^2 + a |M|_F^2 + 2 |D_u^1/2 M D_v^1/2|_* is 2a-strongly convex, so every subgradient G at M
bounds the way: |M - M*|_F <= |G|_F / 2a. With D_u^1/2 M D_v^1/2 = U S B^T and H half the gradient of the smooth part,
scaled by D^-1/2 on both sides, the subgradients are 2 D_u^1/2 (H + U B^T + W) D_v^1/2 with W outside the spaces of U and
B and |W| <= 1. If the part of H outside has a norm of at most 1, W cancels it, and the rest is what a few products give.
If it is above 1, the optimum has a column more: its leading singular pair is the direction that is missing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.models.certified_newton import Slopes
from recsys.models.certified_problem import Matrix, Problem, Vector

CHANCE = 1e-9
"""That a norm is larger than what the bound of Kuczynski and Wozniakowski (1992) says, for a random start."""
MOST_ROUNDS = 600
"""Of Lanczos' method."""


@dataclass(frozen=True, slots=True, eq=False)
class Balanced:
    """The singular value decomposition of the scaled scores: U S B^T."""

    customers: Matrix
    values: Vector
    items: Matrix

    @classmethod
    def of(cls, problem: Problem, customers: Matrix, items: Matrix) -> "Balanced":
        """Of these factors."""
        left, left_rest = np.linalg.qr(np.sqrt(problem.customer_penalties)[:, None] * customers)
        right, right_rest = np.linalg.qr(np.sqrt(problem.item_penalties)[:, None] * items)
        turn, values, turned = np.linalg.svd(left_rest @ right_rest.T)
        return cls(left @ turn, values, right @ turned.T)

    def kept(self, size: int) -> "Balanced":
        """The leading columns."""
        return Balanced(self.customers[:, :size], self.values[:size], self.items[:, :size])

    def factors(self, problem: Problem) -> tuple[Matrix, Matrix]:
        """X and V with these scores, as short as can be."""
        roots = np.sqrt(self.values)
        return (
            self.customers * roots / np.sqrt(problem.customer_penalties)[:, None],
            self.items * roots / np.sqrt(problem.item_penalties)[:, None],
        )


@dataclass(frozen=True)
class Outside:
    """The part of H outside the spaces of U and B, by products with it."""

    problem: Problem
    spaces: Balanced
    slope: tuple[Matrix, Matrix, NDArray[np.float64]]
    """X, V and x_u v_j - 1 of every purchase."""

    def of_items(self, items: Vector) -> Vector:
        """(n,): its product with a vector over items."""
        customers, factors, missing = self.slope
        scaled = _outside(self.spaces.items, items) / np.sqrt(self.problem.item_penalties)
        slope = self.problem.table(missing) @ scaled + self.problem.weights.unobserved * customers @ (factors.T @ scaled)
        return _outside(self.spaces.customers, slope / np.sqrt(self.problem.customer_penalties))

    def of_customers(self, users: Vector) -> Vector:
        """(m,): the product of its transpose with a vector over customers."""
        customers, factors, missing = self.slope
        scaled = _outside(self.spaces.customers, users) / np.sqrt(self.problem.customer_penalties)
        slope = self.problem.table(missing).T @ scaled
        slope += self.problem.weights.unobserved * factors @ (customers.T @ scaled)
        return _outside(self.spaces.items, slope / np.sqrt(self.problem.item_penalties))


def distance(problem: Problem, spaces: Balanced, slopes: Slopes, customers: Matrix, items: Matrix) -> float:
    """A bound of |M - M*|_F, if the norm outside is at most 1."""
    u, b = spaces.customers, spaces.items
    unobserved, table = problem.weights.unobserved, problem.table(slopes.missing)
    right = b / np.sqrt(problem.item_penalties)[:, None]
    left = u / np.sqrt(problem.customer_penalties)[:, None]
    of_customers = (table @ right + unobserved * customers @ (items.T @ right)) / np.sqrt(problem.customer_penalties)[:, None] + u
    of_items = (table.T @ left + unobserved * items @ (customers.T @ left)) / np.sqrt(problem.item_penalties)[:, None] + b
    of_customers -= u @ (u.T @ of_customers)
    return _norm(
        np.sqrt(problem.customer_penalties)[:, None] * np.hstack([u, of_customers]),
        np.sqrt(problem.item_penalties)[:, None] * np.hstack([of_items, b]),
    ) / unobserved


def _norm(left: Matrix, right: Matrix) -> float:
    """|left right^T|_F."""
    return float(np.sqrt(max(np.vdot(left.T @ left, right.T @ right), 0.0)))


def _outside(space: Matrix, vector: Vector) -> Vector:
    return np.asarray(vector - space @ (space.T @ vector))
