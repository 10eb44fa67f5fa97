"""Where a customer is, and which versions were made with them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.routes.erasures import lineage_of
from pipelines.erase import desk, preview, prove_roster, worker
from recsys.erasure.lineage import lineage, roster_of
from recsys.errors import ArtifactError, NotFoundError
from recsys.evidence.roster import verify_roster_proof
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.training.terms import TrainConfig
from recsys.types import Trainer
from tests.recsys.erasure.shop import ADA, BEN, LOG, NOBODY, Shop, live
from tests.recsys.serving.shop import purchase
from tests.recsys.training.shop import LOUD


def test_the_roster_of_every_version_is_found_again_after_erasures(shop: Shop) -> None:
    first = live(shop)
    shop.erase(ADA, release=True)
    second = live(shop)
    shop.erase(BEN, release=True)
    made = {version.version: version for version in shop.workspace.registry.versions()}
    assert len(made) == 3
    rosters = {name: roster_of(shop.workspace, version) for name, version in made.items()}
    assert {name: roster.root for name, roster in rosters.items()} == {n: roster_root(v) for n, v in made.items()}
    assert [len(rosters[name].commitments) for name in (first, second, live(shop))] == [
        len(LOG.users) - out for out in range(3)
    ]


def test_it_is_proved_who_is_in_a_version_and_after_the_erasure_that_they_are_not(shop: Shop) -> None:
    before = live(shop)
    shop.erase(ADA, release=True)
    made = {version.version: version for version in shop.workspace.registry.versions()}
    expected = {(before, ADA): True, (live(shop), ADA): False, (live(shop), BEN): True, (before, NOBODY): False}
    for (version, user), is_in in expected.items():
        proof: Any = prove_roster(shop.workspace, version, user)["proof"]
        assert verify_roster_proof(proof, roster_root(made[version])) is proof["is_in"] is is_in
        assert shop.key(user).hex() not in str(proof)


def test_two_versions_show_nothing_in_common(memory_shop: Shop) -> None:
    shop = memory_shop
    shop.erase(ADA, release=True)
    one, other = (set(roster_of(shop.workspace, each).commitments) for each in shop.workspace.registry.versions())
    assert one.isdisjoint(other)


def test_a_record_with_other_customers_than_the_manifest_is_found_out(memory_shop: Shop) -> None:
    shop = memory_shop
    [version] = shop.workspace.registry.versions()
    terms = shop.workspace.sums._state.terms  # type: ignore[attr-defined]
    del terms[version.sum_id][shop.key(BEN)]
    with pytest.raises(ArtifactError, match="restored from a backup"):
        roster_of(shop.workspace, version)


def test_a_version_without_a_roster_and_one_that_is_none_say_so(memory_shop: Shop) -> None:
    [version] = memory_shop.workspace.registry.versions()
    with pytest.raises(NotFoundError, match="older"):
        roster_of(memory_shop.workspace, replace(version, config={}))
    with pytest.raises(NotFoundError):
        prove_roster(memory_shop.workspace, "0f" * 16, ADA)


def test_trainers_without_a_sum_have_rosters_too(untrained_shop: Shop) -> None:
    version = untrained_shop.train(TrainConfig(trainer=Trainer.ALS))
    assert len(roster_of(untrained_shop.workspace, version).commitments) == len(LOG.users)


def test_the_lineage_names_every_version_and_place_before_and_after(shop: Shop) -> None:
    first = live(shop)
    shop.budget(10 * LOUD)
    candidate = shop.train(TrainConfig(epsilon=LOUD, candidate=True)).version
    shop.workspace.registry.warm(candidate)
    before: Any = preview(shop.workspace, ADA)
    assert {each["version"]: (each["status"], each["slot"] is None) for each in before["versions"]} == {
        first: ("live", False),
        candidate: ("candidate", False),
    }
    assert (before["history"], before["terms"], "lists" in before["cache"]) == (True, 2, True)

    shop.erase(ADA)
    after: Any = lineage(shop.workspace, shop.key(ADA))
    assert {each["version"] for each in after["versions"]} == {first, candidate}
    assert (after["history"], after["terms"], after["suppressed"], "lists" in after["cache"]) == (False, 0, True, False)


def test_the_lineage_of_who_came_back_names_the_versions_of_before(memory_shop: Shop) -> None:
    settings = Settings(backups="nightly:35")
    shop = Shop(replace(memory_shop.workspace, settings=settings), memory_shop.entropy)
    first = live(shop)
    shop.erase(ADA)
    desk(shop.workspace).consent(ADA)
    shop.workspace.clock.now += timedelta(days=100)  # type: ignore[attr-defined]
    shop.recommender.record({ADA: [purchase("new", "i00")]})
    back: Any = preview(shop.workspace, ADA)
    day = f"{shop.workspace.clock() + timedelta(days=35):%Y-%m-%d}"
    assert back["backups"] == [{"name": "nightly", "kept_until": day}]
    assert [each["version"] for each in back["versions"]] == [first]

    again, _ = shop.ask(ADA)
    asked: Any = lineage_of(shop.workspace, again.request_id)
    assert asked == preview(shop.workspace, ADA)
    assert [each["version"] for each in asked["versions"]] == [first]
    day = f"{again.received_at + timedelta(days=35):%Y-%m-%d}"
    assert asked["backups"] == [{"name": "nightly", "kept_until": day}]


def test_nobody_is_nowhere(memory_shop: Shop) -> None:
    found = preview(memory_shop.workspace, NOBODY)
    assert (found["history"], found["versions"], found["terms"]) == (False, [], 0)


def test_a_dry_run_changes_nothing_in_any_file(state_dir: Path) -> None:
    settings = Settings(state_dir=state_dir)
    with open_workspace(settings, lock=False, start_cache=False):
        pass  # the files that come with opening are there now
    before = contents(state_dir)
    with open_workspace(settings, lock=False, start_cache=False) as workspace:
        assert preview(workspace, ADA)["history"] is True
    assert contents(state_dir) == before


def test_the_receipt_says_until_when_backups_are_kept_and_when_the_next_release_is(memory_shop: Shop) -> None:
    settings = Settings(backups="nightly:35", train_every="1w")
    shop = Shop(replace(memory_shop.workspace, settings=settings), memory_shop.entropy)
    request, _ = desk(shop.workspace).request(ADA)
    shop.workspace.clock.now += timedelta(days=8)  # type: ignore[attr-defined]
    worker(shop.workspace).run()
    steps: Any = shop.workspace.erasures.request(request.request_id).details
    [version] = shop.workspace.registry.versions()
    assert steps["released"]["next_release"] == f"{version.created_at + timedelta(days=14):%Y-%m-%d}"
    day = f"{shop.workspace.clock() + timedelta(days=35):%Y-%m-%d}"
    assert steps["purged"]["backups"] == [{"name": "nightly", "kept_until": day}]


def test_without_a_plan_the_receipt_says_so(memory_shop: Shop) -> None:
    receipt = memory_shop.receipt(memory_shop.erase(ADA))
    assert receipt["steps"]["released"]["next_release"] == "none is planned"


def roster_root(version: Any) -> str:
    return str(version.config["roster"]["root"])


def contents(state_dir: Path) -> dict[str, bytes]:
    """Every file but the index of SQLite's log, which is made anew whenever the database is opened."""
    files = (path for path in state_dir.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path): path.read_bytes() for path in files}
