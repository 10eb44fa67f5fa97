"""A year of releases: the plan keeps the budget, and the noise of the matrix mechanisms is what the plan says."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, SingleEpochTreeAggregationDpEvent, rdp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from recsys.errors import BudgetExceededError, InputError, PrivacyParameterError
from recsys.models.customer import GRID
from recsys.privacy.accounting import mu_of
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.noise import Integers, rounded_gaussian, symmetric_gaussian
from recsys.privacy.schedule import (
    Path,
    Schedule,
    Strategy,
    StreamNoise,
    days_of,
    plain_standard_deviation,
    term_distance,
    toeplitz,
    tree,
)
from recsys.store.memory import MemoryLedgerLog
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Period, PrivacyBudget

BUDGET = PrivacyBudget(epsilon=8.0, delta=1e-6, period=Period.YEAR)
FALSE_ALARM = 1e-6
WEEKS = 53
MAKERS: list[Callable[[int], Strategy]] = [tree, toeplitz, lambda n: toeplitz(n, bands=6)]
strategies = st.builds(lambda make, n: make(n), st.sampled_from(MAKERS), st.integers(1, 24))
Matrix = NDArray[np.float64]


@pytest.mark.parametrize(("duration", "days"), [("1d", 1), ("2w", 14), (" 1y ", 366), ("10y", 3660)])
def test_a_duration_is_a_number_and_a_unit(duration: str, days: int) -> None:
    assert days_of(duration) == days


@pytest.mark.parametrize("duration", ["", "w", "0w", "-1w", "1.5w", "1m", "1 w", "123456d", "one week"])
def test_a_duration_that_is_none_is_refused(duration: str) -> None:
    with pytest.raises(InputError, match="expected a duration such as 1d"):
        days_of(duration)


@pytest.mark.parametrize(
    ("period", "every", "during", "trainings"),
    [
        (Period.YEAR, 7, 366, 53),
        (Period.YEAR, 7, 3660, 53),
        (Period.YEAR, 366, 366, 1),
        (Period.YEAR, 1, 30, 30),
        (Period.LIFETIME, 7, 366, 53),
        (Period.LIFETIME, 7, 3660, 523),
    ],
)
def test_a_period_has_as_many_trainings_as_can_fall_into_it(
    period: Period, every: int, during: int, trainings: int
) -> None:
    schedule = Schedule(budget=replace(BUDGET, period=period), every_days=every, for_days=during)
    assert schedule.trainings == schedule.releases == trainings
    assert replace(schedule, extra=4).releases == trainings + 4


@given(
    epsilon=st.floats(0.1, 20),
    every=st.integers(30, 400),
    extra=st.integers(0, 3),
    hour=st.floats(0, 23),
)
@settings(max_examples=8)
def test_a_schedule_can_be_kept_for_years_and_not_a_training_more(
    epsilon: float, every: int, extra: int, hour: float
) -> None:
    schedule = Schedule(budget=replace(BUDGET, epsilon=epsilon), every_days=every, extra=extra)
    start = now = datetime(2027, 6, 1, tzinfo=UTC) + timedelta(hours=hour)
    ledger = PrivacyLedger(MemoryLedgerLog(), lambda: now)
    ledger.set_budget(schedule.budget)
    training = Terms.under(TrainConfig(epsilon=schedule.epsilon, delta=1e-6)).first_spends("sum")
    for week in range(2 * schedule.trainings + 1):
        now = start + timedelta(days=week * every)
        ledger.book(training)
        if week + 1 == schedule.trainings:
            for _ in range(extra):
                ledger.book(training)
            with pytest.raises(BudgetExceededError):
                ledger.book(training)
    assert ledger.summary().epsilon_spent <= epsilon * (1 + 1e-9)


def test_the_epsilon_of_one_training_is_what_six_digits_can_say() -> None:
    schedule = Schedule(budget=BUDGET)
    assert schedule.mu == pytest.approx(mu_of(8.0, 1e-6) / math.sqrt(WEEKS))
    assert 0.99999 * schedule.mu < mu_of(schedule.epsilon, 1e-6) <= schedule.mu
    assert float(f"{schedule.epsilon:.6g}") == schedule.epsilon
    assert schedule.epsilon_after(WEEKS) == pytest.approx(8.0)
    assert schedule.epsilon_after(1) == pytest.approx(schedule.epsilon, rel=1e-5)
    assert Schedule(budget=replace(BUDGET, epsilon=math.inf)).epsilon == math.inf


@pytest.mark.parametrize("wrong", [{"every_days": 0}, {"for_days": 0}, {"extra": -1}, {"extra": 5000}])
def test_a_schedule_of_no_release_or_of_too_many_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(PrivacyParameterError, match="release less often"):
        Schedule(budget=BUDGET, **wrong)


@pytest.mark.parametrize(
    "encoder",
    [np.ones((2, 2), int), np.eye(2), np.zeros((2, 2), int), np.array([[1, 0], [-1, 1]]), np.tri(2, 3, dtype=int)],
)
def test_a_matrix_that_the_proof_does_not_cover_is_refused(encoder: Integers) -> None:
    with pytest.raises(PrivacyParameterError, match="lower triangular"):
        Strategy(encoder=encoder)


@given(strategy=strategies)
def test_what_was_measured_decodes_to_the_running_sums(strategy: Strategy) -> None:
    n = len(strategy.encoder)
    assert strategy.decoder @ strategy.encoder == pytest.approx(np.tril(np.ones((n, n))), abs=1e-9)


def ways(rng: np.random.Generator, releases: int, length: float) -> Matrix:
    """(releases, 3): the increments of a customer who wanders, and may leave; never longer than `length` in all."""
    way, at, left = np.zeros((releases, 3)), np.zeros(3), length
    for t in np.sort(rng.choice(releases, rng.integers(1, releases + 1), replace=False)):
        step = rng.normal(size=3)
        step *= rng.uniform(0, left) / np.linalg.norm(step)
        if rng.random() < 0.5 or np.linalg.norm(step) + np.linalg.norm(at + step) > left:
            step = -at
        way[t], at, left = step, at + step, left - float(np.linalg.norm(step))
    return way


@given(strategy=strategies, seed=st.integers(0, 2**32), length=st.floats(0.5, 4))
@settings(max_examples=100)
def test_no_way_within_its_length_moves_the_measurements_further(strategy: Strategy, seed: int, length: float) -> None:
    way = ways(np.random.default_rng(seed), len(strategy.encoder), length)
    assert np.linalg.norm(strategy.encoder @ way) <= strategy.sensitivity(length) * (1 + 1e-12)


def came_and_went(strategy: Strategy) -> float:
    """The furthest that a customer who comes, stays as they are and goes moves the measurements."""
    columns = strategy.encoder.T.astype(np.float64)
    return max(float(np.linalg.norm(columns[s] - columns[s + 1 :], axis=1).max()) for s in range(WEEKS - 1))


@pytest.mark.parametrize(("make", "attained"), [(tree, 0.95), (toeplitz, 0.8)])
def test_who_comes_and_goes_all_but_attains_the_bound(make: Callable[[int], Strategy], attained: float) -> None:
    strategy = make(WEEKS)
    assert attained * strategy.sensitivity(2.0) <= came_and_went(strategy) <= strategy.sensitivity(2.0)


@pytest.mark.parametrize("make", [tree, toeplitz])
def test_a_bound_for_a_way_that_is_shorter_than_it_is_is_found(make: Callable[[int], Strategy]) -> None:
    # the way back forgotten: who comes and goes has a way of 2, not of 1
    assert came_and_went(make(WEEKS)) > 1.4 * make(WEEKS).sensitivity(1.0)


class Drawn:
    """Draws that are kept, of one value or of the shape asked for."""

    def __init__(self, rng: np.random.Generator, shape: int) -> None:
        self.rng, self.shape = rng, shape
        self.draws: list[Integers] = []

    def __call__(self, sigma: float) -> Integers:
        self.draws.append(rounded_gaussian(sigma, self.shape, self.rng.bytes))
        return self.draws[-1]


def run(strategy: Strategy, sigma: float, draw: Callable[[float], Integers]) -> list[Integers]:
    """The noise in each of the released sums."""
    noise, totals = StreamNoise(strategy=strategy, sigma=sigma), []
    for _ in range(len(strategy.encoder)):
        noise = noise.next(draw)
        totals.append(noise.total)
    return totals


def from_measurements(strategy: Strategy, measured: Integers) -> Integers:
    """What a curator who sees y and nothing else makes of it: each row solved, rounded, summed."""
    increments: list[list[int]] = []
    for t, row in enumerate(strategy.encoder.tolist()):
        rest = [int(y) - sum(row[s] * increments[s][k] for s in range(t)) for k, y in enumerate(measured[t].tolist())]
        increments.append([math.floor(Fraction(value, row[t]) + Fraction(1, 2)) for value in rest])
    return np.cumsum(increments, axis=0)


@given(strategy=strategies, sigma=st.floats(1, 1e9), seed=st.integers(0, 2**32), data=st.data())
def test_what_is_released_is_a_function_of_the_measurements(
    strategy: Strategy, sigma: float, seed: int, data: st.DataObject
) -> None:
    rng, n = np.random.default_rng(seed), len(strategy.encoder)
    drawn = Drawn(rng, 3)
    totals = np.array(run(strategy, sigma, drawn))
    increments = rng.integers(-(2**30), 2**30, (n, 3))
    measured = strategy.encoder @ increments + np.array(drawn.draws)
    assert (np.cumsum(increments, axis=0) + totals == from_measurements(strategy, measured)).all()


def scaled_up(make: Callable[[int], Strategy], n: int, releases: int) -> tuple[Matrix, Matrix]:
    """Noise of `n` independent sums over the releases, over sigma; and what the plan says of its covariance."""
    strategy, sigma = make(releases), 1e6
    totals = np.array(run(strategy, sigma, Drawn(np.random.default_rng(7), n))) / sigma
    return totals, strategy.decoder @ strategy.decoder.T


@pytest.mark.parametrize("make", MAKERS)
def test_the_noise_has_the_stated_covariance(make: Callable[[int], Strategy]) -> None:
    totals, covariance = scaled_up(make, 4000, 12)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), totals)
    assert stats.kstest(whitened.ravel(), "norm").pvalue > FALSE_ALARM
    squares, df = float((whitened**2).sum()), whitened.size
    assert min(stats.chi2.cdf(squares, df), stats.chi2.sf(squares, df)) > FALSE_ALARM
    # independent of one another: Fisher's z of every pair
    pairs = np.arctanh(np.corrcoef(whitened)[np.triu_indices(12, 1)]) * math.sqrt(4000 - 3)
    assert np.abs(pairs).max() < stats.norm.isf(FALSE_ALARM / 2 / len(pairs))
    broken = np.linalg.solve(np.linalg.cholesky(covariance), 0.95 * totals)
    assert stats.chi2.cdf(float((broken**2).sum()), df) < FALSE_ALARM
    shuffled = np.linalg.solve(np.linalg.cholesky(covariance), totals[::-1])
    assert stats.chi2.sf(float((shuffled**2).sum()), df) < FALSE_ALARM


@given(strategy=strategies, mu=st.floats(0.1, 5), length=st.floats(1, 4))
def test_the_standard_deviations_of_the_plan_are_those_of_the_decoded_noise(
    strategy: Strategy, mu: float, length: float
) -> None:
    sigma = strategy.sensitivity(length) / mu
    covariance = sigma**2 * strategy.decoder @ strategy.decoder.T
    assert strategy.standard_deviations(mu, length) == pytest.approx(np.sqrt(np.diag(covariance)))


def test_over_a_year_of_weeks_the_matrix_mechanisms_carry_less_noise_as_long_as_ways_are_short() -> None:
    plain = plain_standard_deviation(WEEKS, 1.0)
    assert plain == pytest.approx(math.sqrt(WEEKS))
    of_tree, of_root = (make(WEEKS).standard_deviations(1.0, 2.0).max() for make in (tree, toeplitz))
    assert of_root < 0.5 * plain
    assert of_root < of_tree < 1.1 * plain
    assert toeplitz(WEEKS).standard_deviations(1.0, 5.0).max() > plain


def test_integers_cost_the_toeplitz_matrix_next_to_nothing() -> None:
    exact = np.ones(366)
    for k in range(1, 366):
        exact[k] = exact[k - 1] * (1 - 1 / (2 * k))
    # both factors are the same matrix: the noise of the last release is its whole column, squared
    assert toeplitz(366).standard_deviations(1.0, math.sqrt(2)).max() < 1.01 * (exact**2).sum()


@pytest.mark.parametrize("releases", [1, 2, 7, 32, 53, 64])
def test_the_tree_costs_what_dp_accounting_says_of_tree_aggregation(releases: int) -> None:
    sigma, orders = 5.0, [1.5, 2.0, 4.0, 8.0, 16.0, 32.0]
    theirs = rdp.RdpAccountant(orders, neighboring_relation=rdp.rdp_privacy_accountant.NeighborRel.REPLACE_SPECIAL)
    theirs.compose(SingleEpochTreeAggregationDpEvent(sigma, releases))
    ours = rdp.RdpAccountant(orders)
    # one increment of length 1 and no way back: the sensitivity without the discount for it
    ours.compose(GaussianDpEvent(sigma / tree(releases).sensitivity(math.sqrt(2))))
    assert ours._rdp == pytest.approx(theirs._rdp)


@pytest.mark.parametrize(("make", "kept"), [(tree, 31), (toeplitz, 52), (lambda n: toeplitz(n, bands=8), 7)])
def test_the_state_is_as_large_as_the_plan_says(make: Callable[[int], Strategy], kept: int) -> None:
    assert make(WEEKS).kept == kept


def test_a_stream_ends_where_its_plan_does(rng: np.random.Generator) -> None:
    noise = StreamNoise(strategy=tree(2), sigma=10.0)
    draw = Drawn(rng, 4)
    noise = noise.next(draw).next(draw)
    with pytest.raises(PrivacyParameterError, match="begin another stream"):
        noise.next(draw)


def test_a_symmetric_sum_gets_symmetric_noise(rng: np.random.Generator) -> None:
    totals = run(toeplitz(5), 1e6, lambda sigma: symmetric_gaussian(6, sigma, rng.bytes))
    assert all((total == total.T).all() for total in totals)


def vectors(head: int, limit: int) -> st.SearchStrategy[Integers]:
    """Vectors on a grid, no longer than the limit."""

    def shortened(values: list[int]) -> Integers:
        length = math.sqrt(sum(value**2 for value in values)) or 1.0
        return np.trunc(np.array(values) * min(1.0, limit / length * (1 - 1e-9))).astype(np.int64)

    return st.lists(st.integers(-limit, limit), min_size=head, max_size=head).map(shortened)


def length_of(path: list[Integers]) -> float:
    """By float64 and matrices: nothing is shared with the code but what a distance is."""
    terms = [np.outer(x, x).astype(np.float64) for x in path]
    return float(sum(np.linalg.norm(b - a) for a, b in pairwise(terms)))


@given(wanted=st.lists(vectors(4, 200), min_size=1, max_size=8), limit=st.floats(0, 4))
def test_every_way_is_bounded_with_the_way_back_at_any_time(wanted: list[Integers], limit: float) -> None:
    nothing = np.zeros(4, np.int64)
    path, way = Path(vector=nothing, left=int(limit * 200**2)), [nothing]
    for vector in wanted:
        path = path.toward(vector)
        way.append(path.vector)
        assert length_of([*way, nothing]) <= limit * 200**2 + 1e-6
        assert path.vector is vector or (path.vector == way[-2]).all()
        gone = path.toward(nothing)
        assert not gone.vector.any()


def moves_first(path: Path, wanted: Integers) -> Path:
    """A broken twin: it moves as long as anything is left, and pays afterwards."""
    return Path(vector=wanted, left=path.left - term_distance(path.vector, wanted)) if path.left > 0 else path


def no_way_back(path: Path, wanted: Integers) -> Path:
    """A broken twin: it keeps no room for going."""
    step = term_distance(path.vector, wanted)
    return Path(vector=wanted, left=path.left - step) if step <= path.left else path


@pytest.mark.parametrize(("move", "kept"), [(Path.toward, True), (moves_first, False), (no_way_back, False)])
def test_a_rule_that_lets_a_way_grow_too_long_is_found(move: Callable[[Path, Integers], Path], *, kept: bool) -> None:
    rng, nothing, limit = np.random.default_rng(3), np.zeros(6, np.int64), 3.0
    path, way = Path(vector=nothing, left=int(limit * GRID**2)), [nothing]
    for _ in range(30):
        wanted = rng.normal(size=6)
        path = move(path, np.trunc(wanted / np.linalg.norm(wanted) * (GRID - 1)).astype(np.int64))
        way.append(path.vector)
    assert (length_of([*way, nothing]) <= limit * GRID**2) is kept


def test_a_customer_who_buys_on_moves_as_far_as_the_limit_lets_them() -> None:
    path, moved = Path(vector=np.zeros(8, np.int64), left=int(3 * GRID**2)), 0
    for bought in range(1, 9):
        wanted = np.trunc((np.arange(8) < bought) / math.sqrt(bought) * (GRID - 1)).astype(np.int64)
        now = path.toward(wanted)
        moved, path = moved + (now is not path), now
    # in, and on by one item of a few: not as far as eight items
    assert 2 <= moved < 8


@given(pair=st.tuples(vectors(5, int(GRID)), vectors(5, int(GRID))))
def test_the_distance_of_two_terms_is_rounded_up_from_the_exact_one(pair: tuple[Integers, Integers]) -> None:
    one, other = (np.outer(x, x).astype(object) for x in pair)
    square = int(((one - other) ** 2).sum())
    distance = term_distance(*pair)
    assert (distance - 1) ** 2 < square <= distance**2 or distance == square == 0
    assert distance <= math.sqrt(2) * GRID**2 + 1


def test_erasing_between_two_releases_leaves_the_sum_of_the_others_under_the_same_noise() -> None:
    rng = np.random.default_rng(11)
    terms = [np.outer(x, x) for x in rng.integers(-100, 100, (4, 3))]
    draws = [symmetric_gaussian(3, 1e4, rng.bytes) for _ in range(2)]
    waiting = iter(draws)
    first = StreamNoise(strategy=toeplitz(4), sigma=1e4).next(lambda _: next(waiting))
    second = first.next(lambda _: next(waiting))
    with_everybody, never_there = sum(terms), sum(terms[1:])
    assert ((with_everybody - terms[0]) + second.total == never_there + second.total).all()
    # under the noise of the first release, two versions would differ by the customer's term and nothing else
    assert ((with_everybody + first.total) - (never_there + first.total) == terms[0]).all()
    assert (second.total != first.total).any()
