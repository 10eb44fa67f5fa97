"""The sum over customers that the model is a function of. As sensitive as the histories: sealed, never released as is.

    counts  c = sum over u of y_u              how often each item sells
    gram    G = sum over u of x_u x_u^T        which items go together

and, where the rule has directions,

    latent  A = sum over u of z_u z_u^T        which directions go together
    cross   C = sum over u of u_u z_u^T        which items go with which directions

All are integers. Adding, subtracting and merging are exact and in any order give the same bytes.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

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
    NO_DIRECTIONS,
    SumRule,
    batches,
    counts_terms,
    customer_terms,
    customer_vectors,
)
from recsys.privacy.noise import OS_ENTROPY, Entropy, rounded_gaussian, symmetric_gaussian

COUNTS_SENSITIVITY = float(np.sqrt(COUNTS_BOUND))
"""Euclidean norm by which one customer moves the counts."""
CUSTOMERS_SENSITIVITY = 1.0
"""By how much one customer moves the number of customers."""
GRAM_SENSITIVITY = 1.0
"""Frobenius norm by which one customer moves the Gram."""
LATENT_SENSITIVITY = 1.0
"""Frobenius norm by which one customer moves the latent Gram."""
CROSS_SENSITIVITY = 1.0
"""Frobenius norm by which one customer moves the cross product of items and directions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GramSum:
    """Counts and Gram of the customers that were added, before noise."""

    items: tuple[str, ...]
    rule: SumRule
    counts: NDArray[np.int64]
    """(n_items,)"""
    gram: NDArray[np.int64]
    """(head, head)"""
    latent: NDArray[np.int64]
    """(n_directions, n_directions); empty without directions"""
    cross: NDArray[np.int64]
    """(n_items, n_directions); empty without directions"""
    n_added: int

    @classmethod
    def empty(cls, items: tuple[str, ...], rule: SumRule) -> "GramSum":
        """The sum over nobody."""
        head = len(rule.head)
        n_directions = rule.n_directions
        return cls(
            items=items,
            rule=rule,
            counts=np.zeros(len(items), np.int64),
            gram=np.zeros((head, head), np.int64),
            latent=np.zeros((n_directions, n_directions), np.int64),
            cross=np.zeros((len(items) if n_directions else 0, n_directions), np.int64),
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
            self,
            counts=self.counts + other.counts,
            gram=self.gram + other.gram,
            latent=self.latent + other.latent,
            cross=self.cross + other.cross,
            n_added=self.n_added + other.n_added,
        )

    def _moved(self, purchased: sp.csr_matrix, sign: int) -> "GramSum":
        gram, latent, cross = self.gram.copy(), self.latent.copy(), self.cross.copy()
        for batch in batches(purchased):
            if not self.rule.n_directions:
                vectors = customer_vectors(batch, self.rule)
            else:
                terms = customer_terms(batch, self.rule)
                vectors = terms.residuals
                latent += sign * (terms.latent.T @ terms.latent).astype(np.int64)
                cross += sign * (terms.units.T @ terms.latent).astype(np.int64)
            _add_products(gram, vectors, sign)
        counts = self.counts + sign * counts_terms(purchased)
        n_added = self.n_added + sign * purchased.shape[0]
        return replace(self, counts=counts, gram=gram, latent=latent, cross=cross, n_added=n_added)

    def to_bytes(self) -> bytes:
        """Every number of the sum, to be sealed: equal sums have equal bytes."""
        header = canonical_json(
            {
                "items": list(self.items),
                "rule": {
                    "head_size": self.rule.head_size,
                    "exponent": self.rule.exponent,
                    "deflate": self.rule.deflate,
                    "released_customers": self.rule.released_customers,
                },
                "n_added": self.n_added,
            }
        )
        tensors: dict[str, NDArray[Any]] = {
            "counts": self.counts,
            "gram": self.gram,
            "released_counts": self.rule.released_counts,
            "header": np.frombuffer(header, dtype=np.uint8),
        }
        if self.rule.n_directions:
            tensors |= {"latent": self.latent, "cross": self.cross, "directions": self.rule.directions}
        return save_tensors(tensors)

    @classmethod
    def from_bytes(cls, data: bytes) -> "GramSum":
        """The sum that `to_bytes` wrote.

        Raises:
            ArtifactError: the bytes are no sum.
        """
        try:
            tensors = load_tensors(data)
            header = json.loads(tensors["header"].tobytes())
            directions = tensors.get("directions", NO_DIRECTIONS)
            rule = SumRule(released_counts=tensors["released_counts"], directions=directions, **header["rule"])
            nobody = cls.empty(tuple(header["items"]), rule)
            return replace(
                nobody,
                counts=tensors["counts"],
                gram=tensors["gram"],
                latent=tensors.get("latent", nobody.latent),
                cross=tensors.get("cross", nobody.cross),
                n_added=header["n_added"],
            )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            msg = "expected the bytes of a sum, got something else; the record was cut or changed: train again"
            raise ArtifactError(msg) from error

    @property
    def digest(self) -> str:
        """The SHA-256 of the sum's bytes, in hex: as private as the sum."""
        return digest(self.to_bytes())


def _add_products(gram: NDArray[np.int64], vectors: NDArray[np.float64], sign: int) -> None:
    """Add the products of the vectors to the Gram, or take them off: where a few customers bought anything at all."""
    touched = np.flatnonzero(vectors.any(axis=0))
    if len(touched) * 4 > len(gram):  # a part of the matrix is slower to reach than all of it
        gram += sign * (vectors.T @ vectors).astype(np.int64)
        return
    own = vectors[:, touched]
    gram[np.ix_(touched, touched)] += sign * (own.T @ own).astype(np.int64)


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


def release_latent(
    latent: NDArray[np.int64], noise_multiplier: float, entropy: Entropy = OS_ENTROPY
) -> NDArray[np.float64]:
    """(n_directions, n_directions): the latent Gram with symmetric Gaussian noise.

    Guarantees:
        - A Gaussian release with this noise multiplier and LATENT_SENSITIVITY as sensitivity: book it before the call.

    Tested by: tests/recsys/privacy/test_noise.py::test_the_latent_gram_is_released_at_the_stated_scale
    """
    return (
        latent + symmetric_gaussian(len(latent), noise_multiplier * LATENT_SENSITIVITY * GRID**2, entropy)
    ) / GRID**2


def release_cross(
    cross: NDArray[np.int64], noise_multiplier: float, entropy: Entropy = OS_ENTROPY
) -> NDArray[np.float64]:
    """(n_items, n_directions): the cross product with Gaussian noise.

    Guarantees:
        - A Gaussian release with this noise multiplier and CROSS_SENSITIVITY as sensitivity: book it before the call.

    Tested by: tests/recsys/privacy/test_noise.py::test_the_cross_product_is_released_at_the_stated_scale
    """
    noise = rounded_gaussian(noise_multiplier * CROSS_SENSITIVITY * GRID**2, cross.size, entropy)
    return (cross + noise.reshape(cross.shape)) / GRID**2
