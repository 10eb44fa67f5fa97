"""How far a factorisation is from the one optimum, without knowing it: a theorem, evaluated.

P(M) = sum over bought (1 - m)^2 + a |M|_F^2 + 2 |D_u^1/2 M D_v^1/2|_* is 2a-strongly convex, so every subgradient G at
M bounds the way: |M - M*|_F <= |G|_F / 2a. With D_u^1/2 M D_v^1/2 = U S B^T and H half the gradient of the smooth part,
scaled by D^-1/2 on both sides, the subgradients are 2 D_u^1/2 (H + U B^T + W) D_v^1/2 with W outside the spaces of U
and B and |W| <= 1. If the part of H outside has a norm of at most 1, W cancels it, and the rest is what a few products
give. If it is above 1, the optimum has a column more: its leading singular pair is the direction that is missing.
"""

from dataclasses import dataclass

import numpy as np

from recsys.models.certified_problem import Matrix, Problem, Vector


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


def distance(problem: Problem, spaces: Balanced, customers: Matrix, items: Matrix, missing: Vector) -> float:
    """A bound of |M - M*|_F, if the norm of what is outside is at most 1.

    Args:
        problem: the problem
        spaces: of X V^T
        customers: X
        items: V
        missing: x_u v_j - 1 of every purchase
    """
    u, b = spaces.customers, spaces.items
    roots = np.sqrt(problem.customer_penalties)[:, None], np.sqrt(problem.item_penalties)[:, None]
    table, unobserved, left, right = problem.table(missing), problem.weights.unobserved, u / roots[0], b / roots[1]
    of_customers = (table @ right + unobserved * customers @ (items.T @ right)) / roots[0] + u
    of_items = (table.T @ left + unobserved * items @ (customers.T @ left)) / roots[1] + b
    of_customers -= u @ (u.T @ of_customers)
    left, right = roots[0] * np.hstack([u, of_customers]), roots[1] * np.hstack([of_items, b])
    return float(np.sqrt(max(np.vdot(left.T @ left, right.T @ right), 0.0)) / unobserved)


def angle(problem: Problem, gap: float, bound: float) -> float:
    """A bound of the sine of the largest angle between the items' space and the exact one (Wedin 1972).

    Args:
        problem: the problem
        gap: between the last value within the space and the first outside
        bound: of the distance of the scores
    """
    return scale(problem) * bound / gap


def scale(problem: Problem) -> float:
    """How much longer the scaled scores can be than the scores."""
    return float(np.sqrt(problem.customer_penalties.max() * problem.item_penalties.max()))
