"""Spans for OpenTelemetry: one for a request, with what the log line says and no more."""

import time
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from recsys.errors import StateError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

SERVER_FAULT = 500


class Traces:
    """Makes a span of every log line, after the request: nothing that happens in between can write into it.

    Guarantees:
        - A span holds the method, the template of the route, the status, the code of an error and the request's id.

    Tested by: tests/api/test_traces.py::test_no_span_holds_what_a_request_brought
    """

    def __init__(self, url: str) -> None:
        """Send spans to the OTLP collector at the URL, in batches, beside the requests.

        Raises:
            StateError: the extra `otel` is not installed.
        """
        self._provider = _provider(_exporter(url))
        self._tracer = self._provider.get_tracer("privrec")

    def observe(self, fields: dict[str, Any], seconds: float, traceparent: str) -> None:
        """A span for the request of this log line, in the trace that its caller began."""
        ended = time.time_ns()
        span = self._tracer.start_span(
            f"{fields['method']} {fields['route']}",
            context=_context(traceparent),
            kind=SpanKind.SERVER,
            attributes=_attributes(fields),
            start_time=ended - int(seconds * 1e9),
        )
        if (fields["status"] or 0) >= SERVER_FAULT:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _attributes(fields: dict[str, Any]) -> dict[str, str | int]:
    """The semantic conventions' names for what is logged."""
    named = {
        "http.request.method": fields["method"],
        "http.route": fields["route"],
        "http.response.status_code": fields["status"],
        "error.type": fields.get("code"),
        "privrec.request_id": fields["request_id"],
    }
    return {name: value for name, value in named.items() if value is not None}


def _context(traceparent: str) -> Context:
    """The caller's span, if the header has the standard form; `tracestate` and `baggage` hold any text and are left."""
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


def _exporter(url: str) -> "SpanExporter":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    except ImportError as error:
        msg = (
            "expected the packages that send traces, they are not installed; "
            "run `pip install 'privrec[otel]'`, or unset PRIVREC_TRACES_URL"
        )
        raise StateError(msg) from error
    return OTLPSpanExporter(endpoint=url)


def _provider(exporter: "SpanExporter") -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as the exporter
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": "privrec"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
