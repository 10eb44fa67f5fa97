"""How far to go along a step: the objective on a line is a polynomial of degree four, its least known."""

import numpy as np

from recsys.models.certified_newton import Slopes
from recsys.models.certified_problem import Matrix, Problem

LONGEST = 4.0
"""Times the step, at most."""


def best_length(problem: Problem, at: tuple[Matrix, Matrix], slopes: Slopes, along: tuple[Matrix, Matrix]) -> float:
    """Where the objective is least between 0 and LONGEST times the step; 0 if it does not fall at first.

    Args:
        problem: the problem
        at: customers and items
        slopes: there
        along: what one step adds to them
    """
    (customers, items), (moved, turned) = at, along
    first = 2 * float(np.vdot(slopes.customers, moved) + np.vdot(slopes.items, turned))
    once = problem.at_purchases(moved, items) + problem.at_purchases(customers, turned)
    twice = problem.at_purchases(moved, turned)
    left, right = _products(customers, moved), _products(items, turned)
    everywhere = [
        sum(float(np.vdot(left[i], right[n - i])) for i in range(max(n - 2, 0), min(n, 2) + 1)) for n in (2, 3, 4)
    ]
    lengths = problem.customer_penalties @ (moved**2).sum(axis=1) + problem.item_penalties @ (turned**2).sum(axis=1)
    bought = [once @ once + 2 * (slopes.missing @ twice), 2 * (once @ twice), twice @ twice]
    second, third, fourth = (b + problem.weights.unobserved * e for b, e in zip(bought, everywhere, strict=True))
    return _least(first, float(second + lengths), float(third), float(fourth))


def _products(one: Matrix, more: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """The product of one + t more with itself, by powers of t."""
    across = one.T @ more
    return one.T @ one, across + across.T, more.T @ more


def _least(first: float, second: float, third: float, fourth: float) -> float:
    """The t in [0, LONGEST] with the least first t + second t^2 + third t^3 + fourth t^4."""
    if not first < 0:
        return 0.0
    roots = np.roots([4 * fourth, 3 * third, 2 * second, first])
    real = roots[np.abs(roots.imag) < 1e-9 * np.abs(roots)].real
    inside = [0.0, *(float(t) for t in real if 0 < t < LONGEST), LONGEST]
    return min(inside, key=lambda t: t * (first + t * (second + t * (third + t * fourth))))
