"""Objections, restrictions, rectifications and merges in memory, and requests in the form of OpenDSR."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from recsys.clock import Clock, utc_now
from recsys.data.account_merge import (
    SUMS,
    AccountMerge,
    Accounts,
    MergeStatus,
    Standing,
    accounts_of,
    merge_status,
    takes_objection,
)
from recsys.data.corrections import Corrected
from recsys.data.history import EMPTY_HISTORY, History, merge
from recsys.data.opendsr import ENDS, DsrRequest, DsrStatus, same_request
from recsys.data.subject_request import LIMITS, SubjectKind, SubjectRequest, SubjectState
from recsys.erasure.rules import is_erased
from recsys.store.memory import MemoryState
from recsys.store.rules import no_dsr, no_sum, stepped
from recsys.types import Json, UserKey


class MemorySubjectRequests:
    """Satisfies `ports.SubjectRequests`."""

    def __init__(self, state: MemoryState | None = None) -> None:
        """Share the state, or have one of its own."""
        self._state = state or MemoryState()

    def limit(self, request: SubjectRequest, user_key: UserKey) -> SubjectRequest:
        """The request, recorded; the customer's earlier one of this kind if there is one."""
        with self._state.writing:
            earlier = [each for each in self.of_customer(user_key) if each.kind is request.kind]
            if earlier:
                return earlier[0]
            held = self._state.holds.get(user_key)
            if held is None or not is_erased(self._state.request(held)):
                self._state.subject_requests[request.request_id] = (request, user_key)
        return request

    def lift(self, user_key: UserKey, kind: SubjectKind) -> None:
        """Take back the customer's objection or restriction."""
        with self._state.writing:
            for request in self.of_customer(user_key):
                if request.kind is kind:
                    del self._state.subject_requests[request.request_id]

    def rectify(
        self, request: SubjectRequest, user_key: UserKey, change: Callable[[History], Corrected]
    ) -> Corrected | None:
        """What `change` made of the history, which is kept with the request; None if the customer is restricted."""
        with self._state.writing:
            erased = user_key in self._state.suppressed
            if not erased and user_key in self._state.limited(SubjectKind.RESTRICTION):
                return None
            nothing = (0, EMPTY_HISTORY)
            revision, history = nothing if erased else self._state.histories.get(user_key, nothing)
            done = change(history)
            if done.changed:
                self._state.histories[user_key] = (revision + 1, done.history)
                self._state.subject_requests[request.request_id] = (replace(request, moves=done.moves), user_key)
        return done

    def merge(self, merge: AccountMerge) -> MergeStatus:
        """What became of the merge; nothing changes where one of the two is erased, restricted or not settled."""
        with self._state.writing:
            account, into = (self._standing(key) for key in (merge.account, merge.into))
            status = merge_status([account, into])
            if status is MergeStatus.ACKNOWLEDGED:
                if takes_objection(account, into):
                    self._state.subject_requests[merge.objection.request_id] = (merge.objection, merge.into)
                self._take_along(merge.between(account, into))
        return status

    def accounts(self, user_key: UserKey) -> Accounts:
        """What merges made of the customer's terms in sums."""
        merges = [pair for pair in self._state.subject_requests.values() if pair[0].kind is SubjectKind.MERGE]
        return accounts_of(user_key, [(each, key) for each, key in merges if user_key in {key, each.account}])

    def apply(
        self,
        request_id: str,
        sums: Mapping[str, bytes],
        terms: Mapping[UserKey, Mapping[str, bytes]],
        details: Mapping[str, Json],
    ) -> None:
        """Replace these sums and terms, and set state APPLIED."""
        with self._state.writing:
            request, _ = self._state.subject_requests.get(request_id, (None, b""))
            if request is None or request.state is not SubjectState.ACKNOWLEDGED:
                return
            if not sums.keys() <= self._state.sums.keys():
                raise no_sum()
            self._state.sums.update(sums)
            for user_key, own in terms.items():
                for sum_id, term in own.items():
                    self._state.terms[sum_id][user_key] = term
            self._set(request_id, SubjectState.APPLIED, details)

    def finish(self, request_id: str, details: Mapping[str, Json]) -> None:
        """Set state DONE and merge the details."""
        with self._state.writing:
            if request_id in self._state.subject_requests:
                self._set(request_id, SubjectState.DONE, details)

    def pending(self) -> tuple[tuple[SubjectRequest, UserKey], ...]:
        """The requests that are not done, oldest first, each with its customer."""
        pairs = self._state.subject_requests.values()
        return tuple(pair for pair in pairs if pair[0].state is not SubjectState.DONE)

    def of_customer(self, user_key: UserKey) -> tuple[SubjectRequest, ...]:
        """The customer's requests, oldest first."""
        return tuple(request for request, key in self._state.subject_requests.values() if key == user_key)

    def limited(self) -> Iterator[UserKey]:
        """Every customer who objected or is restricted, in the order of keys."""
        yield from sorted(self._state.limited(*LIMITS))

    def _standing(self, user_key: UserKey) -> Standing:
        return Standing(user_key in self._state.suppressed, self.of_customer(user_key))

    def _take_along(self, merge: AccountMerge) -> None:
        account, into = self.accounts(merge.account), self.accounts(merge.into)
        sums = into.taking(merge.account, account, self._state.holding(merge.account))
        is_known = self._join(merge.account, merge.into)
        if not (is_known or account.merged or sums - into.merged.get(merge.account, frozenset())):
            return
        requests = {
            request_id: (request, merge.into if key == merge.account and request.kind not in LIMITS else key)
            for request_id, (request, key) in self._state.subject_requests.items()
        }
        gone = {(merge.account, merge.into), (merge.into, merge.into)}
        kept = {name: pair for name, pair in requests.items() if (pair[0].account, pair[1]) not in gone}
        request = replace(merge.request, account=merge.account, details={SUMS: [*sorted(sums)]})
        self._state.subject_requests = {**kept, request.request_id: (request, merge.into)}

    def _join(self, account: UserKey, into: UserKey) -> bool:
        taken = self._state.histories.pop(account, None)
        if taken is None:
            return False
        revision, own = self._state.histories.get(into, (0, EMPTY_HISTORY))
        joined = merge(own, taken[1].purchases)
        if joined.accepted:
            self._state.histories[into] = (revision + 1, joined.history)
        return True

    def _set(self, request_id: str, state: SubjectState, details: Mapping[str, Json]) -> None:
        request, user_key = self._state.subject_requests[request_id]
        self._state.subject_requests[request_id] = (stepped(request, state, details), user_key)


class MemoryDsrRequests:
    """Satisfies `intake.DsrRequests`."""

    def __init__(self, state: MemoryState | None = None, clock: Clock = utc_now) -> None:
        """Share the state, or have one of its own."""
        self._state, self._clock = state or MemoryState(), clock

    def create(self, request: DsrRequest) -> DsrRequest:
        """The request, kept; the earlier one of this id if there is one."""
        with self._state.writing:
            earlier = self._state.outbox.dsr_requests.setdefault(request.subject_request_id, request)
        return same_request(earlier, request)

    def request(self, subject_request_id: str) -> DsrRequest:
        """The request, or NotFoundError."""
        if subject_request_id not in self._state.outbox.dsr_requests:
            raise no_dsr()
        return self._state.outbox.dsr_requests[subject_request_id]

    def followed(self) -> tuple[DsrRequest, ...]:
        """Those with callbacks that were not told of an end yet, oldest first."""
        return tuple(
            each for each in self._state.outbox.dsr_requests.values() if each.callbacks and each.told not in ENDS
        )

    def tell(self, subject_request_id: str, status: DsrStatus, bodies: Mapping[str, bytes]) -> None:
        """Note the status, and write each body to the outbox for its URL; with an end the URLs are forgotten."""
        with self._state.writing:
            request = self.request(subject_request_id)
            if request.told is status:
                return
            self._state.outbox.dsr_requests[subject_request_id] = replace(
                request, told=status, callbacks=() if status in ENDS else request.callbacks
            )
            for url, body in bodies.items():
                self._state.outbox.write_callback(url, body, self._clock())
