"""The Merkle tree: the published roots and proofs, the RFC's own definition, and every wrong proof refused."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import VerificationError
from recsys.evidence.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Node,
    completed,
    consistency_spans,
    covering,
    hashes,
    inclusion_spans,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# The leaves and roots that implementations of RFC 6962 share (certificate-transparency, transparency-dev/merkle).
PUBLISHED_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
PUBLISHED_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PUBLISHED_INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
PUBLISHED_CONSISTENCY = {
    (1, 1): [],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
LARGEST = 70
"""Past two powers of two on either side."""


class Tree:
    """A log in a dictionary, which holds what a log keeps and no more."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.nodes: dict[Node, bytes] = {}
        self.leaves = [leaf_hash(leaf) for leaf in leaves]
        for size, leaf in enumerate(self.leaves):
            self.nodes |= completed(size, leaf, self.read(covering((0, size))))

    def read(self, wanted: Sequence[Node]) -> Mapping[Node, bytes]:
        return {node: self.nodes[node] for node in wanted}

    def root(self, size: int) -> bytes:
        return root(size, self.read)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return hashes(inclusion_spans(index, size), self.read)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return hashes(consistency_spans(old, new), self.read)


def definition(leaves: Sequence[bytes]) -> bytes:
    """The tree hash as RFC 9162 writes it down."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = max(1 << power for power in range(len(leaves).bit_length()) if 1 << power < len(leaves))
    return node_hash(definition(leaves[:split]), definition(leaves[split:]))


PUBLISHED = Tree(PUBLISHED_LEAVES)
TREE = Tree([bytes([number]) for number in range(LARGEST)])
SIZES = st.integers(1, LARGEST)


def test_the_roots_are_the_published_ones() -> None:
    assert [PUBLISHED.root(size).hex() for size in range(9)] == PUBLISHED_ROOTS


@pytest.mark.parametrize(("index", "size"), PUBLISHED_INCLUSION)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int) -> None:
    assert [part.hex() for part in PUBLISHED.inclusion(index, size)] == PUBLISHED_INCLUSION[index, size]


@pytest.mark.parametrize(("old", "new"), PUBLISHED_CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(old: int, new: int) -> None:
    assert [part.hex() for part in PUBLISHED.consistency(old, new)] == PUBLISHED_CONSISTENCY[old, new]


def test_a_root_of_every_size_is_that_of_the_definition() -> None:
    assert [TREE.root(size) for size in range(LARGEST + 1)] == [
        definition(TREE.leaves[:size]) for size in range(LARGEST + 1)
    ]


def test_a_log_keeps_fewer_than_two_hashes_a_leaf() -> None:
    assert len(TREE.nodes) < 2 * LARGEST


def test_every_leaf_of_every_tree_is_proved() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = TREE.inclusion(index, size)
            assert len(proof) <= (size - 1).bit_length()
            verify_inclusion(TREE.leaves[index], index=index, size=size, proof=proof, tree_root=TREE.root(size))


def test_every_tree_is_proved_to_be_the_beginning_of_every_later_one() -> None:
    for new in range(LARGEST + 1):
        for old in range(new + 1):
            verify_consistency(
                old=old, new=new, proof=TREE.consistency(old, new), old_root=TREE.root(old), new_root=TREE.root(new)
            )


def spoiled(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """A proof with one thing wrong."""
    place = data.draw(st.integers(0, len(proof)))
    wrong = [
        [*proof[:place], bytes(HASH_BYTES), *proof[place:]],
        [*proof[:place], b"", *proof[place:]],
    ]
    if place < len(proof):
        bit = data.draw(st.integers(0, 8 * HASH_BYTES - 1))
        flipped = (int.from_bytes(proof[place], "big") ^ 1 << bit).to_bytes(HASH_BYTES, "big")
        wrong += [
            [*proof[:place], *proof[place + 1 :]],
            [*proof[:place], flipped, *proof[place + 1 :]],
            [*proof[:place], proof[place][:-1], *proof[place + 1 :]],
        ]
    if len(set(proof)) > 1:
        wrong.append(proof[::-1])
    return data.draw(st.sampled_from(wrong))


@given(SIZES, st.data())
def test_an_inclusion_proof_that_is_wrong_anywhere_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, leaf = TREE.inclusion(index, size), TREE.leaves[index]
    claims = [
        (leaf, index, size, spoiled(proof, data), TREE.root(size)),
        (leaf_hash(b"never added"), index, size, proof, TREE.root(size)),
        (leaf, data.draw(st.integers(-2, size + 2).filter(lambda other: other != index)), size, proof, TREE.root(size)),
        (leaf, index, size, proof, TREE.root(data.draw(st.integers(0, LARGEST).filter(lambda other: other != size)))),
    ]
    for leaf_, index_, size_, proof_, root_ in claims:
        with pytest.raises(VerificationError, match="inclusion"):
            verify_inclusion(leaf_, index=index_, size=size_, proof=proof_, tree_root=root_)


@given(SIZES, st.data())
def test_a_consistency_proof_that_is_wrong_anywhere_is_refused(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    proof, old_root, new_root = TREE.consistency(old, new), TREE.root(old), TREE.root(new)
    other = TREE.root(data.draw(st.integers(0, LARGEST).filter(lambda size: size not in {old, new})))
    claims = [
        (old, new, spoiled(proof, data), old_root, new_root),
        (old, new, proof, other, new_root),
        (-1, new, proof, old_root, new_root),
    ]
    if old:  # of an empty log every log is a continuation
        claims.append((old, new, proof, old_root, other))
    if old < new:
        claims.append((new, old, proof, new_root, old_root))
    for old_, new_, proof_, old_root_, new_root_ in claims:
        with pytest.raises(VerificationError, match="consistency"):
            verify_consistency(old=old_, new=new_, proof=proof_, old_root=old_root_, new_root=new_root_)


@given(st.integers(2, LARGEST), st.data())
def test_a_log_with_one_entry_changed_is_no_continuation(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    place = data.draw(st.integers(0, old - 1))
    forged = Tree([b"changed" if place == number else bytes([number]) for number in range(size)])
    for proof in (forged.consistency(old, size), TREE.consistency(old, size)):
        with pytest.raises(VerificationError, match="forked"):
            verify_consistency(old=old, new=size, proof=proof, old_root=TREE.root(old), new_root=forged.root(size))


@pytest.mark.parametrize("index", [-1, 15, 23])
def test_a_leaf_has_no_other_index_outside_of_the_tree(index: int) -> None:
    """Whose way up turns as that of the last of eight does."""
    proof = TREE.inclusion(7, 8)
    verify_inclusion(TREE.leaves[7], index=7, size=8, proof=proof, tree_root=TREE.root(8))
    with pytest.raises(VerificationError, match="inclusion"):
        verify_inclusion(TREE.leaves[7], index=index, size=8, proof=proof, tree_root=TREE.root(8))


def test_a_leaf_cannot_pass_for_two_subtrees() -> None:
    """The attack that the prefixes are there for."""
    pair = TREE.leaves[0] + TREE.leaves[1]
    with pytest.raises(VerificationError):
        verify_inclusion(leaf_hash(pair), index=0, size=1, proof=[], tree_root=TREE.root(2))
