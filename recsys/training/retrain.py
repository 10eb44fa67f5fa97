"""The model of a version once more, from what its makers say that it was made from: what an auditor runs."""

from recsys.errors import InputError, VerificationError
from recsys.models.factors import ItemFactors
from recsys.training.audit_export import EXPORT_DIGEST, AuditExport
from recsys.training.fit import fit
from recsys.training.terms import Terms
from recsys.types import ModelVersion, Trainer

NOISE = (
    "noise went into it that nobody can draw again; its privacy report says how much, and the ledger that it was booked"
)
ROUNDING = (
    "its trainer rounds as the machine and its threads do, so that equal data give models that differ in some bits"
)


def not_repeatable(version: ModelVersion) -> str | None:
    """Why a training on the same data does not give the same bytes; None where it does.

    The one place that knows which trainers can be repeated to the bit.

    Raises:
        VerificationError: the manifest does not say how the version was trained.
    """
    terms = _terms(version)
    if terms.erasable or terms.trainer is Trainer.ALS_CERTIFIED:
        return None
    exact = terms.trainer is Trainer.ALS or not any(terms.noise_multipliers)
    return ROUNDING if exact else NOISE


def _terms(version: ModelVersion) -> Terms:
    try:
        return Terms.of(version)
    except (KeyError, TypeError, ValueError) as error:
        msg = "expected a manifest with the terms of a training, got others; ask for the manifest of a version"
        raise VerificationError(msg) from error


def check_export(version: ModelVersion, export: AuditExport) -> None:
    """Nothing, if the export is what the version's manifest commits to.

    Raises:
        VerificationError: it is something else, or the manifest is from before there were exports.
    """
    committed = version.config.get(EXPORT_DIGEST)
    if committed is None:
        msg = "expected a manifest that commits to an audit export, got one from before there were any; train again"
        raise VerificationError(msg)
    if committed != export.digest:
        msg = (
            f"expected the export with the digest {committed}, which the manifest names, got {export.digest}; "
            "a customer or a purchase is missing, was added or changed: ask for the export of this version"
        )
        raise VerificationError(msg)


def retrain(version: ModelVersion, export: AuditExport) -> ItemFactors:
    """The model that the rule of this code makes of the export, under the terms in the version's manifest.

    Guarantees:
        - Where `not_repeatable` says None, an honest version's model comes out, byte for byte.

    Tested by: tests/recsys/training/test_retrain.py::test_an_honest_version_is_repeated_to_the_byte
    """
    return fit(export.purchased, export.items, Terms.of(version)).factors


def check_retrained(version: ModelVersion, export: AuditExport) -> None:
    """Nothing, if a training on the export gives the model that the manifest names.

    Raises:
        VerificationError: it gives another one.
    """
    try:
        found = retrain(version, export).digest
    except InputError as refusal:
        msg = f"expected a training on the export to give a model, got a refusal; no such version can be: {refusal}"
        raise VerificationError(msg) from refusal
    if found != version.model_digest:
        msg = (
            f"expected a training on the export to give the model {version.model_digest}, got {found}; the model was "
            "made from other data, by another rule or with other settings, or changed afterwards"
        )
        raise VerificationError(msg)
