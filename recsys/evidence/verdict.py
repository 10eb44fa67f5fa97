"""What a stranger finds out with a public key alone: whether a receipt, report or checkpoint holds, and whose it is.

Nothing here reads a store or asks a server.
"""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recsys.errors import InputError, VerificationError
from recsys.evidence.canonical import canonical_json
from recsys.evidence.checkpoint import LOG_NAMES, Checkpoint, read_checkpoint
from recsys.evidence.document import canonical_document
from recsys.evidence.log import Logged, read_proof, verify_continued
from recsys.evidence.manifest import version_name
from recsys.evidence.privacy_report import REPORT_NAME, REPORT_TYPE, verify_report
from recsys.evidence.receipt import RECEIPT_NAME, fitting, read_receipt, subject_commitment
from recsys.evidence.roster import verify_roster_proof
from recsys.evidence.signing import Document
from recsys.types import Json

IN_ROSTER = "the customer is in it: the version was made with them, or after they had left its sum by an objection"
NOT_IN_ROSTER = "the customer is not in it: the version was made without them"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What was found to hold.

    Attributes:
        kind: `receipt`, `report` or `checkpoint`
        checks: what was looked at, in order
        body: what the document says; empty for a checkpoint
        logged: where a receipt is in the log; None for what is in none
        checkpoint: the log's state that it shows, if it shows one
    """

    kind: str
    checks: tuple[str, ...]
    body: Document
    logged: Logged | None = None
    checkpoint: Checkpoint | None = None


def judge(data: bytes, public_key: Ed25519PublicKey) -> Verdict:
    """What the file is, once it is found to hold.

    Raises:
        VerificationError: it does not; the message says what is wrong.
    """
    if data.startswith(LOG_NAMES.encode()):
        checkpoint = checkpoint_in(data, public_key)
        return Verdict(kind="checkpoint", checks=("checkpoint",), body={}, checkpoint=checkpoint)
    body = canonical_document(data, f"{RECEIPT_NAME} or {REPORT_NAME}").get("body")
    if isinstance(body, dict) and body.get("type") == REPORT_TYPE:
        report = verify_report(data, public_key)
        return Verdict(kind="report", checks=("canonical bytes", "signature"), body=report)
    receipt = read_receipt(data, public_key)
    verdict = Verdict(kind="receipt", checks=("canonical bytes", "signature"), body=receipt.body)
    if receipt.logged is None:
        return verdict
    return replace(
        verdict,
        checks=(*verdict.checks, "checkpoint", "inclusion"),
        logged=receipt.logged,
        checkpoint=receipt.logged.checkpoint,
    )


def checkpoint_in(data: bytes, public_key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint that the file holds; raises VerificationError if it holds another text."""
    return read_checkpoint(data.decode(errors="replace"), public_key)


def with_kept(verdict: Verdict, kept: Checkpoint, proof: bytes | None) -> Verdict:
    """The verdict, once its log is found to be the one of a checkpoint that was kept; either may be the older one.

    Args:
        verdict: on the file
        kept: what the auditor saw another time
        proof: the answer of `/v1/log/consistency`; not needed where both have one size

    Raises:
        InputError: a proof is needed, or it is of other sizes.
        VerificationError: the log was forked, cut or changed in between, or the file is in no log.
    """
    if verdict.checkpoint is None:
        msg = (
            "expected a file that shows a state of the log to compare with the checkpoint, got one that is in no log: "
            "a report, or a receipt from before there was one; leave --checkpoint out"
        )
        raise VerificationError(msg)
    sizes = sorted((kept.size, verdict.checkpoint.size))
    verify_continued(kept, verdict.checkpoint, _proof_between(sizes, proof))
    return replace(verdict, checks=(*verdict.checks, "consistency"))


def of_request(verdict: Verdict, request_id: str) -> Verdict:
    """The verdict, once the receipt is found to be of this request.

    Raises:
        VerificationError: it is of another one.
    """
    if verdict.kind != "receipt" or verdict.body.get("request_id") != request_id:
        msg = "expected the receipt of the request that was named, got another's; ask for the receipt of this request"
        raise VerificationError(msg)
    return replace(verdict, checks=(*verdict.checks, "request"))


def of_subject(verdict: Verdict, user_id: str, salt: str) -> Verdict:
    """The verdict, once the receipt is found to be of the customer who was given this salt, in hex.

    Raises:
        InputError: the salt is no hex. Neither it nor the id is repeated.
        VerificationError: the receipt is another customer's, or the salt another request's.
    """
    try:
        commitment = subject_commitment(user_id, bytes.fromhex(salt))
    except ValueError as error:
        msg = "expected the salt in hex digits, got other letters; take it as the acknowledgement gave it"
        raise InputError(msg) from error
    if verdict.kind != "receipt" or not hmac.compare_digest(str(verdict.body.get("subject")), commitment):
        msg = "expected the subject to be this customer under this salt, it is not; the receipt is another's"
        raise VerificationError(msg)
    return replace(verdict, checks=(*verdict.checks, "subject"))


def of_details(verdict: Verdict, details: bytes) -> Verdict:
    """The verdict, once the steps of the receipt are found to be these: a long list stands in it as a digest.

    Args:
        verdict: on the file
        details: the answer of `/v1/erasures/{request_id}`

    Raises:
        InputError: it is no such answer.
        VerificationError: the receipt is of other steps.
    """
    try:
        steps = fitting(json.loads(details)["details"])
    except (ValueError, TypeError, KeyError, RecursionError, InputError) as error:
        msg = "expected the answer of /v1/erasures/REQUEST as JSON, got something else; use it as it came"
        raise InputError(msg) from error
    if verdict.kind != "receipt" or canonical_json(verdict.body.get("steps")) != canonical_json(steps):
        msg = (
            "expected the steps that the receipt was signed for, got others; the details were changed, or are another's"
        )
        raise VerificationError(msg)
    return replace(verdict, checks=(*verdict.checks, "details"))


def of_roster(verdict: Verdict, shown: bytes) -> Verdict:
    """The verdict, once the customer of a proof is found in the roster of a version that the document names, or not.

    Who is in it may have left the version's sum before, by an objection: then the version was made without them.

    Args:
        verdict: on a privacy report, or on a receipt
        shown: manifest and proof, from `privrec models roster VERSION --customer ID --output FILE`

    Raises:
        InputError: it is no such file.
        VerificationError: the document does not name the manifest's version, or the proof does not hold.
    """
    try:
        document = json.loads(shown)
        manifest, proof = dict(document["manifest"]), dict(document["proof"])
        root = str(manifest["config"]["roster"]["root"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        msg = "expected manifest and proof from `privrec models roster --output`, got something else; use it as it came"
        raise InputError(msg) from error
    if version_name(manifest) not in _versions(verdict):
        msg = (
            f"expected the manifest of a version that the {verdict.kind} names, got another's; take the privacy report "
            "of that version: privrec models report VERSION --output FILE"
        )
        raise VerificationError(msg)
    found = IN_ROSTER if verify_roster_proof(proof, root) else NOT_IN_ROSTER
    return replace(verdict, checks=(*verdict.checks, "manifest", f"roster: {found}"))


def _versions(verdict: Verdict) -> set[Json]:
    """The versions that the document names: a report its own, a receipt those before and after the erasure."""
    if verdict.kind == "report":
        return {verdict.body.get("version")}
    steps = verdict.body.get("steps")
    released = steps.get("released") if isinstance(steps, dict) else None
    outcomes = released.get("versions") if isinstance(released, dict) else None
    named = [each for each in outcomes if isinstance(each, dict)] if isinstance(outcomes, list) else []
    return {each.get(name) for each in named for name in ("version", "superseded_by")}


def _proof_between(sizes: Sequence[int], proof: bytes | None) -> tuple[bytes, ...]:
    old, new = sizes
    if proof is None and 0 < old < new:
        msg = (
            f"expected a consistency proof from {old} to {new}, got none; "
            f"ask for it: `privrec log consistency --from {old} --to {new}` or GET /v1/log/consistency"
        )
        raise InputError(msg)
    if proof is None:
        return ()
    try:
        document = json.loads(proof)
        spanned = [document["from"], document["to"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        msg = "expected the answer of /v1/log/consistency as JSON, got something else; use it as it came"
        raise InputError(msg) from error
    if spanned != [old, new]:
        msg = f"expected a consistency proof from {old} to {new}, got one of other sizes; ask for these"
        raise InputError(msg)
    return read_proof(document.get("proof"))
