"""The fence between an acknowledged promise and a cache that may be old, empty, doubled or away.

A cache is trusted while it is certified: this run of the server was told who is suppressed, and every list in it of the
present epoch was computed since. A process that holds a lease on that may serve lists without asking the record.

    settled  --certify-->  certifying  --all tombstones written-->  certified
       ^                        |                                       |
       '------ waited ------  raised  <------ a promise was not confirmed by that server ------'

A promise (you are erased, or not profiled; your purchase counts) is kept in the record first and told to the cache
then. If the certified server confirms, it is kept everywhere. If not, the epoch is raised, so that no lease begins or
is renewed, and the promise is acknowledged when every lease that could have begun before has run out.

Guarantees:
    - After `bury` has returned, no process serves lists of this customer: whatever becomes of the cache's server.
    - After `forget` has returned, no process serves a list that was computed before.

Tested by: tests/recsys/serving/test_fence_schedules.py::test_nothing_is_served_that_an_acknowledgement_ruled_out
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain

from recsys.data.subject_request import LIMITS
from recsys.errors import CacheUnavailableError
from recsys.ports import Cache, Erasures, Fences, SubjectRequests
from recsys.types import Fence, FenceState, UserKey

LEASE_SECONDS = 1.0
"""How long a process may serve without asking the record, from the start of the reading that allowed it."""
MARGIN_SECONDS = 0.25
"""What the clocks of two machines may differ in a lease's length, many times over."""
RIVAL_SECONDS = LEASE_SECONDS + 2 * MARGIN_SECONDS
"""How long one who changed the fence meanwhile may take to certify: the waiting for leases, and a moment to fill."""
STALLED_SECONDS = 10.0
"""A certification takes about a second for a million tombstones; one that takes this long has died."""

Wait = Callable[[float], None]


class CacheFence:
    """Keeps promises about lists, over any stores that satisfy the ports. Safe to share between threads."""

    def __init__(
        self, *, fences: Fences, cache: Cache, erasures: Erasures, subjects: SubjectRequests, wait: Wait
    ) -> None:
        """A fence over these stores; `wait` is told for how many seconds."""
        self._fences = fences
        self._cache = cache
        self._erasures = erasures
        self._subjects = subjects
        self._wait = wait

    def bury(self, user_key: UserKey) -> bool:
        """Return when nothing personal of a customer who was suppressed in the record can be served any more.

        Returns:
            Whether the certified server confirmed; False: it took the waiting.

        Raises:
            StorageError: the record does not answer; nothing may be acknowledged.
        """
        return self._promise(lambda: self._cache.bury(user_key))

    def forget(self, user_keys: Iterable[UserKey]) -> bool:
        """Return when no list can be served that was computed before now; otherwise as `bury`."""
        keys = list(user_keys)
        return not keys or self._promise(lambda: self._cache.forget(keys))

    def unbury(self, user_key: UserKey) -> None:
        """Let lists of a customer be kept again, unless something in the record still rules them out.

        A tombstone that stays, as where the cache is dead, costs time and nothing else: the record is asked, and the
        list computed.

        Raises:
            StorageError: the record does not answer.
        """
        if self._is_kept_out(user_key):
            return
        with suppress(CacheUnavailableError):
            self._cache.unbury(user_key)
        if self._is_kept_out(user_key):  # a promise was made meanwhile, and this may have taken its tombstone
            self.bury(user_key)

    def is_certified(self) -> bool:
        """Whether this run of the cache's server is certified, and holds the epoch.

        Raises:
            CacheUnavailableError: the server does not answer.
        """
        return self._is_certified(self._cache.identity())

    def certify(self) -> bool:
        """Whether the cache is certified, by this call or another meanwhile; False: there is none.

        Raises:
            CacheUnavailableError: the server went away, or another changed the fence and did not certify; try again.
            StateError: the server may throw tombstones away; the message says what to set.
        """
        identity = self._cache.identity()
        if not identity:
            return False
        if self._is_certified(identity) or self._certified_here(identity):
            return True
        if not self._is_certified(identity):  # whoever changed the fence did not certify
            raise _busy()
        return True

    def _is_kept_out(self, user_key: UserKey) -> bool:
        """Whether an erasure, an objection or a restriction holds."""
        if self._erasures.holding(user_key) is not None:
            return True
        return any(request.kind in LIMITS for request in self._subjects.of_customer(user_key))

    def _promise(self, tell: Callable[[], str]) -> bool:
        # The record was changed before; the fence is read after the server was told. So either the server that is
        # certified then was told, or it is certified later and is told by the certification.
        identity = _heard(tell)
        confirmed = self._fences.read().holds(identity)
        if not confirmed:
            self._settle()
        return confirmed

    def _settle(self) -> Fence:
        """The fence when no lease can run: the epoch is raised if need be, and leases of before are waited for."""
        fence = self._fences.read()
        while fence.state not in {FenceState.SETTLED, FenceState.RAISED}:
            self._fences.swap(fence, fence.raised())
            fence = self._fences.read()
        if fence.state is FenceState.RAISED:
            self._wait(LEASE_SECONDS + MARGIN_SECONDS)
            self._fences.swap(fence, fence.settled())
        return fence

    def _is_certified(self, identity: str) -> bool:
        fence, permit = self._fences.read(), self._cache.permit()
        is_certified = fence.state is FenceState.CERTIFIED and fence.holds(identity)
        return is_certified and permit is not None and permit.epoch == fence.epoch

    def _certified_here(self, identity: str) -> bool:
        """Whether this call certified the server; False: another changed the fence meanwhile, and had time to do so."""
        if self._is_left_to_others(identity):
            return False
        self._settle()
        filled = self._filled(identity)
        if not filled:
            self._wait(RIVAL_SECONDS)
        return filled

    def _is_left_to_others(self, identity: str) -> bool:
        """Whether somebody else was certifying this server; False also if they have not come on for long."""
        fence = self._fences.read()
        if fence.state is not FenceState.CERTIFYING or not fence.holds(identity):
            return False
        self._wait(STALLED_SECONDS)
        return self._fences.read() != fence

    def _filled(self, identity: str) -> bool:
        fence, permit = self._fences.read(), self._cache.permit()
        begun = fence.certifying(identity, above=permit.epoch if permit else 0)
        if fence.state is not FenceState.SETTLED or not self._fences.swap(fence, begun):
            return False
        self._cache.certify(begun, chain(self._erasures.suppressed(), self._subjects.limited()))
        return self._fences.swap(begun, begun.certified())


def _heard(tell: Callable[[], str]) -> str:
    """The identity of the server that was told; empty if none answered."""
    try:
        return tell()
    except CacheUnavailableError:
        return ""


def _busy() -> CacheUnavailableError:
    msg = "expected to certify the cache, but another process changed its fence meanwhile; try again in a moment"
    return CacheUnavailableError(msg)
