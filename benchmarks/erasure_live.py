"""The erasure as a customer and an auditor meet it: acknowledged, live, receipted, and checked.

The acknowledgement is the desk's over SQLite on disk and the embedded Valkey server, in wall time (see acknowledging).
Then Complete Journey with the worker that `privrec serve` runs, on the machine's cores: from the request until the
certified model without the household is live, everybody's lists are published and the receipt is signed, in wall time,
with the worker's wait for its next look in it. Receipt and check are those of `receipts`, in a shorter log.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.acknowledging import acknowledging
from benchmarks.receipts import receipts
from pipelines.erase import desk, recommender
from pipelines.ingest import ingest
from pipelines.serve import worker_thread
from recsys.data.complete_journey import read_complete_journey
from recsys.errors import StateError
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace
from recsys.training.terms import TrainConfig
from recsys.training.train import train
from recsys.types import ErasureState, Trainer

ACKNOWLEDGED, QUICK_ACKNOWLEDGED = 1000, 100
HOUSEHOLDS = ("1", "2", "3", "4", "5")
LOG, QUICK_LOG = 100_000, 1000
PATIENCE = 600.0
"""Seconds."""


def figures(*, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    acknowledged = acknowledging(QUICK_ACKNOWLEDGED if quick else ACKNOWLEDGED)
    checked = receipts(QUICK_LOG if quick else LOG)
    return {
        "ack.p50_ms": acknowledged["erasure.ack_p50_ms"],
        "ack.p99_ms": acknowledged["erasure.ack_p99_ms"],
        "receipt.bytes": checked["receipt.bytes"],
        "verify.ms": checked["verify.ms"],
        **live(HOUSEHOLDS[:1] if quick else HOUSEHOLDS),
    }


def live(households: tuple[str, ...]) -> dict[str, float]:
    """The longest and the usual time from a household's request to its receipt, and whether each was unlearned."""
    with grocer() as workspace, worker_thread(workspace):
        taken = [seconds_to_receipt(workspace, household) for household in households]
    return {"live.seconds": max(taken), "live.fastest_seconds": min(taken), "live.erasures": len(taken)}


@contextmanager
def grocer() -> Iterator[Workspace]:
    """Complete Journey in stores of its own, with a model that customers can be subtracted from and lists of it."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as directory,
        open_workspace(Settings(state_dir=Path(directory) / "s")) as workspace,
    ):
        ingest(workspace, read_complete_journey())
        train(workspace, TrainConfig(trainer=Trainer.GRAM, epsilon=math.inf, erasable=True))
        workspace.fence.certify()
        recommender(workspace).publish()
        yield workspace


def seconds_to_receipt(workspace: Workspace, household: str) -> float:
    """Seconds of wall time until the household's receipt is signed.

    Raises:
        StateError: it took too long, or the live model is still the one before.
    """
    before, started = workspace.registry.live(), time.monotonic()
    request, _ = desk(workspace).request(household)
    while workspace.erasures.request(request.request_id).state is not ErasureState.RECEIPTED:
        if time.monotonic() - started > PATIENCE:
            msg = f"expected a receipt within {PATIENCE:.0f} seconds, got none; look at the worker's log"
            raise StateError(msg)
        time.sleep(0.02)
    taken = time.monotonic() - started
    if workspace.registry.live() in (None, before):
        msg = "expected another model to be live after an erasure, got the one before; look at the worker's log"
        raise StateError(msg)
    return taken
