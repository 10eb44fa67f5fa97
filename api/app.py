"""The application: everything it needs is handed in, or read from the environment when it starts."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from fastapi import FastAPI

from api.certifier import Certifier
from api.drain import Drain, drained_on_sigterm
from api.errors import install_handlers
from api.fast_path import FastApplication
from api.hot_path import HOT, open_hot_path
from api.metrics import Metrics
from api.middleware import BodyLimit, RequestLog
from api.routes import (
    baskets,
    erasures,
    events,
    experiments,
    exports,
    feedback,
    health,
    imports,
    items,
    log,
    metrics,
    models,
    opendsr,
    recommendations,
    similar,
    subjects,
    webhooks,
)
from api.services import make_services
from api.traces import Traces
from recsys.store.logs import json_logger
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace

MAX_BODY_BYTES = 1024 * 1024
ROUTERS = (
    recommendations.router,
    baskets.router,
    similar.router,
    items.reading,
    items.writing,
    events.router,
    feedback.writing,
    feedback.reading,
    imports.router,
    exports.router,
    erasures.router,
    subjects.router,
    opendsr.router,
    log.router,
    models.router,
    experiments.router,
    webhooks.router,
    metrics.router,
    health.router,
)
DESCRIPTION = """
Recommendations that do not give any one customer away, purchases as they happen, and the right to be forgotten.

Every path under `/v1` needs an API key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`; `privrec keys` makes them.
Every error has one form: `{"error": {"code", "message", "request_id"}}`.
"""


def create_app(settings: Settings, *, workspace: Workspace | None = None) -> FastApplication:
    """The application over the workspace; without one it is opened when the server starts, and closed when it stops."""
    traces = Traces(settings.traces_url) if settings.traces_url else None
    app = FastApplication(
        title="privrec",
        version="1",
        description=DESCRIPTION,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # A redirect would repeat the path, and with it a customer's id, in a header that proxies log.
        redirect_slashes=False,
        lifespan=lifespan_of(settings, traces) if workspace is None else None,
        # Spans and log records of the framework carry the path, and with it a customer's id; its metrics do not.
        telemetry={"tracing": False, "logs": False},
    )
    if workspace is not None:
        app.state.services = make_services(workspace, due_days=settings.erasure_due_days)
    install_handlers(app)
    app.add_middleware(BodyLimit, limit=MAX_BODY_BYTES)
    app.state.drain, app.state.metrics = Drain(), Metrics()
    observers = [app.state.metrics.observe, *([traces.observe] if traces else [])]
    app.add_middleware(RequestLog, logger=json_logger(), observers=observers)
    for router in ROUTERS:
        app.include_router(router)
    return app


def lifespan_of(
    settings: Settings, traces: Traces | None
) -> Callable[[FastApplication], AbstractAsyncContextManager[dict[str, object]]]:
    """What opens the workspace of the settings while the application runs, and sends the last spans when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastApplication) -> AsyncIterator[dict[str, object]]:
        with ending(traces), open_workspace(settings, lock=False, start_cache=False) as workspace:
            app.state.services = make_services(workspace, due_days=settings.erasure_due_days)
            certifier = Certifier(workspace.fence.certify, json_logger())
            async with certifier.running(), open_hot_path(app.state.services) as app.hot:
                with settled_memory(), drained_on_sigterm(app.state.drain, settings.drain_seconds):
                    yield {HOT: app.hot}

    return lifespan


@contextmanager
def ending(traces: Traces | None) -> Iterator[None]:
    """While the block runs spans are made; afterwards the last are sent."""
    try:
        yield
    finally:
        if traces:
            traces.close()


@contextmanager
def settled_memory() -> Iterator[None]:
    """While the block runs the garbage collector leaves what is there now alone: modules, tables, models.

    They stay as long as the process, and to walk them again and again costs more than a fast answer does.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def from_environment() -> FastAPI:
    """The application with the settings of the environment, for a server that takes a factory.

    Run it as `uvicorn --factory api.app:from_environment --no-access-log --ws none`: the access log of a server holds
    paths, and paths hold customers' ids. The application writes a request log of its own, without them. With
    `--http api.http_protocol:FastProtocol`, as in `privrec serve`, the answers that are asked for most cost less.
    """
    return create_app(Settings.load())
