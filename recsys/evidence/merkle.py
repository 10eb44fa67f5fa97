"""The Merkle tree of Certificate Transparency (RFC 6962 and RFC 9162, section 2.1), over SHA-256.

A tree over n leaves is put together from *complete* subtrees, which never change once they are full. So a log keeps the
hashes of those and no others, two a leaf at most, and every root and proof is made from a few of them.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce

from recsys.errors import VerificationError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""

Node = tuple[int, int]
"""Level and position of a complete subtree: it spans the leaves from position * 2^level on, 2^level of them."""
Span = tuple[int, int]
"""The leaves from the first number up to, and without, the second."""
ReadNodes = Callable[[Sequence[Node]], Mapping[Node, bytes]]
"""What looks hashes of complete subtrees up."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf; its prefix keeps a leaf from being taken for two subtrees."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the tree over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def completed(size: int, leaf: bytes, frontier: Mapping[Node, bytes]) -> dict[Node, bytes]:
    """The complete subtrees that one more leaf fills, by its hash and those that cover the `size` leaves before it."""
    nodes, node, value = {(0, size): leaf}, (0, size), leaf
    while node[1] % 2:
        value = node_hash(frontier[node[0], node[1] - 1], value)
        node = (node[0] + 1, node[1] // 2)
        nodes[node] = value
    return nodes


def covering(span: Span) -> tuple[Node, ...]:
    """The fewest complete subtrees that cover the leaves of the span, left to right.

    The span is one of a tree's own: it begins where a subtree of its length does.
    """
    first, nodes = span[0], []
    for level in reversed(range((span[1] - span[0]).bit_length())):
        if (span[1] - span[0]) >> level & 1:
            nodes.append((level, first >> level))
            first += 1 << level
    return tuple(nodes)


def root(size: int, read: ReadNodes) -> bytes:
    """The root of the tree over the first `size` leaves (RFC 9162, 2.1.1)."""
    return hashes([(0, size)], read)[0] if size else EMPTY_ROOT


def hashes(spans: Sequence[Span], read: ReadNodes) -> list[bytes]:
    """The hash of the subtree over each span; the nodes are read at once."""
    nodes = read([node for span in spans for node in covering(span)])
    return [_joined([nodes[node] for node in covering(span)]) for span in spans]


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The subtrees whose hashes prove that leaf `index` is in the tree over `size` leaves (RFC 9162, 2.1.3.1)."""
    first, last, spans = 0, size, []
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            spans.append((middle, last))
            last = middle
        else:
            spans.append((first, middle))
            first = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """The subtrees whose hashes prove that the tree over `old` leaves is the beginning of that over `new` (2.1.4.1)."""
    first, last, spans = 0, new, []
    while last > old > 0:
        middle = first + _split(last - first)
        if old <= middle:
            spans.append((middle, last))
            last = middle
        else:
            spans.append((first, middle))
            first = middle
    # The subtree that ends where the old tree does; if it is the old tree, the verifier has its root.
    return [*([(first, last)] if first else []), *reversed(spans)]


def verify_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], tree_root: bytes) -> None:
    """Nothing, if the proof shows that the leaf of this hash is at the index of the tree (RFC 9162, 2.1.3.2).

    Guarantees:
        - A proof with another leaf, index, hash or root is refused. The size is the signed checkpoint's to answer for.

    Tested by: tests/recsys/evidence/test_merkle.py::test_an_inclusion_proof_that_is_wrong_anywhere_is_refused

    Raises:
        VerificationError: it does not.
    """
    value, turns = leaf, _turns(index, size - 1)
    for part, left in _paired(proof, turns if 0 <= index < size else None):
        value = node_hash(part, value) if left else node_hash(value, part)
    if value != tree_root:
        raise _not_included()


def verify_consistency(*, old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Nothing, if the proof shows that the old tree is the beginning of the new one (RFC 9162, 2.1.4.2).

    Guarantees:
        - A proof with another hash or root is refused. The sizes are the signed checkpoints' to answer for.

    Tested by: tests/recsys/evidence/test_merkle.py::test_a_consistency_proof_that_is_wrong_anywhere_is_refused

    Raises:
        VerificationError: it does not: what was in the old tree was changed or dropped, or they are two trees.
    """
    if not 0 < old < new:
        if proof or (old_root != new_root if old == new else old != 0 or old_root != EMPTY_ROOT):
            raise _not_consistent()
        return
    parts = list(proof) if old & (old - 1) else [old_root, *proof]
    level = (old & -old).bit_length() - 1  # of the subtree that ends where the old tree does
    turns = _turns((old - 1) >> level, (new - 1) >> level)
    old_value = new_value = parts[0] if parts else b""
    try:
        for part, left in _paired(parts[1:], turns):
            old_value = node_hash(part, old_value) if left else old_value
            new_value = node_hash(part, new_value) if left else node_hash(new_value, part)
    except VerificationError as error:
        raise _not_consistent() from error
    if (old_value, new_value) != (old_root, new_root):
        raise _not_consistent()


def _turns(index: int, last: int) -> Iterator[bool]:
    """On the way up from a subtree to the root, whether the one beside it is to its left; `last` is the rightmost."""
    while last > 0:
        if index % 2 or index < last:
            yield bool(index % 2)
        # else it has nothing beside it and goes up as it is
        index, last = index // 2, last // 2


def _paired(proof: Sequence[bytes], turns: Iterator[bool] | None) -> Iterable[tuple[bytes, bool]]:
    expected = None if turns is None else list(turns)
    if expected is None or len(expected) != len(proof) or any(len(part) != HASH_BYTES for part in proof):
        raise _not_included()
    return zip(proof, expected, strict=True)


def _joined(parts: Sequence[bytes]) -> bytes:
    return reduce(lambda right, left: node_hash(left, right), reversed(parts))


def _split(length: int) -> int:
    """The largest power of two below the length: where a tree over so many leaves is split."""
    return 1 << ((length - 1).bit_length() - 1)


def _not_included() -> VerificationError:
    msg = (
        "expected an inclusion proof from the leaf to the checkpoint's root, got one that leads elsewhere; "
        "the receipt is not in this log, or its proof or index was changed"
    )
    return VerificationError(msg)


def _not_consistent() -> VerificationError:
    msg = (
        "expected a consistency proof that leads to both roots, got one that does not; "
        "entries were changed or dropped, or the log was forked: keep both checkpoints, they are signed"
    )
    return VerificationError(msg)
