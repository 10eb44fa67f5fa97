"""The directory that an auditor gets of a version: manifest, model, report, and what it was made from.

manifest.json, model.safetensors and privacy-report.json are as in the registry; what customers.jsonl is like says
recsys/training/audit_export.py.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from recsys.errors import InputError, StateError
from recsys.evidence.manifest import write_manifest
from recsys.store.files import file_errors, sync_directory, temporary_name, write_lines, write_new
from recsys.store.registry import MANIFEST, MODEL, REPORT
from recsys.store.workspace import Workspace
from recsys.training.audit_export import EXPORT_DIGEST, export_lines
from recsys.types import ModelVersion

CUSTOMERS = "customers.jsonl"


def export_audit(workspace: Workspace, version: str, directory: Path) -> ModelVersion:
    """The version, once everything that an auditor needs of it is in the new directory: all of it or nothing.

    Raises:
        NotFoundError: no such version, or it was withdrawn.
        InputError: the directory exists, or the manifest is from before there were audit exports.
        StateError: customers who are in the version were erased since, or wait to be.
        StorageError: the directory cannot be written.
    """
    factors, found = workspace.registry.load(version)
    sum_id = str(found.sum_id)
    _refuse_early(workspace, found, directory)
    lines = export_lines(workspace, factors.item_ids, sum_id, str(found.config["purpose"]))
    temporary = temporary_name(directory.parent)
    with file_errors(str(directory)):
        try:
            temporary.mkdir(mode=0o700)
            _write_customers(temporary / CUSTOMERS, lines, str(found.config[EXPORT_DIGEST]))
            write_new(temporary / MANIFEST, write_manifest(found))
            write_new(temporary / MODEL, factors.to_bytes())
            write_new(temporary / REPORT, workspace.registry.report(version))
            sync_directory(temporary)
            temporary.replace(directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return found


def _refuse_early(workspace: Workspace, version: ModelVersion, directory: Path) -> None:
    if EXPORT_DIGEST not in version.config:
        msg = "expected a version that commits to an audit export, got one from before there were any; train again"
        raise InputError(msg)
    if directory.exists():
        msg = f"expected a directory that does not exist yet, got {directory}; name another one"
        raise InputError(msg)
    pending = [key for _, key in workspace.erasures.pending()]
    waiting = {account for key in pending for account in (key, *workspace.subjects.accounts(key).merged)}
    if any(key in waiting for key, _ in workspace.sums.terms_in(str(version.sum_id))):
        msg = "expected nobody in the version to wait for their erasure, got somebody; finish it: privrec worker --once"
        raise StateError(msg)


def _write_customers(path: Path, lines: Iterator[bytes], committed: str) -> None:
    """Write the lines; refused where they are not what the manifest commits to, as after an erasure."""
    state = hashlib.sha256()

    def seen() -> Iterator[bytes]:
        for line in lines:
            state.update(line)
            yield line

    write_lines(path, seen())
    if state.hexdigest() != committed:
        msg = (
            "expected the customers that the version was made with, got others: somebody was erased since, or a backup "
            "was restored; export the version that took its place: privrec models"
        )
        raise StateError(msg)
