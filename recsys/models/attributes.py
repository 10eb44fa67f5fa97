"""Public attributes of items (category, brand, words, year) as directions in which customers' tastes may lie.

A kernel says how alike two items are to a stranger who knows the catalogue and no customer:

    K = K_labels + sum over the numbers of K_number (1 + K_few)

K_labels is the cosine of the items' labels, K_few that of the kinds with few labels, K_number = exp(-|a - b| / s) with
s the standard deviation over the catalogue. The customers' vectors are later projected on the leading eigenvectors of
sqrt(c) K sqrt(c), c the released popularity. The attributes are public and the popularity is released: the directions
cost no budget.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import linalg

from recsys.errors import InputError

LARGEST_VOCABULARY = 512
"""Labels of one kind that count: those that most items of the catalogue have."""
CENTRES = 24
"""Points at which the kernel of a number is exact (Nyström); between them it is interpolated."""
LARGEST_MIXED = 2048
"""Products of labels and numbers at most: the directions take time cubic in the number of features."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ItemAttributes:
    """What is publicly known of each item, in the order of the catalogue."""

    labels: Mapping[str, Sequence[Collection[str]]] = field(default_factory=dict)
    """Kinds of labels (category, brand, words): for every item, those that it has."""
    numbers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Kinds of numbers (year, size): for every item, its own, or NaN."""

    def __post_init__(self) -> None:
        """Check that every attribute is about the same items.

        Raises:
            InputError: one attribute names more items than another.
        """
        lengths = {name: len(values) for name, values in [*self.labels.items(), *self.numbers.items()]}
        if len(set(lengths.values())) > 1:
            msg = f"expected attributes of one catalogue, got {lengths} items; give each item one value of each"
            raise InputError(msg)

    @property
    def n_items(self) -> int:
        """How many items are described."""
        return len(next(iter([*self.labels.values(), *self.numbers.values()]), ()))

    def features(self) -> sp.csr_matrix:
        """(n_items, n_features): F with F F^T = K, up to what the centres and the vocabulary leave out."""
        labels = [_label_features(values) for values in self.labels.values()]
        both = sp.hstack(labels, format="csr") if labels else sp.csr_matrix((self.n_items, 0))
        numbers = [sp.csr_matrix(_number_features(np.asarray(v, dtype=float))) for v in self.numbers.values()]
        few = _smallest(labels, LARGEST_MIXED // max(sum(number.shape[1] for number in numbers), 1))
        mixed = [_products(kind, number) for kind in few for number in numbers if number.shape[1]]
        return sp.csr_matrix(sp.hstack([both, *numbers, *mixed], format="csr"))


def directions(features: sp.csr_matrix, scale: NDArray[np.float64], popularity: NDArray[np.float64], n: int) -> Matrix:
    """(n_items, at most n): the leading eigenvectors of D F F^T D, D = diag(scale), orthogonal to popularity.

    Args:
        features: (n_items, n_features)
        scale: (n_items,) how much each item matters, from released counts
        popularity: (n_items,) of unit length
        n: how many
    """
    scaled = sp.diags(scale) @ features
    shared = np.asarray(scaled.T @ popularity)
    inner = (scaled.T @ scaled).toarray() - np.outer(shared, shared)
    values, vectors = linalg.eigh(inner, driver="evd")
    # what popularity alone explains leaves rounding errors behind, and they are no direction
    largest = max(values.max(initial=0), float(shared @ shared))
    kept = np.flatnonzero(values > largest * 1e-9)[::-1][:n]
    loadings = vectors[:, kept] / np.sqrt(values[kept])
    found = np.asarray(scaled @ loadings - np.outer(popularity, shared @ loadings))
    return found * np.sign(found.sum(axis=0, keepdims=True) + np.finfo(float).tiny)


def _smallest(kinds: Sequence[sp.csr_matrix], room: int) -> list[sp.csr_matrix]:
    """The kinds of fewest labels, as many of them as have `room` labels together: genres before words."""
    ordered = sorted(kinds, key=lambda kind: kind.shape[1])
    together = np.cumsum([kind.shape[1] for kind in ordered])
    return ordered[: int(np.searchsorted(together, room, side="right"))]


def _label_features(values: Sequence[Collection[str]]) -> sp.csr_matrix:
    """(n_items, n_labels): one for a label that the item has, over the root of how many it has."""
    sets = [sorted(set(each)) for each in values]
    frequency = Counter(label for each in sets for label in each)
    known = [label for label, count in sorted(frequency.items(), key=lambda pair: (-pair[1], pair[0])) if count > 1]
    column = {label: index for index, label in enumerate(known[:LARGEST_VOCABULARY])}
    own = [[column[label] for label in each if label in column] for each in sets]
    weights = np.concatenate([np.full(len(each), 1 / np.sqrt(max(len(each), 1))) for each in own] or [np.zeros(0)])
    indices = np.array([index for each in own for index in each], dtype=np.int64)
    return sp.csr_matrix((weights, indices, np.cumsum([0, *map(len, own)])), shape=(len(own), len(column)))


def _number_features(values: NDArray[np.float64]) -> Matrix:
    """(n_items, CENTRES): the kernel to the centres, whitened; zeros for an item without a number."""
    known = np.isfinite(values)
    spread = float(values[known].std()) if known.any() else 0.0
    if not spread:
        return np.zeros((len(values), 0))
    centres = np.unique(np.quantile(values[known], np.linspace(0, 1, CENTRES)))
    inner = np.exp(-np.abs(centres[:, None] - centres) / spread)
    eigenvalues, vectors = linalg.eigh(inner)
    whitening = vectors / np.sqrt(np.maximum(eigenvalues, 1e-9)) @ vectors.T
    found = np.zeros((len(values), len(centres)))
    found[known] = np.exp(-np.abs(values[known, None] - centres) / spread) @ whitening
    return found


def _products(left: sp.csr_matrix, right: sp.csr_matrix) -> sp.csr_matrix:
    """(n_items, a b): every feature of the one times every feature of the other."""
    return sp.csr_matrix(sp.hstack([left.multiply(right[:, [column]]) for column in range(right.shape[1])]))
