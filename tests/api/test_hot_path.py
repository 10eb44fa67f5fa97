"""The fast path over its real parts: SQLite, a Valkey server, the pipelined connection, the lease of the lifespan."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.types import Scope as Connection

from api import fast_path
from api.app import create_app
from api.fast_path import FastApplication
from api.hot_path import HOT, HotPath
from recsys.store.embedded import EmbeddedValkey
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.types import CatalogueItem, Scope
from tests.api.shop import ITEM_IDS, event, publish, tea_and_coffee

pytestmark = pytest.mark.service
PATIENCE = 10.0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Street:
    """A running application, a key for everything, and which answers passed the framework by."""

    def __init__(self, app: FastApplication, client: TestClient, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app, self.client, self.hits = app, client, 0
        self.client.headers["Authorization"] = f"Bearer {secret}"
        answer_of = fast_path.answer_of

        async def counted(hot: HotPath, scope: Connection) -> bytes | None:
            body = await answer_of(hot, scope)
            self.hits += body is not None
            return body

        monkeypatch.setattr(fast_path, "answer_of", counted)

    @property
    def hot(self) -> HotPath:
        assert self.app.hot is not None
        return self.app.hot

    def ask(self, user_id: str = "ada") -> httpx2.Response:
        response = self.client.get(f"/v1/users/{user_id}/recommendations")
        assert response.status_code == 200
        return response

    def is_hit(self, user_id: str = "ada") -> bool:
        before = self.hits
        self.ask(user_id)
        return self.hits > before

    def buy(self, event_id: str, item_id: str, user_id: str = "ada") -> None:
        rows = [event(event_id, user_id, item_id)]
        assert self.client.post("/v1/events", json={"events": rows}).json()["counts"]["accepted"] == 1


@contextmanager
def open_street(url: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Street]:
    settings = Settings(state_dir=directory / "state", redis_url=url, cache_timeout_seconds=5)
    with open_workspace(settings) as workspace:
        workspace.catalogue.add_items([CatalogueItem(item_id=item) for item in ITEM_IDS])
        publish(workspace, tea_and_coffee())
        _, secret = workspace.api_keys.create("all", frozenset(Scope))
        assert workspace.fence.certify()
    app = create_app(settings)
    with TestClient(app) as client:
        found = Street(app, client, secret, monkeypatch)
        until(lambda: found.hot.lease.current() is not None and found.hot.reader.server_id is not None)
        yield found
    assert found.hot.lease.current() is None
    assert found.hot.reader.server_id is None
    assert gc.get_freeze_count() == 0


@pytest.fixture
def street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Street]:
    with EmbeddedValkey(tmp_path, owner=False) as server, open_street(server.url, tmp_path, monkeypatch) as street:
        yield street


def test_a_list_comes_by_the_fast_path_until_its_customer_is_erased(street: Street) -> None:
    street.buy("1", "tea-2")
    slow = street.ask()
    until(street.is_hit)
    fast = street.ask()
    assert (fast.content, fast.json()["personalized"]) == (slow.content, True)

    street.buy("2", "coffee-3")
    assert "coffee-3" in [item["item_id"] for item in street.ask().json()["items"][:2]]
    until(street.is_hit)

    assert street.client.post("/v1/erasures", json={"user_id": "ada"}).status_code == 202
    erased, unknown = street.ask(), street.ask("nobody")
    assert not street.is_hit()
    assert (erased.json()["personalized"], erased.json()["items"]) == (False, unknown.json()["items"])


def test_what_was_there_before_the_first_request_is_not_walked_by_the_garbage_collector(street: Street) -> None:
    assert gc.get_freeze_count() > 10_000
    assert street.ask("nobody").status_code == 200


def test_the_servers_connections_are_handed_the_way_to_finished_answers(street: Street) -> None:
    assert street.client.app_state[HOT] is street.hot


def test_an_epoch_that_was_raised_ends_the_hits_within_a_second(street: Street) -> None:
    street.buy("1", "tea-2")
    street.ask()
    until(street.is_hit)
    fences = street.app.state.services.workspace.fences
    fence = fences.read()
    assert fences.swap(fence, fence.raised())
    raised = time.monotonic()
    until(lambda: not street.is_hit())
    assert time.monotonic() - raised < 2.0
    assert street.hot.lease.current() is None
