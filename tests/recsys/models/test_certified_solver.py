"""The numerics of ALS at its optimum: slopes, curvature, the bound, what is outside, and how far to go."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import InputError
from recsys.models.certified_als import in_one_form
from recsys.models.certified_bound import Balanced
from recsys.models.certified_newton import Curvature, Inverses, Slopes, step
from recsys.models.certified_outside import norm, widened
from recsys.models.certified_problem import Matrix, Problem, Weights
from recsys.models.certified_search import best_length
from recsys.models.certified_solver import FIRST_SWEEPS, Optimum, looked_at, optimum, outside_of, random_start
from recsys.models.certified_sweep import customers_of, items_of, swept
from tests.recsys.models.shops import catalogue
from tests.recsys.models.tastes import tastes


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem.of(tastes(), Weights(penalty=0.5))


@pytest.fixture(scope="module")
def found(problem: Problem) -> Optimum:
    return exact(problem)


def exact(problem: Problem) -> Optimum:
    start = random_start(problem.bought.shape[1], 40, 0)
    return optimum(problem, start, enough=lambda _, bound: bound < 1e-12, most_columns=60, sweeps=FIRST_SWEEPS)


def scores_of(spaces: Balanced, problem: Problem) -> Matrix:
    customers, items = spaces.factors(problem)
    return customers @ items.T


def dense_objective(problem: Problem, customers: Matrix, items: Matrix) -> float:
    """By its definition, entry by entry."""
    scores, bought = customers @ items.T, problem.bought.toarray()
    n, m = scores.shape
    of_customers = problem.penalty * (bought.sum(axis=1) + 0.3 * m)
    of_items = problem.penalty * (bought.sum(axis=0) + 0.3 * n)
    lengths = of_customers @ (customers**2).sum(axis=1) + of_items @ (items**2).sum(axis=1)
    return float((bought * (1 - scores) ** 2).sum() + 0.3 * (scores**2).sum() + lengths)


def near(problem: Problem, found: Optimum, by: float) -> tuple[Matrix, Matrix]:
    """Factors about as far from the optimum as is said."""
    rng = np.random.default_rng(0)
    customers, items = found.spaces.factors(problem)
    return customers + by * rng.standard_normal(customers.shape), items + by * rng.standard_normal(items.shape)


def test_the_objective_is_the_one_that_is_written_down(problem: Problem, found: Optimum) -> None:
    customers, items = near(problem, found, 0.1)
    assert problem.objective(customers, items) == pytest.approx(dense_objective(problem, customers, items))


def test_a_sweep_solves_each_side_exactly(problem: Problem, found: Optimum) -> None:
    items = near(problem, found, 0.1)[1]
    customers = customers_of(problem, items)
    assert np.abs(Slopes.at(problem, customers, items).customers).max() < 1e-12
    items = items_of(problem, customers)
    assert np.abs(Slopes.at(problem, customers, items).items).max() < 1e-12


def test_the_curvature_is_the_change_of_the_slopes_while_the_customers_follow(problem: Problem, found: Optimum) -> None:
    items = near(problem, found, 0.1)[1]
    customers = customers_of(problem, items)
    slopes = Slopes.at(problem, customers, items)
    curvature = Curvature.at(problem, customers, items, slopes, Inverses.at(problem, customers, items, np.float64))
    turned = np.random.default_rng(1).standard_normal(items.shape)
    there, back = (items + sign * 1e-6 * turned for sign in (1, -1))
    change = Slopes.at(problem, customers_of(problem, there), there).items
    change = change - Slopes.at(problem, customers_of(problem, back), back).items
    np.testing.assert_allclose(curvature.of_items(turned), change / 2e-6, rtol=1e-4, atol=1e-5)


def test_a_step_near_the_optimum_leaves_a_hundredth(problem: Problem, found: Optimum) -> None:
    point = looked_at(problem, *near(problem, found, 1e-5))
    inverses = Inverses.at(problem, point.customers, point.items, np.float32)
    curvature = Curvature.at(problem, point.customers, point.items, point.slopes, inverses)
    customers, items, _ = step(curvature, point.slopes, tolerance=1e-3, rounds=60)
    after = looked_at(problem, point.customers + customers, point.items + items)
    assert after.bound < point.bound / 100


def test_the_length_of_a_step_is_the_best_one(problem: Problem, found: Optimum) -> None:
    customers, items = near(problem, found, 0.3)
    slopes = Slopes.at(problem, customers, items)
    along = -slopes.customers / 50, -slopes.items / 50
    length = best_length(problem, (customers, items), slopes, along)
    tried = np.linspace(0, 4, 401)
    objectives = [problem.objective(customers + t * along[0], items + t * along[1]) for t in tried]
    assert length == pytest.approx(tried[np.argmin(objectives)], abs=0.01)
    assert best_length(problem, (customers, items), slopes, (slopes.customers, slopes.items)) == 0


@pytest.mark.parametrize("by", [1e-3, 1e-5, 1e-7])
def test_the_bound_is_above_the_distance_and_not_far_above(problem: Problem, found: Optimum, by: float) -> None:
    point = looked_at(problem, *swept(problem, near(problem, found, by)[1], 3))
    true = np.linalg.norm(scores_of(point.spaces, problem) - scores_of(found.spaces, problem))
    assert true <= point.bound <= 10 * true


def test_an_erasure_that_does_nothing_is_told_by_its_bound(problem: Problem, found: Optimum) -> None:
    without = Problem.of(problem.bought[1:], problem.weights)
    items = found.spaces.factors(problem)[1]
    old = looked_at(without, customers_of(without, items), items)
    new = exact(without)
    true = np.linalg.norm(scores_of(old.spaces, without) - scores_of(new.spaces, without))
    assert old.bound >= true > 1e6 * new.bound


def test_a_column_that_is_missing_is_refused_and_told(problem: Problem, found: Optimum) -> None:
    fewer = found.spaces.kept(len(found.spaces.values) - 2)
    point = looked_at(problem, *swept(problem, fewer.factors(problem)[1], 300))
    outside = outside_of(problem, point)
    missing = norm(outside)
    assert missing.seen > 1
    customers, items = widened(outside, missing)
    assert problem.objective(customers, items) < point.objective
    last = found.spaces.items[:, -2:]
    told = missing.directions[:, 0]
    assert np.linalg.norm(last.T @ told) > 0.9


def test_the_norm_outside_is_that_of_the_whole_matrix(problem: Problem, found: Optimum) -> None:
    point = looked_at(problem, *found.spaces.factors(problem))
    outside = outside_of(problem, point)
    whole = np.array([outside.by_items(row) for row in np.eye(problem.bought.shape[1])])
    seen = norm(outside)
    largest = np.linalg.norm(whole, 2)
    assert seen.seen == pytest.approx(largest)
    assert seen.bound >= largest * (1 - 1e-12)  # but for rounding, which differs by machine
    back = np.array([outside.by_customers(row) for row in np.eye(problem.bought.shape[0])])
    np.testing.assert_allclose(whole, back.T, atol=1e-10)


def test_a_solution_that_is_not_known_well_enough_is_not_published(problem: Problem, found: Optimum) -> None:
    rough = Optimum(found.spaces, 1e-6, found.size, found.outside)
    with pytest.raises(InputError, match="the last column hardly differs from none"):
        in_one_form(problem, catalogue(90), rough)


def test_any_order_of_customers_has_the_same_penalty() -> None:
    purchased = tastes()
    order = np.random.default_rng(0).permutation(purchased.shape[0])
    build = partial(Problem.of, weights=Weights())
    assert build(purchased).penalty == build(purchased[order]).penalty
    empty = sp.vstack([purchased, sp.csr_matrix((3, purchased.shape[1]))]).tocsr()
    assert build(empty).penalty == build(purchased).penalty
