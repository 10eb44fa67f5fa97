"""How large an erasure's receipt is in a long log, and what it costs to check one and to enter one.

Checking is what `privrec verify` does once it has started, in CPU time, median: canonical bytes, signature, checkpoint,
inclusion, a consistency proof from an older checkpoint, request and subject. Beside it the whole command, started anew,
and an interpreter that does nothing. The size is the largest for 1 to 53 versions that the customer was in. Signing and
entering is what the worker does in memory; the database's part is not in it.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.report import options, report
from recsys.evidence.canonical import to_base64
from recsys.evidence.checkpoint import Checkpoint, write_checkpoint
from recsys.evidence.log import Entry, enter
from recsys.evidence.merkle import Node, completed, consistency_spans, covering, hashes, leaf_hash, root
from recsys.evidence.receipt import subject_commitment, write_receipt
from recsys.evidence.signing import public_pem, read_public_key
from recsys.evidence.verdict import checkpoint_in, judge, of_request, of_subject, with_kept
from recsys.types import ErasureRequest, ErasureState, Json

RECEIPTS, QUICK_RECEIPTS = 1_000_000, 1_000
RUNS, STARTS = 200, 5
USER, SALT = "customer 42", bytes(range(16))
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
VERSION = "0f" * 16
VERSIONS = 53
"""That the customer was in at most, each superseded: a year of weekly trainings."""


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    report("receipts", receipts(QUICK_RECEIPTS if chosen.quick else RECEIPTS), chosen, seeds=[])


def receipts(size: int) -> dict[str, float]:
    """Every figure, by key: the last receipt of a log of this size."""
    key = Ed25519PrivateKey.generate()
    nodes = log_of(size - 1)
    frontier = {node: nodes[node] for node in covering((0, size - 1))}

    def entered(n_versions: int) -> Entry:
        signed = write_receipt(request(n_versions), completed_at=NOON, signing_key=key)
        return enter(signed, size - 1, frontier, signing_key=key)

    entry = max((entered(number + 1) for number in range(VERSIONS)), key=lambda each: len(each.receipt))
    nodes |= entry.nodes
    kept = size // 3
    old = write_checkpoint(Checkpoint(size=kept, root=root(kept, lambda _: nodes)), key).encode()
    parts: list[Json] = [to_base64(part) for part in hashes(consistency_spans(kept, size), lambda _: nodes)]
    proof = json.dumps({"from": kept, "to": size, "proof": parts}).encode()
    pem = public_pem(key.public_key())

    def check() -> None:
        public = read_public_key(pem)
        verdict = with_kept(judge(entry.receipt, public), checkpoint_in(old, public), proof)
        of_subject(of_request(verdict, request(1).request_id), USER, SALT.hex())

    return {
        "log.receipts": size,
        "log.hashes": len(nodes),
        "receipt.bytes": len(entry.receipt),
        "checkpoint.bytes": len(old),
        "consistency.bytes": len(proof),
        "verify.ms": median_ms(check, RUNS),
        "sign_and_enter.ms": median_ms(lambda: entered(1), RUNS),
        **commands({"receipt.json": entry.receipt, "kept.txt": old, "proof.json": proof, "key.pem": pem}),
    }


def log_of(size: int) -> dict[Node, bytes]:
    """The hashes that a log of so many receipts keeps."""
    nodes: dict[Node, bytes] = {}
    for number in range(size):
        nodes |= completed(number, leaf_hash(number.to_bytes(32, "big")), nodes)
    return nodes


def request(n_versions: int) -> ErasureRequest:
    """An erasure as the worker leaves it, of a customer who was in so many versions."""
    at = "2026-01-31T12:00:00.000Z"
    outcome: dict[str, Json] = {
        "version": VERSION,
        "trainer": "gram",
        "epsilon": 3.9999999999999996,
        "outcome": "superseded by a release from the sum without the customer",
        "superseded_by": VERSION,
    }
    sums: list[Json] = [{"sum_id": VERSION, "subtracted": True} for _ in range(n_versions)]
    versions: list[Json] = [VERSION] * n_versions
    outcomes: list[Json] = [outcome] * n_versions
    steps: dict[str, Json] = {
        "erased": {"at": at, "history": "destroyed", "data_key": "destroyed", "sums": sums, "versions": versions},
        "released": {"at": at, "versions": outcomes, "lists_published": True},
        "purged": {"at": at, "cache": "deleted and read back"},
        "verified": {"at": at, "found": "nothing left"},
    }
    return ErasureRequest(
        request_id="0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f",
        subject=subject_commitment(USER, SALT),
        reason="customer request",
        received_at=NOON,
        due_at=NOON + timedelta(days=30),
        state=ErasureState.VERIFIED,
        release=True,
        details=steps,
    )


def median_ms(work: Callable[[], object], runs: int) -> float:
    """Milliseconds of CPU time that the work takes."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return 1000 * statistics.median(times)


def commands(files: dict[str, bytes]) -> dict[str, float]:
    """CPU milliseconds of the whole command and of an interpreter that does nothing, in turns."""
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            (Path(directory) / name).write_bytes(content)
        verify = ["-m", "pipelines.cli", "verify", f"{directory}/receipt.json", "--public-key", f"{directory}/key.pem"]
        verify += ["--checkpoint", f"{directory}/kept.txt", "--consistency", f"{directory}/proof.json"]
        pairs = [(started(verify), started(["-c", ""])) for _ in range(STARTS)]
    whole, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {"command.ms": whole, "interpreter.ms": bare}


def started(arguments: list[str]) -> float:
    """CPU milliseconds of a Python process with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603 - our own command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    main()
