"""What follows an objection, restriction, rectification or merge: sums without the customer, or as they should be.

    acknowledged   the desk: served and taken in accordingly from here on
    applied        the customer's terms, and the sums that they are in, are changed: one transaction a request
    done           models that are a function of these sums are made again, and the ones before withdrawn

A model under noise, or one whose trainer keeps no sum, stays until the next training: the details say so.

Of a customer whose accounts were merged, a term may stand in a sum under each account's key. Who is in a sum under two
of them is in it under one from the merge on, with the items of both: the sum of a shop that had one account.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, cast

import numpy as np
import scipy.sparse as sp

from recsys.data.corrections import Items, moved
from recsys.data.subject_request import LIMITS, SubjectKind, SubjectRequest, SubjectState
from recsys.errors import BudgetExceededError, InputError
from recsys.models.customer import pack_term, unpack_term
from recsys.models.gram import GramSum
from recsys.ports import Erasures, Registry, SubjectRequests, Sums
from recsys.rights.terms import Terms, terms_of_customer
from recsys.types import Json, ModelStatus, ModelVersion, UserKey

ReleaseAgain = Callable[[str, str], ModelVersion]
"""Makes a new version from the sum of this id, for this purpose; books first."""
Publish = Callable[[], int]
"""Writes every customer's lists with the live model; returns how many."""

BOUNDED = "kept: bounded by its (epsilon, delta) until the next training"
KEPT = "kept until the next training: its trainer keeps no sum"
SUPERSEDED = "withdrawn, and superseded by the model of the corrected sum"
WITHDRAWN = "withdrawn: its factors were deleted"


class SubjectStores(Protocol):
    """The stores that the worker needs; a workspace has them all."""

    @property
    def erasures(self) -> Erasures:
        """The queue of erasures, whose worker changes the same sums."""

    @property
    def subjects(self) -> SubjectRequests:
        """The requests."""

    @property
    def sums(self) -> Sums:
        """The sealed sums."""

    @property
    def registry(self) -> Registry:
        """The model versions."""


class SubjectWorker:
    """Takes requests through the states. One at a time on a database, and not while erasures are worked on.

    Either worker reads a sum and writes another: the one that was slower would bring back whom the other took out.
    """

    def __init__(self, stores: SubjectStores, *, release_again: ReleaseAgain, publish: Publish) -> None:
        """A worker over these stores; the two functions are the training and the serving room's."""
        self._stores = stores
        self._release_again = release_again
        self._publish = publish

    def run(self) -> tuple[SubjectRequest, ...]:
        """Finish every request that is pending; returns them as they were found.

        Everybody's terms are right before the first model is made, so that one model serves all of them.

        Guarantees:
            - No sum is changed while a worker of erasures, on whichever machine, is at it.

        Tested by: tests/recsys/rights/test_worker.py::test_while_a_worker_of_erasures_is_at_it_no_sum_is_changed

        Raises:
            StateError: a store or the cache refused a step; run again when it is back.
            StateLockedError: another worker is at it, or one of erasures.
        """
        with self._stores.erasures.working():
            return self._run()

    def _run(self) -> tuple[SubjectRequest, ...]:
        pending = self._stores.subjects.pending()
        for request, user_key in pending:
            if request.state is SubjectState.ACKNOWLEDGED:
                self._apply(request, user_key)
        for request, user_key in pending:
            self._finish(request, user_key)
        return tuple(request for request, _ in pending)

    def _apply(self, request: SubjectRequest, user_key: UserKey) -> None:
        before = terms_of_customer(self._stores.sums, self._stores.subjects, user_key)
        leaves = request.kind in LIMITS or (request.kind is SubjectKind.MERGE and self._is_limited(user_key))
        wanted = {
            sum_id: dict.fromkeys(own, b"") if leaves else _terms_after(request, own) for sum_id, own in before.items()
        }
        after = {sum_id: self._replaced(sum_id, own, wanted[sum_id]) for sum_id, own in before.items()}
        changed = {sum_id: own for sum_id, (_, own) in after.items() if own != before[sum_id]}
        sums = {sum_id: after[sum_id][0] for sum_id in changed if after[sum_id][0]}
        versions: list[Json] = [v.version for v in self._stores.registry.versions() if v.sum_id in changed]
        details: dict[str, Json] = {"sums": [*sorted(sums)], "made_with": versions}
        self._stores.subjects.apply(request.request_id, sums, _by_account(changed), details)

    def _is_limited(self, user_key: UserKey) -> bool:
        return any(request.kind in LIMITS for request in self._stores.subjects.of_customer(user_key))

    def _replaced(self, sum_id: str, before: Terms, after: Terms) -> tuple[bytes, Terms]:
        """The sum with other terms in the place of these, and those terms; an empty sum is of who keeps none."""
        content = self._stores.sums.load_sum(sum_id)
        if not content or after == before:
            return content, after
        total = GramSum.from_bytes(content)
        n_items = len(total.items)
        # The catalogue may have grown since the sum was made.
        known = {account: pack_term(_items(term)[_items(term) < n_items]) for account, term in after.items()}
        total = total.subtract(_stacked(before, n_items)).add(_stacked(known, n_items))
        return total.to_bytes(), known

    def _finish(self, request: SubjectRequest, user_key: UserKey) -> None:
        own = self._stores.subjects.of_customer(user_key)
        found = next((each for each in own if each.request_id == request.request_id), None)
        if found is None:  # taken back or erased meanwhile
            return
        made_with = set(cast("list[str]", found.details.get("made_with", [])))
        outcomes = self._superseded(made_with, f"{request.kind} {request.request_id}")
        self._stores.subjects.finish(request.request_id, {"versions": outcomes})

    def _superseded(self, made_with: set[str], purpose: str) -> list[Json]:
        """What became of each version that was made from another sum than there is now."""
        versions = [each for each in self._stores.registry.versions() if each.version in made_with]
        outcomes: list[Json] = [{"version": each.version, **self._outcome(each, purpose)} for each in versions]
        live = self._stores.registry.live()
        made = any(each.version == live and each.config.get("purpose") == purpose for each in self._versions())
        if made:
            self._publish()
        return outcomes

    def _versions(self) -> Iterable[ModelVersion]:
        return self._stores.registry.versions()

    def _outcome(self, version: ModelVersion, purpose: str) -> dict[str, Json]:
        if version.privacy.get("private"):
            return {"outcome": BOUNDED}
        if version.certificate is None:
            return {"outcome": KEPT}
        is_live = version.status is ModelStatus.LIVE
        done: dict[str, Json] = self._renewed(version, purpose) if is_live else {"outcome": WITHDRAWN}
        self._stores.registry.withdraw(version.version)
        return done

    def _renewed(self, version: ModelVersion, purpose: str) -> dict[str, Json]:
        """The successor of the live version; if none can be made, the version cannot stay all the same."""
        try:
            new = self._release_again(str(version.sum_id), purpose)
        except (BudgetExceededError, InputError) as refusal:
            return {"outcome": WITHDRAWN, "not_superseded": str(refusal)}
        return {"outcome": SUPERSEDED, "superseded_by": new.version}


def _terms_after(request: SubjectRequest, own: Terms) -> Terms:
    """The customer's terms in one sum as the request would have them; an empty one stays empty."""
    if request.kind is SubjectKind.MERGE:
        return _as_one(own)
    return {account: pack_term(moved(_items(term), request.moves)) if term else b"" for account, term in own.items()}


def _as_one(own: Terms) -> Terms:
    """All items under one account that is in the sum, and nothing under the others."""
    first = next((account for account, term in own.items() if term), None)
    if first is None:
        return own
    together = np.unique(np.concatenate([_items(term) for term in own.values()]))
    return {**dict.fromkeys(own, b""), first: pack_term(together)}


def _by_account(terms: Mapping[str, Terms]) -> dict[UserKey, dict[str, bytes]]:
    found: dict[UserKey, dict[str, bytes]] = {}
    for sum_id, own in terms.items():
        for account, term in own.items():
            found.setdefault(account, {})[sum_id] = term
    return found


def _stacked(own: Terms, n_items: int) -> sp.csr_matrix:
    """(n_accounts, n_items): what those accounts bought that are in the sum."""
    rows = [unpack_term(term, n_items) for term in own.values() if term]
    return sp.vstack(rows, "csr") if rows else sp.csr_matrix((0, n_items), dtype=np.float32)


def _items(term: bytes) -> Items:
    return np.frombuffer(term, dtype="<i4")
