"""The roster of a model version: one hash over the sorted commitments of its customers.

A commitment is a keyed hash of the customer under a salt of the version, so that nobody but the installation can tell
who is behind one, or that two versions have a customer in common. Whoever is shown one can check with the root in the
manifest that it is in the roster, or, by the two that would be beside it, that it is not.

Who is not in the roster was not in the version. Who is in it was, or had left its sum before by an objection, a
restriction or a correction: a roster errs toward too much. Who was in it under an account that was merged into another
later is in it under that account.

The hash is that of the number of customers and the Merkle root over them, so that no proof can lie about who is last.
Proofs tell how many there are, exactly: internal, not private. The hash tells nothing.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from recsys.errors import VerificationError
from recsys.evidence.canonical import from_base64, to_base64
from recsys.evidence.merkle import EMPTY_ROOT, Node, hashes, inclusion_spans, leaf_hash, node_hash, verify_inclusion
from recsys.types import Json


@dataclass(frozen=True, slots=True)
class Roster:
    """The commitments in their order, and the hashes of all complete subtrees over them."""

    commitments: tuple[str, ...]
    levels: tuple[tuple[bytes, ...], ...]

    @classmethod
    def of(cls, commitments: Iterable[str]) -> "Roster":
        """The roster of these commitments (64 hex digits each), in whatever order they come."""
        found = tuple(sorted(set(commitments)))
        levels = [tuple(leaf_hash(bytes.fromhex(each)) for each in found)]
        while len(levels[-1]) > 1:
            below = levels[-1]
            levels.append(tuple(map(node_hash, below[::2], below[1::2])))
        return cls(found, tuple(levels))

    @property
    def root(self) -> str:
        """The roster's hash, in hex."""
        return _root(len(self.commitments), self._tree)

    @property
    def _tree(self) -> bytes:
        size = len(self.commitments)
        return hashes([(0, size)], self._nodes)[0] if size else EMPTY_ROOT

    def proof(self, commitment: str) -> dict[str, Json]:
        """That the commitment is in the roster; or the ones beside its place, if it is not."""
        before = sum(each < commitment for each in self.commitments)
        is_in = self.commitments[before : before + 1] == (commitment,)
        places = [before] if is_in else [each for each in (before - 1, before) if 0 <= each < len(self.commitments)]
        entries: list[Json] = [self._entry(place) for place in places]
        size, tree = len(self.commitments), to_base64(self._tree)
        return {"commitment": commitment, "is_in": is_in, "size": size, "tree": tree, "entries": entries}

    def _entry(self, place: int) -> Json:
        parts = hashes(inclusion_spans(place, len(self.commitments)), self._nodes)
        return {"commitment": self.commitments[place], "index": place, "proof": [to_base64(part) for part in parts]}

    def _nodes(self, wanted: Sequence[Node]) -> Mapping[Node, bytes]:
        return {(level, position): self.levels[level][position] for level, position in wanted}


def verify_roster_proof(proof: Mapping[str, Json], root: str) -> bool:
    """Whether the commitment is in the roster of this root, once the proof is found to hold.

    Guarantees:
        - Whoever is in a roster has no proof that they are not, and the other way round.

    Tested by: tests/recsys/evidence/test_roster.py::test_a_proof_that_is_changed_anywhere_is_refused

    Raises:
        VerificationError: the proof does not lead to the root, or proves something else than it says.
    """
    try:
        entries = cast("list[dict[str, Json]]", proof["entries"])
        size, tree = int(cast("int", proof["size"])), from_base64(str(proof["tree"]))
        if _root(size, tree) != root:
            raise _no_proof()
        for entry in entries:
            _verify_entry(entry, size, tree)
        found = [(int(cast("int", each["index"])), str(each["commitment"])) for each in entries]
        is_in = _is_in(str(proof["commitment"]), found, size)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _no_proof() from error
    if is_in is not proof["is_in"]:
        raise _no_proof()
    return is_in


def _root(size: int, tree: bytes) -> str:
    return hashlib.sha256(b"\x02" + size.to_bytes(8, "big") + tree).hexdigest()


def _verify_entry(entry: Mapping[str, Json], size: int, tree: bytes) -> None:
    parts = [from_base64(str(part)) for part in cast("list[str]", entry["proof"])]
    leaf = leaf_hash(bytes.fromhex(str(entry["commitment"])))
    verify_inclusion(leaf, index=int(cast("int", entry["index"])), size=size, proof=parts, tree_root=tree)


def _is_in(commitment: str, found: Sequence[tuple[int, str]], size: int) -> bool:
    """Whether it is the one that was found; if not, those that were found must leave no place for it."""
    if len(found) == 1 and found[0][1] == commitment:
        return True
    before = [place for place, other in found if other < commitment]
    after = [place for place, other in found if other > commitment]
    first, last = (before or [-1])[0], (after or [size])[0]
    is_plain = max(len(before), len(after)) <= 1 and len(found) == len(before) + len(after)
    if not is_plain or last != first + 1:
        raise _no_proof()
    return False


def _no_proof() -> VerificationError:
    msg = "expected a proof of who is in a version's roster, got one that does not hold; take it from the installation"
    return VerificationError(msg)
