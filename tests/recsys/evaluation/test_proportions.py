"""Shares with intervals, against SciPy's and against the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.evaluation.proportions import Difference, Share, difference, share


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_the_interval_is_scipys(cases: int, part: float) -> None:
    hits = round(part * cases)
    theirs = stats.binomtest(hits, cases).proportion_ci(0.95, method="wilson")
    ours = share(hits, cases)

    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.low <= hits / cases <= ours.high


def test_without_cases_nothing_is_known() -> None:
    nothing = share(0, 0)

    assert nothing == Share(value=None, low=0.0, high=1.0)
    assert difference(share(0, 10), nothing).value is None
    assert not difference(share(0, 10), nothing).clear
    assert difference(nothing, share(10, 10)).high == 1


def test_a_difference_is_that_of_newcombes_example() -> None:
    """56 of 70 and 48 of 80: table II of Newcombe (1998), method 10."""
    found = difference(share(48, 80), share(56, 70))

    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.clear


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_the_other_way_round_it_has_the_other_sign(n: int, m: int, p: float, q: float) -> None:
    first, second = share(round(p * n), n), share(round(q * m), m)
    there, back = difference(first, second), difference(second, first)

    assert (there.value, there.low, there.high) == pytest.approx((-(back.value or 0), -back.high, -back.low))
    assert there.low <= (there.value or 0) <= there.high


@pytest.mark.parametrize(("first", "second", "cases"), [(0.02, 0.05, 100), (0.3, 0.3, 60), (0.01, 0.012, 2_000)])
def test_the_interval_of_a_difference_holds_as_often_as_it_says(first: float, second: float, cases: int) -> None:
    """Of 2,000 samples with a fixed seed; 93 % or less by chance of a 95 % interval is a matter of 1 in 30,000."""
    rng = np.random.default_rng(0)
    pairs = zip(rng.binomial(cases, first, 2_000).tolist(), rng.binomial(cases, second, 2_000).tolist(), strict=True)
    found = [difference(share(a, cases), share(b, cases)) for a, b in pairs]

    assert np.mean([each.low <= second - first <= each.high for each in found]) > 0.93


def test_equal_shares_are_not_clearly_different() -> None:
    assert not difference(share(10, 100), share(10, 100)).clear
    assert Difference(value=-0.1, low=-0.2, high=-0.01).clear
