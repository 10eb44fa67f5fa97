import math

import pytest
from dp_accounting import (
    ComposedDpEvent,
    GaussianDpEvent,
    PoissonSampledDpEvent,
    SelfComposedDpEvent,
    pld,
    rdp,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from recsys.errors import PrivacyParameterError
from recsys.privacy.accounting import check_parameters, compose, epsilon_of, epsilon_of_spends, mu_of
from recsys.privacy.plan import PrivacyPlan
from recsys.types import PrivacyBudget, PrivacySpend

epsilons = st.floats(0.01, 50)
deltas = st.floats(-12, -1).map(lambda exponent: 10**exponent)
multipliers = st.lists(st.floats(0.05, 100), min_size=1, max_size=20)


def balle_wang_delta(epsilon: float, mu: float) -> float:
    """The smallest delta of a Gaussian release: theorem 8 of Balle and Wang (2018)."""
    return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon + norm.logcdf(-mu / 2 - epsilon / mu)))


@given(epsilon=epsilons, delta=deltas)
def test_mu_of_a_budget_uses_up_its_delta_by_the_closed_form(epsilon: float, delta: float) -> None:
    assert balle_wang_delta(epsilon, mu_of(epsilon, delta)) == pytest.approx(delta, rel=1e-4)
    assert balle_wang_delta(epsilon, 1.01 * mu_of(epsilon, delta)) > delta


@given(mu=st.floats(0.05, 6), delta=deltas)
def test_epsilon_of_a_release_is_the_smallest_by_the_closed_form(mu: float, delta: float) -> None:
    epsilon = epsilon_of(mu, delta)
    if epsilon == 0:
        assert balle_wang_delta(0.0, mu) <= delta
    else:
        assert balle_wang_delta(epsilon, mu) == pytest.approx(delta, rel=1e-4)


@given(epsilon=epsilons, delta=deltas)
def test_epsilon_and_mu_are_inverse_to_each_other(epsilon: float, delta: float) -> None:
    assert epsilon_of(mu_of(epsilon, delta), delta) == pytest.approx(epsilon, rel=1e-6)


@pytest.mark.parametrize("noise_multipliers", [(0.65,), (1.2,), (8.0,), (5.0, 1.2), (6.9, 2.0, 2.0, 3.1)])
def test_releases_compose_as_the_privacy_loss_distributions_do(noise_multipliers: tuple[float, ...]) -> None:
    accountant = pld.PLDAccountant(value_discretization_interval=1e-3)
    for noise_multiplier in noise_multipliers:
        accountant.compose(GaussianDpEvent(noise_multiplier))
    for delta in (1e-9, 1e-6, 1e-3):
        assert epsilon_of(compose(noise_multipliers), delta) == pytest.approx(accountant.get_epsilon(delta), rel=1e-4)


@pytest.mark.parametrize("noise_multipliers", [(0.65,), (1.2,), (8.0,), (5.0, 1.2), (6.9, 2.0, 2.0, 3.1)])
def test_renyi_accounting_never_promises_more(noise_multipliers: tuple[float, ...]) -> None:
    accountant = rdp.RdpAccountant()
    for noise_multiplier in noise_multipliers:
        accountant.compose(GaussianDpEvent(noise_multiplier))
    exact = epsilon_of(compose(noise_multipliers), 1e-6)
    assert exact < accountant.get_epsilon(1e-6) < 1.2 * exact


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0, 16.0])
@pytest.mark.parametrize("gram_releases", [1, 52])
def test_a_training_costs_its_claim_by_three_accountants(epsilon: float, gram_releases: int) -> None:
    """Closed form, privacy loss distributions, and Renyi divergences, which are a bound from above."""
    plan = PrivacyPlan(budget=PrivacyBudget(epsilon=epsilon, delta=1e-6), gram_releases=gram_releases)
    once = GaussianDpEvent(plan.customers_noise_multiplier), GaussianDpEvent(plan.counts_noise_multiplier)
    grams = SelfComposedDpEvent(GaussianDpEvent(plan.gram_noise_multiplier), gram_releases)
    event = ComposedDpEvent([*once, grams])
    multipliers = [one.noise_multiplier for one in once] + [plan.gram_noise_multiplier] * gram_releases
    assert balle_wang_delta(epsilon, compose(multipliers)) == pytest.approx(1e-6, rel=1e-4)
    assert pld.PLDAccountant().compose(event).get_epsilon(1e-6) == pytest.approx(epsilon, rel=1e-3)
    assert epsilon < rdp.RdpAccountant().compose(event).get_epsilon(1e-6) < 1.25 * epsilon


def test_a_training_that_is_accounted_with_one_release_less_is_found() -> None:
    """The broken twin: the counts were forgotten. All three accountants tell."""
    plan = PrivacyPlan(budget=PrivacyBudget(epsilon=4.0, delta=1e-6))
    told = compose([plan.customers_noise_multiplier, plan.gram_noise_multiplier])
    assert balle_wang_delta(4.0, told) < 0.9e-6
    event = GaussianDpEvent(1 / told)
    assert pld.PLDAccountant().compose(event).get_epsilon(1e-6) < 0.99 * 4.0
    assert epsilon_of(told, 1e-6) < 0.99 * 4.0


@given(noise_multipliers=multipliers)
def test_the_squares_of_mu_add_up(noise_multipliers: list[float]) -> None:
    squares = sum(1 / noise_multiplier**2 for noise_multiplier in noise_multipliers)
    assert compose(noise_multipliers) ** 2 == pytest.approx(squares, rel=1e-12)


@given(noise_multipliers=multipliers, position=st.integers(0, 20), silent=st.sampled_from([0.0, -1.0, math.nan]))
def test_one_release_without_noise_costs_everything(
    noise_multipliers: list[float], position: int, silent: float
) -> None:
    everything = compose([*noise_multipliers[:position], silent, *noise_multipliers[position:]])
    assert everything == math.inf
    assert epsilon_of(everything, 1e-6) == math.inf


@pytest.mark.parametrize("noise_multiplier", [1e-200, 5e-324])
def test_next_to_no_noise_costs_next_to_everything(noise_multiplier: float) -> None:
    spent = compose([noise_multiplier, 1.0])
    assert spent > 1e199
    assert epsilon_of(spent, 1e-6) == math.inf


@given(exponent=st.floats(-300, -1), delta=deltas)
def test_the_smallest_of_releases_costs_next_to_nothing(exponent: float, delta: float) -> None:
    assert 0 <= epsilon_of(10**exponent, delta) < 1.0


def test_no_release_costs_nothing_and_no_promise_buys_everything() -> None:
    assert compose([]) == 0
    assert epsilon_of(0.0, 1e-6) == 0
    assert mu_of(math.inf, 1e-6) == math.inf
    assert epsilon_of(math.inf, 1e-6) == math.inf


@given(epsilon=epsilons | st.just(math.inf), delta=deltas)
def test_parameters_that_make_a_promise_are_let_through(epsilon: float, delta: float) -> None:
    check_parameters(epsilon, delta)
    check_parameters(epsilon, delta, n_customers=int(1 / delta))


@pytest.mark.parametrize("epsilon", [math.nan, 0.0, -0.0, -1.0, -math.inf, 1e300])
def test_an_epsilon_that_makes_no_promise_is_refused(epsilon: float) -> None:
    with pytest.raises(PrivacyParameterError, match=r"expected epsilon > 0.*got"):
        check_parameters(epsilon, 1e-6)


@pytest.mark.parametrize("delta", [math.nan, 0.0, -1e-6, 1.0, 2.0, math.inf])
def test_a_delta_outside_of_zero_and_one_is_refused(delta: float) -> None:
    with pytest.raises(PrivacyParameterError, match="expected delta between 0 and 1"):
        check_parameters(1.0, delta)


@given(n_customers=st.integers(2, 10**9), excess=st.floats(1.001, 1.9))
def test_a_delta_above_one_over_the_customers_is_refused_without_saying_how_many(
    n_customers: int, excess: float
) -> None:
    delta = excess / n_customers
    with pytest.raises(PrivacyParameterError, match="choose a smaller --delta") as refused:
        check_parameters(1.0, delta, n_customers)
    # delta itself is the caller's own number, and may happen to have the digits in it
    assert str(n_customers) not in str(refused.value).replace(str(delta), "")


def spend(noise_multiplier: float, sampling_probability: float = 1.0, count: int = 1) -> PrivacySpend:
    return PrivacySpend(
        purpose="train",
        statistic="gram",
        sensitivity=1.0,
        noise_multiplier=noise_multiplier,
        sum_id="sum",
        sampling_probability=sampling_probability,
        count=count,
    )


@given(noise_multipliers=multipliers, count=st.integers(1, 50), delta=deltas)
def test_gaussian_spends_cost_what_their_releases_cost_one_by_one(
    noise_multipliers: list[float], count: int, delta: float
) -> None:
    together = [spend(each, count=count) for each in noise_multipliers]
    one_by_one = epsilon_of(compose(noise_multipliers * count), delta)
    assert epsilon_of_spends(together, delta) == pytest.approx(one_by_one, rel=1e-6)


def test_sampled_spends_cost_what_the_privacy_loss_distributions_say_beside_gaussian_ones() -> None:
    accountant = pld.PLDAccountant()
    accountant.compose(GaussianDpEvent(1.3))
    accountant.compose(SelfComposedDpEvent(PoissonSampledDpEvent(0.05, GaussianDpEvent(2.0)), 100))
    spends = [spend(2.0, 0.05, 60), spend(1.3), spend(2.0, 0.05, 40)]
    for delta in (1e-9, 1e-6, 1e-3):
        assert epsilon_of_spends(spends, delta) == pytest.approx(accountant.get_epsilon(delta), rel=1e-2)


def test_sampling_costs_less_than_taking_everybody_and_more_than_nothing() -> None:
    sampled, everybody = epsilon_of_spends([spend(2.0, 0.1)], 1e-6), epsilon_of_spends([spend(2.0)], 1e-6)
    assert 0 < sampled < everybody
    assert epsilon_of_spends([spend(1.5, 1 - 1e-9)], 1e-6) == pytest.approx(epsilon_of_spends([spend(1.5)], 1e-6))


def test_no_spends_cost_nothing_and_one_without_noise_everything() -> None:
    assert epsilon_of_spends([], 1e-6) == 0
    for spends in ([spend(0.0)], [spend(0.0, 0.1)], [spend(1.0, 0.1), spend(0.0)], [spend(1.0), spend(0.0, 0.1)]):
        assert math.isinf(epsilon_of_spends(spends, 1e-6))
