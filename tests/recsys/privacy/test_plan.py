import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import PrivacyParameterError
from recsys.privacy.accounting import compose, epsilon_of, mu_of
from recsys.privacy.plan import (
    COUNTS_SHARE,
    COUNTS_SHARE_BESIDE_DIRECTIONS,
    CROSS_SHARE,
    CUSTOMERS_SHARE,
    LATENT_SHARE,
    LITTLE_MU,
    PrivacyPlan,
)
from recsys.types import PrivacyBudget

epsilons = st.floats(0.05, 30)
deltas = st.floats(-12, -2).map(lambda exponent: 10**exponent)
releases = st.integers(1, 300)
guesses = st.integers(1, 10**7)


def plan_of(epsilon: float, delta: float, gram_releases: int) -> PrivacyPlan:
    return PrivacyPlan(budget=PrivacyBudget(epsilon=epsilon, delta=delta), gram_releases=gram_releases)


@given(epsilon=epsilons, delta=deltas, gram_releases=releases, customers=guesses)
def test_customers_counts_and_every_release_of_the_gram_compose_to_the_budget(
    epsilon: float, delta: float, gram_releases: int, customers: int
) -> None:
    plan = replace(plan_of(epsilon, delta, gram_releases), expected_customers=customers)
    once = [plan.customers_noise_multiplier, plan.counts_noise_multiplier]
    spent = compose([*once, *[plan.gram_noise_multiplier] * gram_releases])
    assert spent == pytest.approx(mu_of(epsilon, delta), rel=1e-12)
    assert epsilon_of(spent, delta) == pytest.approx(epsilon, rel=1e-6)


@given(epsilon=epsilons, delta=deltas, gram_releases=releases, customers=guesses)
def test_with_directions_all_statistics_compose_to_the_budget(
    epsilon: float, delta: float, gram_releases: int, customers: int
) -> None:
    plan = replace(plan_of(epsilon, delta, gram_releases), directions=True, expected_customers=customers)
    assert plan.latent_noise_multiplier is not None
    assert plan.cross_noise_multiplier is not None
    once = [plan.customers_noise_multiplier, plan.counts_noise_multiplier]
    each = [plan.latent_noise_multiplier, plan.cross_noise_multiplier, plan.gram_noise_multiplier]
    assert compose([*once, *each * gram_releases]) == pytest.approx(mu_of(epsilon, delta), rel=1e-12)


def test_with_directions_each_statistic_gets_its_share_and_without_them_two_are_not_planned() -> None:
    plan = replace(plan_of(4.0, 1e-6, 3), directions=True)
    left = (1 - CUSTOMERS_SHARE) / (1 + COUNTS_SHARE_BESIDE_DIRECTIONS)
    whole = compose([plan.single_noise_multiplier] * 3)
    for multiplier, count, share in (
        (plan.counts_noise_multiplier, 1, left * COUNTS_SHARE_BESIDE_DIRECTIONS),
        (plan.customers_noise_multiplier, 1, CUSTOMERS_SHARE),
        (plan.latent_noise_multiplier, 3, left * LATENT_SHARE),
        (plan.cross_noise_multiplier, 3, left * CROSS_SHARE),
    ):
        assert multiplier is not None
        assert (compose([multiplier] * count) / whole) ** 2 == pytest.approx(share)
    plain = plan_of(4.0, 1e-6, 3)
    assert plain.latent_noise_multiplier is plain.cross_noise_multiplier is None


@given(epsilon=epsilons, delta=deltas, gram_releases=releases)
def test_one_statistic_released_alone_composes_to_the_budget(epsilon: float, delta: float, gram_releases: int) -> None:
    plan = plan_of(epsilon, delta, gram_releases)
    assert compose([plan.single_noise_multiplier] * gram_releases) == pytest.approx(mu_of(epsilon, delta), rel=1e-12)


def test_the_counts_and_the_number_of_customers_get_their_share() -> None:
    plan = plan_of(4.0, 1e-6, 3)
    whole = compose([plan.single_noise_multiplier] * 3)
    assert (compose([plan.counts_noise_multiplier]) / whole) ** 2 == pytest.approx(
        (1 - CUSTOMERS_SHARE) * COUNTS_SHARE / (1 + COUNTS_SHARE)
    )
    assert (compose([plan.customers_noise_multiplier]) / whole) ** 2 == pytest.approx(CUSTOMERS_SHARE)


@pytest.mark.parametrize("directions", [False, True])
def test_under_a_small_budget_the_counts_get_more_and_keep_their_noise(directions: bool) -> None:
    at = {
        mu: replace(plan_of(epsilon_of(mu, 1e-6), 1e-6, 2), directions=directions).counts_noise_multiplier
        for mu in (2 * LITTLE_MU, LITTLE_MU, 0.8 * LITTLE_MU, 0.1 * LITTLE_MU)
    }
    double, little, less, next_to_none = at.values()
    assert little == pytest.approx(2 * double)
    assert little < less < 1.05 * little
    # nearly all of next to nothing
    assert 10 / LITTLE_MU < next_to_none < 1.05 * 10 / LITTLE_MU


def test_in_a_small_shop_the_counts_get_more_at_a_larger_budget() -> None:
    small, usual, large = (
        replace(plan_of(2.0, 1e-6, 1), expected_customers=n).counts_noise_multiplier for n in (1000, 5000, 10**6)
    )
    assert small < 0.7 * usual
    assert usual == large


def test_without_a_promise_no_noise_is_planned() -> None:
    plan = plan_of(math.inf, 1e-6, 2)
    assert not plan.private
    assert plan.counts_noise_multiplier == plan.customers_noise_multiplier == 0
    assert plan.gram_noise_multiplier == plan.single_noise_multiplier == 0
    assert plan_of(8.0, 1e-6, 2).private


@pytest.mark.parametrize("gram_releases", [0, -1])
def test_a_plan_without_a_release_is_refused(gram_releases: int) -> None:
    with pytest.raises(PrivacyParameterError, match="at least one planned release"):
        plan_of(1.0, 1e-6, gram_releases)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 1e-6), (math.nan, 1e-6), (1.0, 0.0), (1.0, 1.0)])
def test_a_plan_for_a_budget_without_a_promise_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(PrivacyParameterError, match="expected"):
        plan_of(epsilon, delta, 1)
