import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.evaluation.bootstrap import bootstrap_interval


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 2**32))
def test_the_interval_lies_within_the_values_and_the_mean_is_theirs(values: list[float], seed: int) -> None:
    estimate = bootstrap_interval(np.array(values), rng=np.random.default_rng(seed), resamples=20)
    assert estimate.mean == pytest.approx(np.mean(values))
    assert min(values) - 1e-12 <= estimate.low <= estimate.high <= max(values) + 1e-12
    assert estimate.n == len(values)


def test_the_interval_of_a_large_sample_is_that_of_the_normal_approximation(rng: np.random.Generator) -> None:
    values = rng.normal(3.0, 2.0, size=2000)
    estimate = bootstrap_interval(values, rng=rng, resamples=2000)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_wider_level_gives_a_wider_interval(rng: np.random.Generator) -> None:
    values = rng.random(100)
    narrow, wide = (bootstrap_interval(values, rng=np.random.default_rng(1), level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says(rng: np.random.Generator) -> None:
    held = 0
    for _ in range(200):
        estimate = bootstrap_interval(rng.random(60), rng=rng, level=0.9, resamples=200)
        held += estimate.low <= 0.5 <= estimate.high
    # 180 expected, standard deviation 4.2; the percentile bootstrap falls a little short on 60 values
    assert 155 <= held <= 196


def test_the_same_generator_gives_the_same_interval() -> None:
    values = np.linspace(0, 1, 50)
    one, same, other = (bootstrap_interval(values, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [float("inf")]], ids=["none", "NaN", "infinite"])
def test_values_without_a_mean_are_refused(values: list[float], rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="expected finite values"):
        bootstrap_interval(np.array(values), rng=rng)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_outside_0_and_1_is_refused(level: float, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="a level between 0 and 1"):
        bootstrap_interval(np.ones(3), rng=rng, level=level)
