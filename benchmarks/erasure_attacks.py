"""Whether a model tells who was in its training, and what planted customers gained, before and after an erasure.

Membership, on the train rows of RecEraser's split: 400 customers are erased, 400 others were never there. The attacker
has the model, the purchases of the person in question, and three reference models of 80 % of those who stay (Carlini et
al. 2022, offline; Hayes et al. 2024 on why unlearning needs it). The statistic is how much of the person's own vector
lies in the model's space, alone (population) or beside the mean of the reference models.

Poison: 300 planted customers each bought five items that hardly sell and some of the best-selling ones; exposure is the
part of real customers who find a target among the first 20, 50 or 100 of their list.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.erasure_data import Customers, Matrix, Shop, best_selling, nobody, receraser
from benchmarks.erasure_peers import N_FACTORS, QUICK_ITEMS
from recsys.models.erasable import erasable_factors
from recsys.models.factors import ItemFactors
from recsys.models.fold_in import fold_in
from recsys.models.ranking import model_scores

ASKED = 400
REFERENCES, SEEN = 3, 0.8
PROFILES, TARGETS, FILLERS, POPULAR = 300, 5, 12, 40
"""As many best-selling items, of so many, as every planted customer has (bandwagon)."""
RARE = (5, 20)
"""How many customers bought a target."""
LENGTHS = (20, 50, 100)


def figures(data: Path, *, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    purchased = receraser(data)["train"]
    if quick:
        purchased = best_selling(purchased, QUICK_ITEMS)
        return membership(purchased, 64) | poison(purchased, 64, rare=(0, 1000))
    return membership(purchased, N_FACTORS) | poison(purchased, N_FACTORS)


def membership(purchased: sp.csr_matrix, n_factors: int) -> dict[str, float]:
    """How well erased customers are told from those who were never there."""
    rng = np.random.default_rng(6)
    order = rng.permutation(np.flatnonzero(np.diff(purchased.indptr)))
    never, erased, staying = np.split(order, [ASKED, 2 * ASKED])
    shop = Shop.of(purchased[np.concatenate([erased, staying])], n_factors)
    gone = np.arange(ASKED)
    references = [_trained(purchased[_some(staying, rng)], n_factors) for _ in range(REFERENCES)]
    asked = purchased[np.concatenate([erased, never])]
    usual = np.mean([energy(model, asked) for model in references], axis=0)
    found = {}
    for name, model in (
        ("before", shop.model().factors),
        ("after", shop.without(gone)),
        ("retrained", shop.never_with(gone, rng)),
    ):
        statistic = energy(model, asked)
        found[f"membership.auc_{name}"] = auc(statistic - usual, ASKED)
        found[f"membership.population_auc_{name}"] = auc(statistic, ASKED)
    return found | {"membership.auc_gap": abs(found["membership.auc_after"] - found["membership.auc_retrained"])}


def _trained(purchased: sp.csr_matrix, n_factors: int) -> ItemFactors:
    return erasable_factors(nobody(purchased.shape[1]).add(purchased), n_factors).factors


def _some(customers: Customers, rng: np.random.Generator) -> Customers:
    return rng.choice(customers, int(SEEN * len(customers)), replace=False)


def energy(model: ItemFactors, purchased: sp.csr_matrix) -> Matrix:
    """(n_customers,): the squared length of each customer's vector in the model's space."""
    return np.asarray((fold_in(model, purchased).astype(np.float64) ** 2).sum(axis=1))


def auc(statistic: NDArray[np.float64], n_members: int) -> float:
    """The chance that a member has a larger statistic than another; the members come first. Ties count as half."""
    ranks, n_others = rankdata(statistic), len(statistic) - n_members
    return float((ranks[:n_members].sum() - n_members * (n_members + 1) / 2) / (n_members * n_others))


def poison(purchased: sp.csr_matrix, n_factors: int, rare: tuple[int, int] = RARE) -> dict[str, float]:
    """How often targets are shown to real customers: before and after the planted ones are erased, and without them."""
    rng = np.random.default_rng(7)
    counts = np.asarray(purchased.sum(axis=0)).ravel()
    targets = rng.choice(np.flatnonzero((counts >= rare[0]) & (counts <= rare[1])), TARGETS, replace=False)
    real = purchased.shape[0]
    shop = Shop.of(sp.csr_matrix(sp.vstack([purchased, planted(counts, targets, rng)])), n_factors)
    clean, after = Shop.of(purchased, n_factors).model().factors, shop.without(np.arange(real, shop.n_customers))
    models = {"before": shop.model().factors, "after": after, "clean": clean}
    shown = {name: exposure(model, purchased, targets) for name, model in models.items()}
    found = {f"poison.hit{n}_{name}": rate for name, rates in shown.items() for n, rate in rates.items()}
    gap = max(abs(shown["after"][n] - shown["clean"][n]) for n in LENGTHS)
    return found | {"poison.exposure_gap": gap, "poison.digest_equal": float(after.digest == clean.digest)}


def planted(counts: NDArray[np.floating], targets: Customers, rng: np.random.Generator) -> sp.csr_matrix:
    """(PROFILES, n_items): customers who bought all targets and some of what sells best."""
    popular = np.argsort(-counts, kind="stable")[:POPULAR]
    fillers = np.array([rng.choice(popular, FILLERS, replace=False) for _ in range(PROFILES)])
    bought = np.zeros((PROFILES, len(counts)), np.float32)
    bought[np.arange(PROFILES)[:, None], fillers] = 1
    bought[:, targets] = 1
    return sp.csr_matrix(bought)


def exposure(model: ItemFactors, purchased: sp.csr_matrix, targets: Customers) -> Mapping[int, float]:
    """The part of customers with a target among the first 20, 50 and 100 items that they do not have."""
    scores = model_scores(model, purchased)
    scores[purchased.nonzero()] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, : max(LENGTHS)]
    hit = np.isin(best, targets)
    return {length: float(hit[:, :length].any(axis=1).mean()) for length in LENGTHS}
