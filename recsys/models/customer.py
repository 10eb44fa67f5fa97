"""The customer's vector: what one customer adds to the sum, bounded, on an integer grid.

    counts term   y = min(1, sqrt(B / k)) on the k distinct items bought              ||y|| <= sqrt(B)
    Gram term     x x^T,  x = (w_S / ||w_S|| - a p) / sqrt(1 - a²)  on the head       ||x x^T||_F <= 1

w are item weights, p is the unit vector of weighted popularity and a = <p, w_S> / ||w_S||: what every customer shares
with popularity is taken out (deflation), so that the whole length is spent on what is particular. w and p come from
released counts.

Where directions Q over the whole catalogue are given (see `attributes`), a customer adds two more terms, and the Gram
takes what the directions leave:

    latent term  z z^T,  z = Q^T u / ||Q^T u||,  u = w_S / ||w_S|| on all items   ||z z^T||_F <= 1
    cross term   u z^T                                                            ||u z^T||_F <= 1
    Gram term    x x^T,  x = (u - a p - Q Q^T u) on the head, of unit length      ||x x^T||_F <= 1

All are rounded toward zero, so that the bounds survive. Every sum over a customer's items runs over integers and
is exact, and all else is one correctly rounded operation per number: a term has the same bits on every machine, alone
or in a batch, which is what makes subtraction exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.evidence.canonical import digest

GRID_BITS = 15
"""Vectors lie on multiples of 2^-15: products have 30 bits, and a float64 product over 2^23 customers stays exact."""
GRID = float(2**GRID_BITS)
WEIGHT_GRID = float(2**12)
DIRECTION_GRID = float(2**16)
"""Weights and direction are integers on these grids: their sums over a customer's items stay below 2^53."""
COUNTS_BOUND = 50.0
"""B: a customer's counts term is as long as that of 50 items at most; longer histories are scaled down, not cut."""
PAYS_FOR_ROUNDING = 1 - 1e-9
"""Shrinks x by more than float64 can be wrong by, so that its length is at most 1 in exact arithmetic."""
RARE = 1e-3
"""An item that sells less than this part of what the best one sells weighs as if it sold as much."""
SMALLEST_RESIDUAL = 1e-6
"""A customer whose squared distance from popularity is below this adds nothing to the Gram."""
NO_DIRECTIONS = np.zeros((0, 0))
BATCH = 2048
"""Customers made dense at once: 32 MiB at a head of 2,000."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SumRule:
    """How a customer becomes a term. Made from released counts and public settings only."""

    released_counts: NDArray[np.float64]
    """(n_items,): customers per item, with the noise that they were released with."""
    head_size: int
    """How many of the most popular items the Gram covers."""
    exponent: float = -0.1
    """An item that c customers bought weighs c^exponent."""
    deflate: bool = True
    """Whether popularity is taken out of the vector."""
    directions: NDArray[np.float64] = field(default_factory=lambda: NO_DIRECTIONS)
    """(n_items, n_directions): Q, nearly orthonormal, as integers on the grid; made from public and released data."""
    released_customers: float = 0.0
    """How many customers there are, as released; known where there are directions."""

    @cached_property
    def head(self) -> NDArray[np.int64]:
        """(head,): catalogue positions of the most popular items by released counts, in the order of positions."""
        size = min(self.head_size, len(self.released_counts))
        return np.sort(np.argsort(-self.released_counts, kind="stable")[:size])

    @cached_property
    def head_counts(self) -> NDArray[np.float64]:
        """(head,): released counts of the head, at least 1."""
        return np.maximum(self.released_counts[self.head], 1.0)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(head,): item weights, integers up to 2^12."""
        weights = self.head_counts**self.exponent
        return np.maximum(np.round(weights / weights.max(initial=0) * WEIGHT_GRID), 1.0)

    @cached_property
    def direction(self) -> NDArray[np.float64]:
        """(head,): weighted popularity, integers up to 2^16: p before it is brought to unit length."""
        popularity = self.head_counts * self.weights
        return np.round(popularity / popularity.max(initial=0) * DIRECTION_GRID)

    @cached_property
    def unit_direction(self) -> NDArray[np.float64]:
        """(head,): p, of unit length."""
        return self.direction / np.sqrt((self.direction**2).sum())

    @property
    def n_directions(self) -> int:
        """How many directions there are; 0 for a sum that has none."""
        return self.directions.shape[1]

    @cached_property
    def catalogue_counts(self) -> NDArray[np.float64]:
        """(n_items,): released counts, at least RARE of the largest."""
        return np.maximum(self.released_counts, max(self.released_counts.max(initial=0) * RARE, 1.0))

    @cached_property
    def catalogue_weights(self) -> NDArray[np.float64]:
        """(n_items,): item weights beside directions, integers up to 2^12."""
        weights = self.catalogue_counts**self.exponent
        return np.maximum(np.round(weights / weights.max(initial=0) * WEIGHT_GRID), 1.0)

    @cached_property
    def catalogue_direction(self) -> NDArray[np.float64]:
        """(n_items,): weighted popularity beside directions, integers up to 2^16."""
        popularity = self.catalogue_counts * self.catalogue_weights
        return np.round(popularity / popularity.max(initial=0) * DIRECTION_GRID)

    @cached_property
    def unit_catalogue_direction(self) -> NDArray[np.float64]:
        """(n_items,): popularity beside directions, of unit length."""
        return self.catalogue_direction / np.sqrt((self.catalogue_direction**2).sum())

    def mean_overlap(self, n_customers: float) -> float:
        """How much of a customer's unit length lies along popularity, on average, as the released counts tell.

        If all had bought equally many items, its square would be the part of the customers who have the item of an
        average purchase. Beside directions the whole catalogue counts, otherwise the head.
        """
        beside = self.n_directions > 0
        counts = np.maximum(self.released_counts, 0) if beside else self.head_counts
        lengths = counts * (self.catalogue_weights if beside else self.weights) ** 2
        owned = (counts * lengths).sum() / max(lengths.sum(), 1.0)
        return float(np.sqrt(min(1.0, owned / max(n_customers, 1.0))))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of everything the rule depends on, in hex."""
        settings = f"{self.head_size},{self.exponent!r},{self.deflate},{GRID_BITS},{COUNTS_BOUND!r}".encode()
        settings += f",{self.released_customers!r}".encode()
        arrays = (self.released_counts, self.directions)
        return digest(settings + b"".join(array.astype("<f8").tobytes() for array in arrays))


def counts_terms(purchased: sp.csr_matrix) -> NDArray[np.int64]:
    """(n_items,): the sum of the customers' counts terms, on the grid.

    Args:
        purchased: (n_customers, n_items); what is stored was bought.

    Guarantees:
        - Adding or removing one customer moves the sum by at most sqrt(COUNTS_BOUND) * GRID in Euclidean norm.

    Tested by: tests/recsys/privacy/test_sensitivity.py::test_one_customer_moves_the_counts_by_at_most_the_stated_bound
    """
    if not purchased.has_canonical_format:  # an item that is stored twice would weigh twice
        purchased = purchased.copy()
        purchased.sum_duplicates()
    items_bought = np.diff(purchased.indptr)
    value = np.floor(np.minimum(1.0, np.sqrt(COUNTS_BOUND / np.maximum(items_bought, 1))) * GRID).astype(np.int64)
    terms = np.zeros(purchased.shape[1], dtype=np.int64)
    np.add.at(terms, purchased.indices, np.repeat(value, items_bought))
    return terms


def customer_vectors(purchased: sp.csr_matrix, rule: SumRule) -> NDArray[np.float64]:
    """(n_customers, head): the customers' vectors as integers on the grid, in float64.

    Guarantees:
        - The squared length of every row is at most GRID².
        - A row depends on that customer's purchases and on the rule only, bit for bit, whatever the batch.

    Tested by: tests/recsys/privacy/test_sensitivity.py::test_a_customers_vector_is_no_longer_than_one
    """
    bought = purchased[:, rule.head].toarray() != 0
    own = bought * rule.weights
    length = np.sqrt((own * rule.weights).sum(axis=1, keepdims=True))
    unit = np.divide(own, length, out=np.zeros_like(own), where=length > 0)
    if rule.deflate:
        shared = (own * rule.direction).sum(axis=1, keepdims=True)
        overlap = np.divide(
            shared, length * np.sqrt((rule.direction**2).sum()), out=np.zeros_like(length), where=length > 0
        )
        residual = 1 - overlap**2
        unit = np.where(residual > SMALLEST_RESIDUAL, unit - overlap * rule.unit_direction, 0) * (length > 0)
        unit /= np.sqrt(np.maximum(residual, SMALLEST_RESIDUAL))
    return np.trunc(unit * (GRID * PAYS_FOR_ROUNDING))


@dataclass(frozen=True, slots=True, eq=False)
class CustomerTerms:
    """What customers add beside directions, as integers on the grid, in float64."""

    units: sp.csr_matrix
    """(n_customers, n_items): u"""
    latent: NDArray[np.float64]
    """(n_customers, n_directions): z"""
    residuals: NDArray[np.float64]
    """(n_customers, head): x"""


def customer_terms(purchased: sp.csr_matrix, rule: SumRule) -> CustomerTerms:
    """The customers' parts under a rule with directions.

    Guarantees:
        - The squared length of every row of each of the three is at most GRID².
        - A row depends on that customer's purchases and on the rule only, bit for bit, whatever the batch.

    Tested by: tests/recsys/privacy/test_sensitivity.py::test_a_customers_parts_beside_directions_are_no_longer_than_one
    """
    if not purchased.has_canonical_format:  # an item that is stored twice would weigh twice
        purchased = purchased.copy()
        purchased.sum_duplicates()
    weights = rule.catalogue_weights[purchased.indices]
    own = sp.csr_matrix((weights, purchased.indices, purchased.indptr), purchased.shape)
    length = np.maximum(np.sqrt(np.asarray(own.power(2).sum(axis=1))), 1.0)
    projected = np.rint(np.asarray(own @ rule.directions) / length)
    units = own.copy()
    units.data = np.trunc(own.data / np.repeat(length.ravel(), np.diff(own.indptr)) * (GRID * PAYS_FOR_ROUNDING))
    direction = rule.catalogue_direction
    overlap = np.asarray(own @ direction)[:, None] / (length * np.sqrt((direction**2).sum()))
    left = own[:, rule.head].toarray() / length - overlap * rule.unit_catalogue_direction[rule.head]
    explained = projected @ rule.directions[rule.head].T
    return CustomerTerms(
        units, _of_unit_length(projected), _of_unit_length(np.rint(left * GRID) - np.rint(explained / GRID))
    )


def _of_unit_length(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows of integers, each scaled to GRID and rounded toward zero; a row of zeros stays."""
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return np.trunc(rows * (GRID * PAYS_FOR_ROUNDING) / np.maximum(length, 1.0))


def batches(purchased: sp.csr_matrix) -> Iterator[sp.csr_matrix]:
    """The customers, BATCH at a time."""
    for start in range(0, purchased.shape[0], BATCH):
        yield purchased[start : start + BATCH]


def pack_term(items: NDArray[np.int32]) -> bytes:
    """A customer's part in a sum, to be sealed: the distinct items that went into it."""
    return np.asarray(items, dtype="<i4").tobytes()


def unpack_term(term: bytes, n_items: int) -> sp.csr_matrix:
    """(1, n_items): the purchases that `pack_term` was given."""
    items = np.frombuffer(term, dtype="<i4")
    return sp.csr_matrix((np.ones(len(items), np.float32), items, [0, len(items)]), shape=(1, n_items))
