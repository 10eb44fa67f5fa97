"""The record of processing activities says what the installation is and does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.exports import KEPT_HOURS
from pipelines.register import as_markdown, register
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.cache import LIFE_SECONDS
from recsys.store.new_webhook import new_webhook
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, memory_workspace
from recsys.types import PrivacyBudget, Scope, WebhookEvent
from tests.api.shop import publish, tea_and_coffee
from tests.pipelines.shell import done
from tests.pipelines.test_imports import START

SECRET_URL = "https://hooks.shop.example/in?token=hidden"


def workspace(**settings: Any) -> Workspace:
    return replace(memory_workspace(clock=lambda: START), settings=Settings(**settings))


def test_what_only_the_controller_knows_comes_from_settings_or_is_missed() -> None:
    empty: Any = register(workspace())
    full: Any = register(workspace(controller_name="Tea & Co", legal_basis="consent", transfers="none"))
    assert "PRIVREC_CONTROLLER_NAME" in empty["controller"]["name"]
    assert "PRIVREC_TRANSFERS" in empty["transfers"]
    assert {each["legal_basis"] for each in empty["activities"]} == {"not stated: set PRIVREC_LEGAL_BASIS"}
    assert full["controller"]["name"] == "Tea & Co"
    assert {each["legal_basis"] for each in full["activities"]} == {"consent"}


def test_recipients_are_keys_and_webhooks_and_no_secret_of_theirs() -> None:
    shop = workspace()
    key, secret = shop.api_keys.create("shop front", frozenset({Scope.RECOMMEND}))
    gone, _ = shop.api_keys.create("old", frozenset({Scope.WRITE}))
    shop.api_keys.revoke(gone.key_id)
    shop.webhooks.create(new_webhook(SECRET_URL, [WebhookEvent.ERASURE_COMPLETED], START, local=False))
    document: Any = register(shop)
    assert document["recipients"] == [
        {"kind": "API key", "name": "shop front", "may": ["recommend"]},
        {"kind": "webhook", "name": "hooks.shop.example", "may": ["erasure.completed"]},
    ]
    assert not any(word in as_markdown(document) for word in (secret, "hidden", key.key_id))


def test_retention_is_what_the_code_does() -> None:
    document: Any = register(workspace(erasure_due_days=21))
    assert document["retention"]["lists in the cache"].startswith(f"{LIFE_SECONDS // 86400} days")
    assert document["retention"]["files with lists"].startswith(f"{KEPT_HOURS} hours")
    assert "21 days" in document["retention"]["erasures"]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "the cache is reached on this machine"),
        ({"redis_url": "rediss://cache.example"}, "the cache is reached over TLS"),
        ({"redis_url": "redis://:secret@cache.example"}, "the cache is reached without TLS"),
        ({"redis_url": "rediss+sentinel://one.example,two.example/cache"}, "the cache is reached over TLS"),
        ({"redis_url": "unix:///run/valkey.sock"}, "the cache is reached on this machine"),
        ({}, "the database is reached on this machine"),
        ({"database_url": "postgresql://u:secret@db.example/p?sslmode=verify-full"}, "over TLS, verified"),
        ({"database_url": "postgresql://u:secret@db.example/p"}, "the database is reached without sslmode"),
    ],
)
def test_security_is_read_off_the_settings(settings: dict[str, str], line: str) -> None:
    document: Any = register(workspace(**settings))
    assert any(line in measure for measure in document["security"])
    assert "secret" not in as_markdown(document)


def test_the_budget_and_the_live_model_are_told() -> None:
    shop = workspace()
    version = publish(shop, tea_and_coffee())
    ledger = PrivacyLedger(shop.ledger_log, shop.clock)
    ledger.set_budget(PrivacyBudget(epsilon=8.0, delta=1e-6), note="decided by the board")
    page = as_markdown(register(shop))
    assert "privacy budget: epsilon 8.0" in page
    assert version in page


def test_the_page_is_written_as_markdown_and_as_json(tmp_path: Path) -> None:
    state_dir, page = ("--state-dir", str(tmp_path / "s")), tmp_path / "register.md"
    done("register", "--output", str(page), *state_dir)
    text = page.read_text()
    assert text.startswith("# Record of processing activities")
    assert "| purpose | data | kept |" in text
    assert done("register", "--json", *state_dir).json["activities"][0]["purpose"]
