from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rate_limit import TokenBuckets
from recsys.store.settings import Settings
from recsys.types import Scope
from tests.api.shop import Shop


class Time:
    """Seconds that a test winds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(st.sampled_from([0.0, 0.01, 0.1, 1.0, 5.0]), min_size=1, max_size=200),
    st.sampled_from([0.5, 3.0, 20.0]),
    st.integers(1, 5),
)
def test_no_interval_sees_more_than_burst_and_rate_allow(pauses: list[float], rate: float, burst: int) -> None:
    clock = Time()
    buckets = TokenBuckets(rate=rate, burst=burst, clock=clock)
    passed = []
    for pause in pauses:
        clock.now += pause
        if buckets.take("a") == 0:
            passed.append(clock.now)
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - begin) + 1e-6


def test_whoever_waits_as_told_is_let_through_and_others_are_not_touched() -> None:
    clock = Time()
    buckets = TokenBuckets(rate=2.0, burst=1, clock=clock)
    assert [buckets.take("a"), buckets.take("a"), buckets.take("b")] == [0.0, 0.5, 0.0]
    clock.now += 0.5
    assert buckets.take("a") == 0.0


def test_a_rate_of_zero_is_no_limit() -> None:
    buckets = TokenBuckets(rate=0, burst=1)
    assert {buckets.take("a") for _ in range(100)} == {0.0}


@pytest.fixture
def hurried(shop: Shop) -> Shop:
    """The shop with room for two requests of a key, and one more every hundred seconds."""
    return shop.with_port(settings=Settings(requests_per_second=0.01, requests_burst=2))


def test_a_key_that_asks_too_often_is_told_when_to_come_back(hurried: Shop) -> None:
    answers = [hurried.ask() for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["error"]["code"] == "too_many_requests"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 100
    assert "0.01 requests a second" in answers[2].json()["error"]["message"]


def test_every_key_has_a_bucket_of_its_own_and_strangers_have_none(hurried: Shop) -> None:
    for _ in range(3):
        hurried.ask()

    assert hurried.get("/v1/models", Scope.OPERATE).status_code == 200
    assert {hurried.client.get("/v1/models").status_code for _ in range(4)} == {401}
    assert {hurried.get("/v1/models", Scope.WRITE).status_code for _ in range(4)} == {403}
    assert {hurried.client.get("/health/live").status_code for _ in range(4)} == {200}
    stranger = replace(hurried, secrets={**hurried.secrets, Scope.RECOMMEND: "privrec_guess"})
    assert {stranger.ask().status_code for _ in range(4)} == {401}
