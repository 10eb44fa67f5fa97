"""Private alternating least squares: DPALS (Chien et al. 2021) with the adaptive weights of Krichene et al. (2023).

The published reference for private factorisation, beside the sum. Item factors V are released; a customer's vector u_i
is solved from V and that customer's own purchases alone, and is never released. The loss is that of implicit ALS,

    sum over own (1 - <u_i, v_j>)² + alpha0 sum over all <u_i, v_j>² + lambda (||U||² + ||V||²)

and a step, from V to the next V, asks three questions about all customers. Each answer carries Gaussian noise:

    gramian     sum over i of u_i u_i^T                  ||u_i|| <= G              one customer: G²
    left_j      sum over i of w_ij u_i u_i^T, every j    sum over j of w_ij² <= B  one customer: sqrt(B) G²
    right_j     sum over i of w_ij u_i, every j                                    one customer: sqrt(B) G

What the published code leaves open is closed here: the head is chosen and the weights are made from released counts
alone, every answer is accounted exactly (Gaussian differential privacy), and answers are integers with rounded Gaussian
noise. Vectors, in units of G, and weights, in units of sqrt(B), lie on a grid and are rounded toward zero, so that the
bounds survive and each statistic is bounded by 1 in its own unit.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.customer import PAYS_FOR_ROUNDING, batches
from recsys.models.factors import ItemFactors
from recsys.privacy.noise import OS_ENTROPY, Entropy, rounded_gaussian

Vectors = NDArray[np.float64]
Integers = NDArray[np.int64]

GRID = float(2**12)
"""Vectors and weights are multiples of 2^-12: the left-hand sides of 2^27 customers fit into 64 bits, whoever they
are."""
WEIGHT_BUDGET = 100.0
"""B, a customer's sum of squared weights: the published value. It sets the noise of the items' statistics against that
of the Gramian, which is of the same scale."""
SENSITIVITY = 1.0
"""By how much one customer moves each statistic, in the statistic's own unit."""
STATISTICS = ("gramian of customers", "left-hand sides of items", "right-hand sides of items")
"""What one step releases, in this order."""
UNITS = (GRID**2, GRID**3, GRID**2)
"""What G², sqrt(B) G² and sqrt(B) G are on the grid."""


SMALLEST_HEAD = 100
LARGEST_HEAD = 2048
MOST_FACTORS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class DPALSConfig:
    """Settings of one training; public: none may come from customers' data.

    The defaults are one setting for every noise, chosen on the validation customers of split 0 of MovieLens 1M.
    """

    factors: int
    steps: int
    least_count: float
    """Items that so many customers bought, by released counts, get factors."""
    clip_norm: float = 0.02
    """G: the longest that a customer's vector may be."""
    regularization: float = 5.0
    """lambda."""
    unobserved_weight: float = 1.2
    """alpha0: how much it matters that what was not bought scores 0."""
    weight_exponent: float = -0.15
    """An item that c customers bought weighs c to this power among a customer's items."""
    initial_scale: float = 0.1
    """Standard deviation of the first item factors."""

    @classmethod
    def under(cls, noise_multiplier: float) -> "DPALSConfig":
        """The settings for a training with this noise multiplier, all its releases taken together.

        Less noise bears more factors, steps and items. The three curves go through what was best at epsilon 1, 2, 4
        and 8.
        """
        return cls(
            factors=factors_under(noise_multiplier, at_one=19, exponent=-0.65),
            steps=3 if noise_multiplier > 0.9 else 4,  # noqa: PLR2004 - between epsilon 4 and 8
            least_count=least_count_under(noise_multiplier),
        )


def factors_under(noise_multiplier: float, *, at_one: float, exponent: float) -> int:
    """How many factors this much noise bears: a power law, within bounds."""
    return round(min(at_one * noise_multiplier**exponent, MOST_FACTORS)) if noise_multiplier else MOST_FACTORS


def least_count_under(noise_multiplier: float) -> float:
    """How many customers an item needs to be learned from under this much noise: a power law; anyone, without noise."""
    return float(165 * noise_multiplier**0.6)


def popular_items(released_counts: NDArray[np.float64], least_count: float) -> NDArray[np.int64]:
    """(head,): catalogue positions of the items with this count, as released, in the order of positions."""
    size = np.clip(np.count_nonzero(released_counts >= max(least_count, 1.0)), SMALLEST_HEAD, LARGEST_HEAD)
    return np.sort(np.argsort(-released_counts, kind="stable")[:size])


def statistic_multipliers(noise_multiplier: float) -> tuple[float, float, float]:
    """The noise multipliers of a step's STATISTICS, which compose to the one given; 0 is none.

    The noise is of one scale in units of G², G² and G, as published, so the items' multipliers are sqrt(B) smaller.
    """
    scale = noise_multiplier * np.sqrt(1 + 2 * WEIGHT_BUDGET)
    items = scale / np.sqrt(WEIGHT_BUDGET)
    return float(scale), float(items), float(items)


def train_dp_als(
    purchased: sp.csr_matrix,
    items: tuple[str, ...],
    released_counts: NDArray[np.float64],
    noise_multiplier: float,
    config: DPALSConfig,
    *,
    entropy: Entropy = OS_ENTROPY,
    seed: int = 0,
) -> ItemFactors:
    """Item factors by private alternating least squares.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        items: (n_items,) the catalogue
        released_counts: (n_items,) customers per item, as released
        noise_multiplier: of each step as a whole; 0 for no noise and no privacy
        config: the settings
        entropy: where noise comes from
        seed: for the initial factors, which depend on nothing else

    Guarantees:
        - Given the released counts, the model is a function of `config.steps` releases of each of STATISTICS, with the
          noise multipliers of `statistic_multipliers` and SENSITIVITY: book them before the call.

    Tested by: tests/recsys/models/test_dp_als.py
    """
    head = popular_items(released_counts, config.least_count)
    own = _pattern(purchased[:, head])
    weights = customer_weights(own, released_counts[head], config.weight_exponent)
    factors = config.initial_scale * np.random.default_rng(seed).standard_normal((len(head), config.factors))
    for _ in range(config.steps):
        vectors = customer_vectors(own, factors, config)
        released = release_step(step_statistics(vectors, weights), noise_multiplier, entropy)
        factors = _solve_items(released, config)
    return ridge_model(
        factors,
        head,
        released_counts,
        items,
        regularization=config.regularization,
        unobserved_weight=config.unobserved_weight,
    )


def customer_weights(own: sp.csr_matrix, released_counts: NDArray[np.float64], exponent: float) -> sp.csr_matrix:
    """(n_customers, head): w_ij / sqrt(B) as integers on the grid: an item's count to a power, to unit length.

    Args:
        own: (n_customers, head), 1 where the customer bought the item
        released_counts: (head,) customers per item, as released
        exponent: of the counts

    Guarantees:
        - The squared length of every row is at most GRID².

    Tested by: tests/recsys/models/test_dp_als.py::test_a_customers_weights_and_vector_are_no_longer_than_one
    """
    weights = own.multiply(np.maximum(released_counts, 1.0) ** exponent).tocsr()
    length = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1)).ravel())
    unit = weights.data / np.repeat(length, np.diff(weights.indptr))
    weights.data = np.trunc(unit * (GRID * PAYS_FOR_ROUNDING)).astype(np.int64)
    return weights


def customer_vectors(own: sp.csr_matrix, factors: Vectors, config: DPALSConfig) -> Integers:
    """(n_customers, factors): u_i / G as integers on the grid: solved exactly, then clipped to length G.

    Guarantees:
        - The squared length of every row is at most GRID².
        - A row depends on that customer's purchases, `factors` and `config` only, bit for bit, whatever the batch.

    Tested by: tests/recsys/models/test_dp_als.py::test_a_customers_weights_and_vector_are_no_longer_than_one,
        test_weights_and_vector_are_the_same_bits_alone_in_a_batch_and_in_any_order
    """
    nobody = np.zeros((0, factors.shape[1]), dtype=np.int64)
    solved = (_clipped(_solve_customers(batch, factors, config), config) for batch in batches(own))
    return np.concatenate([nobody, *solved])


def step_statistics(vectors: Integers, weights: sp.csr_matrix) -> tuple[Integers, Integers, Integers]:
    """The STATISTICS of one step before noise: (d, d), (head, d, d) and (head, d), in units of UNITS.

    Guarantees:
        - One customer more or less moves each by at most SENSITIVITY times its unit, in Euclidean norm.

    Tested by: tests/recsys/models/test_dp_als.py::test_one_customer_moves_each_statistic_by_at_most_the_stated_bound
    """
    rows, columns = np.triu_indices(vectors.shape[1])
    products = vectors[:, rows] * vectors[:, columns]
    of_items = weights.T.tocsr()
    left = _symmetric(of_items @ products, vectors.shape[1])
    return _symmetric(products.sum(axis=0), vectors.shape[1]), left, of_items @ vectors


def release_step(
    statistics: tuple[Integers, Integers, Integers], noise_multiplier: float, entropy: Entropy = OS_ENTROPY
) -> tuple[Vectors, Vectors, Vectors]:
    """The statistics with Gaussian noise, in units of G², sqrt(B) G² and sqrt(B) G; exact for a noise multiplier of 0.

    Guarantees:
        - Three Gaussian releases with the noise multipliers of `statistic_multipliers` and SENSITIVITY: book them
          before the call.

    Tested by: tests/recsys/models/test_dp_als.py::test_each_statistic_is_released_at_the_stated_scale
    """
    gramian, left, right = statistics
    if noise_multiplier:
        scales = [z * SENSITIVITY * u for z, u in zip(statistic_multipliers(noise_multiplier), UNITS, strict=True)]
        gramian = gramian + symmetric_noise(1, len(gramian), scales[0], entropy)[0]
        left = left + symmetric_noise(len(left), len(gramian), scales[1], entropy)
        right = right + rounded_gaussian(scales[2], right.size, entropy).reshape(right.shape)
    return gramian / UNITS[0], left / UNITS[1], right / UNITS[2]


def symmetric_noise(count: int, n: int, sigma: float, entropy: Entropy = OS_ENTROPY) -> Integers:
    """(count, n, n): what `count` calls of `recsys.privacy.noise.symmetric_gaussian` give, drawn at once."""
    above, diagonal = np.triu_indices(n, 1), np.arange(n)
    noise = np.zeros((count, n, n), dtype=np.int64)
    noise[:, *above] = rounded_gaussian(sigma / np.sqrt(2), count * len(above[0]), entropy).reshape(count, -1)
    noise += noise.transpose(0, 2, 1)
    noise[:, diagonal, diagonal] = rounded_gaussian(sigma, count * n, entropy).reshape(count, n)
    return noise


def _solve_customers(own: sp.csr_matrix, factors: Vectors, config: DPALSConfig) -> Vectors:
    """(n_customers, d): the least squares solution of every customer, from all of their own head items."""
    d = factors.shape[1]
    shared = config.unobserved_weight * factors.T @ factors + config.regularization * np.eye(d)
    products = (factors[:, :, None] * factors[:, None, :]).reshape(len(factors), d * d)
    left = (own @ products).reshape(-1, d, d) + shared
    return np.linalg.solve(left, (own @ factors)[:, :, None])[:, :, 0]


def _clipped(vectors: Vectors, config: DPALSConfig) -> Integers:
    """The vectors in units of G, shortened to length 1 where they are longer, rounded toward zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.trunc(vectors / np.maximum(length, config.clip_norm) * (GRID * PAYS_FOR_ROUNDING)).astype(np.int64)


def _solve_items(released: tuple[Vectors, Vectors, Vectors], config: DPALSConfig) -> Vectors:
    """(head, d): v_j = (left_j + alpha0 gramian + lambda I)^-1 right_j, each left-hand matrix made positive first."""
    norm, budget = config.clip_norm, np.sqrt(WEIGHT_BUDGET)
    gramian, left, right = released
    shared = config.unobserved_weight * norm**2 * positive_part(gramian) + config.regularization * np.eye(len(gramian))
    return np.linalg.solve(budget * norm**2 * positive_part(left) + shared, budget * norm * right[:, :, None])[:, :, 0]


def positive_part(matrices: Vectors) -> Vectors:
    """(..., d, d): the nearest positive semidefinite matrices, negative eigenvalues set to zero."""
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * np.maximum(values, 0)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def _symmetric(upper: Integers, n: int) -> Integers:
    """(..., n, n): the symmetric matrices of these upper triangles, (..., n (n + 1) / 2)."""
    rows, columns = np.triu_indices(n)
    matrices = np.zeros((*upper.shape[:-1], n, n), dtype=np.int64)
    matrices[..., rows, columns] = upper
    matrices[..., columns, rows] = upper
    return matrices


def _pattern(purchased: sp.csr_matrix) -> sp.csr_matrix:
    """1 where something was bought, however often."""
    bought = sp.csr_matrix(purchased, dtype=np.float64, copy=True)
    bought.sum_duplicates()
    bought.data[:] = 1
    return bought


def ridge_model(
    factors: Vectors,
    head: NDArray[np.int64],
    released_counts: NDArray[np.float64],
    items: tuple[str, ...],
    *,
    regularization: float,
    unobserved_weight: float,
) -> ItemFactors:
    """The model whose fold-in solves the loss above: zero factors and weight 0 outside the head.

    The fold-in divides the loss by alpha0, so that a purchase weighs 1 + 1 / alpha0 there; its vectors are 1 + alpha0
    times as long as those of the training, which ranks alike.

    Args:
        factors: (head, factors)
        head: (head,) positions in the catalogue
        released_counts: (n_items,) customers per item, as released
        items: (n_items,) the catalogue
        regularization: lambda
        unobserved_weight: alpha0
    """
    table = np.zeros((len(items), factors.shape[1]), dtype=np.float32)
    table[head] = factors
    weights = np.zeros(len(items), dtype=np.float32)
    weights[head] = 1
    return ItemFactors(
        item_ids=items,
        encoder=np.zeros_like(table),
        factors=table,
        item_weights=weights,
        popularity=np.maximum(released_counts, 0).astype(np.float32),
        regularization=regularization / unobserved_weight,
        alpha=1 + 1 / unobserved_weight,
    )
