"""What every test stands on: repeatable randomness, and nothing of the developer's own settings."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Two test processes share two busy cores: time says nothing about the code there, so there is no deadline.
settings.register_profile("default", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

TEST_SETTINGS = "PRIVREC_TEST_"
"""Variables with this prefix are for the tests, such as the URL of a PostgreSQL server that they may use."""


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop's PRIVREC_ variables neither change a test nor are touched by one."""
    for name in [name for name in os.environ if name.startswith("PRIVREC_") and not name.startswith(TEST_SETTINGS)]:
        monkeypatch.delenv(name)


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator, fresh for each test."""
    return np.random.default_rng(20260131)
