"""A worker process that dies at a chosen moment, as in a power cut: no exception, no clean-up, no last word."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from pipelines.erase import desk
from recsys.store.workspace import Workspace
from tests.recsys.erasure.shop import ADA, Shop, open_sqlite, with_cache
from tests.recsys.training.shop import seeded

BEFORE, WITHIN, AFTER = "before", "within", "after"
"""The call was not made; its data are written and not yet committed; it is done and nobody was told."""


@dataclass(frozen=True)
class Moment:
    """The nth call of a port's method, and when during the call the process dies."""

    port: str
    method: str
    when: str
    call: int = 1

    def __str__(self) -> str:
        """How pytest names it."""
        return f"{self.when} {self.port}.{self.method} {self.call}"


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(workspace: Workspace, moment: Moment) -> None:
    """Make the process die at the moment."""
    port = getattr(workspace, moment.port)
    method = getattr(port, moment.method)
    calls = 0

    def trapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == moment.call and moment.when == BEFORE:
            die()
        if calls == moment.call and moment.when == WITHIN:
            arm_commit(getattr(port, "_engine", None))
        result = method(*args, **kwargs)
        if calls == moment.call:
            die()
        return result

    setattr(port, moment.method, trapped)


def arm_commit(engine: Engine | None) -> None:
    """Die where what was written is about to be made true: at the commit, or at the move of a file into its place."""
    if engine is None:
        Path.replace = die  # type: ignore[assignment,method-assign]
    else:
        event.listen(engine, "commit", die)


def work(state_dir: Path, day: int, moment: Moment | None) -> None:
    """Run the worker on the state directory, to the moment or to the end."""
    with open_sqlite(state_dir, day=day) as opened:
        workspace = with_cache(opened)
        if moment is not None:
            arm(workspace, moment)
        Shop(workspace, seeded(day)).work()


def ask(state_dir: Path, day: int, moment: Moment | None) -> None:
    """Take ada's request at the desk, to the moment or to the end."""
    with open_sqlite(state_dir, day=day) as opened:
        workspace = with_cache(opened)
        if moment is not None:
            arm(workspace, moment)
        Shop(workspace, seeded(day)).ask(ADA)


def cancel(state_dir: Path, day: int, moment: Moment | None) -> None:
    """Cancel the one request at the desk, to the moment or to the end."""
    with open_sqlite(state_dir, day=day) as opened:
        workspace = with_cache(opened)
        if moment is not None:
            arm(workspace, moment)
        [request] = workspace.erasures.requests()
        desk(workspace).cancel(request.request_id)


def work_in_a_process(state_dir: Path, day: int, moment: Moment | None = None) -> int:
    """The exit code of a process that did `work`; -9 if it was killed."""
    return in_a_process(work, state_dir, day, moment)


def in_a_process(
    job: Callable[[Path, int, Moment | None], None], state_dir: Path, day: int, moment: Moment | None = None
) -> int:
    """The exit code of a process that did the job; -9 if it was killed."""
    # Forked from a process that has imported everything, and has neither threads nor open databases.
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=job, args=(state_dir, day, moment))
    process.start()
    process.join(timeout=60)
    code = process.exitcode
    process.close()
    assert code is not None
    return code
