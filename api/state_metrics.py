"""The state of the installation as metrics: read from the stores when a scraper asks, kept nowhere."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, fields

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.hot_path import HotPath
from api.services import Services
from recsys.store.workspace import Workspace
from recsys.types import FenceState

INTERNAL = "Internal, not private: exact, for the operator alone."
"""Said of whatever counts customers' wishes: erasures, the messages about them, and the requests that ask for them."""


class StateCollector(Collector):
    """Reads every part; one that does not answer leaves its metrics out, and is named."""

    def __init__(self, services: Services, hot: HotPath | None) -> None:
        """A collector over the stores of these services and, where there is one, the fast path."""
        workspace = services.workspace
        self._parts: dict[str, Callable[[], Iterable[Metric]]] = {
            "fast_path": lambda: fast_path(hot),
            "cache": lambda: cache(workspace),
            "erasures": lambda: erasures(workspace),
            "webhooks": lambda: webhooks(workspace),
            "model": lambda: model(workspace),
            "ledger": lambda: ledger(workspace),
        }

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not read the stores."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The metrics of every part, and which parts answered."""
        answered = GaugeMetricFamily(
            "privrec_part_answers", "Whether a part of the state could be read.", labels=["part"]
        )
        for part, read in self._parts.items():
            found = _read(read)
            yield from found or ()
            answered.add_metric([part], found is not None)
        yield answered


def fast_path(hot: HotPath | None) -> Iterator[Metric]:
    """What became of requests at the fast path, and whether this process may serve from the cache."""
    yield _gauge(
        "privrec_lease_held", "Whether this process may serve from the cache.", bool(hot and hot.lease.current())
    )
    if hot is None:
        return
    answers = CounterMetricFamily(
        "privrec_fast_answers", "Recommendations asked for in their default form, by outcome.", labels=["outcome"]
    )
    for outcome, count in zip(fields(hot.counts), astuple(hot.counts), strict=True):
        answers.add_metric([outcome.name], count)
    yield answers


def cache(workspace: Workspace) -> Iterator[Metric]:
    """Which epoch lists are let in for, and whether they are."""
    fence = workspace.fences.read()
    certified = fence.state is FenceState.CERTIFIED
    yield _gauge("privrec_cache_certified", "Whether the record trusts a run of the cache's server.", certified)
    yield _gauge("privrec_cache_epoch", "Raised when a promise was not confirmed by the cache.", fence.epoch)


def erasures(workspace: Workspace) -> Iterator[Metric]:
    """How many customers wait, for how long, and how many somebody has to look at."""
    backlog, now = workspace.erasures.backlog(), workspace.clock()
    yield _gauge("privrec_erasures_pending", f"Erasures without a receipt. {INTERNAL}", backlog.pending)
    yield _gauge("privrec_erasures_overdue", f"Those whose time has run out. {INTERNAL}", backlog.overdue)
    yield _gauge("privrec_erasures_stuck", f"Those that the worker gave up. {INTERNAL}", backlog.stuck)
    age = (now - backlog.oldest).total_seconds() if backlog.oldest else 0.0
    yield _gauge("privrec_erasure_oldest_seconds", f"How long the oldest of them waits. {INTERNAL}", age)
    if backlog.due:
        left = (backlog.due - now).total_seconds()
        yield _gauge("privrec_erasure_due_seconds", f"Until the first is due; negative: overdue. {INTERNAL}", left)


def webhooks(workspace: Workspace) -> Iterator[Metric]:
    """The messages that receivers did not take yet."""
    pending, dead = workspace.webhooks.waiting()
    yield _gauge("privrec_webhook_messages_pending", f"Messages that are to be sent. {INTERNAL}", pending)
    yield _gauge("privrec_webhook_messages_dead", f"Messages that were given up. {INTERNAL}", dead)


def model(workspace: Workspace) -> Iterator[Metric]:
    """The live version, and how old it is."""
    live = workspace.registry.live()
    for version in workspace.registry.versions():
        if version.version == live:
            age = (workspace.clock() - version.created_at).total_seconds()
            name, words = "privrec_model_age_seconds", "Since the live version was made."
            gauge = GaugeMetricFamily(name, words, labels=["version"])
            gauge.add_metric([version.version], age)
            yield gauge


def ledger(workspace: Workspace) -> Iterator[Metric]:
    """What the releases of the running period cost, and what one more may."""
    from recsys.privacy.accounting import epsilon_of  # noqa: PLC0415 - half a second: a server must not start with it
    from recsys.privacy.ledger import PrivacyLedger  # noqa: PLC0415

    summary = PrivacyLedger(workspace.ledger_log, workspace.clock).summary()
    if summary.budget is None:
        return
    left = epsilon_of(summary.mu_left, summary.budget.delta)
    yield _gauge("privrec_epsilon_budget", "The budget of the running period.", summary.budget.epsilon)
    yield _gauge("privrec_epsilon_spent", "What its releases cost together.", summary.epsilon_spent)
    yield _gauge("privrec_epsilon_left", "What one more release may cost: epsilons do not simply add up.", left)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _read(part: Callable[[], Iterable[Metric]]) -> list[Metric] | None:
    try:
        return list(part())
    except Exception:  # noqa: BLE001 - whatever the reason is, the part does not answer; the others still do
        return None
