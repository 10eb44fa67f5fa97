"""Terms: made from a configuration, kept in a manifest, read back."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent, pld
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evidence.manifest import name_version, read_manifest, write_manifest
from recsys.models import dp_als, dp_sgd
from recsys.privacy.accounting import compose, mu_of
from recsys.training.terms import STEPPING, WITHOUT_NOISE, Terms, TrainConfig
from recsys.types import Json, ModelVersion, Trainer

CONFIGS = st.builds(
    TrainConfig,
    trainer=st.sampled_from([trainer for trainer in Trainer if trainer is not Trainer.DP_SGD]),
    epsilon=st.floats(0.05, 20) | st.just(math.inf),
    delta=st.floats(1e-9, 1e-3),
    releases=st.integers(1, 50),
    n_factors=st.integers(1, 512),
    attributes=st.booleans(),
)
FEWER = settings(max_examples=settings().max_examples // 3)
"""Each example solves for several noise levels."""


def version_under(terms: Terms) -> ModelVersion:
    config = cast("dict[str, Json]", {"purpose": "train", "terms": terms.to_json()})
    return name_version(
        ModelVersion(
            version="",
            trainer=terms.trainer,
            created_at=datetime(2026, 1, 31, tzinfo=UTC),
            model_digest="0" * 64,
            config=config,
            privacy={},
        )
    )


@given(CONFIGS)
@FEWER
def test_terms_come_back_from_the_manifest_as_they_were(config: TrainConfig) -> None:
    terms = Terms.under(config)
    assert Terms.of(read_manifest(write_manifest(version_under(terms)))) == terms


@given(CONFIGS)
@FEWER
def test_the_first_release_and_all_planned_ones_cost_the_budget(config: TrainConfig) -> None:
    terms = Terms.under(config)
    again = terms.first_spends("s") if config.trainer in STEPPING else terms.next_spends("s", "more")
    spends = terms.first_spends("s") + again * (config.releases - 1)
    total = compose(spend.noise_multiplier / math.sqrt(spend.count) for spend in spends)
    budget = math.inf if config.trainer in WITHOUT_NOISE else mu_of(config.epsilon, config.delta)
    assert total == pytest.approx(budget, rel=1e-9)


@given(CONFIGS)
@FEWER
def test_what_is_booked_is_what_the_version_states(config: TrainConfig) -> None:
    terms = Terms.under(config)
    booked = tuple(spend.noise_multiplier / math.sqrt(spend.count) for spend in terms.first_spends("s"))
    assert booked == terms.noise_multipliers
    assert {spend.sum_id for spend in terms.first_spends("s")} == {"s"}


@pytest.mark.parametrize(
    ("trainer", "first", "later"),
    [
        (Trainer.GRAM, ["customers", "counts", "gram"], ["gram"]),
        (Trainer.POPULARITY, ["counts"], ["counts"]),
        (Trainer.ALS, ["the whole model"], ["the whole model"]),
    ],
)
def test_every_trainer_books_the_statistics_that_it_releases(
    trainer: Trainer, first: list[str], later: list[str]
) -> None:
    terms = Terms.under(TrainConfig(trainer=trainer, releases=2))
    assert [spend.statistic for spend in terms.first_spends("s")] == first
    assert [spend.statistic for spend in terms.next_spends("s", "erasure 1")] == later
    assert {spend.purpose for spend in terms.next_spends("s", "erasure 1")} == {"erasure 1"}


@pytest.mark.parametrize("releases", [1, 2, 3])
def test_with_attributes_the_three_matrices_are_booked_each_time_and_all_releases_cost_the_budget(
    releases: int,
) -> None:
    terms = Terms.under(TrainConfig(epsilon=2.0, releases=releases, attributes=True))
    first, anew = terms.first_spends("s"), terms.next_spends("s", "erasure 1")
    assert [spend.statistic for spend in first] == ["customers", "counts", "latent", "cross", "gram"]
    assert [spend.statistic for spend in anew] == ["latent", "cross", "gram"]
    assert [spend.noise_multiplier for spend in anew] == [spend.noise_multiplier for spend in first[2:]]
    assert [spend.sensitivity for spend in first] == [1.0, math.sqrt(50), 1.0, 1.0, 1.0]
    accountant = pld.PLDAccountant(value_discretization_interval=1e-3)
    for spend in [*first, *anew * (releases - 1)]:
        accountant.compose(GaussianDpEvent(spend.noise_multiplier))
    assert accountant.get_epsilon(1e-6) == pytest.approx(2.0, rel=1e-3)
    assert (terms.epsilon == pytest.approx(2.0)) == (releases == 1)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(attributes=True, epsilon=math.inf),
        *(
            TrainConfig(attributes=True, trainer=trainer)
            for trainer in (Trainer.POPULARITY, Trainer.ALS, Trainer.DP_ALS)
        ),
    ],
)
def test_attributes_change_nothing_but_the_gram_under_noise(config: TrainConfig) -> None:
    assert Terms.under(config) == Terms.under(replace(config, attributes=False))


def test_least_squares_books_each_statistic_as_often_as_it_takes_steps() -> None:
    terms = Terms.under(TrainConfig(trainer=Trainer.DP_ALS, epsilon=2.0))
    counts, *steps = terms.first_spends("s")
    assert (counts.statistic, counts.count) == ("counts", 1)
    assert [spend.statistic for spend in steps] == list(dp_als.STATISTICS)
    assert {(spend.count, spend.sampling_probability) for spend in steps} == {(terms.steps, 1.0)}
    assert terms.epsilon == pytest.approx(2.0, rel=1e-6)
    accountant = pld.PLDAccountant(value_discretization_interval=1e-3)
    for spend in (counts, *steps):
        accountant.compose(SelfComposedDpEvent(GaussianDpEvent(spend.noise_multiplier), spend.count))
    assert accountant.get_epsilon(1e-6) == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(("epsilon", "releases"), [(0.5, 1), (4.0, 1), (4.0, 5)])
def test_gradient_descent_books_its_steps_on_samples_and_all_trainings_keep_the_budget(
    epsilon: float, releases: int
) -> None:
    terms = Terms.under(TrainConfig(trainer=Trainer.DP_SGD, epsilon=epsilon, releases=releases))
    counts, steps = terms.first_spends("s")
    assert (counts.statistic, counts.count, counts.sampling_probability) == ("counts", 1, 1.0)
    assert (steps.statistic, steps.count) == (dp_sgd.STATISTIC, terms.steps)
    assert steps.sampling_probability == terms.sampling_probability == 0.25
    accountant = pld.PLDAccountant(value_discretization_interval=5e-4)
    sampled = PoissonSampledDpEvent(steps.sampling_probability, GaussianDpEvent(steps.noise_multiplier))
    accountant.compose(SelfComposedDpEvent(GaussianDpEvent(counts.noise_multiplier), releases))
    accountant.compose(SelfComposedDpEvent(sampled, steps.count * releases))
    assert 0.99 * epsilon < accountant.get_epsilon(1e-6) <= epsilon
    assert terms.epsilon <= epsilon
    assert Terms.of(read_manifest(write_manifest(version_under(terms)))) == terms


def test_what_is_expected_of_the_shop_is_public_and_changes_no_noise() -> None:
    few, many = (
        Terms.under(TrainConfig(trainer=Trainer.DP_SGD, expected_customers=customers)) for customers in (100, 100_000)
    )
    assert (few.expected_customers, many.expected_customers) == (100, 100_000)
    assert few.first_spends("s") == many.first_spends("s")


@pytest.mark.parametrize("trainer", [Trainer.GRAM, Trainer.DP_SGD])
def test_a_guess_of_how_many_there_are_stands_in_the_manifest(trainer: Trainer) -> None:
    terms = Terms.under(TrainConfig(trainer=trainer, expected_customers=1000))
    assert terms.to_json()["expected_customers"] == 1000
    assert terms.counts_noise_multiplier > 0


def test_als_promises_nothing_whatever_the_epsilon() -> None:
    assert math.isinf(TrainConfig(trainer=Trainer.ALS, epsilon=1.0).plan.budget.epsilon)
    assert Terms.under(TrainConfig(trainer=Trainer.ALS, epsilon=1.0)).noise_multipliers == (0.0,)
