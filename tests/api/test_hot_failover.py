"""The fast path over servers that stand for each other: off after a failover, and on again once it is certified."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api import certifier
from tests.api.test_hot_path import open_street, until
from tests.recsys.store.redis_servers import start_cluster, start_pair

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.mark.parametrize("start", [start_pair, start_cluster], ids=["a sentinel", "a cluster"])
def test_the_fast_path_follows_the_primary_and_an_erased_customer_stays_erased(
    start: Callable[[Path, ExitStack], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certifier, "SECONDS", 0.1)
    with ExitStack() as stack:
        servers = start(tmp_path, stack)
        street = stack.enter_context(open_street(servers.url, tmp_path, monkeypatch))
        street.buy("1", "tea-2")
        street.buy("2", "tea-3", "ben")
        until(lambda: street.is_hit() and street.is_hit("ben"))
        before = street.hot.reader.server_id
        assert street.client.post("/v1/erasures", json={"user_id": "ben"}).status_code == 202

        servers.swap()
        assert not street.ask("ben").json()["personalized"]
        until(lambda: street.hot.reader.server_id not in {None, before})
        until(lambda: street.hot.lease.current() is not None)
        assert not street.is_hit()  # the list is of the epoch before
        street.buy("3", "coffee-3")
        until(street.is_hit)
        assert (street.is_hit("ben"), street.ask("ben").json()["personalized"]) == (False, False)
