"""Spans: one for a request, in its caller's trace, with the route's template and nothing that the request brought."""

import sys
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.testclient import TestClient

from api import traces
from api.app import create_app
from recsys.errors import StateError, StorageError
from recsys.store.settings import Settings
from recsys.types import Scope
from tests.api.shop import Broken, Shop, event
from tests.api.test_logging import ITEM, USER, ask_everything

URL = "http://127.0.0.1:4318/v1/traces"
ROUTE = "/v1/users/{user_id}/recommendations"


class Collector:
    """The receiving side of a shop whose traces are on."""

    def __init__(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        self._exporter = InMemorySpanExporter()
        self._made: list[traces.Traces] = []
        monkeypatch.setattr(traces, "_exporter", lambda url: self._exporter)
        made, real = self._made, traces.Traces.__init__

        def remember(each: traces.Traces, url: str) -> None:
            real(each, url)
            made.append(each)

        monkeypatch.setattr(traces.Traces, "__init__", remember)
        self.shop = replace(shop)
        self.shop.client = self.over()

    def over(self, **ports: object) -> TestClient:
        workspace = self.shop.with_port(**ports).workspace
        return TestClient(create_app(Settings(traces_url=URL), workspace=workspace))

    def spans(self) -> list[ReadableSpan]:
        for each in self._made:
            each._provider.force_flush()
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def collector(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Collector:
    return Collector(shop, monkeypatch)


def test_a_request_is_one_span_named_by_its_route(collector: Collector) -> None:
    response = collector.shop.ask("ada")
    (span,) = collector.spans()

    assert (span.name, span.kind, span.status.status_code) == (f"GET {ROUTE}", SpanKind.SERVER, StatusCode.UNSET)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": ROUTE,
        "http.response.status_code": 200,
        "privrec.request_id": response.headers["X-Request-ID"],
    }
    assert span.resource.attributes["service.name"] == "privrec"
    assert span.start_time is not None
    assert span.end_time is not None
    assert 0 < span.end_time - span.start_time < 60e9


def test_no_span_holds_what_a_request_brought(collector: Collector) -> None:
    asked = ask_everything(collector.shop)
    failing = collector.over(histories=Broken(StorageError(f"{USER} bought {ITEM}")), registry=Broken(KeyError(USER)))
    failing.get(f"/v1/users/{USER}/recommendations", headers=collector.shop.headers(Scope.RECOMMEND))
    failing.post("/v1/events", headers=collector.shop.headers(Scope.WRITE), json={"events": [event(USER, USER)]})
    spans = collector.spans()

    assert len(spans) == asked + 2
    told = "".join(span.to_json() for span in spans).lower()
    assert "canary" not in told
    assert not any(span.events or span.links for span in spans)


def test_a_fault_is_marked(collector: Collector) -> None:
    client = collector.over(registry=Broken(StorageError("gone")))
    client.get("/v1/models", headers=collector.shop.headers(Scope.OPERATE))
    (span,) = collector.spans()

    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.attributes is not None
    assert span.attributes["error.type"] == "unavailable"


def test_a_span_is_in_the_trace_of_its_caller_and_takes_no_other_header_along(collector: Collector) -> None:
    headers = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": f"shop={USER}",
        "baggage": f"user={USER}",
    }
    collector.shop.client.get("/health/live", headers=headers)
    (span,) = collector.spans()

    assert span.context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert span.parent is not None
    assert span.parent.span_id == 0xB7AD6B7169203331
    assert USER not in span.to_json()
    assert not span.context.trace_state


@pytest.mark.parametrize("traceparent", ["", USER, f"00-{USER}-b7ad6b7169203331-01", "00-" + "0" * 32 + "-" + "0" * 16])
def test_a_traceparent_of_another_form_begins_a_trace(collector: Collector, traceparent: str) -> None:
    collector.shop.client.get("/health/live", headers={"traceparent": traceparent})
    (span,) = collector.spans()

    assert span.parent is None
    assert USER not in span.to_json()


def test_without_the_extra_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(StateError, match=r"pip install 'privrec\[otel\]'"):
        create_app(Settings(traces_url=URL))


def test_without_the_setting_the_extra_is_not_needed(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    client = TestClient(create_app(Settings(), workspace=shop.workspace))

    assert client.get("/health/live").status_code == 200
