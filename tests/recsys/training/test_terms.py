"""Terms: made from a configuration, kept in a manifest, read back."""

import math
from datetime import UTC, datetime
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evidence.manifest import name_version, read_manifest, write_manifest
from recsys.privacy.accounting import compose, mu_of
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Json, ModelVersion, Trainer

CONFIGS = st.builds(
    TrainConfig,
    trainer=st.sampled_from(Trainer),
    epsilon=st.floats(0.05, 20) | st.just(math.inf),
    delta=st.floats(1e-9, 1e-3),
    releases=st.integers(1, 50),
    n_factors=st.integers(1, 512),
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
    spends = terms.first_spends("s") + [terms.next_spend("s", "more") for _ in range(config.releases - 1)]
    total = compose(spend.noise_multiplier for spend in spends)
    budget = math.inf if config.trainer is Trainer.ALS else mu_of(config.epsilon, config.delta)
    assert total == pytest.approx(budget, rel=1e-9)


@given(CONFIGS)
@FEWER
def test_what_is_booked_is_what_the_version_states(config: TrainConfig) -> None:
    terms = Terms.under(config)
    assert tuple(spend.noise_multiplier for spend in terms.first_spends("s")) == terms.noise_multipliers
    assert {spend.sum_id for spend in terms.first_spends("s")} == {"s"}


@pytest.mark.parametrize(
    ("trainer", "first", "later"),
    [
        (Trainer.GRAM, ["customers", "counts", "gram"], "gram"),
        (Trainer.POPULARITY, ["counts"], "counts"),
        (Trainer.ALS, ["the whole model"], "the whole model"),
    ],
)
def test_every_trainer_books_the_statistics_that_it_releases(trainer: Trainer, first: list[str], later: str) -> None:
    terms = Terms.under(TrainConfig(trainer=trainer, releases=2))
    assert [spend.statistic for spend in terms.first_spends("s")] == first
    assert terms.next_spend("s", "erasure 1").statistic == later
    assert terms.next_spend("s", "erasure 1").purpose == "erasure 1"


def test_als_promises_nothing_whatever_the_epsilon() -> None:
    assert math.isinf(TrainConfig(trainer=Trainer.ALS, epsilon=1.0).plan.budget.epsilon)
    assert Terms.under(TrainConfig(trainer=Trainer.ALS, epsilon=1.0)).noise_multipliers == (0.0,)
