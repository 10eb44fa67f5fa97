"""The metrics: what happened is counted, what is true is told, and nothing of a customer is in either."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recsys.errors import StorageError
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.new_webhook import new_webhook
from recsys.types import FenceState, PrivacyBudget, PrivacySpend, Scope, WebhookEvent
from tests.api.hot_shop import open_hot_shop
from tests.api.shop import Broken, Shop, event
from tests.api.test_logging import ITEM, USER, ask_everything

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
PARTS = ("fast_path", "cache", "erasures", "webhooks", "model", "ledger")
ROUTE = "/v1/users/{user_id}/recommendations"


def scraped(shop: Shop) -> Samples:
    """Every sample by name and labels."""
    response = shop.get("/metrics", Scope.METRICS)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(response.text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def test_requests_are_counted_by_route_method_and_status(shop: Shop) -> None:
    for user_id in ("ada", "bo"):
        shop.ask(user_id)
    shop.ask("ada", n="0")
    samples = scraped(shop)

    for status, count in (("200", 2), ("422", 1)):
        labels = {"method": "GET", "route": ROUTE, "status": status}
        assert value(samples, "privrec_request_seconds_count", **labels) == count
        assert value(samples, "privrec_request_seconds_bucket", le="+Inf", **labels) == count


def test_no_label_holds_what_a_request_brought(shop: Shop) -> None:
    ask_everything(shop)
    shop.with_port(histories=Broken(StorageError(f"{USER} bought {ITEM}"))).ask(USER)
    samples = scraped(shop)

    assert len(samples) > 100
    assert not [key for key in samples if "canary" in str(key).lower()]
    routes = {dict(labels).get("route") for _, labels in samples} - {None, "other"}
    assert routes <= set(shop.client.get("/openapi.json").json()["paths"])


def test_what_the_fast_path_did_is_counted_by_outcome() -> None:
    hot_shop = open_hot_shop()
    hot_shop.shop.statuses(event("1", "ada", "tea-2"))
    hot_shop.ask("ada")
    hot_shop.ask("ada")
    hot_shop.fast.get("/v1/users/ada/recommendations", headers={"X-API-Key": "nobodys"})
    before = scraped(replace_client(hot_shop.shop, hot_shop.fast))
    hot_shop.clock.now += 2
    hot_shop.ask("ada")
    after = hot_shop.hot.counts

    assert value(before, "privrec_lease_held") == 1
    counted = {
        outcome: value(before, "privrec_fast_answers_total", outcome=outcome)
        for outcome in ("hit", "miss", "refused", "no_lease")
    }
    assert counted == {"hit": 1, "miss": 1, "refused": 1, "no_lease": 0}
    assert (after.hit, after.miss) == (1, 1)


def test_the_state_of_the_installation_is_told(shop: Shop) -> None:
    ledger = PrivacyLedger(shop.workspace.ledger_log, shop.clock)
    ledger.set_budget(PrivacyBudget(epsilon=4.0, delta=1e-6))
    ledger.book(
        [PrivacySpend(purpose="train", statistic="gram", sensitivity=1.0, noise_multiplier=5.0, sum_id="sum-1")]
    )
    shop.erase(user_id="ada")
    webhook = new_webhook("https://a.example/", [WebhookEvent.MODEL_PROMOTED], shop.clock(), local=False)
    shop.workspace.webhooks.create(webhook)
    for delivery_id in [shop.workspace.webhooks.test(webhook.webhook_id) for _ in range(3)][1:]:
        shop.workspace.webhooks.failed(delivery_id, "it is down", None)
    shop.clock.wind(days=2)
    samples = scraped(shop)

    assert value(samples, "privrec_cache_certified") == 1
    assert value(samples, "privrec_cache_epoch") == shop.workspace.fences.read().epoch
    assert value(samples, "privrec_erasures_pending") == 1
    assert value(samples, "privrec_erasure_oldest_seconds") == 2 * 86400
    assert value(samples, "privrec_erasure_due_seconds") == 28 * 86400
    assert (value(samples, "privrec_erasures_overdue"), value(samples, "privrec_erasures_stuck")) == (0, 0)
    assert value(samples, "privrec_webhook_messages_pending") == 1
    assert value(samples, "privrec_webhook_messages_dead") == 2
    assert value(samples, "privrec_model_age_seconds", version=shop.version) == 2 * 86400
    spent, left = value(samples, "privrec_epsilon_spent"), value(samples, "privrec_epsilon_left")
    assert value(samples, "privrec_epsilon_budget") == 4
    assert spent is not None
    assert left is not None
    assert 0 < spent < 4
    assert 0 < left < 4
    assert value(samples, "process_resident_memory_bytes") > 1e6  # type: ignore[operator]


def test_a_raised_fence_is_not_certified(shop: Shop) -> None:
    fence = shop.workspace.fences.read()
    shop.workspace.fences.swap(fence, fence.raised())
    assert shop.workspace.fences.read().state is FenceState.RAISED

    assert value(scraped(shop), "privrec_cache_certified") == 0


def test_a_shop_without_erasures_budget_and_model_is_scraped_too(shop: Shop) -> None:
    shop.workspace.registry.withdraw(shop.version)
    samples = scraped(shop)

    assert value(samples, "privrec_erasures_pending") == 0
    for part in PARTS:
        assert value(samples, "privrec_part_answers", part=part) == 1
    assert value(samples, "privrec_erasure_due_seconds") is None
    assert value(samples, "privrec_epsilon_budget") is None


@pytest.mark.parametrize(
    ("port", "part"), [("erasures", "erasures"), ("webhooks", "webhooks"), ("registry", "model"), ("fences", "cache")]
)
def test_a_part_that_does_not_answer_is_named_and_leaves_the_others(shop: Shop, port: str, part: str) -> None:
    samples = scraped(shop.with_port(**{port: Broken(StorageError(f"{USER} is gone"))}))

    answers = {dict(labels)["part"]: told for (name, labels), told in samples.items() if name == "privrec_part_answers"}
    assert answers == {name: float(name != part) for name in PARTS}


def test_what_is_exact_is_marked_as_internal(shop: Shop) -> None:
    text = shop.get("/metrics", Scope.METRICS).text

    exact = ("erasure", "webhook", "request_seconds")
    for name in exact:
        told = [line for line in text.splitlines() if line.startswith(f"# HELP privrec_{name}")]
        assert told
        assert all("Internal, not private" in line for line in told)


def replace_client(shop: Shop, client: object) -> Shop:
    """The shop, asked through another face."""
    found = replace(shop)
    found.client = client  # type: ignore[assignment]
    return found
