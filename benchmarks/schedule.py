"""A year of weekly releases under one budget: plain composition beside a tree and a matrix mechanism.

`weekly`, `daily`: standard deviations of the noise in the released sum, times mu: what a budget of mu = 1 leaves. They
are exact and hold for any shop.

`onlineretail`: what the matrix mechanism's condition costs. A customer's term may move no further than the path, so
what is released is not quite the sum. Week by week over the year of UCI Online Retail: how far the Gram of the terms as
they are kept is from that of the terms as they would be, and what noise and this bias come to together at epsilon 8,
for this shop and for shops of the same customers many times over. Beside it, what the mean of the last plain releases
comes to, whose bias is that it lags. All relative to the Gram in Frobenius norm, mean over the weeks. The rule (head,
weights) is the same throughout and made without noise.
"""

import math
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.report import Options, options, report
from recsys.data.interactions import PurchaseLog
from recsys.data.readers import Columns, read_purchases
from recsys.data.split import k_core
from recsys.models.customer import GRID, SumRule, counts_terms, customer_vectors
from recsys.privacy.accounting import mu_of
from recsys.privacy.schedule import plain_standard_deviation, toeplitz, tree

WEEK_MS = 7 * 24 * 3600 * 1000
WEEKS, DAYS = 53, 366
PATHS = (2.0, 3.0, 4.0)
BANDS = (4, 8, 16)
MEANS = (1, 4, 8, 16)
"""Plain releases that are averaged; 1 is the last one as it is."""
LAZY = (0.0, 0.5)
"""A term moves where what it would move by is at least this."""
HEAD = 300
EPSILON, DELTA = 8.0, 1e-6
TIMES = (1, 10, 100)
"""Shops of the same customers so many times over: the noise weighs so many times less, the bias what it did."""

Vectors = NDArray[np.float64]


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    figures = noise("weekly", WEEKS)
    if not chosen.quick:
        figures |= noise("daily", DAYS)
    figures |= onlineretail(chosen)
    report("schedule", figures, chosen, seeds=[])


def noise(name: str, releases: int) -> dict[str, float]:
    """Standard deviations times mu, and the path at which the matrix mechanism has no advantage left."""
    plain = plain_standard_deviation(releases, 1.0)
    strategies = {"tree": tree(releases), "toeplitz": toeplitz(releases)}
    strategies |= {f"toeplitz.bands{bands}": toeplitz(releases, bands=bands) for bands in BANDS}
    figures = {f"{name}.plain": plain, f"{name}.plain.mean_of_last_8": plain / math.sqrt(8)}
    for kind, strategy in strategies.items():
        for path in PATHS:
            deviations = strategy.standard_deviations(1.0, path)
            figures |= {
                f"{name}.{kind}.path{path:g}.mean": float(deviations.mean()),
                f"{name}.{kind}.path{path:g}.largest": float(deviations.max()),
            }
        figures[f"{name}.{kind}.break_even_path"] = plain / float(strategy.standard_deviations(1.0, 1.0).max())
        figures[f"{name}.{kind}.increments_kept"] = strategy.kept
    return figures


def onlineretail(chosen: Options) -> dict[str, float]:
    """Bias of a bounded path and of a mean of releases, and bias with noise, relative to the Gram."""
    log = k_core(read_purchases(chosen.data / "onlineretail.parquet", Columns(quantity="quantity")).log, 5)
    rule = SumRule(released_counts=counts_terms(log.interactions().matrix) / GRID, head_size=HEAD)
    weeks = np.arange(8, WEEKS + 1, 8) if chosen.quick else np.arange(1, WEEKS + 1)
    vectors = [customer_vectors(until(log, int(week)), rule) / GRID for week in weeks]
    grams = np.array([one.T @ one for one in vectors])
    mu = mu_of(EPSILON, DELTA)
    figures: dict[str, float] = {}
    for last in MEANS:
        means = np.array([grams[max(0, t + 1 - last) : t + 1].mean(axis=0) for t in range(len(weeks))])
        deviations = plain_standard_deviation(WEEKS, mu) / np.sqrt(np.minimum(weeks, last))
        figures |= errors(f"plain.mean_of_last_{last}", grams, means, deviations)
    for path in PATHS:
        deviations = toeplitz(WEEKS).standard_deviations(mu, path)[weeks - 1]
        for lazy in LAZY:
            kept = np.array([one.T @ one for one in along(vectors, path, lazy)])
            figures |= errors(f"toeplitz.path{path:g}.lazy{lazy:g}", grams, kept, deviations)
    return figures


def errors(name: str, grams: Vectors, released: Vectors, deviations: NDArray[np.float64]) -> dict[str, float]:
    """Bias, and the root of the mean square of noise and bias together, relative to the Gram."""
    sizes, bias = np.linalg.norm(grams, axis=(1, 2)), np.linalg.norm(released - grams, axis=(1, 2))
    spread = deviations * math.sqrt(HEAD * (HEAD + 1) / 2)
    return {f"onlineretail.bias.{name}": float(np.mean(bias / sizes))} | {
        f"onlineretail.error.{name}.times{times}": float(np.mean(np.hypot(spread / times, bias) / sizes))
        for times in TIMES
    }


def until(log: PurchaseLog, week: int) -> sp.csr_matrix:
    """(n_customers, n_items): everything bought until the end of the week."""
    times = log.purchases["timestamp"]
    return log.where(times <= times.min() + week * WEEK_MS).interactions().matrix


def along(weeks: list[Vectors], path: float, lazy: float) -> Iterator[Vectors]:
    """The vectors whose terms are in the sum, week by week: as `recsys.privacy.schedule.Path`, for all customers."""
    kept, left = np.zeros_like(weeks[0]), np.full(len(weeks[0]), path)
    for wanted in weeks:
        own, other = (wanted**2).sum(axis=1), (kept**2).sum(axis=1)
        step = np.sqrt(np.maximum(own**2 + other**2 - 2 * (wanted * kept).sum(axis=1) ** 2, 0))
        moves = (step + own <= left) & (step >= lazy)
        kept, left = np.where(moves[:, None], wanted, kept), left - np.where(moves, step, 0)
        yield kept


if __name__ == "__main__":
    main()
