from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app, from_environment
from recsys.errors import CacheUnavailableError, InputError, StorageError
from recsys.store.settings import Settings
from recsys.types import Scope
from tests.api.shop import Broken, Shop


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


def test_a_shop_with_everything_is_ready(shop: Shop) -> None:
    response = shop.client.get("/health/ready")

    assert response.status_code == 200
    assert response.json() == {"ready": True, "checks": {"database": "ok", "model": "ok", "cache": "ok"}}


def test_a_cache_that_is_down_leaves_the_shop_ready(shop: Shop) -> None:
    response = shop.with_port(cache=Broken(CacheUnavailableError("down"))).client.get("/health/ready")

    assert response.status_code == 200
    assert response.json() == {"ready": True, "checks": {"database": "ok", "model": "ok", "cache": "degraded"}}


def test_a_shop_without_a_live_model_is_not_ready(shop: Shop) -> None:
    shop.workspace.registry.withdraw(shop.version)
    response = shop.client.get("/health/ready")

    assert response.status_code == 503
    assert response.json() == {"ready": False, "checks": {"database": "ok", "model": "none", "cache": "ok"}}


@pytest.mark.parametrize("error", [StorageError("gone"), ConnectionError("gone")])
def test_a_shop_whose_database_does_not_answer_is_not_ready(shop: Shop, error: Exception) -> None:
    response = shop.with_port(histories=Broken(error), registry=Broken(error)).client.get("/health/ready")

    assert response.status_code == 503
    assert response.json() == {"ready": False, "checks": {"database": "down", "model": "none", "cache": "ok"}}


def test_without_a_workspace_the_application_opens_the_one_of_its_settings(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(state_dir=tmp_path / "state"))) as client:
        ready = client.get("/health/ready")

        assert client.get("/v1/models").status_code == 401
    assert (ready.status_code, ready.json()["checks"]["database"], ready.json()["checks"]["model"]) == (
        503,
        "ok",
        "none",
    )


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
