"""The registry's files: a damaged one is refused, and the live model stays."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.errors import ArtifactError, StorageError
from recsys.models.factors import ItemFactors
from recsys.ports import Registry
from recsys.store.registry import FileRegistry
from recsys.types import Experiment, ModelStatus, ModelVersion, Served


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def two(directory: Path, make_model: Callable[..., tuple[ItemFactors, ModelVersion]]) -> tuple[FileRegistry, str, str]:
    """A live version, and a candidate with its directory."""
    registry, live, candidate = FileRegistry(directory), make_model(0), make_model(1)
    registry.save(*live)
    registry.save(*candidate)
    registry.promote(live[1].version)
    return registry, live[1].version, candidate[1].version


def refused(registry: Registry, version: str) -> None:
    for method in (registry.load, registry.promote):
        with pytest.raises(ArtifactError):
            method(version)


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_changed_by_a_byte_is_refused_and_the_live_model_stays(
    directory: Path, two: tuple[FileRegistry, str, str], name: str, share: float
) -> None:
    registry, live, candidate = two
    path = directory / candidate / name
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= 1
    path.write_bytes(data)
    refused(registry, candidate)
    assert registry.live() == live
    assert registry.load(live)[1].status is ModelStatus.LIVE


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
@pytest.mark.parametrize("keep", [0, 0.5])
def test_a_file_cut_in_half_is_refused_and_the_live_model_stays(
    directory: Path, two: tuple[FileRegistry, str, str], name: str, keep: float
) -> None:
    registry, live, candidate = two
    path = directory / candidate / name
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    refused(registry, candidate)
    assert registry.live() == live


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_file_that_is_missing_is_refused(directory: Path, two: tuple[FileRegistry, str, str], name: str) -> None:
    registry, live, candidate = two
    (directory / candidate / name).unlink()
    refused(registry, candidate)
    assert registry.live() == live


def test_a_manifest_with_white_space_or_a_new_line_is_refused(
    directory: Path, two: tuple[FileRegistry, str, str]
) -> None:
    registry, _, candidate = two
    path = directory / candidate / "manifest.json"
    path.write_bytes(path.read_bytes() + b"\n")
    refused(registry, candidate)


def test_a_version_under_another_versions_name_is_refused(directory: Path, two: tuple[FileRegistry, str, str]) -> None:
    registry, live, candidate = two
    for name in ("model.safetensors", "manifest.json"):
        (directory / candidate / name).write_bytes((directory / live / name).read_bytes())
    refused(registry, candidate)


def test_a_list_with_a_changed_manifest_is_refused(directory: Path, two: tuple[FileRegistry, str, str]) -> None:
    registry, _, candidate = two
    (directory / candidate / "manifest.json").write_bytes(b"{}")
    with pytest.raises(ArtifactError):
        registry.versions()


def test_a_pointer_that_is_no_pointer_is_refused(directory: Path, two: tuple[FileRegistry, str, str]) -> None:
    registry, *_ = two
    (directory / "LIVE").write_bytes(b"[]")
    with pytest.raises(ArtifactError, match="delete it"):
        registry.live()


def test_a_pointer_from_before_there_were_slots_and_experiments_is_read(
    directory: Path, two: tuple[FileRegistry, str, str]
) -> None:
    registry, live, _ = two
    (directory / "LIVE").write_text(json.dumps({"live": live, "retired": []}))
    assert registry.served() == Served(live=live, slots=(live, None))


def test_another_process_sees_an_experiment(directory: Path, two: tuple[FileRegistry, str, str]) -> None:
    registry, _, candidate = two
    experiment = Experiment(name="more-factors", version=candidate, share=20, salt="5a" * 8)
    registry.warm(candidate)
    registry.begin(experiment)
    assert FileRegistry(directory, owner=False).served().experiment == experiment


def test_another_process_sees_what_was_promoted(directory: Path, two: tuple[FileRegistry, str, str]) -> None:
    _, live, candidate = two
    assert FileRegistry(directory, owner=False).live() == live
    two[0].promote(candidate)
    assert FileRegistry(directory, owner=False).live() == candidate


def test_model_files_belong_to_their_owner_alone(directory: Path, two: tuple[FileRegistry, str, str]) -> None:
    assert two
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_withdrawing_deletes_the_factors_from_the_disk(directory: Path, two: tuple[FileRegistry, str, str]) -> None:
    registry, live, _ = two
    registry.withdraw(live)
    assert sorted(path.name for path in (directory / live).iterdir()) == ["manifest.json", "withdrawn"]


def test_the_owner_finishes_what_an_interrupted_process_began(
    directory: Path, two: tuple[FileRegistry, str, str]
) -> None:
    registry, live, candidate = two
    (directory / ".tmp-dead").mkdir()
    (directory / ".tmp-dead" / "model.safetensors").write_bytes(b"half")
    (directory / ".tmp-pointer").write_bytes(b"half")
    (directory / candidate / "withdrawn").touch()
    FileRegistry(directory, owner=False)
    assert (directory / ".tmp-dead").exists()
    FileRegistry(directory)
    assert sorted(path.name for path in directory.iterdir()) == sorted(["LIVE", "LIVE.lock", live, candidate])
    assert not (directory / candidate / "model.safetensors").exists()
    assert registry.live() == live


FULL = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from recsys.errors import StorageError
from recsys.evidence.manifest import name_version
from recsys.models.factors import ItemFactors
from recsys.store.registry import FileRegistry
from recsys.types import ModelVersion

table, ones = np.ones((2000, 64), dtype=np.float32), np.ones(2000, dtype=np.float32)
ids = tuple(map(str, range(2000)))
factors = ItemFactors(item_ids=ids, encoder=table, factors=table, item_weights=ones, popularity=ones)
now = datetime.now(UTC)
version = ModelVersion(
    version="", trainer="gram", created_at=now, model_digest=factors.digest, config={}, privacy={}
)
registry = FileRegistry(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    registry.save(factors, name_version(version))
except StorageError as error:
    sys.exit(f"refused: {error}")
"""


def test_a_full_disk_refuses_a_model_whole_and_the_live_one_stays(
    directory: Path, two: tuple[FileRegistry, str, str]
) -> None:
    registry, live, candidate = two
    done = subprocess.run([sys.executable, "-c", FULL, str(directory)], check=False, capture_output=True, text=True)
    assert "refused: expected to write the model's files" in done.stderr
    assert sorted(path.name for path in directory.iterdir()) == sorted(["LIVE", "LIVE.lock", live, candidate])
    assert registry.live() == live


def test_a_directory_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        FileRegistry(tmp_path / "nothing" / "models")
