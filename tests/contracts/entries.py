"""Entries of the log of receipts, for tests that care for what is kept and not for what it says."""

from collections.abc import Mapping

from recsys.evidence.log import Enter, Entry, leaf_of
from recsys.evidence.merkle import Node, completed


def entering(receipt: bytes) -> Enter:
    """What enters the bytes as they are, under a checkpoint that names the size."""

    def enter(size: int, frontier: Mapping[Node, bytes]) -> Entry:
        return Entry(
            receipt=receipt,
            checkpoint=f"checkpoint of {size + 1}",
            nodes=completed(size, leaf_of(receipt), frontier),
        )

    return enter
