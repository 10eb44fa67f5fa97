"""`privrec` as processes of their own, with everything that they print, and the shop's side of HTTP."""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from recsys.types import Scope
from tests.pipelines.shell import BEN, command, done

PATIENCE = 60.0
"""Seconds: a process that starts on two busy cores may take ten."""
ALL_SCOPES = tuple(word for scope in Scope for word in ("--scope", scope.value))

T = TypeVar("T")


def wait_for(found: Callable[[], T | None]) -> T:
    """What is found, once it is."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (result := found()) is not None:
            return result
        time.sleep(0.05)
    msg = f"expected it within {PATIENCE:g} seconds, got nothing"
    raise AssertionError(msg)


@dataclass
class Shop:
    """What a shop asks of the API."""

    url: str
    secret: str
    client: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.secret}"}, timeout=30)

    def answer(self, method: str, path: str, **given: Any) -> Any:
        response = self.client.request(method, path, **given)
        assert response.is_success, response.text
        return response.json()

    def recommend(self, user_id: str, **params: object) -> dict[str, Any]:
        shown = {name: str(value) for name, value in params.items()}
        answer: dict[str, Any] = self.answer("GET", f"/v1/users/{user_id}/recommendations", params=shown)
        return answer

    def buy(self, user_id: str, item_id: str) -> str:
        row = {"event_id": "e2e", "user_id": user_id, "item_id": item_id, "timestamp": "2026-02-01T12:00:00Z"}
        return str(self.answer("POST", "/v1/events", json={"events": [row]})["results"][0]["status"])

    def erase(self, user_id: str, *, release: bool) -> dict[str, Any]:
        found: dict[str, Any] = self.answer("POST", "/v1/erasures", json={"user_id": user_id, "release": release})
        return found

    def receipt(self, request_id: str) -> bytes | None:
        response = self.client.get(f"/v1/erasures/{request_id}/receipt")
        return response.content if response.is_success else None

    def is_ready(self) -> bool | None:
        try:
            return self.client.get("/health/ready").is_success or None
        except httpx2.TransportError:
            return None


@contextmanager
def shop_at(url: str) -> Iterator[Shop]:
    """A shop with a key for everything, of the installation that the environment names."""
    shop = Shop(url, done("keys", "create", "shop", *ALL_SCOPES, "--json").json["secret"])
    with shop.client:
        yield shop


def assert_serves_soon(shop: Shop, version: str) -> None:
    """The version is what is served to Ben, once the lease on the lists of the one before has run out."""
    after = wait_for(lambda: answer if (answer := shop.recommend(BEN))["version"] == version else None)
    assert (after["personalized"], after["degraded"]) == (True, False)


@dataclass
class Server:
    """A `privrec serve` process."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def printed(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        """Where it says that it listens."""
        return self.wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+", self.printed)).group()

    def wait_for(self, found: Callable[[], T | None]) -> T:
        """What is found, once it is, while the process runs."""

        def while_it_runs() -> T | None:
            assert self.process.poll() is None, self.printed
            return found()

        return wait_for(while_it_runs)

    def end(self, number: signal.Signals) -> int:
        """The exit code after the signal."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop the process if it runs, gently first: a killed one would leave its cache's server behind."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def serving(log: Path, *words: str) -> Iterator[tuple[Server, Shop]]:
    """`privrec serve` on a free port, once it is ready, and a shop that asks it; stopped at the end."""
    with log.open("wb") as file:
        process = subprocess.Popen(command("serve", "--port", "0", *words), stdout=file, stderr=file)
    server = Server(process, log)
    try:
        with shop_at(server.url) as shop:
            server.wait_for(shop.is_ready)
            yield server, shop
    finally:
        stop(process)
