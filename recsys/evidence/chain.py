"""A hash chain: every entry names the digest of the one before, so that none can be changed, dropped or put between."""

from collections.abc import Sequence
from typing import cast

from recsys.errors import LedgerTamperedError
from recsys.evidence.canonical import json_digest
from recsys.types import Json

GENESIS = "0" * 64
"""What the first entry names as its predecessor."""

Entry = dict[str, Json]


def link(entries: Sequence[Entry], body: dict[str, Json]) -> Entry:
    """The next entry of the chain: the body with its index, its predecessor's digest and its own."""
    unsealed: Entry = {**body, "index": len(entries), "previous": head(entries)}
    return {**unsealed, "digest": json_digest(unsealed)}


def head(entries: Sequence[Entry]) -> str:
    """The digest that the next entry must name."""
    return cast("str", entries[-1]["digest"]) if entries else GENESIS


def verify_chain(entries: Sequence[Entry]) -> None:
    """Nothing, if every entry follows from the one before.

    Raises:
        LedgerTamperedError: an entry was changed, dropped, moved or put between; the message names its index.
    """
    for index, entry in enumerate(entries):
        body = {key: value for key, value in entry.items() if key not in {"index", "previous", "digest"}}
        if link(entries[:index], body) != entry:
            msg = (
                f"expected entry {index} of the chain to follow from the one before it, but its digest does not match; "
                "the ledger was changed from outside: restore it from a backup and compare the two"
            )
            raise LedgerTamperedError(msg)


def entries_since(entries: Sequence[Entry], kept_head: str) -> int:
    """How many entries were appended since this was the head of the chain.

    A chain that lost its end still is a chain; a copy of its head, kept elsewhere, tells.

    Raises:
        LedgerTamperedError: it never was the head of this chain.
    """
    heads = [GENESIS, *(cast("str", entry["digest"]) for entry in entries)]
    if kept_head not in heads:
        msg = (
            f"expected a chain that has had the head {kept_head[:64]}, got one of {len(entries)} entries that has not; "
            "its end was cut off or replaced, or the head is another ledger's: compare it with a backup"
        )
        raise LedgerTamperedError(msg)
    return len(entries) - heads.index(kept_head)
