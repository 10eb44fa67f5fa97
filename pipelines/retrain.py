"""What `privrec verify --retrain` finds: whether a signed document, a manifest, a model and an export hang together.

It reads files alone: no store and no server.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from recsys.errors import InputError, VerificationError
from recsys.evidence.canonical import digest
from recsys.evidence.manifest import read_manifest
from recsys.evidence.signing import Document
from recsys.evidence.verdict import Verdict
from recsys.models.factors import ItemFactors
from recsys.training.audit_export import read_export
from recsys.training.retrain import check_export, check_retrained, not_repeatable
from recsys.types import Json, ModelVersion

NOT_SHOWN = (
    "that this version is the one that is served: compare it with answers, privrec verify --served",
    "that the export is what customers really bought: compare a customer's own purchases, privrec verify --history",
    "that there is no copy of the old model elsewhere",
)
"""What no file can show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeated:
    """What was found to hold.

    Attributes:
        version: the version that was looked at
        checks: what was looked at, in order
        not_checked: what was not, and why
        customers: how many are in the export
        same_history: how many of them bought exactly what the history says; None where none was given
    """

    version: str
    checks: tuple[str, ...]
    not_checked: tuple[str, ...]
    customers: int
    same_history: int | None

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        return {
            "version": self.version,
            "checks": list(self.checks),
            "not_checked": list(self.not_checked),
            "customers": self.customers,
            "customers_with_this_history": self.same_history,
        }


def repeated(verdict: Verdict, directory: Path, *, details: bytes | None, history: bytes | None) -> Repeated:
    """What holds of the version in the directory that `privrec audit export` made.

    Args:
        verdict: on the signed document that names the version: a receipt or its privacy report
        directory: with the export
        details: the answer of `/v1/erasures/REQUEST`, already found to be what was signed, if a receipt needs it
        history: an erased customer's own items, one a line

    Raises:
        InputError: a file cannot be read, or the document names no version.
        VerificationError: something does not hold; the message says what.
    """
    version = read_manifest(_read(directory / "manifest.json"))
    _check_named(version, verdict, details)
    exported(directory)
    export = read_export(_read(directory / "customers.jsonl"))
    check_export(version, export)
    why = not_repeatable(version)
    if why is None:
        check_retrained(version, export)
    return Repeated(
        version=version.version,
        checks=(f"manifest named by the {verdict.kind}", "model file", "export", *(() if why else ("retrained",))),
        not_checked=(*((f"retraining: {why}",) if why else ()), *NOT_SHOWN),
        customers=export.purchased.shape[0],
        same_history=None if history is None else export.customers_with(_lines(history)),
    )


def exported(directory: Path) -> tuple[ModelVersion, ItemFactors]:
    """The version in the directory and its model.

    Raises:
        InputError: a file cannot be read.
        VerificationError: the model is not the one that the manifest names.
    """
    version, model = read_manifest(_read(directory / "manifest.json")), _read(directory / "model.safetensors")
    if digest(model) != version.model_digest:
        msg = "expected the model that the manifest names, got another; a factor was changed, or the file is another's"
        raise VerificationError(msg)
    return version, ItemFactors.from_bytes(model)


def _check_named(version: ModelVersion, verdict: Verdict, details: bytes | None) -> None:
    """Nothing, if the signed document says that this version has this model, and is what is left after the erasure."""
    if verdict.kind == "report":
        said = (verdict.body.get("version"), verdict.body.get("model_digest"))
        named = said == (version.version, version.model_digest)
    elif verdict.kind == "receipt":
        named = any(_is_left(version, outcome) for outcome in _outcomes(verdict.body, details))
    else:
        msg = "expected a receipt or a privacy report beside --retrain, got a checkpoint; a checkpoint names no version"
        raise InputError(msg)
    if not named:
        msg = (
            f"expected the version of the export to be one that the {verdict.kind} names, got another; "
            "take the privacy report of this version, or the export of that one"
        )
        raise VerificationError(msg)


def _is_left(version: ModelVersion, outcome: dict[str, Json]) -> bool:
    """Whether this outcome of an erasure is about the version, as one that may be there afterwards.

    Raises:
        VerificationError: the outcome says that it is gone.
    """
    kept = str(outcome.get("outcome")).startswith("kept")
    if not kept and version.version == outcome.get("version"):
        msg = "expected a version that is left after the erasure, got one that the receipt says is gone; it is back"
        raise VerificationError(msg)
    # of somebody who had objected before, nothing was left to take out: the same sum gives the same model
    before = outcome.get("digest_before")
    if before != outcome.get("digest_after") and version.model_digest == before:
        msg = "expected the model after the erasure, got the one before it under another name; the customer is in it"
        raise VerificationError(msg)
    left = outcome.get("version" if kept else "superseded_by")
    return (left, outcome.get("digest_after", version.model_digest)) == (version.version, version.model_digest)


def _outcomes(body: Document, details: bytes | None) -> list[dict[str, Json]]:
    """What the receipt says of each affected version; in the details, where the receipt has only their digest."""
    steps = json.loads(details)["details"] if details is not None else body.get("steps")
    released = steps.get("released") if isinstance(steps, dict) else None
    outcomes = released.get("versions") if isinstance(released, dict) else None
    if isinstance(outcomes, dict):
        msg = "expected a receipt that lists its versions, got a digest of the list; give --details, too"
        raise InputError(msg)
    if not isinstance(outcomes, list) or not all(isinstance(each, dict) for each in outcomes):
        msg = "expected a receipt that says what became of each version, got one that does not; ask for the whole one"
        raise VerificationError(msg)
    return cast("list[dict[str, Json]]", outcomes)


def _lines(data: bytes) -> list[str]:
    return [line.strip() for line in data.decode(errors="replace").splitlines() if line.strip()]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"expected to read {path}, got: {error.strerror}; make it with privrec audit export"
        raise InputError(msg) from error
