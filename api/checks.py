"""What each part of the service says of itself: a word for programs, and a sentence for whoever is woken by it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from api.drain import Drain
from api.services import Services
from recsys.errors import CacheUnavailableError, NotFoundError
from recsys.store.workspace import Workspace
from recsys.types import UserKey

NOBODY = UserKey(bytes(16))
"""A key that no customer has: asking for it touches the database and no one's data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found of one part."""

    state: str
    says: str
    serves: bool = True
    """Whether requests should be sent here all the same."""


Probe: TypeAlias = Callable[[], Finding]


def readiness(services: Services, drain: Drain) -> dict[str, Finding]:
    """Every part by its name."""
    workspace = services.workspace
    return {
        "process": process(drain),
        **foundations(services),
        "cache": found(lambda: cache(workspace), degraded("the record of who may be trusted does not answer")),
        "erasures": found(lambda: erasures(workspace), down("the queue of erasures does not answer")),
    }


def startup(services: Services) -> dict[str, Finding]:
    """What has to be there before the first request; a shop that never trained has started, too."""
    parts = foundations(services)
    untrained = parts["model"].state == "none"
    return {**parts, "model": replace(parts["model"], serves=True)} if untrained else parts


def foundations(services: Services) -> dict[str, Finding]:
    """The parts without which no list can be made."""
    workspace = services.workspace
    return {
        "database": found(lambda: database(workspace), down("the database does not answer")),
        "schema": found(lambda: schema(workspace), down("the schema is not this version's: restart or upgrade")),
        "model": found(lambda: model(services), down("the live model cannot be loaded: see privrec models")),
    }


def process(drain: Drain) -> Finding:
    """Whether the process is about to end."""
    if drain.begun:
        return Finding(state="stopping", says="told to stop: requests at hand are finished", serves=False)
    return Finding(state="ok", says="takes requests")


def database(workspace: Workspace) -> Finding:
    """Whether the record answers."""
    workspace.histories.state(NOBODY)
    return Finding(state="ok", says="the record answers")


def schema(workspace: Workspace) -> Finding:
    """Whether the database has the tables that this version works with."""
    workspace.check_schema()
    return Finding(state="ok", says="every migration of this version was made, and none of a later one")


def model(services: Services) -> Finding:
    """Whether there is a live model, loaded into this process."""
    try:
        live = services.recommender.live()
    except NotFoundError:  # withdrawn a moment ago
        live = None
    if live is None:
        return Finding(state="none", says="no model is live: privrec train, or privrec models promote", serves=False)
    return Finding(state="ok", says="the live model is loaded")


def cache(workspace: Workspace) -> Finding:
    """Whether lists may come from the cache; without it they are computed, which is slower and not wrong."""
    try:
        if workspace.fence.is_certified():
            return Finding(state="certified", says="lists may come from the cache")
    except CacheUnavailableError:
        return degraded("the cache does not answer")
    return degraded("no cache is certified")


def erasures(workspace: Workspace) -> Finding:
    """Whether customers who asked to be forgotten wait for too long, or too many of them do."""
    backlog, limit = workspace.erasures.backlog(), workspace.settings.erasure_backlog_limit
    if backlog.pending > limit:
        says = f"more than {limit} erasures wait: is a worker running? (privrec worker)"
        return Finding(state="backlog", says=says, serves=False)
    if backlog.stuck:
        says = "an erasure is stuck: see privrec erasures, mend what it says, then privrec erasures retry"
        return Finding(state="stuck", says=says)
    if backlog.overdue:
        return Finding(state="overdue", says="an erasure is overdue: see privrec erasures")
    return Finding(state="ok", says="no erasure is overdue")


def degraded(why: str) -> Finding:
    """The finding that lists are computed on request."""
    return Finding(state="degraded", says=f"lists are computed on request: {why}")


def down(why: str) -> Finding:
    """The finding that a part is missing."""
    return Finding(state="down", says=why, serves=False)


def found(probe: Probe, otherwise: Finding) -> Finding:
    """What the probe finds; the other finding if it fails, for whatever reason."""
    try:
        return probe()
    except Exception:  # noqa: BLE001 - an error's text may hold values, and is the log's business anyway
        return otherwise
