"""What every model registry keeps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import ArtifactError, NotFoundError
from recsys.models.factors import ItemFactors
from recsys.ports import Registry
from recsys.store.memory import MemoryRegistry
from recsys.store.registry import FileRegistry
from recsys.types import ModelStatus, ModelVersion, Served


@pytest.fixture(params=["memory", "files"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return MemoryRegistry() if request.param == "memory" else FileRegistry(tmp_path / "models")


@pytest.fixture
def saved(registry: Registry, make_model: Callable[..., tuple[ItemFactors, ModelVersion]]) -> list[ModelVersion]:
    """Three saved versions, oldest first."""
    models = [make_model(seed) for seed in range(3)]
    for factors, version in reversed(models):
        registry.save(factors, version)
    return [version for _, version in models]


def test_a_saved_version_comes_back(
    registry: Registry, make_model: Callable[..., tuple[ItemFactors, ModelVersion]]
) -> None:
    factors, version = make_model()
    registry.save(factors, version)
    loaded, described = registry.load(version.version)
    assert loaded.to_bytes() == factors.to_bytes()
    assert described == version


def test_versions_come_oldest_first(registry: Registry, saved: list[ModelVersion]) -> None:
    assert registry.versions() == tuple(saved)


def test_no_version_is_live_before_one_is_promoted(registry: Registry, saved: list[ModelVersion]) -> None:
    assert saved
    assert registry.live() is None


def test_promoting_retires_the_version_before(registry: Registry, saved: list[ModelVersion]) -> None:
    registry.promote(saved[0].version)
    registry.promote(saved[2].version)
    assert registry.live() == saved[2].version
    statuses = [version.status for version in registry.versions()]
    assert statuses == [ModelStatus.RETIRED, ModelStatus.CANDIDATE, ModelStatus.LIVE]


def test_promoting_the_live_version_again_and_an_old_one_back_works(
    registry: Registry, saved: list[ModelVersion]
) -> None:
    for index in (0, 0, 1, 0):
        registry.promote(saved[index].version)
    statuses = [version.status for version in registry.versions()]
    assert statuses == [ModelStatus.LIVE, ModelStatus.RETIRED, ModelStatus.CANDIDATE]


def test_a_version_keeps_its_slot_when_another_is_made_live(registry: Registry, saved: list[ModelVersion]) -> None:
    first, second, third = (version.version for version in saved)
    assert registry.served() == Served()
    registry.promote(first)
    assert registry.served() == Served(live=first, slots=(first, None))
    assert (registry.warm(second), registry.warm(first), registry.warm(second)) == (1, 0, 1)
    assert registry.live() == first
    registry.promote(second)
    assert registry.served() == Served(live=second, slots=(first, second))
    registry.promote(first)
    assert registry.served() == Served(live=first, slots=(first, second))
    registry.promote(third)
    assert registry.served() == Served(live=third, slots=(first, third))
    assert registry.warm(second) == 0
    assert registry.served() == Served(live=third, slots=(second, third))


def test_a_withdrawn_version_has_no_slot(registry: Registry, saved: list[ModelVersion]) -> None:
    first, second, _ = (version.version for version in saved)
    registry.promote(first)
    registry.warm(second)
    registry.withdraw(second)
    assert registry.served() == Served(live=first, slots=(first, None))
    registry.withdraw(first)
    assert registry.served() == Served()
    with pytest.raises(NotFoundError):
        registry.warm(second)


def test_saving_again_changes_nothing(
    registry: Registry, make_model: Callable[..., tuple[ItemFactors, ModelVersion]], saved: list[ModelVersion]
) -> None:
    registry.promote(saved[0].version)
    registry.save(*make_model(0))
    assert registry.versions()[0].status is ModelStatus.LIVE
    assert len(registry.versions()) == 3


@pytest.mark.parametrize("name", ["0" * 32, "", "..", "../keys", "LIVE", "a/b", "0" * 33, "\0"])
def test_an_unknown_version_is_not_found_and_the_live_one_stays(
    registry: Registry, saved: list[ModelVersion], name: str
) -> None:
    registry.promote(saved[0].version)
    for method in (registry.load, registry.promote, registry.withdraw, registry.report):
        with pytest.raises(NotFoundError):
            method(name)
    assert registry.live() == saved[0].version


def test_a_withdrawn_version_has_no_factors_and_keeps_its_manifest(
    registry: Registry, saved: list[ModelVersion]
) -> None:
    registry.promote(saved[0].version)
    registry.withdraw(saved[0].version)
    registry.withdraw(saved[0].version)
    assert registry.live() is None
    assert registry.versions()[0] == replace(saved[0], status=ModelStatus.WITHDRAWN)
    for method in (registry.load, registry.promote):
        with pytest.raises(NotFoundError, match="withdrawn"):
            method(saved[0].version)


def test_a_report_is_kept_with_its_version_as_it_was_saved_first_and_outlives_the_factors(
    registry: Registry, make_model: Callable[..., tuple[ItemFactors, ModelVersion]]
) -> None:
    factors, version = make_model()
    registry.save(factors, version, b"signed")
    registry.save(factors, version, b"another")
    registry.save(factors, version)
    assert registry.report(version.version) == b"signed"
    registry.withdraw(version.version)
    assert registry.report(version.version) == b"signed"


def test_a_version_without_a_report_gets_none_later(
    registry: Registry, make_model: Callable[..., tuple[ItemFactors, ModelVersion]], saved: list[ModelVersion]
) -> None:
    registry.save(*make_model(0), b"signed later")
    with pytest.raises(NotFoundError, match="without one"):
        registry.report(saved[0].version)


def test_a_withdrawn_version_does_not_come_back_by_saving_it(
    registry: Registry, make_model: Callable[..., tuple[ItemFactors, ModelVersion]], saved: list[ModelVersion]
) -> None:
    registry.withdraw(saved[0].version)
    registry.save(*make_model(0))
    with pytest.raises(NotFoundError):
        registry.load(saved[0].version)


def test_withdrawing_a_version_that_is_not_live_leaves_the_live_one(
    registry: Registry, saved: list[ModelVersion]
) -> None:
    registry.promote(saved[0].version)
    registry.withdraw(saved[1].version)
    assert registry.live() == saved[0].version


@pytest.mark.parametrize("change", [{"trainer": "other"}, {"version": "0" * 32}, {"metrics": {"recall20": 1.0}}])
def test_a_version_under_a_name_that_is_not_its_own_is_refused(
    registry: Registry, make_model: Callable[..., tuple[ItemFactors, ModelVersion]], change: dict[str, Any]
) -> None:
    factors, version = make_model()
    with pytest.raises(ArtifactError):
        registry.save(factors, replace(version, **change))
    assert registry.versions() == ()


def test_a_version_with_another_models_factors_is_refused(
    registry: Registry, make_model: Callable[..., tuple[ItemFactors, ModelVersion]]
) -> None:
    with pytest.raises(ArtifactError):
        registry.save(make_model(1)[0], make_model(0)[1])
    assert registry.versions() == ()
