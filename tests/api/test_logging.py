import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from starlette.testclient import TestClient

from recsys.errors import StorageError
from recsys.types import Scope
from tests.api.shop import Broken, Shop, event, feedback, open_shop

USER, ITEM = "canary-user-7f3a", "canary-item-91bc"


def ask_everything(shop: Shop) -> int:
    """Send the canaries along every route and into every error; returns how many requests that took."""
    everything = shop.workspace.api_keys.create("all", frozenset(Scope))[1]
    headers = {"X-API-Key": everything, "X-Request-ID": USER, "User-Agent": USER, "Referer": f"/{USER}"}
    request_id = shop.erase(user_id=f"{USER}-2", reason=USER).json()["request_id"]
    announced = {"kind": "purchases", "format": "csv", "size": 100, "columns": {"user_id": USER, "item_id": ITEM}}
    import_id = shop.send("POST", "/v1/imports", Scope.WRITE, **announced).json()["import_id"]
    told = [feedback(USER, item_id=ITEM, event_id=USER), {USER: ITEM}]
    row = event(USER, user_id=USER, item_id=ITEM)
    json_type = {"Content-Type": "application/json"}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/v1/users/{USER}/recommendations", {}),
        ("GET", f"/v1/users/{USER}/recommendations?n=0&{USER}={ITEM}", {}),
        ("GET", f"/v1/users/{USER}%0A/recommendations", {}),
        ("GET", f"/v1/users/{USER * 50}/recommendations", {}),
        ("GET", f"/v1/users/{USER}", {}),
        ("GET", f"/{USER}?{ITEM}", {}),
        ("DELETE", f"/v1/users/{USER}/recommendations", {}),
        (USER.upper(), f"/{USER}", {}),
        ("POST", "/v1/events", {"json": {"events": [row, {**row, "quantity": "many"}, {USER: ITEM}]}}),
        ("POST", "/v1/events", {"json": {"events": USER, ITEM: USER}}),
        ("POST", "/v1/events", {"content": f'{{"events": [{USER}', "headers": headers | json_type}),
        ("POST", "/v1/events", {"content": USER.encode() + b"\xff", "headers": headers | json_type}),
        ("POST", "/v1/events", {"content": USER.encode() * 70_000}),
        ("POST", "/v1/erasures", {"json": {"user_id": USER, "reason": USER}}),
        ("POST", "/v1/erasures", {"json": {"user_id": f"{USER}\n"}}),
        ("POST", "/v1/recommendations", {"json": {"items": [ITEM], "exclude": [ITEM], "task": "any"}}),
        ("POST", "/v1/recommendations", {"json": {"items": [ITEM], "filter": {"category": ITEM, USER: ITEM}}}),
        ("POST", "/v1/recommendations", {"content": f'{{"items": [{ITEM}', "headers": headers | json_type}),
        ("POST", "/v1/recommendations:batch", {"json": {"user_ids": [USER, f"{USER}-2"]}}),
        ("POST", "/v1/recommendations:batch", {"json": {"user_ids": [USER, f"{USER}\n"]}}),
        ("GET", f"/v1/users/{USER}/recommendations?filter={ITEM}&exclude={ITEM}", {}),
        ("GET", f"/v1/items/{ITEM}/similar", {}),
        ("PUT", f"/v1/items/{ITEM}", {"json": {"name": ITEM, "attributes": {ITEM: ITEM}}}),
        ("PUT", f"/v1/items/{ITEM}", {"json": {"name": f"{ITEM}\n", ITEM: ITEM}}),
        ("PATCH", f"/v1/items/{ITEM}-2", {"json": {"name": ITEM}}),
        ("GET", f"/v1/items/{ITEM}", {}),
        ("DELETE", f"/v1/items/{ITEM}", {}),
        ("GET", f"/v1/popular?category={ITEM}&filter={ITEM}", {}),
        ("GET", f"/v1/erasures/{request_id}", {}),
        ("GET", f"/v1/erasures/{request_id}/receipt", {}),
        ("GET", f"/v1/erasures/{USER}", {}),
        ("GET", "/v1/models", {"headers": {"X-API-Key": USER}}),
        ("GET", f"/v1/users/{USER}/recommendations", {"headers": {"Authorization": f"Bearer {ITEM}"}}),
        ("POST", "/v1/feedback", {"json": {"events": told}}),
        ("GET", f"/v1/feedback/comparison?first={USER}&second={ITEM}", {}),
        ("PATCH", f"/v1/imports/{import_id}", {"content": USER.encode(), "headers": headers | {"Upload-Offset": "0"}}),
        ("POST", "/v1/exports", {"json": {"kind": "recommendations", "format": "csv", "user_ids": [USER]}}),
        ("PUT", "/v1/experiment", {"json": {"name": USER, "version": "0f" * 16, "share": 5}}),
        ("POST", "/v1/webhooks", {"json": {"url": f"https://{USER}/{ITEM}", "events": ["model.promoted"]}}),
        *(
            (method.upper(), re.sub("{.*?}", USER, f"{path}?{USER}={ITEM}"), {"json": {USER: ITEM}})
            for path, operations in shop.client.get("/openapi.json").json()["paths"].items()
            for method in operations
        ),
    ]
    for method, path, options in requests:
        shop.client.request(method, path, **{"headers": headers, **options})
    return len(requests) + 3


def test_no_log_holds_an_id_whatever_route_or_error_it_travels_through(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    shop = open_shop()
    expected = ask_everything(shop)
    for error in (StorageError(f"{USER} bought {ITEM}"), RuntimeError(f"{USER} bought {ITEM}"), KeyError(USER)):
        failing = shop.with_port(histories=Broken(error), registry=Broken(error))
        failing.ask(USER)
        failing.post_events([event(USER, user_id=USER, item_id="tea-0")])
        expected += 2
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in err.splitlines()]

    assert len(lines) == expected
    assert set(shop.client.get("/openapi.json").json()["paths"]) <= {line["route"] for line in lines}
    assert "canary" not in (out + err + caplog.text).lower()


def log_of(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_a_log_line_has_the_template_of_the_route_and_the_id_of_the_answer(capfd: pytest.CaptureFixture[str]) -> None:
    response = open_shop().ask()
    (line,) = log_of(capfd)

    assert line.keys() == {"event", "level", "timestamp", "method", "route", "status", "duration_ms", "request_id"}
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["route"] == "/v1/users/{user_id}/recommendations"
    assert line["request_id"] == response.headers["X-Request-ID"]
    assert 0 <= line["duration_ms"] < 60_000


def test_the_log_says_where_a_fault_is_and_nothing_of_its_values(capfd: pytest.CaptureFixture[str]) -> None:
    shop = open_shop().with_port(registry=Broken(RuntimeError("Ada Lovelace")))
    shop.get("/v1/models", Scope.OPERATE)
    (line,) = log_of(capfd)

    assert (line["status"], line["code"], line["error"]) == (500, "internal", "RuntimeError")
    assert any(frame.startswith("api.routes.models:") for frame in line["trace"])
    assert "Ada Lovelace" not in json.dumps(line)


def test_the_log_names_the_kind_of_a_storage_error(capfd: pytest.CaptureFixture[str]) -> None:
    open_shop().with_port(registry=Broken(StorageError("full"))).get("/v1/models", Scope.OPERATE)
    (line,) = log_of(capfd)

    assert (line["status"], line["code"], line["error"]) == (503, "unavailable", "StorageError")


def test_a_path_that_is_no_route_is_logged_without_its_text(capfd: pytest.CaptureFixture[str]) -> None:
    open_shop().client.get("/v1/users/ada-lovelace")
    (line,) = log_of(capfd)

    assert (line["route"], line["status"], line["code"]) == ("other", 404, "not_found")


class RecordingTracer(trace.NoOpTracer):
    """Remembers the attributes of every span."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def start_span(self, name: str, *args: Any, **kwargs: Any) -> trace.Span:
        self.seen.append(kwargs.get("attributes"))
        return super().start_span(name, *args, **kwargs)

    @contextmanager
    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Iterator[trace.Span]:  # type: ignore[override]
        yield self.start_span(name, *args, **kwargs)


class RecordingProvider(trace.TracerProvider):
    """Gives everyone the same tracer."""

    def __init__(self) -> None:
        self.tracer = RecordingTracer()

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return self.tracer


def test_no_span_of_the_framework_holds_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = RecordingProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    open_shop().ask(USER)
    ours = list(provider.tracer.seen)
    TestClient(FastAPI()).get(f"/v1/users/{USER}/recommendations")

    assert USER not in str(ours)
    assert USER in str(provider.tracer.seen), "the framework's own setting leaks: the test can see it"
