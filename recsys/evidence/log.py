"""The append-only log of receipts: what one more adds to it, and the check that a receipt is in it.

A leaf is the digest of a signed receipt. It commits to the customer under a salt, a random request id and a signature,
so that it says nothing to whoever has not got the receipt, and cannot be guessed.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recsys.errors import VerificationError
from recsys.evidence.canonical import canonical_json, from_base64, to_base64
from recsys.evidence.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from recsys.evidence.merkle import (
    Node,
    completed,
    hashes,
    inclusion_spans,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from recsys.types import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What one more receipt adds to the log; all of it is kept, in one transaction.

    Attributes:
        receipt: as it is handed out: the signed document with its index, inclusion proof and checkpoint
        checkpoint: of the log with this receipt in it
        nodes: the complete subtrees that it fills
    """

    receipt: bytes
    checkpoint: str
    nodes: Mapping[Node, bytes]


Enter = Callable[[int, Mapping[Node, bytes]], Entry]
"""Makes the entry from the number of receipts before it and the complete subtrees that cover them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Logged:
    """Where a receipt is in the log, and the checkpoint that holds it."""

    index: int
    checkpoint: Checkpoint


def enter(signed: bytes, size: int, frontier: Mapping[Node, bytes], *, signing_key: Ed25519PrivateKey) -> Entry:
    """The entry of a signed receipt in a log that holds `size` others."""
    filled = completed(size, leaf_of(signed), frontier)
    known = {**frontier, **filled}
    checkpoint = write_checkpoint(Checkpoint(size=size + 1, root=root(size + 1, lambda _: known)), signing_key)
    proof = hashes(inclusion_spans(size, size + 1), lambda _: known)
    log: Json = {"checkpoint": checkpoint, "inclusion": [to_base64(part) for part in proof], "index": size}
    return Entry(receipt=canonical_json({**json.loads(signed), "log": log}), checkpoint=checkpoint, nodes=filled)


def leaf_of(signed: bytes) -> bytes:
    """The hash of the leaf that a signed receipt is in the log."""
    return leaf_hash(hashlib.sha256(signed).digest())


def verify_logged(log: Json, signed: bytes, public_key: Ed25519PublicKey) -> Logged:
    """Where the signed receipt is in the log, once checkpoint and inclusion proof are found to hold.

    Raises:
        VerificationError: they do not; the message says which.
    """
    fields = log if isinstance(log, dict) else {}
    if set(fields) != {"checkpoint", "inclusion", "index"} or type(fields["index"]) is not int:
        msg = (
            "expected a receipt with its place in the log (checkpoint, inclusion, index), got one without; "
            "fetch it again: what is not in the log is not proved to be the only one"
        )
        raise VerificationError(msg)
    checkpoint = read_checkpoint(str(fields["checkpoint"]), public_key)
    logged = Logged(index=fields["index"], checkpoint=checkpoint)
    verify_inclusion(
        leaf_of(signed),
        index=logged.index,
        size=checkpoint.size,
        proof=read_proof(fields["inclusion"]),
        tree_root=checkpoint.root,
    )
    return logged


def verify_continued(kept: Checkpoint, seen: Checkpoint, proof: Sequence[bytes]) -> None:
    """Nothing, if one of the two checkpoints continues the log of the other; either may be the older one.

    Raises:
        VerificationError: they are of two logs: entries were changed or dropped, or the log was forked.
    """
    old, new = sorted((kept, seen), key=lambda checkpoint: checkpoint.size)
    verify_consistency(old=old.size, new=new.size, proof=proof, old_root=old.root, new_root=new.root)


def read_proof(parts: Json) -> tuple[bytes, ...]:
    """The hashes of a proof.

    Raises:
        VerificationError: it is no list of hashes in base64.
    """
    if not isinstance(parts, list):
        raise _no_proof()
    try:
        return tuple(from_base64(cast("str", part)) for part in parts)
    except (TypeError, ValueError) as error:
        raise _no_proof() from error


def _no_proof() -> VerificationError:
    msg = "expected a proof as a list of hashes in base64, got something else; it was changed: ask for it again"
    return VerificationError(msg)
