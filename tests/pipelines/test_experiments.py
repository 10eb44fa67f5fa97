"""An experiment through the command line."""

from pathlib import Path

import pytest

from pipelines.erase import recommender
from pipelines.versions import publish_served
from recsys.store.workspace import memory_workspace
from recsys.types import Experiment
from tests.api.shop import event, open_shop
from tests.api.test_models import candidate as candidate_of
from tests.pipelines.shell import assert_refused, contents, done, privrec


@pytest.fixture
def candidate(trained: Path) -> str:
    """A version that is trained and, as far as there is a cache, published."""
    assert trained.exists()
    version = str(done("train", "--epsilon", "1", "--candidate", "--json").json["version"])
    done("models", "publish", version)
    return version


def test_an_experiment_is_started_shown_stopped_and_started_again_with_the_same_arms(
    trained: Path, candidate: str
) -> None:
    live = contents(trained)["live"]
    assert "no experiment runs" in done("experiment", "show").out
    started = done("experiment", "start", "more", candidate, "--share", "20").out
    assert f"20 % of the customers get version {candidate}" in started
    shown = done("experiment", "show", "--json").json
    salt = shown["experiment"]["salt"]
    assert salt in started
    assert shown == {
        "live": live,
        "experiment": {"name": "more", "version": candidate, "share": 20, "salt": salt},
    }
    assert f"more: 20 % of the customers get version {candidate}" in done("experiment", "show").out
    assert "stopped more" in done("experiment", "stop").out
    assert "no experiment runs" in done("experiment", "stop").out
    done("experiment", "start", "most", candidate, "--share", "80", "--salt", salt)
    assert done("experiment", "show", "--json").json["experiment"]["salt"] == salt
    done("models", "promote", candidate)
    assert done("experiment", "show", "--json").json == {"live": candidate, "experiment": None}


def test_an_experiment_that_cannot_be_is_refused_and_nothing_changes(trained: Path, candidate: str) -> None:
    before = contents(trained)
    assert_refused(privrec("experiment", "start", "more", before["live"]), 5, "publish a candidate first")
    assert_refused(privrec("experiment", "start", "more", "0" * 32), 7, "privrec models")
    assert_refused(privrec("experiment", "start", "a b", candidate), 3, "expected a name")
    assert_refused(privrec("experiment", "start", "more", candidate, "--salt", "pepper"), 3, "salt")
    assert privrec("experiment", "start", "more", candidate, "--share", "100").exit_code == 2
    assert contents(trained) == before


def test_a_version_is_compared_unseen_and_the_figures_are_marked(trained: Path, candidate: str) -> None:
    before = contents(trained)
    found = done("models", "shadow", candidate, "--customers", "7", "--json").json
    assert (found["live"], found["version"], found["customers"]) == (before["live"], candidate, 7)
    assert 0 <= found["overlap20"] <= 1
    assert found["counted"].startswith("internal, not private")
    shown = done("models", "shadow", candidate, "--customers", "7").out
    assert f"{found['overlap20']:.1%}" in shown
    assert "internal, not private" in shown
    assert contents(trained) == before


def test_a_comparison_with_an_unknown_version_is_refused(trained: Path) -> None:
    assert trained.exists()
    assert_refused(privrec("models", "shadow", "0" * 32), 7, "privrec models")
    assert privrec("models", "shadow", "0" * 32, "--customers", "0").exit_code == 2


def test_what_a_server_publishes_when_it_starts_is_all_that_it_serves() -> None:
    shop = open_shop()
    version = candidate_of(shop)
    shop.statuses(event("1"), event("2", "bo"))
    publish_served(shop.workspace)
    shop.workspace.registry.warm(version)
    shop.workspace.registry.begin(Experiment(name="more", version=version, share=50, salt="5a" * 8))
    published = recommender(shop.workspace).published
    assert [found and found.ready for found in map(published, (shop.version, version))] == [2, 0]
    publish_served(shop.workspace)
    assert [found and found.ready for found in map(published, (shop.version, version))] == [2, 2]


def test_a_server_without_a_live_version_publishes_nothing() -> None:
    workspace = memory_workspace()
    publish_served(workspace)
    assert workspace.registry.live() is None
