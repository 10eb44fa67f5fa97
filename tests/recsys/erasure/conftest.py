import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.store.workspace import memory_workspace
from tests.recsys.erasure.shop import Shop, open_sqlite, stock, with_cache
from tests.recsys.training.shop import TickingClock, seeded


@pytest.fixture(scope="session")
def trained_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a shop with thirty customers and a live model; to be copied, not to be used."""
    state_dir = tmp_path_factory.mktemp("template") / "state"
    with open_sqlite(state_dir) as workspace:
        stock(workspace)
    return state_dir


@pytest.fixture
def state_dir(trained_directory: Path, tmp_path: Path) -> Path:
    """A state directory with a live model."""
    return Path(shutil.copytree(trained_directory, tmp_path / "state"))


@pytest.fixture(params=["memory", "sqlite"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A shop with thirty customers and a live model, in memory and on SQLite."""
    if request.param == "memory":
        yield stock(memory_workspace(clock=TickingClock(), wait=lambda _: None))
        return
    with open_sqlite(request.getfixturevalue("state_dir"), day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        shop.recommender.publish()
        yield shop


@pytest.fixture
def memory_shop() -> Shop:
    """The same shop in memory alone."""
    return stock(memory_workspace(clock=TickingClock(), wait=lambda _: None))


@pytest.fixture
def untrained_shop() -> Shop:
    """The same shop in memory before its first training."""
    return stock(memory_workspace(clock=TickingClock(), wait=lambda _: None), None)
