"""Whether the time of an answer tells an erased or an objecting customer from one who was never known.

Requests to the whole application in this process, over SQLite and the embedded cache, for erased, objecting, unknown
and known customers in random order, each asked once. An erased one had purchases and a list in the cache until the
erasure was acknowledged; one who objects to profiling had the list until then, and has the purchases still. Timed is
the CPU of the process. The figure is the area under the curve of telling one kind from another by that time: .5 is
guessing. Known customers are the control: if the times did not tell them from unknown ones, they would show nothing.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu
from starlette.types import Message
from starlette.types import Scope as Connection

from api.app import create_app
from api.fast_path import FastApplication
from api.services import make_services
from benchmarks.report import options, report
from benchmarks.serving import open_shop
from pipelines.erase import desk, subject_desk
from recsys.data.subject_request import SubjectKind
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace
from recsys.types import Purchase, Scope

SEED = 23
EACH, QUICK_EACH = 2_000, 100
WARM_UP = 50
SETTLING_SECONDS = 3
"""The application has its lease by then, so that the fast path is tried first, as in production."""
KINDS = ("erased", "objecting", "unknown", "known")
BOUGHT = 5
"""Items that a known customer bought, and an erased one before."""

Form = tuple[object, ...]
"""Status, headers but the request's id, length of the body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What came back for each kind: seconds of CPU, and the forms of the answers."""

    times: dict[str, list[float]]
    forms: dict[str, set[Form]]


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    with tempfile.TemporaryDirectory() as directory:
        figures = measured(Path(directory), QUICK_EACH if chosen.quick else EACH)
    report("indistinguishable", figures, chosen, seeds=[SEED])


def measured(directory: Path, each: int) -> dict[str, float]:
    """Every figure, by key."""
    settings = Settings(state_dir=directory / "shop", requests_per_second=1e6, requests_burst=1_000_000)
    with open_workspace(settings) as workspace:
        open_shop(workspace)
        populate(workspace, each)
        _, key = workspace.api_keys.create("benchmark", frozenset({Scope.RECOMMEND}))
        seen = asyncio.run(asked(create_app(workspace.settings), key, each))
    return {
        "indistinguishable.auc": auc(seen.times["erased"], seen.times["unknown"]),
        "indistinguishable.objecting_auc": auc(seen.times["objecting"], seen.times["unknown"]),
        "indistinguishable.control_auc": auc(seen.times["known"], seen.times["unknown"]),
        "indistinguishable.forms": len(seen.forms["erased"] | seen.forms["objecting"] | seen.forms["unknown"]),
        "indistinguishable.customers": each,
    } | {f"indistinguishable.{kind}_us": 1e6 * float(np.median(seen.times[kind])) for kind in KINDS}


def populate(workspace: Workspace, each: int) -> None:
    """Purchases of all but the unknown, lists in the cache for them, and then the erasures and objections."""
    recommender = make_services(workspace, due_days=30).recommender
    rng = np.random.default_rng(SEED)
    recommender.record(
        {name(kind, n): basket(rng) for kind in KINDS if kind != "unknown" for n in range(each + WARM_UP)}
    )
    recommender.publish()
    taken, objections = desk(workspace), subject_desk(workspace)
    for number in range(each + WARM_UP):
        taken.request(name("erased", number))
        objections.limit(name("objecting", number), SubjectKind.OBJECTION)


def name(kind: str, number: int) -> str:
    """An id of the same length for every kind."""
    return f"{KINDS.index(kind)}-{number:06d}"


def basket(rng: np.random.Generator) -> list[Purchase]:
    """Purchases of one customer."""
    when = datetime(2026, 1, 31, 12, tzinfo=UTC)
    items = rng.choice(2000, BOUGHT, replace=False)
    return [Purchase(event_id=str(item), item_id=f"sku-{item:05d}", timestamp=when, quantity=1.0) for item in items]


async def asked(app: FastApplication, key: str, each: int) -> Seen:
    """Every customer asked for once, in random order, after a warm-up."""
    seen = Seen(times={kind: [] for kind in KINDS}, forms={kind: set() for kind in KINDS})
    order = np.random.default_rng(SEED).permutation([(kind, number) for kind in KINDS for number in range(each)])
    warm = [(kind, each + number) for number in range(WARM_UP) for kind in KINDS]
    async with app.router.lifespan_context(app):
        await asyncio.sleep(SETTLING_SECONDS)
        for kind, number in warm:
            await one(app, key, name(kind, number))
        for kind, text in order:
            seconds, form = await one(app, key, name(str(kind), int(text)))
            seen.times[kind].append(seconds)
            seen.forms[kind].add(form)
    return seen


async def one(app: FastApplication, key: str, user_id: str) -> tuple[float, Form]:
    """Seconds of CPU that the answer took, and its form."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    started = time.process_time()
    await app(request(user_id, key), receive, send)
    seconds = time.process_time() - started
    headers = tuple(pair for pair in sent[0]["headers"] if pair[0] != b"x-request-id")
    return seconds, (sent[0]["status"], headers, len(b"".join(part.get("body", b"") for part in sent[1:])))


def request(user_id: str, key: str) -> Connection:
    """What a server makes of a request for the customer's list."""
    path = f"/v1/users/{user_id}/recommendations"
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"shop"), (b"authorization", f"Bearer {key}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


def auc(some: list[float], others: list[float]) -> float:
    """How well one time tells the two kinds apart, whichever is the slower."""
    share = float(mannwhitneyu(some, others).statistic) / (len(some) * len(others))
    return max(share, 1 - share)


if __name__ == "__main__":
    main()
