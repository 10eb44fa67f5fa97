import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.store.workspace import memory_workspace
from tests.recsys.erasure.shop import Shop, open_sqlite, stock, with_cache
from tests.recsys.rights.test_worker import EXACT
from tests.recsys.training.shop import TickingClock


@pytest.fixture(params=["memory", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A shop whose live model is a function of an exact sum."""
    if request.param == "memory":
        yield stock(memory_workspace(clock=TickingClock(), wait=lambda _: None), EXACT)
        return
    with open_sqlite(tmp_path / "shop") as workspace:
        yield stock(with_cache(workspace), EXACT)


@pytest.fixture(scope="session")
def stocked_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a shop whose live model is a function of an exact sum; to be copied, not to be used."""
    state_dir = tmp_path_factory.mktemp("template") / "state"
    with open_sqlite(state_dir) as workspace:
        stock(workspace, EXACT)
    return state_dir


@pytest.fixture
def state_dir(stocked_directory: Path, tmp_path: Path) -> Path:
    """A state directory with a live model."""
    return Path(shutil.copytree(stocked_directory, tmp_path / "state"))


@pytest.fixture
def memory_shop() -> Shop:
    """The shop in memory, under noise."""
    return stock(memory_workspace(clock=TickingClock(), wait=lambda _: None))
