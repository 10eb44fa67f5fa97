from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx2
import pytest
from starlette.testclient import TestClient

from api.app import create_app, from_environment
from recsys.errors import ArtifactError, CacheUnavailableError, InputError, StateError, StorageError
from recsys.ports import Registry
from recsys.store.memory import MemoryFences
from recsys.store.settings import Settings
from recsys.types import Scope
from tests.api.shop import Broken, Shop

if TYPE_CHECKING:
    from fastapi import FastAPI


def test_the_models_are_listed_with_their_guarantee_and_their_metrics(shop: Shop) -> None:
    answer = shop.get("/v1/models", Scope.OPERATE).json()

    assert answer["live"] == shop.version
    assert answer["models"] == [
        {
            "version": shop.version,
            "status": "live",
            "trainer": "gram",
            "created_at": "2026-03-01T12:00:00.000Z",
            "privacy": {"epsilon": 4.0, "delta": 1e-6, "unit": "customer"},
            "metrics": {"recall20": 0.25},
        }
    ]


def test_a_shop_without_a_live_model_lists_it_as_withdrawn(shop: Shop) -> None:
    shop.workspace.registry.withdraw(shop.version)
    answer = shop.get("/v1/models", Scope.OPERATE).json()

    assert (answer["live"], answer["models"][0]["status"]) == (None, "withdrawn")


def test_a_process_is_alive_whatever_its_stores_say(shop: Shop) -> None:
    broken = Broken(StorageError("gone"))
    response = shop.with_port(histories=broken, registry=broken, cache=broken).client.get("/health/live")

    assert (response.status_code, response.json()) == (200, {"live": True})


def states(response: httpx2.Response) -> dict[str, str]:
    """The word of every check; each has a sentence, too."""
    checks = response.json()["checks"]
    assert all(check["says"] for check in checks.values())
    return {name: check["state"] for name, check in checks.items()}


READY = {
    "process": "ok",
    "database": "ok",
    "schema": "ok",
    "model": "ok",
    "cache": "certified",
    "erasures": "ok",
}


def test_a_shop_with_everything_is_ready(shop: Shop) -> None:
    response = shop.client.get("/health/ready")

    assert (response.status_code, response.json()["ready"]) == (200, True)
    assert states(response) == READY


def test_a_cache_that_is_down_leaves_the_shop_ready(shop: Shop) -> None:
    response = shop.with_port(cache=Broken(CacheUnavailableError("down"))).client.get("/health/ready")

    assert (response.status_code, response.json()["ready"]) == (200, True)
    assert states(response) == READY | {"cache": "degraded"}
    assert "does not answer" in response.json()["checks"]["cache"]["says"]


def test_a_cache_that_nobody_certified_leaves_the_shop_ready(shop: Shop) -> None:
    response = shop.with_port(fences=MemoryFences()).client.get("/health/ready")

    assert response.status_code == 200
    assert states(response) == READY | {"cache": "degraded"}
    assert "no cache is certified" in response.json()["checks"]["cache"]["says"]


def test_a_shop_without_a_live_model_is_not_ready_but_has_started(shop: Shop) -> None:
    shop.workspace.registry.withdraw(shop.version)
    ready, started = shop.client.get("/health/ready"), shop.client.get("/health/startup")

    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert states(ready) == READY | {"model": "none"}
    assert (started.status_code, states(started)) == (200, {"database": "ok", "schema": "ok", "model": "none"})


def test_a_live_model_that_cannot_be_loaded_is_no_start(shop: Shop) -> None:
    registry = Unreadable(shop.workspace.registry)
    failing = shop.with_port(registry=registry)

    for path, answer in (("/health/ready", "ready"), ("/health/startup", "started")):
        response = failing.client.get(path)
        assert (response.status_code, response.json()[answer]) == (503, False)
        assert states(response)["model"] == "down"


@pytest.mark.parametrize("error", [StorageError("gone"), ConnectionError("gone")])
def test_a_shop_whose_database_does_not_answer_is_not_ready(shop: Shop, error: Exception) -> None:
    ports = dict.fromkeys(("histories", "registry", "erasures", "fences"), Broken(error))
    response = shop.with_port(**ports).client.get("/health/ready")

    assert (response.status_code, response.json()["ready"]) == (503, False)
    found = states(response)
    assert (found["database"], found["erasures"], found["cache"]) == ("down", "down", "degraded")


def test_a_database_that_another_version_migrated_is_not_ready(shop: Shop) -> None:
    response = shop.with_port(check_schema=Broken(StateError("newer")).call).client.get("/health/ready")

    assert response.status_code == 503
    assert states(response) == READY | {"schema": "down"}


def test_a_stuck_erasure_is_told_and_requests_still_come(shop: Shop) -> None:
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    shop.workspace.erasures.change(request_id, lambda request: replace(request, stuck=True))
    stuck = shop.client.get("/health/ready")

    assert (stuck.status_code, states(stuck)) == (200, READY | {"erasures": "stuck"})


def test_an_overdue_erasure_is_told_and_too_many_are_not_ready(shop: Shop) -> None:
    shop.erase(user_id="ada")
    shop.clock.wind(days=31)
    overdue = shop.client.get("/health/ready")
    limited = shop.with_port(settings=Settings(erasure_backlog_limit=0)).client.get("/health/ready")

    assert (overdue.status_code, states(overdue)) == (200, READY | {"erasures": "overdue"})
    assert (limited.status_code, states(limited)) == (503, READY | {"erasures": "backlog"})


def test_a_process_that_was_told_to_stop_is_not_ready_but_alive(shop: Shop) -> None:
    cast("FastAPI", shop.client.app).state.drain.begun = True
    response = shop.client.get("/health/ready")

    assert (response.status_code, states(response)) == (503, READY | {"process": "stopping"})
    assert shop.client.get("/health/live").status_code == 200
    assert shop.ask().status_code == 200


@dataclass
class Unreadable:
    """A registry whose files are cut."""

    real: Registry

    def live(self) -> str | None:
        return self.real.live()

    def load(self, version: str) -> None:
        msg = f"{version} is cut"
        raise ArtifactError(msg)


def test_without_a_workspace_the_application_opens_the_one_of_its_settings(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(state_dir=tmp_path / "state"))) as client:
        ready = client.get("/health/ready")

        assert client.get("/v1/models").status_code == 401
    assert ready.status_code == 503
    assert states(ready) == READY | {"model": "none", "cache": "degraded"}


def test_a_server_can_make_the_application_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVREC_STATE_DIR", str(tmp_path / "state"))
    with TestClient(from_environment()) as client:
        assert client.get("/health/live").json() == {"live": True}
    assert (tmp_path / "state").is_dir()


def test_settings_that_cannot_be_used_are_refused_before_anything_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVREC_ERASURE_DUE_DAYS", "soon")

    with pytest.raises(InputError, match="erasure_due_days"):
        from_environment()
