"""The API server, and the worker that finishes erasures, imports and exports beside it."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from pipelines import background
from pipelines.background import Quietly, beside, repeat
from pipelines.erase import subject_worker, worker
from pipelines.exports import Exporter
from pipelines.imports import Importer
from pipelines.versions import publish_served
from recsys.errors import PrivrecError, StateError
from recsys.serving.publisher import Progress
from recsys.store.logs import json_logger
from recsys.store.workspace import Workspace
from recsys.types import ErasureRequest

APP = "api.app:from_environment"
"""Named, not imported: the API and the pipelines are siblings."""
PROTOCOL = "api.http_protocol:FastProtocol"


def environment(workspace: Workspace) -> dict[str, str]:
    """What an API process needs to find this installation: its state directory, its cache and its database."""
    settings = workspace.settings
    found = {
        "PRIVREC_STATE_DIR": str(settings.state_dir.resolve()),
        "PRIVREC_REDIS_URL": settings.redis_url,
        "PRIVREC_DATABASE_URL": settings.database_url,
    }
    return {name: value for name, value in found.items() if value is not None}


def check_port(host: str, port: int) -> None:
    """Return if the port can be listened on.

    Raises:
        StateError: another process listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "there is no such port"
            msg = (
                f"expected to listen on {host} port {port}, got: {reason}; "
                "stop what listens there or choose another: --port"
            )
            raise StateError(msg) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def run_api(host: str, port: int, environ: dict[str, str]) -> None:
    """Serve until the process is told to stop (SIGINT or SIGTERM)."""
    import uvicorn  # noqa: PLC0415 - only a server needs it

    check_port(host, port)
    os.environ.update(environ)
    uvicorn.run(
        APP,
        factory=True,
        host=host,
        port=port,
        http=PROTOCOL,
        ws="none",
        access_log=False,  # it holds paths, and paths hold customers' ids
        log_level="warning",
        proxy_headers=False,  # nothing is decided by a client's address
        server_header=False,
    )


@contextmanager
def worker_thread(workspace: Workspace) -> Iterator[None]:
    """Threads that finish erasures, imports and exports while the block runs, and end with it after their step."""
    with beside(work, workspace), file_thread(workspace):
        yield


def file_thread(workspace: Workspace) -> AbstractContextManager[None]:
    """A thread that works off imports and exports while the block runs: a long one must not keep an erasure waiting."""
    return beside(work_files, workspace)


def publisher_thread(workspace: Workspace) -> AbstractContextManager[None]:
    """A thread that publishes every customer's lists once, and ends with the block after the customers it is at."""
    return beside(publish, workspace)


def work(workspace: Workspace, stop: threading.Event) -> None:
    """Certify the cache and finish pending erasures until told to stop; a store that is away is tried again."""
    certify = Quietly(workspace.fence.certify, failed="cache not certified")
    repeat(lambda: _certify_and_erase(workspace, certify), stop, postponed="erasure postponed")


def _certify_and_erase(workspace: Workspace, certify: Callable[[], None]) -> None:
    log, started = json_logger(), time.monotonic()
    certify()
    workspace.erasures.warn(workspace.clock() + timedelta(days=workspace.settings.erasure_warn_days))

    def tell(request: ErasureRequest) -> None:
        log.info("erasure finished", request_id=request.request_id, seconds=round(time.monotonic() - started, 3))

    try:
        worker(workspace).run(tell)
    finally:
        for done in subject_worker(workspace).run():
            log.info("subject request finished", request_id=done.request_id, kind=done.kind.value)


def work_files(workspace: Workspace, stop: threading.Event) -> None:
    """Work off imports and exports until told to stop; a store that is away is tried again."""
    repeat(lambda: _import_and_export(workspace, stop), stop, postponed="import or export postponed")


def _import_and_export(workspace: Workspace, stop: threading.Event) -> None:
    log = json_logger()
    for job in Importer(workspace).run(stop.is_set):
        log.info("import ended", import_id=job.import_id, state=job.state.value)
    for made in Exporter(workspace).run(stop.is_set):
        log.info("export ended", export_id=made.export_id, state=made.state.value)


def publish(workspace: Workspace, stop: threading.Event) -> None:
    """Write every customer's lists of what is served, if anything is; a server answers without them meanwhile.

    It waits first: the server starts undisturbed, and the worker certifies the cache. What fails is tried again.
    """
    log = json_logger()
    while not stop.wait(background.POLL_SECONDS):
        started = time.monotonic()
        try:
            if publish_served(workspace, _until(stop)):
                log.info("lists published", seconds=round(time.monotonic() - started, 3))
        except PrivrecError as error:
            log.warning("lists not published", reason=str(error))
        except _StoppedError:
            return  # what was written stays, and the next start goes on from there
        else:
            return


class _StoppedError(Exception):
    """The server ends before every list is written."""


def _until(stop: threading.Event) -> Progress:
    """A progress that ends the publishing once the event is set."""

    def progress(_: int) -> None:
        if stop.is_set():
            raise _StoppedError

    return progress


def end_on_sigterm() -> None:
    """End the process on SIGTERM as if it had returned, so that the cache's server is stopped and not left behind."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut the cleaning up short
    sys.exit(0)


def stop_on_signals(stop: threading.Event) -> None:
    """Set the event on SIGTERM or SIGINT, so that the step at hand is finished first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
