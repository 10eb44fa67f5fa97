"""The part of the claimed epsilon that an audit finds in what trainings release, with and without a canary.

Everything that one training releases is audited together, at delta = 1e-6 and 99 % confidence; `.directions` is a
training with public attributes, which releases two matrices more. Beside them stand twins that draw half of the noise,
for the Gram, and for the latent Gram too where there is one. Noise comes from a seeded generator, so that the figures
can be repeated.
"""

from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import options, report
from pipelines.audit import N_PAIRS, audit_epsilon_ratio
from recsys.models import gram
from recsys.privacy.noise import Entropy, symmetric_gaussian

PAIRS = {1.0: 16 * N_PAIRS, 4.0: 4 * N_PAIRS, 8.0: 2 * N_PAIRS}
"""Pairs of trainings by epsilon: the smaller it is, the more it takes to see anything."""


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    pairs = {4.0: 200} if chosen.quick else PAIRS
    figures = {f"audit.epsilon_ratio.eps{epsilon:g}": ratio(epsilon, n_pairs) for epsilon, n_pairs in pairs.items()}
    figures |= {
        f"audit.epsilon_ratio.eps{epsilon:g}.directions": ratio(epsilon, n_pairs, attributes=True)
        for epsilon, n_pairs in pairs.items()
    }
    figures["audit.epsilon_ratio.eps4.half_the_noise"] = with_half_the_noise(pairs[4.0])
    figures["audit.epsilon_ratio.eps4.half_the_noise.directions"] = with_half_the_noise(pairs[4.0], attributes=True)
    report("audit", figures, chosen, seeds=[0])


def ratio(epsilon: float, n_pairs: int, *, attributes: bool = False) -> float:
    """The part of the claim that is found."""
    return audit_epsilon_ratio(epsilon=epsilon, attributes=attributes, n_pairs=n_pairs)


def with_half_the_noise(n_pairs: int, *, attributes: bool = False) -> float:
    """The same for Grams that are released with half the noise that is booked: the audit must find more than all."""

    def halved(n: int, sigma: float, entropy: Entropy) -> NDArray[np.int64]:
        return symmetric_gaussian(n, sigma / 2, entropy)

    with patch.object(gram, "symmetric_gaussian", halved):
        return ratio(4.0, n_pairs, attributes=attributes)


if __name__ == "__main__":
    main()
