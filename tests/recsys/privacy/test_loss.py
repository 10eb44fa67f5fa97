"""The loss of Gaussian releases, with samples and without: exact where it can be, never too low elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent, pld, rdp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.privacy import accounting
from recsys.privacy.accounting import WITHOUT_BOUND, Event, Loss, compose, epsilon_of, mu_beside, mu_of, times_left

DELTA = 1e-6
LONG_ORDERS = [1 + k / 10 for k in range(1, 100)] + list(range(11, 128)) + [2**k for k in range(7, 15)]
"""A grid that ends at 64 would find too large an epsilon for much noise, and the comparison would show nothing."""

gaussian = st.builds(Event, st.floats(0.4, 30), st.just(1.0), st.integers(1, 60))
sampled = st.builds(Event, st.sampled_from([0.8, 1.5, 4.0]), st.sampled_from([0.005, 0.05, 0.4]), st.integers(1, 400))


def by_renyi(events: Sequence[Event]) -> float:
    """An upper bound that shares nothing with ours but the events."""
    accountant = rdp.RdpAccountant(LONG_ORDERS)
    for event in events:
        once = GaussianDpEvent(event.noise_multiplier)
        accountant.compose(
            once if event.sampling_probability == 1 else PoissonSampledDpEvent(event.sampling_probability, once),
            event.count,
        )
    return float(accountant.get_epsilon(DELTA))


@given(events=st.lists(gaussian, min_size=1, max_size=3))
@settings(max_examples=10)
def test_closed_form_loss_distribution_and_renyi_accountant_agree_on_who_is_largest(events: list[Event]) -> None:
    exact = Loss.of(events).epsilon(DELTA)
    accountant = pld.PLDAccountant(value_discretization_interval=1e-3)
    for event in events:
        accountant.compose(SelfComposedDpEvent(GaussianDpEvent(event.noise_multiplier), event.count))
    pessimistic = float(accountant.get_epsilon(DELTA))
    assert exact <= pessimistic * (1 + 1e-6) + 1e-6
    assert pessimistic == pytest.approx(exact, rel=5e-3, abs=5e-3)
    assert pessimistic <= by_renyi(events)


@given(events=st.lists(gaussian, max_size=3), with_samples=st.lists(sampled, min_size=1, max_size=2))
@settings(max_examples=6)
def test_with_samples_the_loss_lies_between_that_without_them_and_the_upper_bounds(
    events: list[Event], with_samples: list[Event]
) -> None:
    everything = [*events, *with_samples]
    found = Loss.of(everything).epsilon(DELTA)
    assert Loss.of(events).epsilon(DELTA) <= found * (1 + 1e-6) + 1e-6
    assert found <= by_renyi(everything) * (1 + 1e-3) + 1e-3
    assert found <= Loss.of(replace(event, sampling_probability=1.0) for event in everything).epsilon(DELTA)


@pytest.mark.parametrize("events", [[Event(1.0, 0.01, 1000)], [Event(0.8, 0.3, 5), Event(2.0), Event(4.0, 0.02, 300)]])
def test_the_loss_with_samples_is_that_of_the_accountant_on_a_finer_grid(events: list[Event]) -> None:
    accountant = pld.PLDAccountant(value_discretization_interval=1e-4)
    for event in events:
        once = GaussianDpEvent(event.noise_multiplier)
        whole = once if event.sampling_probability == 1 else PoissonSampledDpEvent(event.sampling_probability, once)
        accountant.compose(whole, event.count)
    finer = float(accountant.get_epsilon(DELTA))
    assert finer * (1 - 1e-6) <= Loss.of(events).epsilon(DELTA) <= 1.01 * finer


def test_a_twin_that_forgets_the_counts_or_the_other_releases_is_found() -> None:
    events = [Event(1.0, 0.05, 200), Event(1.5)]
    found, bound = Loss.of(events).epsilon(DELTA), Loss.of([Event(1.5)]).epsilon(DELTA)
    assert bound < found
    for broken in (
        [replace(events[0], count=1), events[1]],
        events[:1],
        [replace(events[0], sampling_probability=0.01)],
    ):
        assert Loss.of(broken).epsilon(DELTA) < 0.9 * found


def test_the_renyi_bound_is_compared_on_orders_that_are_long_enough() -> None:
    quiet = [Event(60.0, 1.0, 4)]
    short = rdp.RdpAccountant([2.0, 4.0, 8.0, 16.0, 32.0, 63.0])
    short.compose(GaussianDpEvent(60.0), 4)
    assert short.get_epsilon(DELTA) > 1.2 * by_renyi(quiet)
    assert Loss.of(quiet).epsilon(DELTA) < by_renyi(quiet) < 1.25 * Loss.of(quiet).epsilon(DELTA)


@pytest.mark.parametrize("event", [Event(1.0, 0.01, 1000), Event(0.8, 0.05, 100)])
def test_the_central_limit_promises_too_much_and_is_not_what_is_reported(event: Event) -> None:
    limit = epsilon_of(accounting._mu_in_the_limit(event), DELTA)
    accountant = pld.PLDAccountant(value_discretization_interval=1e-3)
    once = PoissonSampledDpEvent(event.sampling_probability, GaussianDpEvent(event.noise_multiplier))
    accountant.compose(once, event.count)
    assert limit < 0.95 * accountant.get_epsilon(DELTA)
    assert Loss.of([event]).epsilon(DELTA) == pytest.approx(accountant.get_epsilon(DELTA), rel=1e-2)


@given(events=st.lists(gaussian, min_size=1, max_size=8))
def test_a_count_is_so_many_releases_one_by_one(events: list[Event]) -> None:
    one_by_one = [event.noise_multiplier for event in events for _ in range(event.count)]
    assert Loss.of(events).mu == pytest.approx(compose(one_by_one), rel=1e-12)
    assert Loss.of(events).mu_unsampled == Loss.of(events).mu


@given(events=st.lists(gaussian | sampled, max_size=8), random=st.randoms(), n=st.integers(0, 5))
def test_the_loss_is_of_a_set_of_releases_in_whatever_order_and_grouping(
    events: list[Event], random: Random, n: int
) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)
    whole, parts = Loss.of(events), sum((Loss.of([event]) for event in shuffled), Loss())
    assert parts.sampled == whole.sampled
    assert parts.mu == pytest.approx(whole.mu, rel=1e-12)
    assert whole.times(n).sampled == Loss.of(events * n).sampled
    assert whole.times(n).mu == pytest.approx(Loss.of(events * n).mu, rel=1e-12)


@pytest.mark.parametrize(
    "event",
    [
        WITHOUT_BOUND,
        Event(math.nan),
        Event(-1.0),
        Event(0.0, 0.001),
        Event(1.0, 0.0),
        Event(1.0, -0.5),
        Event(1.0, 1.5),
        Event(1.0, math.nan),
        Event(1.0, 1.0, 0),
        Event(1.0, 1.0, -3),
        Event(1.0, 0.5, 2.5),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_accounted_costs_everything(event: Event) -> None:
    loss = Loss.of([Event(2.0), event, Event(1.0, 0.01, 10)])
    assert loss.epsilon(DELTA) == math.inf
    assert not loss.fits(1e6, DELTA)
    assert loss.fits(math.inf, DELTA)


@pytest.mark.parametrize(
    "event", [Event(0.05, 0.01, 3), Event(0.4, 0.9, 10**6), Event(1e-300, 0.1), Event(50.0, 1e-300, 10**9)]
)
def test_where_a_sample_hides_next_to_nothing_the_releases_count_in_full(event: Event) -> None:
    loss = Loss.of([event])
    assert loss.epsilon(DELTA) == epsilon_of(loss.mu_unsampled, DELTA)


@pytest.mark.parametrize("event", [Event(1e300, 0.3, 10**6), Event(math.inf, 0.1), Event(1e300, 0.3, 10**15)])
def test_next_to_nothing_costs_next_to_nothing(event: Event) -> None:
    assert 0 <= Loss.of([event]).epsilon(DELTA) < 1e-3
    assert Loss.of([event, Event(1.0)]).epsilon(DELTA) == pytest.approx(epsilon_of(1.0, DELTA), rel=1e-3)


def test_nothing_costs_nothing() -> None:
    assert Loss.of([]) == Loss() == Loss.of([Event(1.0), Event(1.0, 0.1)]).times(0)
    assert Loss().epsilon(DELTA) == 0
    assert Loss().fits(0.01, DELTA)


@pytest.mark.parametrize("spent", [Loss(), Loss.of([Event(2.0)]), Loss.of([Event(2.0), Event(1.0, 0.02, 400)])])
def test_the_largest_release_beside_a_loss_fits_and_a_larger_one_does_not(spent: Loss) -> None:
    left = mu_beside(spent, 4.0, DELTA)
    assert (spent + Loss(mu=left)).fits(4.0, DELTA)
    assert not (spent + Loss(mu=1.01 * left)).fits(4.0, DELTA)
    assert mu_beside(spent, math.inf, DELTA) == math.inf
    assert mu_beside(spent + Loss(mu=10.0), 4.0, DELTA) == 0


@pytest.mark.parametrize("spent", [Loss(), Loss.of([Event(3.0), Event(1.0, 0.02, 100)])])
@pytest.mark.parametrize("each", [Loss.of([Event(9.0)]), Loss.of([Event(9.0), Event(2.0, 0.01, 100)])])
def test_so_many_times_and_not_once_more(spent: Loss, each: Loss) -> None:
    left = times_left(spent, each, 4.0, DELTA)
    assert left
    assert (spent + each.times(left)).fits(4.0, DELTA)
    assert not (spent + each.times(left + 1)).fits(4.0, DELTA)
    assert times_left(spent, Loss.of([WITHOUT_BOUND]), 4.0, DELTA) == 0
    assert times_left(spent, Loss(), 4.0, DELTA) is times_left(spent, each, math.inf, DELTA) is None


@given(more=st.lists(st.floats(0.5, 5), min_size=2, max_size=4))
@settings(max_examples=4)
def test_more_releases_never_cost_less(more: list[float]) -> None:
    beside = Loss.of([Event(1.2, 0.05, 50)])
    epsilons = [(beside + Loss(mu=mu)).epsilon(DELTA) for mu in sorted(more)]
    assert all(one <= other * (1 + 1e-3) for one, other in pairwise(epsilons))


def test_the_same_events_are_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[Event] = []
    real = accounting._sampled_distribution.__wrapped__

    def counting(event: Event, interval: float) -> object:
        composed.append(event)
        return real(event, interval)

    accounting._epsilon_with_samples.cache_clear()
    monkeypatch.setattr(accounting, "_sampled_distribution", counting)
    ledger = [Event(1.3, 0.02, 10), Event(40.0)] * 3000
    assert Loss.of(ledger).epsilon(DELTA) == Loss.of(ledger).epsilon(DELTA) < mu_of(math.inf, DELTA)
    assert composed == [Event(1.3, 0.02, 30_000)]
