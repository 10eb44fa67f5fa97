"""Who is in a version, shown by one commitment and the root in the manifest."""

import copy
import hashlib
from typing import Any

import pytest

from recsys.errors import VerificationError
from recsys.evidence.roster import Roster, verify_roster_proof


def commitment(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def rfc_6962(leaves: list[bytes]) -> bytes:
    """The root by the letter of the standard."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + rfc_6962(leaves[:split]) + rfc_6962(leaves[split:])).digest()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 13, 64, 100])
def test_the_tree_is_that_of_the_standard_over_the_sorted_commitments(size: int) -> None:
    everybody = [commitment(number) for number in range(size)]
    roster = Roster.of(everybody)
    assert roster == Roster.of(reversed(everybody)) == Roster.of(everybody * 2)
    tree = rfc_6962([bytes.fromhex(each) for each in sorted(everybody)])
    assert roster.root == hashlib.sha256(b"\x02" + size.to_bytes(8, "big") + tree).hexdigest()


def test_nobody_is_in_the_roster_of_nobody() -> None:
    roster = Roster.of([])
    assert verify_roster_proof(roster.proof(commitment(1)), roster.root) is False


@pytest.mark.parametrize("size", [1, 2, 3, 8, 21])
def test_everybody_is_shown_to_be_in_or_not(size: int) -> None:
    roster = Roster.of(commitment(number) for number in range(size))
    for number in range(size + 20):
        assert verify_roster_proof(roster.proof(commitment(number)), roster.root) is (number < size)


def test_a_proof_is_of_one_roster_only() -> None:
    before = Roster.of(commitment(number) for number in range(9))
    after = Roster.of(commitment(number) for number in range(8))
    erased = commitment(8)
    assert verify_roster_proof(before.proof(erased), before.root) is True
    assert verify_roster_proof(after.proof(erased), after.root) is False
    for proof, root in ((before.proof(erased), after.root), (after.proof(erased), before.root)):
        with pytest.raises(VerificationError):
            verify_roster_proof(proof, root)


@pytest.mark.parametrize("number", [3, 99])
def test_a_proof_that_is_changed_anywhere_is_refused(number: int) -> None:
    roster = Roster.of(commitment(each) for each in range(12))
    honest: Any = roster.proof(commitment(number))
    cheats = [
        {**honest, "is_in": not honest["is_in"]},
        {**honest, "commitment": commitment(5)},
        {**honest, "entries": honest["entries"][:-1]},
        {**honest, "entries": [*honest["entries"], *honest["entries"]]},
        {**honest, "size": honest["size"] * 2},
        {**honest, "size": honest["entries"][0]["index"] + 1},
        {**honest, "size": -1},
        {**honest, "tree": ""},
        {},
    ]
    for name, value in (("index", 11), ("commitment", commitment(98)), ("proof", [])):
        changed = copy.deepcopy(honest)
        changed["entries"][0][name] = value
        cheats.append(changed)
    for cheat in cheats:
        with pytest.raises(VerificationError):
            verify_roster_proof(cheat, roster.root)


def test_whoever_is_in_has_no_proof_that_they_are_not() -> None:
    """Neighbours that are not beside each other leave room for them."""
    roster = Roster.of(commitment(each) for each in range(12))
    place = roster.commitments.index(commitment(3))
    entries = [roster._entry(each) for each in (place - 1, place + 1) if 0 <= each < 12]
    with pytest.raises(VerificationError):
        verify_roster_proof({"commitment": commitment(3), "is_in": False, "size": 12, "entries": entries}, roster.root)
