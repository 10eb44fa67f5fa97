"""What the log of receipts is asked for: its latest checkpoint, and proofs about what it holds.

The answers are hashes, sizes and one signature. Who asks learns how many erasures there were, exactly, and no more.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recsys.errors import ArtifactError, InputError, NotFoundError, VerificationError
from recsys.evidence.canonical import to_base64
from recsys.evidence.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from recsys.evidence.merkle import EMPTY_ROOT, consistency_spans, hashes, inclusion_spans, root
from recsys.ports import ReceiptLog
from recsys.types import Json


def latest_checkpoint(log: ReceiptLog, signing_key: Ed25519PrivateKey) -> str:
    """The checkpoint that was signed when the log last grew, once its hashes are found to lead to it.

    Of an empty log one is signed now.

    Raises:
        ArtifactError: they lead elsewhere: somebody changed the database.
    """
    size, note = log.latest()
    if not size:
        return write_checkpoint(Checkpoint(size=0, root=EMPTY_ROOT), signing_key)
    try:
        signed = read_checkpoint(note, signing_key.public_key())
    except VerificationError as error:
        raise _changed() from error
    if signed != Checkpoint(size=size, root=root(size, log.nodes)):
        raise _changed()
    return note


def inclusion(log: ReceiptLog, index: int, size: int | None = None) -> dict[str, Json]:
    """The proof that a receipt is in the log of this size; by default in that of the latest checkpoint.

    Raises:
        NotFoundError: the log has not got so many receipts.
    """
    size = _checked(log, size)
    if not 0 <= index < size:
        msg = f"expected the index of a receipt in a log of {size}, got {index}; take it from the receipt"
        raise NotFoundError(msg)
    proof = _texts(hashes(inclusion_spans(index, size), log.nodes))
    return {"index": index, "size": size, "leaf": to_base64(log.nodes([(0, index)])[0, index]), "proof": proof}


def consistency(log: ReceiptLog, old: int, new: int | None = None) -> dict[str, Json]:
    """The proof that the log of the old size is the beginning of the new one; by default of the latest.

    Raises:
        NotFoundError: the log has not got so many receipts.
        InputError: the sizes are the wrong way round.
    """
    old, new = _checked(log, old), _checked(log, new)
    if old > new:
        msg = f"expected to go from a smaller size to a larger one, got {old} to {new}; swap them"
        raise InputError(msg)
    return {"from": old, "to": new, "proof": _texts(hashes(consistency_spans(old, new), log.nodes))}


def _checked(log: ReceiptLog, size: int | None) -> int:
    latest, _ = log.latest()
    if size is not None and not 0 <= size <= latest:
        msg = f"expected a size that the log has had, up to {latest}, got {size}; was it cut, or another log's?"
        raise NotFoundError(msg)
    return latest if size is None else size


def _texts(proof: list[bytes]) -> list[Json]:
    return [to_base64(part) for part in proof]


def _changed() -> ArtifactError:
    msg = (
        "expected the log's hashes to lead to its signed checkpoint, they do not; "
        "the database was changed from outside: restore it from a backup and compare the two"
    )
    return ArtifactError(msg)
