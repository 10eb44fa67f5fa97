"""The sum over customers that the model is a function of. As sensitive as the histories: sealed, never released as is.

    counts  c = sum over u of y_u              how often each item sells
    gram    G = sum over u of x_u x_u^T        which items go together

Both are integers. Adding, subtracting and merging are exact and in any order give the same bytes.
"""

import json
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from recsys.errors import ArtifactError, InputError
from recsys.evidence.canonical import canonical_json, digest
from recsys.models.customer import (
    COUNTS_BOUND,
    GRID,
    SumRule,
    batches,
    counts_terms,
    customer_vectors,
)
from recsys.privacy.noise import OS_ENTROPY, Entropy, rounded_gaussian, symmetric_gaussian

COUNTS_SENSITIVITY = float(np.sqrt(COUNTS_BOUND))
"""Euclidean norm by which one customer moves the counts."""
CUSTOMERS_SENSITIVITY = 1.0
"""By how much one customer moves the number of customers."""
GRAM_SENSITIVITY = 1.0
"""Frobenius norm by which one customer moves the Gram."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GramSum:
    """Counts and Gram of the customers that were added, before noise."""

    items: tuple[str, ...]
    rule: SumRule
    counts: NDArray[np.int64]
    """(n_items,)"""
    gram: NDArray[np.int64]
    """(head, head)"""
    n_added: int

    @classmethod
    def empty(cls, items: tuple[str, ...], rule: SumRule) -> "GramSum":
        """The sum over nobody."""
        head = len(rule.head)
        return cls(
            items=items,
            rule=rule,
            counts=np.zeros(len(items), np.int64),
            gram=np.zeros((head, head), np.int64),
            n_added=0,
        )

    def add(self, purchased: sp.csr_matrix) -> "GramSum":
        """The sum with these customers in it; (n_customers, n_items), what is stored was bought."""
        return self._moved(purchased, 1)

    def subtract(self, purchased: sp.csr_matrix) -> "GramSum":
        """The sum as if these customers had never been added, bit for bit.

        Guarantees:
            - `sum.add(a).add(b).subtract(b)` has the bytes of `sum.add(a)`.

        Tested by: tests/recsys/models/test_gram.py::test_subtracting_a_customer_gives_the_bytes_of_never_adding_them
        """
        return self._moved(purchased, -1)

    def merge(self, other: "GramSum") -> "GramSum":
        """The sum over the customers of both.

        Raises:
            InputError: the two follow different rules.
        """
        if (self.items, self.rule.digest) != (other.items, other.rule.digest):
            msg = (
                f"expected two sums of one rule, got {self.rule.digest[:12]} and {other.rule.digest[:12]}; "
                "build both over the same items with the same released counts"
            )
            raise InputError(msg)
        return replace(
            self, counts=self.counts + other.counts, gram=self.gram + other.gram, n_added=self.n_added + other.n_added
        )

    def _moved(self, purchased: sp.csr_matrix, sign: int) -> "GramSum":
        gram = self.gram.copy()
        for batch in batches(purchased):
            vectors = customer_vectors(batch, self.rule)
            gram += sign * (vectors.T @ vectors).astype(np.int64)
        counts = self.counts + sign * counts_terms(purchased)
        return replace(self, counts=counts, gram=gram, n_added=self.n_added + sign * purchased.shape[0])

    def to_bytes(self) -> bytes:
        """Every number of the sum, to be sealed: equal sums have equal bytes."""
        header = canonical_json(
            {
                "items": list(self.items),
                "rule": {
                    "head_size": self.rule.head_size,
                    "exponent": self.rule.exponent,
                    "deflate": self.rule.deflate,
                },
                "n_added": self.n_added,
            }
        )
        return save_tensors(
            {
                "counts": self.counts,
                "gram": self.gram,
                "released_counts": self.rule.released_counts,
                "header": np.frombuffer(header, dtype=np.uint8),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "GramSum":
        """The sum that `to_bytes` wrote.

        Raises:
            ArtifactError: the bytes are no sum.
        """
        try:
            tensors = load_tensors(data)
            header = json.loads(tensors["header"].tobytes())
            rule = SumRule(released_counts=tensors["released_counts"], **header["rule"])
            return cls(
                items=tuple(header["items"]),
                rule=rule,
                counts=tensors["counts"],
                gram=tensors["gram"],
                n_added=header["n_added"],
            )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            msg = "expected the bytes of a sum, got something else; the record was cut or changed: train again"
            raise ArtifactError(msg) from error

    @property
    def digest(self) -> str:
        """The SHA-256 of the sum's bytes, in hex: as private as the sum."""
        return digest(self.to_bytes())


def release_counts(
    counts: NDArray[np.int64], noise_multiplier: float, entropy: Entropy = OS_ENTROPY
) -> NDArray[np.float64]:
    """(n_items,): customers per item, with Gaussian noise; exact for a noise multiplier of 0.

    Guarantees:
        - A Gaussian release with this noise multiplier and COUNTS_SENSITIVITY as sensitivity: book it before the call.

    Tested by: tests/recsys/privacy/test_noise.py::test_the_counts_are_released_at_the_stated_scale
    """
    if not noise_multiplier:
        return counts / GRID
    return (counts + rounded_gaussian(noise_multiplier * COUNTS_SENSITIVITY * GRID, len(counts), entropy)) / GRID


def release_customers(n_customers: int, noise_multiplier: float, entropy: Entropy = OS_ENTROPY) -> float:
    """The number of customers, with Gaussian noise; exact for a noise multiplier of 0.

    Guarantees:
        - A Gaussian release with this noise multiplier and CUSTOMERS_SENSITIVITY as sensitivity: book it before.

    Tested by: tests/recsys/privacy/test_noise.py::test_the_number_of_customers_is_released_at_the_stated_scale
    """
    if not noise_multiplier:
        return float(n_customers)
    return n_customers + float(rounded_gaussian(noise_multiplier * CUSTOMERS_SENSITIVITY * GRID, 1, entropy)[0]) / GRID


def release_gram(
    gram: NDArray[np.int64], noise_multiplier: float, entropy: Entropy = OS_ENTROPY
) -> NDArray[np.float64]:
    """(head, head): the Gram with symmetric Gaussian noise; exact for a noise multiplier of 0.

    Guarantees:
        - A Gaussian release with this noise multiplier and GRAM_SENSITIVITY as sensitivity: book it before the call.

    Tested by: tests/recsys/privacy/test_noise.py::test_the_gram_is_released_at_the_stated_scale
    """
    if not noise_multiplier:
        return gram / GRID**2
    return (gram + symmetric_gaussian(len(gram), noise_multiplier * GRAM_SENSITIVITY * GRID**2, entropy)) / GRID**2
