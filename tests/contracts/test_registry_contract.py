"""What every model registry keeps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import ArtifactError, NotFoundError, VersionConflictError
from recsys.models.factors import ItemFactors
from recsys.ports import Registry
from recsys.store.memory import MemoryRegistry
from recsys.store.registry import FileRegistry
from recsys.types import Experiment, ModelStatus, ModelVersion, Served


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


def test_a_free_slot_is_taken_before_that_of_another_version(registry: Registry, saved: list[ModelVersion]) -> None:
    first, second, third = (version.version for version in saved)
    assert [registry.warm(version) for version in (first, second)] == [0, 1]
    registry.promote(second)
    registry.withdraw(second)
    registry.promote(third)
    assert registry.served() == Served(live=third, slots=(first, third))


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


def compared(version: str, **changes: Any) -> Experiment:
    return replace(Experiment(name="more-factors", version=version, share=20, salt="5a" * 8), **changes)


@pytest.fixture
def running(registry: Registry, saved: list[ModelVersion]) -> tuple[str, str, str]:
    """The live version, the one that an experiment shows beside it, and another one."""
    live, beside, other = (version.version for version in saved)
    registry.promote(live)
    registry.warm(beside)
    registry.begin(compared(beside))
    return live, beside, other


def test_an_experiment_shows_a_version_beside_the_live_one_until_it_is_stopped(
    registry: Registry, running: tuple[str, str, str]
) -> None:
    live, beside, _ = running
    registry.begin(compared(beside))
    assert registry.served() == Served(live=live, slots=(live, beside), experiment=compared(beside))
    assert (registry.end(), registry.end()) == (compared(beside), None)
    assert registry.served() == Served(live=live, slots=(live, beside))


def test_an_experiment_needs_a_live_version_and_another_one_with_a_slot(
    registry: Registry, saved: list[ModelVersion]
) -> None:
    first, second, third = (version.version for version in saved)
    registry.warm(first)
    with pytest.raises(VersionConflictError, match="privrec models publish"):
        registry.begin(compared(first))
    registry.promote(first)
    registry.warm(second)
    for version in (first, third):
        with pytest.raises(VersionConflictError, match="privrec models publish"):
            registry.begin(compared(version))
    with pytest.raises(NotFoundError):
        registry.begin(compared("0" * 32))
    assert registry.served().experiment is None


def test_while_an_experiment_runs_no_other_begins_and_no_slot_is_taken(
    registry: Registry, running: tuple[str, str, str]
) -> None:
    live, beside, other = running
    before = registry.served()
    for changes in ({"share": 30}, {"salt": "a5" * 8}, {"name": "another"}):
        with pytest.raises(VersionConflictError, match="privrec experiment stop"):
            registry.begin(compared(beside, **changes))
    with pytest.raises(VersionConflictError, match="privrec experiment stop"):
        registry.warm(other)
    assert [registry.warm(version) for version in (live, beside)] == [0, 1]
    assert registry.served() == before


@pytest.mark.parametrize("place", [0, 1, 2], ids=["live", "beside", "other"])
def test_a_promotion_ends_an_experiment(registry: Registry, running: tuple[str, str, str], place: int) -> None:
    registry.promote(running[place])
    assert (registry.live(), registry.served().experiment) == (running[place], None)


def test_a_withdrawal_of_one_version_of_an_experiment_leaves_everybody_the_other(
    registry: Registry, running: tuple[str, str, str]
) -> None:
    live, beside, other = running
    registry.withdraw(other)
    assert registry.served().experiment == compared(beside)
    registry.withdraw(live)
    assert registry.served() == Served(live=beside, slots=(None, beside))
    registry.warm(running[1])
    registry.withdraw(beside)
    assert registry.served() == Served()


def test_a_withdrawal_of_the_version_beside_leaves_everybody_the_live_one(
    registry: Registry, running: tuple[str, str, str]
) -> None:
    live, beside, _ = running
    registry.withdraw(beside)
    assert registry.served() == Served(live=live, slots=(live, None))


def test_whoever_is_compared_on_a_version_that_is_to_be_spared_gets_another_one_if_there_is_one(
    registry: Registry, running: tuple[str, str, str]
) -> None:
    live, beside, other = running
    assert registry.spare([other]) is None
    assert registry.served().experiment == compared(beside)
    for versions, left in (([beside], live), ([live, beside], live), ([live, other], beside)):
        assert registry.spare(versions) == compared(beside)
        assert (registry.live(), registry.served().experiment) == (left, None)
        assert registry.spare(versions) is None
        registry.promote(live)
        registry.begin(compared(beside))
