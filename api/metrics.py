"""What a scraper reads: counters of this process, and the state of the installation at the moment it asks."""

from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, Histogram, ProcessCollector, generate_latest

from api.hot_path import HotPath
from api.services import Services
from api.state_metrics import INTERNAL, StateCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From an answer out of the cache to a request that nobody waits for."""
LEFT = "left"
"""The status of a request whose client left before it was answered."""


class Metrics:
    """The metrics of one process.

    Guarantees:
        - No label holds anything that a request brought with it.

    Tested by: tests/api/test_metrics.py::test_no_label_holds_what_a_request_brought
    """

    def __init__(self) -> None:
        """Begin with no requests."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._requests = Histogram(
            "privrec_request_seconds",
            "Requests that the framework answered, by route; those that the fast path answered are in "
            f"privrec_fast_answers_total. {INTERNAL}",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=self._registry,
        )

    def observe(self, fields: dict[str, Any], seconds: float, _traceparent: str) -> None:
        """Count the request of this log line."""
        status = LEFT if fields["status"] is None else str(fields["status"])
        self._requests.labels(fields["method"], fields["route"], status).observe(seconds)

    def exposition(self, services: Services, hot: HotPath | None) -> bytes:
        """Every metric as text, in the form that Prometheus reads."""
        state = CollectorRegistry()
        state.register(StateCollector(services, hot))
        return generate_latest(self._registry) + generate_latest(state)
