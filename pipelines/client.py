"""A real API process, and the few questions that the demo asks it over HTTP."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pipelines.serve import APP, environment, free_port
from recsys.errors import StateError
from recsys.store.workspace import Workspace
from recsys.types import Task

START_SECONDS = 30.0
TIMEOUT_SECONDS = 30.0


@contextmanager
def running_api(workspace: Workspace) -> Iterator[str]:
    """The base URL of an API process over this installation, on a free port of this machine, stopped after the block.

    Raises:
        StateError: the process did not get ready.
    """
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        APP,
        "--port",
        str(port),
        "--no-access-log",
        "--ws",
        "none",
    ]
    environ = {**os.environ, **environment(workspace)}
    process = subprocess.Popen([*command, "--log-level", "warning"], env=environ, stderr=subprocess.DEVNULL)  # noqa: S603
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_live(process, url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_until_live(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health/live", timeout=1):  # noqa: S310 - our own http URL
                return
        except OSError:
            time.sleep(0.05)
    msg = (
        f"expected the API to answer within {START_SECONDS:g} seconds, got nothing; "
        "start it by hand to see why: privrec serve"
    )
    raise StateError(msg)


class Client:
    """Asks an API of privrec."""

    def __init__(self, url: str, secret: str) -> None:
        """A client of the API at this base URL, with this API key."""
        self._url = url
        self._secret = secret

    def recommendations(self, user_id: str, *, n: int, task: Task = Task.ANY) -> dict[str, Any]:
        """A customer's list."""
        user = urllib.parse.quote(user_id, safe="")
        return self._call("GET", f"/v1/users/{user}/recommendations?n={n}&task={task}")

    def post_purchase(self, user_id: str, item_id: str) -> str:
        """What became of one purchase, made now."""
        now = datetime.now(UTC).isoformat()
        event = {"event_id": f"demo-{now}", "user_id": user_id, "item_id": item_id, "timestamp": now}
        return str(self._call("POST", "/v1/events", {"events": [event]})["results"][0]["status"])

    def request_erasure(self, user_id: str) -> dict[str, Any]:
        """The acknowledgement of an erasure that releases the model again at once."""
        return self._call("POST", "/v1/erasures", {"user_id": user_id, "release": True})

    def erasure(self, request_id: str) -> dict[str, Any]:
        """How far an erasure has come."""
        return self._call("GET", f"/v1/erasures/{request_id}")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, headers=headers, method=method)  # noqa: S310 - our own URL
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                return dict(json.load(response))
        except urllib.error.HTTPError as error:
            error.close()
            msg = (
                f"expected the API to answer {method} {path.split('/')[2]}, got status {error.code}; see the API's log"
            )
            raise StateError(msg) from error
