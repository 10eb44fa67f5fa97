"""The order of a list in one integer for each item: better scores first, then lower positions. Sorting them is fast."""

import numpy as np
from numpy.typing import NDArray

EMPTY = -1
"""In place of a position, where a list is shorter than asked for."""
EMPTY_KEY = np.uint64(0xFF800000_FFFFFFFF)
"""-inf, and EMPTY."""

HALF = np.uint64(32)
SIGN = np.uint32(31)
REST = np.uint32(0x7FFFFFFF)


def keys_of(scores: NDArray[np.float32], items: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The keys of items with these scores; the scores are no NaN and not -0."""
    bits = scores.view(np.uint32)
    falling = np.where(bits >> SIGN, bits, bits ^ REST)
    return falling.astype(np.uint64) << HALF | items.astype(np.uint64)


def scores_of(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """The scores that went into the keys."""
    bits = (keys >> HALF).astype(np.uint32)
    return np.where(bits >> SIGN, bits, bits ^ REST).view(np.float32)


def items_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The positions that went into the keys."""
    return keys.astype(np.uint32).view(np.int32).astype(np.int64)
