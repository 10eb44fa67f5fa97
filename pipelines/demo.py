"""The whole product, once through, on real purchases: what `privrec demo` does."""

import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.api_process import running_api
from pipelines.console import bar, console, print_report, print_table, steps
from pipelines.demo_table import compare_all
from pipelines.erase import recommender, worker
from pipelines.evaluate import Division, habits_of
from pipelines.ingest import ingest
from privrec.client import Client
from recsys.data.complete_journey import PROVENANCE, read_complete_journey
from recsys.data.split import split_at
from recsys.errors import StateError
from recsys.evidence.signing import public_pem
from recsys.privacy.accounting import check_parameters, epsilon_of
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.lock import StateLock
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace
from recsys.training.terms import TrainConfig
from recsys.training.train import snapshot, train
from recsys.types import IngestReport, Scope, Trainer

CUT = datetime(2017, 10, 20, tzinfo=UTC)
"""80 % of the year 2017, which the purchases span."""
PLANNED_RELEASES = 2
"""The first model, and the one after the erasure."""
SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoConfig:
    """What can be chosen."""

    epsilon: float = 4.0
    delta: float = 1e-6
    household: str = "1"
    fresh: bool = False

    @property
    def training(self) -> TrainConfig:
        """The private model: the budget covers both releases."""
        return TrainConfig(trainer=Trainer.GRAM, epsilon=self.epsilon, delta=self.delta, releases=PLANNED_RELEASES)


Figures = dict[str, float]


def run_demo(settings: Settings, config: DemoConfig) -> Figures:
    """Run every step and print what it shows; the figures come back.

    Raises:
        PrivrecError: a step could not be done; running again goes on from there.
    """
    started = time.monotonic()
    check_parameters(config.epsilon, config.delta)  # before anything is deleted or read
    if config.fresh:
        start_fresh(settings.state_dir)
    with open_workspace(settings) as workspace:
        report = _ingest(workspace)
        _train(workspace, config)
        figures = _evaluate(workspace)
        _publish(workspace)
        _serve_and_erase(workspace, config)
        _show_ledger(workspace)
    ingested = {f"demo.ingest.{name}": float(count) for name, count in asdict(report).items()}
    figures = {**ingested, **figures, "demo.seconds": round(time.monotonic() - started, 1)}
    _say_what_next(settings)
    return figures


def start_fresh(state_dir: Path) -> None:
    """Delete the state directory, if it is one.

    Raises:
        StateError: the directory holds something else than privrec's state, or another process works on it; nothing was
            deleted.
    """
    if not state_dir.exists():
        return
    if any(state_dir.iterdir()) and not (state_dir / "keys" / "store.key").exists():
        msg = (
            f"expected {state_dir} to be a state directory of privrec, got a directory without its keys; "
            "delete it yourself if you mean it"
        )
        raise StateError(msg)
    with StateLock(state_dir):
        shutil.rmtree(state_dir)


def _headline(number: int, text: str) -> None:
    console.print(f"\n[bold cyan]{number}. {text}[/bold cyan]")


def _ingest(workspace: Workspace) -> IngestReport:
    _headline(1, "Purchases into the event store")
    console.print(PROVENANCE)
    with steps("reading 1.5 million rows"):
        read = read_complete_journey()
    with bar("sealing each household's history under its own key", len(read.log.users)) as advance:
        report = ingest(workspace, read, advance)
    print_report(report, as_json=False)
    return report


def _train(workspace: Workspace, config: DemoConfig) -> None:
    _headline(2, "A model under differential privacy")
    live = workspace.registry.live()
    if live is not None:
        console.print(f"version {live} is live already: nothing is trained and nothing is spent (--fresh starts anew)")
        return
    with steps("training") as step:
        version = train(workspace, config.training, until=_milliseconds(CUT), step=step)
    console.print(
        f"version {version.version} is live: epsilon={version.privacy['epsilon']:.2f} of the {config.epsilon:g} that "
        f"both planned releases may cost, delta={config.delta:g}, for a household with everything it bought"
    )


def _evaluate(workspace: Workspace) -> Figures:
    _headline(3, f"How good is it? Trained on purchases up to {CUT:%-d %B}, asked about the rest of the year")
    _, log = snapshot(workspace)
    split = split_at(log, _milliseconds(CUT))
    bought, later = split.train.interactions().matrix, split.test.interactions().matrix
    division = Division(train=bought, known=habits_of(split.train), later=later)
    released, _ = workspace.registry.load(str(workspace.registry.live()))
    with steps("evaluating") as step:
        table = compare_all(released, division, log.items, step=step)
    table.show()
    return table.figures()


def _publish(workspace: Workspace) -> None:
    _headline(4, "Everybody's lists into the cache")
    with bar("publishing", _number_of_customers(workspace)) as advance:
        customers = recommender(workspace).publish(advance)
    console.print(f"{customers:,} households' lists are in the cache, sealed, under names that say nothing")


def _serve_and_erase(workspace: Workspace, config: DemoConfig) -> None:
    _headline(5, "The API answers")
    key, secret = workspace.api_keys.create("demo", frozenset(Scope))
    with running_api(workspace) as url, Client(url, secret) as client:
        console.print(f"serving on {url}")
        _ask(client, config.household)
        _buy(client, config.household)
        _headline(6, f"Household {config.household} asks to be forgotten")
        request_id = _erase(workspace, client, config.household)
    workspace.api_keys.revoke(key.key_id)
    _verify(workspace, request_id)


def _ask(client: Client, household: str) -> None:
    answer = client.recommendations(household, n=SHOWN)
    rows = [(item["name"], item["reason"]) for item in answer["items"]]
    what = "its own list" if answer["personalized"] else "the popular list, as for anybody unknown"
    print_table(f"Household {household} gets {what}", ["product type", "reason"], rows, left=2)


def _buy(client: Client, household: str) -> None:
    """Buy what the model suggests first: the next answer must not suggest it as new again."""
    before = client.recommendations(household, n=SHOWN, task="discover")
    if not before["personalized"]:
        return
    item = before["items"][0]
    now = datetime.now(UTC).isoformat()
    answer = client.post_events(
        [{"event_id": f"demo-{now}", "user_id": household, "item_id": item["item_id"], "timestamp": now}]
    )
    result = answer["results"][0]["status"]
    after = client.recommendations(household, n=SHOWN, task="discover")
    gone = item["item_id"] not in {other["item_id"] for other in after["items"]}
    console.print(
        f"bought {item['name']} ({result}): on the very next answer it is {'no longer' if gone else 'STILL'} "
        "suggested as new"
    )


def _erase(workspace: Workspace, client: Client, household: str) -> str:
    request = client.request_erasure(household, release=True)
    answer = client.recommendations(household, n=SHOWN)
    console.print(
        f"acknowledged; the very next answer is {'STILL personal' if answer['personalized'] else 'the popular list'}"
    )
    with bar("subtracting, releasing, publishing", _number_of_customers(workspace)) as advance:
        worker(workspace, advance).run()
    state = client.erasure(request["request_id"])
    left = len(workspace.histories.history(workspace.pseudonyms.user_key(household)))
    console.print(f"in the store: {left} purchases of household {household}; its key is destroyed")
    for entry in state["details"]["released"]["versions"]:
        console.print(f"version {entry['version'][:12]}…: {entry['outcome']}")
    return str(request["request_id"])


def _number_of_customers(workspace: Workspace) -> int:
    return sum(1 for _ in workspace.histories.scan())


def _verify(workspace: Workspace, request_id: str) -> None:
    """Check the receipt in a process of its own, then with one byte changed."""
    state_dir = workspace.settings.state_dir
    key, receipt, tampered = (
        state_dir / "public-key.pem",
        state_dir / "receipt.json",
        state_dir / "receipt-tampered.json",
    )
    signed = workspace.erasures.receipt(request_id)
    key.write_bytes(public_pem(workspace.public_key))
    receipt.write_bytes(signed)
    tampered.write_bytes(signed.replace(b'"reason":"c', b'"reason":"C', 1))
    for path in (receipt, tampered):
        command = [sys.executable, "-m", "pipelines.cli", "verify", str(path), "--public-key", str(key)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        console.print(
            f"privrec verify {path} --public-key {key}\n  exit {done.returncode}: "
            f"{(done.stdout or done.stderr).splitlines()[0]}"
        )


def _show_ledger(workspace: Workspace) -> None:
    _headline(7, "What it cost")
    summary = PrivacyLedger(workspace.ledger_log, workspace.clock).summary()
    spends = [entry for entry in summary.entries if entry["type"] == "spend"]
    print_table(
        "Privacy ledger",
        ["purpose", "statistic", "noise multiplier"],
        [(s["purpose"], s["statistic"], f"{s['noise_multiplier']:.3f}") for s in spends],
        left=2,
    )
    if summary.budget:
        left = epsilon_of(summary.mu_left, summary.budget.delta)
        console.print(
            f"spent epsilon={summary.epsilon_spent:.3f} of {summary.budget.epsilon:g}; left for one more release: "
            f"{left:.3f}"
        )


def _say_what_next(settings: Settings) -> None:
    _headline(8, "Next")
    console.print(
        f"privrec serve --state-dir {settings.state_dir}     the API, with documentation at /docs (make a "
        "key: privrec keys create)\n"
        "privrec train --data yours.parquet      your own purchases (--help tells the columns)\n"
        "docs/quickstart.md                      the same, step by step"
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
