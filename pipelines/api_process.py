"""A real API process beside this one."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.serve import APP, PROTOCOL, environment, free_port
from recsys.errors import StateError
from recsys.store.workspace import Workspace

START_SECONDS = 30.0
FLAGS = (
    *("--http", PROTOCOL, "--ws", "none", "--log-level", "warning"),
    *("--no-access-log", "--no-proxy-headers", "--no-server-header"),
)
"""What `pipelines.serve.run_api` asks of uvicorn, as its command line has it."""


@contextmanager
def running_api(workspace: Workspace) -> Iterator[str]:
    """The base URL of an API process over this installation, on a free port of this machine, stopped after the block.

    Raises:
        StateError: the process did not get ready.
    """
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", APP, "--port", str(port), *FLAGS]
    # No load balancer has to notice that it ends.
    environ = {**os.environ, **environment(workspace), "PRIVREC_DRAIN_SECONDS": "0"}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)  # noqa: S603
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
