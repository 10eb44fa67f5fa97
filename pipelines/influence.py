"""Whose purchases move an item most, by handles: for the operator who looks for profiles that were planted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from recsys.erasure.handles import handle_of
from recsys.errors import InputError, NotFoundError
from recsys.models.gram import GramSum
from recsys.models.influence import influences
from recsys.store.workspace import Workspace
from recsys.training.terms import Terms
from recsys.types import ModelVersion, UserKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Influential:
    """A customer whose term moves the items."""

    handle: str
    influence: float
    """Part of all customers' influence together."""
    items: int
    """How many distinct items the customer bought."""


def most_influential(workspace: Workspace, items: Sequence[str], top: int) -> list[Influential]:
    """Those whose terms raise the mean score of these items most, most first. Internal, not private.

    Raises:
        NotFoundError: no version is live.
        InputError: the live version keeps no sum, or does not cover an item.
    """
    version = _live(workspace)
    content = GramSum.from_bytes(workspace.sums.load_sum(str(version.sum_id)))
    keys, purchased = _terms(workspace, str(version.sum_id), len(content.items))
    found = influences(content, purchased, items)
    together = float(np.abs(found).sum()) or 1.0
    bought = np.diff(purchased.indptr)
    return [
        Influential(
            handle=handle_of(workspace.commitments, keys[row]),
            influence=float(found[row]) / together,
            items=int(bought[row]),
        )
        for row in np.argsort(-found, kind="stable")[:top]
    ]


def _live(workspace: Workspace) -> ModelVersion:
    name = workspace.registry.live()
    version = next((version for version in workspace.registry.versions() if version.version == name), None)
    if version is None:
        msg = "expected a live version to look into, got none; train one: privrec train"
        raise NotFoundError(msg)
    if not Terms.of(version).keeps_sum:
        msg = f"expected a version that keeps its sum, got one of {version.trainer} without; train with --erasable"
        raise InputError(msg)
    return version


def _terms(workspace: Workspace, sum_id: str, n_items: int) -> tuple[list[UserKey], sp.csr_matrix]:
    """Who is in the sum, and (n_customers, n_items) what they bought."""
    keys, rows = [], []
    for key, term in workspace.sums.terms_in(sum_id):
        if term:  # an empty one adds nothing
            keys.append(key)
            rows.append(np.frombuffer(term, "<i4"))
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
    indices = np.concatenate([np.zeros(0, np.int32), *rows])
    return keys, sp.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(rows), n_items))
