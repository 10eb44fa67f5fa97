"""A shop in memory: twenty-four products, one live model, one key for every scope."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx2
import numpy as np
from starlette.testclient import TestClient

from api.app import create_app
from recsys.evidence.manifest import name_version
from recsys.models.factors import ItemFactors
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, memory_workspace
from recsys.types import CatalogueItem, ErasureState, ModelVersion, Scope
from tests.contracts.entries import entering

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEAS = tuple(f"tea-{number}" for number in range(12))
COFFEES = tuple(f"coffee-{number}" for number in range(12))
ITEM_IDS = TEAS + COFFEES
POPULAR = tuple(item for pair in zip(COFFEES, TEAS, strict=True) for item in pair)
"""Every item, the most popular first."""


@dataclass
class Clock:
    """A clock that a test winds."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def wind(self, **by: float) -> None:
        self.now += timedelta(**by)


class Broken:
    """A port that answers every call with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object, **__: object) -> None:
            raise self._error

        return fail


def tea_and_coffee() -> ItemFactors:
    """A model in which teas go with teas, and coffees with coffees."""
    groups = np.zeros((len(ITEM_IDS), 2), dtype=np.float32)
    groups[: len(TEAS), 0] = 1.0
    groups[len(TEAS) :, 1] = 1.0
    popularity = np.array([len(POPULAR) - POPULAR.index(item) for item in ITEM_IDS], dtype=np.float32)
    weights = np.ones(len(ITEM_IDS), dtype=np.float32)
    return ItemFactors(item_ids=ITEM_IDS, encoder=groups, factors=groups, item_weights=weights, popularity=popularity)


def publish(workspace: Workspace, factors: ItemFactors) -> str:
    """The version under which the model is live now."""
    candidate = ModelVersion(
        version="",
        trainer="gram",
        created_at=START,
        model_digest=factors.digest,
        config={"n_factors": factors.n_factors},
        privacy={"epsilon": 4.0, "delta": 1e-6, "unit": "customer"},
        metrics={"recall20": 0.25},
    )
    version = name_version(candidate)
    workspace.registry.save(factors, version)
    workspace.registry.promote(version.version)
    return version.version


def event(
    event_id: str, user_id: object = "ada-lovelace", item_id: object = "tea-0", **other: object
) -> dict[str, object]:
    """A row for `POST /v1/events`."""
    row = {"event_id": event_id, "user_id": user_id, "item_id": item_id, "timestamp": "2026-02-01T09:30:00Z"}
    return {**row, **other}


def feedback(
    recommendation_id: object, kind: object = "impression", event_id: object = "1", **other: object
) -> dict[str, object]:
    """A row for `POST /v1/feedback`."""
    row = {"recommendation_id": recommendation_id, "type": kind, "event_id": event_id, "item_id": "tea-0"}
    return {**row, "timestamp": "2026-03-01T12:00:00Z", **other}


@dataclass
class Shop:
    """The application over the shop's stores, and someone who holds every key."""

    workspace: Workspace
    clock: Clock
    secrets: Mapping[Scope, str]
    version: str
    client: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = TestClient(create_app(Settings(), workspace=self.workspace))

    def with_port(self, **ports: object) -> "Shop":
        """The same shop with some of its ports replaced."""
        workspace = replace(self.workspace, **cast("dict[str, Any]", ports))
        return Shop(workspace=workspace, clock=self.clock, secrets=self.secrets, version=self.version)

    def headers(self, scope: Scope) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets[scope]}"}

    def get(self, path: str, scope: Scope = Scope.RECOMMEND) -> httpx2.Response:
        return self.client.get(path, headers=self.headers(scope))

    def ask(self, user_id: str = "ada-lovelace", **params: str) -> httpx2.Response:
        path = f"/v1/users/{user_id}/recommendations"
        return self.client.get(path, headers=self.headers(Scope.RECOMMEND), params=params)

    def recommend(self, user_id: str = "ada-lovelace", **params: str) -> dict[str, Any]:
        response = self.ask(user_id, **params)
        assert response.status_code == 200, response.text
        return cast("dict[str, Any]", response.json())

    def send(self, method: str, path: str, scope: Scope = Scope.RECOMMEND, /, **body: object) -> httpx2.Response:
        return self.client.request(method, path, headers=self.headers(scope), json=body)

    def post_events(self, rows: Iterable[object]) -> httpx2.Response:
        # Not the client's own JSON: it refuses NaN and half surrogate pairs, which others send.
        content = json.dumps({"events": list(rows)})
        headers = {**self.headers(Scope.WRITE), "Content-Type": "application/json"}
        return self.client.post("/v1/events", headers=headers, content=content)

    def tell(self, *rows: object) -> list[str]:
        """The statuses of rows of feedback."""
        response = self.send("POST", "/v1/feedback", Scope.WRITE, events=rows)
        assert response.status_code == 200, response.text
        return [row["status"] for row in response.json()["results"]]

    def statuses(self, *rows: object) -> list[str]:
        response = self.post_events(rows)
        assert response.status_code == 200, response.text
        return [row["status"] for row in response.json()["results"]]

    def erase(self, **body: object) -> httpx2.Response:
        return self.client.post("/v1/erasures", headers=self.headers(Scope.ERASE), json=body)

    def finish_erasure(self, request_id: str, receipt: bytes) -> None:
        """What the worker does after the acknowledgement."""
        erasures = self.workspace.erasures
        erasures.erase_customers({request_id: {"sums": 0}}, {})
        erasures.advance(request_id, ErasureState.RELEASED, {})
        erasures.advance(request_id, ErasureState.PURGED, {})
        erasures.advance(request_id, ErasureState.VERIFIED, {})
        erasures.finish(request_id, entering(receipt, self.workspace.signing_key), {})


def open_shop() -> Shop:
    """A new shop without customers."""
    clock = Clock()
    workspace = memory_workspace(clock=clock, wait=lambda _: None)
    workspace.catalogue.add_items([CatalogueItem(item_id=item, name=f"Finest {item}") for item in ITEM_IDS])
    version = publish(workspace, tea_and_coffee())
    secrets = {scope: workspace.api_keys.create(scope.value, frozenset({scope}))[1] for scope in Scope}
    return Shop(workspace=workspace, clock=clock, secrets=secrets, version=version)


def nameless(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer without its id: each list has its own."""
    return {**answer, "recommendation_id": ""}


def item_ids(answer: Mapping[str, Any]) -> list[str]:
    """The ids of a list, best first."""
    return [item["item_id"] for item in answer["items"]]
