"""Settings come from the environment, and wrong ones are named."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recsys.errors import InputError
from recsys.store.settings import Settings


def test_every_setting_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRIVREC_STATE_DIR", raising=False)
    settings = Settings.load()
    assert settings.state_dir == Path("privrec-data")
    assert (settings.database_url, settings.redis_url) == (None, None)


def test_the_environment_sets_and_an_argument_sets_harder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVREC_PORT", "9000")
    assert Settings.load().port == 9000
    assert Settings.load(port=9001).port == 9001


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVREC_REDIS_URL", "")
    assert Settings.load().redis_url is None


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_settings_do_not_change(name: str) -> None:
    with pytest.raises(ValidationError):
        setattr(Settings.load(), name, 1)


@pytest.mark.parametrize(
    ("name", "value"), [("port", "99999"), ("erasure_due_days", "0"), ("cache_timeout_seconds", "-1"), ("nothing", "1")]
)
def test_a_wrong_setting_is_named(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        Settings.load(**{name: value})


def test_passwords_in_urls_are_not_shown() -> None:
    settings = Settings.load(database_url="postgresql://u:hunter2@h/d", redis_url="redis://:hunter2@h")
    assert "hunter2" not in repr(settings)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
