"""The command line as a function, purchases as the files that people bring, and what a state directory says."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from pipelines.cli import main
from recsys.data.interactions import PurchaseLog
from recsys.data.worlds import tiny_shop
from recsys.evidence.canonical import digest
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.training.terms import Terms, TrainConfig

MAIL = "mail.example"
"""In every customer's id: what no message may hold."""
N_CUSTOMERS, N_ITEMS = 40, 24
ADA, BEN = f"customer-u03@{MAIL}", f"customer-u04@{MAIL}"
"""Two of the customers."""
NOBODY = f"nobody@{MAIL}"
COLUMNS = ("user", "item", "timestamp", "quantity")
QUANTITIES = ("--quantity-column", "quantity")
TRAINED = ("--epsilon", "8", "--releases", "2", "--no-evaluate")
"""How the model of the fixtures is trained: its budget is for one erasure more."""
FIRST_RELEASE = [spend.statistic for spend in Terms.under(TrainConfig()).first_spends("")]
"""What a training of the private model books."""

Row = tuple[str, str, str, float]


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended, and what it printed."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document that was printed."""
        return json.loads(self.out)


def privrec(*words: object) -> Done:
    """The command, run in this process: a new one takes seconds to import everything."""
    out, err = StringIO(), StringIO()
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["privrec", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    signal.signal(signal.SIGTERM, on_sigterm)
    return Done(exit_code=int(ended.value.code or 0), out=out.getvalue(), err=err.getvalue())


def done(*words: object) -> Done:
    """The command, which must succeed."""
    result = privrec(*words)
    assert result.exit_code == 0, result.err
    return result


def command(*words: object) -> list[str]:
    """The command for a process of its own."""
    return [sys.executable, "-m", "pipelines.cli", *map(str, words)]


def in_a_process(*words: object, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> Done:
    """The command, run in a process of its own."""
    env = {**os.environ, **(environ or {})}
    ran = subprocess.run(command(*words), capture_output=True, text=True, check=False, cwd=cwd, env=env)
    return Done(exit_code=ran.returncode, out=ran.stdout, err=ran.stderr)


def assert_refused(result: Done, exit_code: int, *found: str) -> None:
    """Ended with this code and one clear sentence that holds these words, and no customer's id."""
    assert result.exit_code == exit_code, result.err
    assert re.fullmatch(r"\s*privrec: (row \d+: )?expected .+, .+\n", result.err), result.err
    assert re.search(r"[;(].+", result.err), "the sentence says what to do"
    assert [word for word in found if word not in result.err] == [], result.err
    assert MAIL not in result.err + result.out


def rows_of(log: PurchaseLog) -> list[Row]:
    """The purchases as rows of a file."""
    return [
        (
            f"customer-{log.users[user]}@{MAIL}",
            log.items[purchase["item"]],
            datetime.fromtimestamp(purchase["timestamp"] / 1000, UTC).isoformat(),
            float(purchase["quantity"]),
        )
        for user, purchase in zip(log.user_index.tolist(), log.purchases, strict=True)
    ]


def shop_rows(seed: int = 7) -> list[Row]:
    """Some three hundred purchases."""
    rng = np.random.default_rng(seed)
    return rows_of(tiny_shop(rng, n_customers=N_CUSTOMERS, n_items=N_ITEMS, purchases_per_customer=8))


def write_csv(path: Path, rows: Iterable[Iterable[object]], columns: Iterable[str] = COLUMNS) -> Path:
    """The file, written."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def write_json_lines(path: Path, rows: Iterable[Row], columns: Iterable[str] = COLUMNS) -> Path:
    """The file, written."""
    names = tuple(columns)
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Iterable[Row], columns: Iterable[str] = COLUMNS) -> Path:
    """The file, written."""
    table = pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
    pa.parquet.write_table(table, path)
    return path


def contents(state_dir: Path) -> dict[str, Any]:
    """Everything that a state directory says, for comparing it with what it said before."""
    with open_workspace(Settings.load(state_dir=state_dir), lock=False, start_cache=False) as workspace:
        latest = workspace.sums.latest_sum()
        return {
            "histories": {key: (revision, digest(of.to_bytes())) for key, revision, of in workspace.histories.scan()},
            "catalogue": workspace.catalogue.items(),
            "ledger": workspace.ledger_log.entries(),
            "sum": (latest, digest(workspace.sums.load_sum(latest)) if latest else None),
            "requests": workspace.erasures.requests(),
            "keys": workspace.api_keys.list(),
            "live": workspace.registry.live(),
            "models": model_files(state_dir),
        }


def model_files(state_dir: Path) -> dict[str, bytes]:
    """Every file of the registry."""
    directory = state_dir / "models"
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def spends(state_dir: Path) -> list[str]:
    """The statistics that were booked, oldest first."""
    return [entry["statistic"] for entry in contents(state_dir)["ledger"] if entry["type"] == "spend"]
