"""A canary audit: made-up customers are put into the sum, and looked for in what is released.

A canary buys dummy items that nobody else buys, as many as the bound on a customer's counts leaves unscaled. So it
moves the number of customers, the counts and the Gram each by all that one customer can: a release is audited where its
claim is tight. The auditor knows every other customer, as differential privacy grants to everybody, and of the canary
nothing but what is released:

    score = sum over statistics of <released - expected without the canary, what the canary adds> / noise²

brought to unit spread: the likelihood ratio of "the canary was there", the best test there is. The farther apart the
scores of releases with and without the canary, the less private they are; `epsilon_bound` says how much less.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.audit.epsilon_bound import Scores, gaussian_mu, one_run_epsilon, thresholded_epsilon, thresholded_mu
from recsys.errors import InputError
from recsys.privacy.accounting import compose, epsilon_of
from recsys.privacy.ledger import epsilon_json
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.types import Json, PrivacyBudget

EVERYTHING = "everything"
"""The name of what all statistics of a release tell together."""
ITEMS_EACH = 50
"""Items of a canary. Fewer move the counts by less; more move them by no more, and need more noise to be drawn."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CanaryShop:
    """A shop that the auditor knows, and canaries who may join it. All over the same items."""

    customers: sp.csr_matrix
    """(n_customers, n_items)"""
    canaries: sp.csr_matrix
    """(n_canaries, n_items)"""

    def joined_by(self, included: NDArray[np.bool_]) -> sp.csr_matrix:
        """(n_customers + n_included, n_items): the customers and the canaries that joined."""
        return sp.vstack([self.customers, self.canaries[np.flatnonzero(included)]], format="csr")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Seen:
    """What one released statistic tells about every canary."""

    statistic: str
    sensitivity: float
    """As stated: by how much one customer moves the statistic."""
    noise_scale: float
    """As stated: the standard deviation of the noise in any direction of length 1."""
    scores: Scores
    """(n_canaries,): inner product of the release, less what the customers alone give, and of what the canary adds."""
    lengths: NDArray[np.float64]
    """(n_canaries,): Euclidean norm of what the canary adds."""

    @property
    def mu_claimed(self) -> float:
        """The mu that the statistic states."""
        return compose([self.noise_scale / self.sensitivity])


Release: TypeAlias = Callable[[CanaryShop, NDArray[np.bool_], Entropy], Sequence[Seen]]
"""What is audited: released over the shop joined by these canaries, and read for all canaries, who joined or not."""


def seen_in_vector(
    statistic: str,
    residual: NDArray[np.float64],
    directions: NDArray[np.float64],
    *,
    sensitivity: float,
    noise_scale: float,
) -> Seen:
    """What a released vector tells.

    Args:
        statistic: its name
        residual: (n,) the release, less what the customers alone give
        directions: (n_canaries, n) what each canary adds
        sensitivity: as stated
        noise_scale: as stated, of every coordinate
    """
    return Seen(
        statistic=statistic,
        sensitivity=sensitivity,
        noise_scale=noise_scale,
        scores=directions @ residual,
        lengths=np.sqrt((directions**2).sum(axis=1)),
    )


def seen_in_gram(
    statistic: str,
    residual: NDArray[np.float64],
    vectors: NDArray[np.float64],
    *,
    sensitivity: float,
    noise_scale: float,
) -> Seen:
    """What a released Gram tells: <R, x x^T> = x^T R x.

    Args:
        statistic: its name
        residual: (n, n) the release, less what the customers alone give
        vectors: (n_canaries, n) each canary's x
        sensitivity: as stated, in Frobenius norm
        noise_scale: as stated, of the diagonal; off it a symmetric release carries half the variance
    """
    return Seen(
        statistic=statistic,
        sensitivity=sensitivity,
        noise_scale=noise_scale,
        scores=((vectors @ residual) * vectors).sum(axis=1),
        lengths=(vectors**2).sum(axis=1),
    )


def plant(customers: sp.csr_matrix, *, n_canaries: int = 1, items_each: int = ITEMS_EACH) -> CanaryShop:
    """The shop with dummy items behind its own: each canary buys `items_each` of them, and nobody else does.

    Raises:
        InputError: there would be no canary, or one without an item.
    """
    if n_canaries < 1 or items_each < 1:
        msg = f"expected at least one canary with one item, got {n_canaries} with {items_each}; plant some"
        raise InputError(msg)
    n_dummies = n_canaries * items_each
    nothing = sp.csr_matrix((customers.shape[0], n_dummies), dtype=customers.dtype)
    own = sp.kron(sp.identity(n_canaries), np.ones((1, items_each)), format="csr").astype(customers.dtype)
    before = sp.csr_matrix((n_canaries, customers.shape[1]), dtype=customers.dtype)
    return CanaryShop(
        customers=sp.hstack([customers, nothing], format="csr"), canaries=sp.hstack([before, own], format="csr")
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was claimed for a statistic, and the least that it gives away. Epsilons are at the audit's delta."""

    statistic: str
    epsilon_claimed: float
    epsilon_found: float
    """A lower bound."""

    @property
    def holds(self) -> bool:
        """Whether nothing was found against the claim."""
        return self.epsilon_found <= self.epsilon_claimed

    @property
    def ratio(self) -> float:
        """The part of the claim that was found: above 1 the claim is wrong, near 1 it cannot be much better."""
        return self.epsilon_found / self.epsilon_claimed


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryAudit:
    """The findings about a release, statistic by statistic and all of them together."""

    claimed: PrivacyBudget
    confidence: float
    """How often all findings together are at or below the truth."""
    n_releases: int
    whole: Finding
    """About everything that is released, against the whole claim."""
    parts: tuple[Finding, ...]
    """About each statistic alone, against its own."""
    epsilon_counted: float
    """A lower bound on everything, from counting scores above a threshold: their shape does not matter."""
    epsilon_of_any_mechanism: float
    """The same whatever the mechanism: farther below, since it does not take the trade-off for a Gaussian's."""

    @property
    def holds(self) -> bool:
        """Whether nothing was found against any claim."""
        counted = max(self.epsilon_counted, self.epsilon_of_any_mechanism)
        return all(finding.holds for finding in (self.whole, *self.parts)) and counted <= self.claimed.epsilon

    def to_json(self) -> dict[str, Json]:
        """The audit for a script."""
        findings: list[Json] = [
            {
                "statistic": finding.statistic,
                "epsilon_claimed": epsilon_json(finding.epsilon_claimed),
                "epsilon_found": epsilon_json(finding.epsilon_found),
                "holds": finding.holds,
            }
            for finding in (*self.parts, self.whole)
        ]
        return {
            "delta": self.claimed.delta,
            "confidence": self.confidence,
            "releases": self.n_releases,
            "findings": findings,
            "epsilon_counted": epsilon_json(self.epsilon_counted),
            "epsilon_of_any_mechanism": self.epsilon_of_any_mechanism,
            "ratio": epsilon_json(self.whole.ratio),
            "holds": self.holds,
        }


def audit(
    release: Release,
    shop: CanaryShop,
    claimed: PrivacyBudget,
    *,
    n_pairs: int,
    confidence: float = 0.99,
    entropy: Entropy = OS_ENTROPY,
) -> CanaryAudit:
    """What can be found against a claim by releasing again and again, with and without canaries.

    Args:
        release: what is audited
        shop: customers and canaries
        claimed: for everything that one release gives away
        n_pairs: twice as many releases are drawn: each canary is in one of a pair and not in the other
        confidence: how often all findings are at or below the truth; half of the rest goes to the whole, the other
            half to the other findings in equal parts
        entropy: where noise and coins come from

    Guarantees:
        - The claim of a release that keeps it is found to hold, but for one in 1 / (1 - confidence) audits.

    Tested by: tests/recsys/audit/test_canaries.py::test_an_honest_release_is_found_out_to_most_of_its_claim_and_no_more

    Raises:
        InputError: nothing is claimed, there are too few releases, or the confidence is none.
    """
    if math.isinf(claimed.epsilon):
        msg = "expected a claim, got epsilon=inf; a release that claims nothing has nothing to be held to"
        raise InputError(msg)
    inside, outside, mus = sightings(release, shop, n_pairs=n_pairs, entropy=entropy)
    error = (1 - confidence) / 2
    each = error / (len(mus) + 1)

    def finding(statistic: str, claim: float) -> Finding:
        chance = error if statistic == EVERYTHING else each
        found = epsilon_of(gaussian_mu(inside[statistic], outside[statistic], 1 - chance), claimed.delta)
        return Finding(statistic=statistic, epsilon_claimed=claim, epsilon_found=found)

    # A threshold that depends on the claim alone: one that was chosen by the scores would bias the count.
    above = inside[EVERYTHING], outside[EVERYTHING], mus[EVERYTHING] / 2
    return CanaryAudit(
        claimed=claimed,
        confidence=confidence,
        n_releases=2 * n_pairs,
        whole=finding(EVERYTHING, claimed.epsilon),
        parts=tuple(finding(name, epsilon_of(mu, claimed.delta)) for name, mu in mus.items() if name != EVERYTHING),
        epsilon_counted=epsilon_of(thresholded_mu(*above, 1 - each), claimed.delta),
        epsilon_of_any_mechanism=thresholded_epsilon(*above, claimed.delta, 1 - each),
    )


def sightings(
    release: Release, shop: CanaryShop, *, n_pairs: int, entropy: Entropy = OS_ENTROPY
) -> tuple[Mapping[str, Scores], Mapping[str, Scores], Mapping[str, float]]:
    """The scores of canaries that were in a release and of those that were not, and the mu claimed, by statistic."""
    inside, outside, mus = defaultdict(list), defaultdict(list), {}
    for _ in range(n_pairs):
        coins = _coins(shop.canaries.shape[0], entropy)
        for included in (coins, ~coins):
            seen = release(shop, included, entropy)
            for name, scores in _standardised(seen).items():
                inside[name].append(scores[included])
                outside[name].append(scores[~included])
            mus = {one.statistic: one.mu_claimed for one in seen}
    mus[EVERYTHING] = float(np.hypot.reduce(list(mus.values()))) if mus else 0.0
    return _joined(inside), _joined(outside), mus


def guess_in_one_release(
    release: Release,
    shop: CanaryShop,
    *,
    delta: float,
    guessed: float = 0.2,
    confidence: float = 0.99,
    entropy: Entropy = OS_ENTROPY,
) -> float:
    """A lower bound on epsilon from a single release with many canaries, whatever the mechanism is.

    A coin is thrown for every canary. The auditor guesses "in" for the highest scores and "out" for the lowest, and
    nothing for those between.

    Args:
        release: what is audited
        shop: customers and canaries
        delta: of the claim
        guessed: the part of the canaries that is guessed, decided before any score is seen
        confidence: how often the bound is at or below the truth
        entropy: where noise and coins come from
    """
    n_canaries = shop.canaries.shape[0]
    included = _coins(n_canaries, entropy)
    order = np.argsort(_standardised(release(shop, included, entropy))[EVERYTHING])
    n_each = int(guessed * n_canaries / 2)
    n_right = int((~included[order[:n_each]]).sum() + included[order[n_canaries - n_each :]].sum())
    return one_run_epsilon(n_canaries, 2 * n_each, n_right, delta, confidence)


def _standardised(seen: Sequence[Seen]) -> dict[str, Scores]:
    """Each statistic's scores, and those of all together, with the spread 1 if the noise is as stated."""
    information = sum((one.lengths / one.noise_scale) ** 2 for one in seen)
    together = sum(one.scores / one.noise_scale**2 for one in seen)
    alone = {one.statistic: one.scores / (one.lengths * one.noise_scale) for one in seen}
    return {**alone, EVERYTHING: together / np.sqrt(information)}


def _coins(number: int, entropy: Entropy) -> NDArray[np.bool_]:
    """(number,): fair and independent."""
    return np.unpackbits(np.frombuffer(entropy(number // 8 + 1), dtype=np.uint8))[:number].astype(bool)


def _joined(parts: Mapping[str, list[Scores]]) -> dict[str, Scores]:
    return {name: np.concatenate(scores) for name, scores in parts.items()}
