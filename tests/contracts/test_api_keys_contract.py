"""What every store of API keys keeps."""

import pytest

from recsys.errors import NotFoundError
from recsys.store.workspace import Workspace
from recsys.types import Scope

SCOPES = frozenset({Scope.RECOMMEND, Scope.WRITE})


def test_a_key_is_found_by_its_secret_alone(ports: Workspace) -> None:
    key, secret = ports.api_keys.create("shop", SCOPES)
    assert ports.api_keys.authenticate(secret) == key
    assert (key.name, key.scopes, key.revoked) == ("shop", SCOPES, False)


@pytest.mark.parametrize("wrong", ["", "privrec_", "\ud800", "x" * 10_000])
def test_another_secret_finds_nothing(ports: Workspace, wrong: str) -> None:
    key, secret = ports.api_keys.create("shop", SCOPES)
    assert ports.api_keys.authenticate(wrong) is None
    assert ports.api_keys.authenticate(secret[:-1]) is None
    assert ports.api_keys.authenticate(key.key_id) is None


def test_a_revoked_key_is_useless_and_still_listed(ports: Workspace) -> None:
    key, secret = ports.api_keys.create("shop", SCOPES)
    another, other = ports.api_keys.create("other", frozenset())
    ports.api_keys.revoke(key.key_id)
    ports.api_keys.revoke(key.key_id)
    assert ports.api_keys.authenticate(secret) is None
    assert ports.api_keys.authenticate(other) == another
    assert [(listed.name, listed.revoked) for listed in ports.api_keys.list()] == [("shop", True), ("other", False)]


def test_revoking_an_unknown_key_is_not_found(ports: Workspace) -> None:
    with pytest.raises(NotFoundError):
        ports.api_keys.revoke("nothing")


def test_no_two_secrets_are_alike(ports: Workspace) -> None:
    secrets = {ports.api_keys.create("shop", SCOPES)[1] for _ in range(10)}
    assert len(secrets) == 10
    assert all(len(secret) > 40 for secret in secrets)
