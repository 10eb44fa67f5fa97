"""A SQLite database, its keys and small histories."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from recsys.data.history import Purchases, event_digest, purchases_array
from recsys.evidence.manifest import name_version
from recsys.models.factors import ItemFactors
from recsys.store.keys import KeyRing
from recsys.store.sql.engine import open_engine
from recsys.store.sql.migrate import migrate
from recsys.types import ErasureRequest, ErasureState, ModelVersion

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing.ephemeral()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def engine(state_dir: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{state_dir / 'privrec.sqlite'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def shopping() -> Callable[..., Purchases]:
    """So many purchases whose quantity is a number that stands out in plain bytes."""

    def purchases(count: int, *, first: int = 0) -> Purchases:
        events = np.array([event_digest(f"event-{first + number}") for number in range(count)], dtype=np.uint64)
        times = 1_700_000_000_000 + np.arange(count)
        return purchases_array(timestamp=times, item=np.arange(count), quantity=np.full(count, 1234.5), event=events)

    return purchases


@pytest.fixture
def erasure_request() -> ErasureRequest:
    return ErasureRequest(
        request_id="request-1",
        subject="ab" * 32,
        reason="customer request",
        received_at=NOON,
        due_at=NOON + timedelta(days=30),
        state=ErasureState.SUPPRESSED,
        release=True,
    )


@pytest.fixture
def make_model() -> Callable[..., tuple[ItemFactors, ModelVersion]]:
    def model(seed: int = 0) -> tuple[ItemFactors, ModelVersion]:
        table = np.random.default_rng(seed).normal(size=(200, 16)).astype(np.float32)
        ones = np.ones(200, dtype=np.float32)
        ids = tuple(f"item-{number}" for number in range(200))
        factors = ItemFactors(item_ids=ids, encoder=table, factors=table, item_weights=ones, popularity=ones)
        version = ModelVersion(
            version="", trainer="gram", created_at=NOON, model_digest=factors.digest, config={"seed": seed}, privacy={}
        )
        return factors, name_version(version)

    return model
