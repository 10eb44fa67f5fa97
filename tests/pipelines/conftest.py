"""State directories, as the command line makes them."""

import os
import shutil
from pathlib import Path

import pytest

from tests.pipelines.shell import QUANTITIES, TRAINED, done, shop_rows, write_csv


@pytest.fixture(scope="session")
def purchases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of purchases."""
    return write_csv(tmp_path_factory.mktemp("purchases") / "purchases.csv", shop_rows())


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, purchases: Path) -> Path:
    """A state directory with a live model; tests get copies."""
    state_dir = tmp_path_factory.mktemp("template") / "state"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PRIVREC_")]:
            patch.delenv(name)
        done("train", "--data", purchases, *QUANTITIES, *TRAINED, "--state-dir", state_dir)
    return state_dir


@pytest.fixture
def trained(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory with a live model, that commands use."""
    state_dir = shutil.copytree(template, tmp_path / "state")
    monkeypatch.setenv("PRIVREC_STATE_DIR", str(state_dir))
    return state_dir


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory that is not there yet, that commands use."""
    monkeypatch.setenv("PRIVREC_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"
