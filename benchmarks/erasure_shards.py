"""Two erasures by shards, re-implemented over EASE: only the shards of the erased customers are trained again.

SISA (Bourtoule et al. 2021): customers in shards at random, scores averaged. RecEraser (Chen et al. 2022): customers
who are alike in a shard, at most 1.2 times as many as on average, by embeddings of a model trained on everybody; and an
aggregator that attends to each customer's shards, trained on everybody. As in its authors' code, embeddings and
partition are not made again when somebody is erased. Ours attends by the cosine to a shard's centre, sharpened as does
best on validation rows; theirs is a small network.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy import linalg

from benchmarks.erasure_bases import Sweeps, train_als
from benchmarks.erasure_data import Customers, Matrix, recall_and_ndcg

SHARDS = 10
"""As in RecEraser's experiments."""
ROOM = 1.2
"""How many times the average a shard may hold, as there."""
REGULARIZATION = 50.0
"""Of a shard's EASE: the best of 10, 20, 50, 100 and 200 on the validation rows."""
ROUNDS = 10
EMBEDDING_SWEEPS = 10
SHARPNESS = (0.0, 1.0, 2.0, 4.0, 8.0)
ASKED = 1000
"""Customers that the sharpness is chosen on."""


@dataclass(frozen=True, slots=True, eq=False)
class ShardEase:
    """EASE of fewer customers than items: P = (I - R^T R) / lambda with R = L^-1 X and L L^T = X X^T + lambda I."""

    root: Matrix
    """(n_customers, n_items)"""

    def scores(self, purchased: sp.csr_matrix) -> Matrix:
        """(n_customers, n_items)."""
        own = purchased.toarray().astype(np.float64)
        image = np.asarray(purchased @ self.root.T) @ self.root
        return np.asarray(own - (own - image) / (1 - (self.root**2).sum(axis=0)))


def train_shard(purchased: sp.csr_matrix, regularization: float = REGULARIZATION) -> ShardEase:
    """EASE of these customers."""
    rows = purchased.toarray().astype(np.float64)
    lower = linalg.cholesky(rows @ rows.T + regularization * np.eye(len(rows)), lower=True)
    return ShardEase(linalg.solve_triangular(lower, rows, lower=True))


@dataclass(frozen=True, slots=True, eq=False)
class Shards:
    """A model for each shard, and where every customer is."""

    assigned: Customers
    models: tuple[ShardEase, ...]

    @classmethod
    def trained(cls, purchased: sp.csr_matrix, assigned: Customers) -> "Shards":
        """The models of a partition; -1 is in no shard."""
        return cls(assigned, tuple(train_shard(purchased[assigned == shard]) for shard in range(SHARDS)))

    def without(self, purchased: sp.csr_matrix, erased: Customers) -> "Shards":
        """The shards of the erased customers trained again without them, the others as they were."""
        assigned = self.assigned.copy()
        assigned[erased] = -1
        models = list(self.models)
        for shard in np.unique(self.assigned[erased]):
            models[shard] = train_shard(purchased[assigned == shard])
        return Shards(assigned, tuple(models))

    def scores(self, purchased: sp.csr_matrix) -> Matrix:
        """(n_customers, n_items): the mean of all."""
        return self.weighted(purchased, np.full((purchased.shape[0], SHARDS), 1 / SHARDS))

    def weighted(self, purchased: sp.csr_matrix, weights: Matrix) -> Matrix:
        """(n_customers, n_items): the scores of each shard by the customer's weights (n_customers, SHARDS)."""
        mixed = np.zeros(purchased.shape)
        for model, weight in zip(self.models, weights.T, strict=True):
            mixed += weight[:, None] * model.scores(purchased)
        return mixed


def sisa(purchased: sp.csr_matrix) -> Shards:
    """Shards at random, of equal size."""
    return Shards.trained(purchased, np.random.default_rng(0).permutation(purchased.shape[0]) % SHARDS)


@dataclass(frozen=True, slots=True, eq=False)
class RecEraser:
    """Shards of customers who are alike, and how their scores are brought together."""

    shards: Shards
    embedding: Sweeps
    centres: Matrix
    """(SHARDS, n_factors), of length 1"""
    sharpness: float = 0.0

    def scores(self, purchased: sp.csr_matrix) -> Matrix:
        """(n_customers, n_items)."""
        attention = np.exp(self.sharpness * directions(self.embedding.customers(purchased)) @ self.centres.T)
        return self.shards.weighted(purchased, attention / attention.sum(axis=1, keepdims=True))

    def aggregated(self, purchased: sp.csr_matrix, wanted: sp.csr_matrix) -> "RecEraser":
        """The centres of those who are in a shard, and the sharpness that does best on what they are known to want."""
        there = np.flatnonzero(self.shards.assigned >= 0)
        points, assigned = directions(self.embedding.customers(purchased[there])), self.shards.assigned[there]
        found = replace(self, centres=directions(centres_of(points, assigned, self.centres)))
        asked = np.random.default_rng(0).choice(there, min(ASKED, len(there)), replace=False)
        known, later = purchased[asked], wanted[asked]

        def recall(sharpness: float) -> float:
            return recall_and_ndcg(replace(found, sharpness=sharpness).scores(known), known, later)["recall20"]

        return replace(found, sharpness=max(SHARPNESS, key=recall))

    def without(self, purchased: sp.csr_matrix, wanted: sp.csr_matrix, erased: Customers) -> "RecEraser":
        """Shards and aggregator without the erased customers; embedding and partition are kept, as in the release."""
        return replace(self, shards=self.shards.without(purchased, erased)).aggregated(purchased, wanted)


def receraser_model(purchased: sp.csr_matrix, wanted: sp.csr_matrix) -> RecEraser:
    """Embedding, partition, shards and aggregator of these customers."""
    embedding = train_als(purchased, EMBEDDING_SWEEPS)
    points = directions(embedding.customers(purchased))
    assigned = balanced_clusters(points, SHARDS, np.random.default_rng(0))
    start = np.zeros((SHARDS, points.shape[1]))
    return RecEraser(Shards.trained(purchased, assigned), embedding, start).aggregated(purchased, wanted)


def directions(points: Matrix) -> Matrix:
    """The points, of length 1."""
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), np.finfo(float).tiny)


def balanced_clusters(points: Matrix, n_clusters: int, rng: np.random.Generator) -> Customers:
    """(n_points,): the cluster of each point, none with more than ROOM times the average."""
    most = int(np.ceil(ROOM * len(points) / n_clusters))
    centres = points[rng.choice(len(points), n_clusters, replace=False)]
    for _ in range(ROUNDS):
        assigned = _nearest_with_room(points, centres, most)
        centres = centres_of(points, assigned, centres)
    return assigned


def centres_of(points: Matrix, assigned: Customers, before: Matrix) -> Matrix:
    """The mean of each cluster; an empty one stays where it was."""
    return np.array(
        [points[assigned == number].mean(axis=0) if (assigned == number).any() else centre
         for number, centre in enumerate(before)]
    )  # fmt: skip


def _nearest_with_room(points: Matrix, centres: Matrix, most: int) -> Customers:
    """Pairs of point and centre, the nearest first, as long as there is room."""
    distances = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)
    assigned, room = np.full(len(points), -1), np.full(len(centres), most)
    for pair in np.argsort(distances, axis=None, kind="stable").tolist():
        point, centre = divmod(pair, len(centres))
        if assigned[point] < 0 and room[centre]:
            assigned[point] = centre
            room[centre] -= 1
    return assigned
