"""Entries of the log of receipts, for tests that care for what is kept and not for what it says."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recsys.evidence.checkpoint import Checkpoint, write_checkpoint
from recsys.evidence.log import Enter, Entry, leaf_of
from recsys.evidence.merkle import Node, completed, root

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def entering(receipt: bytes, key: Ed25519PrivateKey = KEY) -> Enter:
    """What enters the bytes as they are, under a checkpoint that is signed by this key."""

    def enter(size: int, frontier: Mapping[Node, bytes]) -> Entry:
        nodes = completed(size, leaf_of(receipt), frontier)
        checkpoint = Checkpoint(size=size + 1, root=root(size + 1, lambda _: {**frontier, **nodes}))
        return Entry(receipt=receipt, checkpoint=write_checkpoint(checkpoint, key), nodes=nodes)

    return enter
