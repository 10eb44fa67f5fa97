"""What is promised about cached lists is confirmed by the certified server, or waited for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from recsys.data.subject_request import SubjectKind, SubjectRequest
from recsys.errors import CacheUnavailableError
from recsys.fence import LEASE_SECONDS, MARGIN_SECONDS, RIVAL_SECONDS, STALLED_SECONDS, CacheFence
from recsys.serving.sealed_lists import TOMBSTONE
from recsys.store.cache import NoCache
from recsys.store.memory import MemoryCache, MemoryErasures, MemoryFences, MemoryState
from recsys.store.memory_subjects import MemorySubjectRequests
from recsys.types import Fence, FenceState, UserKey

ADA, BEN = UserKey(b"a" * 16), UserKey(b"b" * 16)
WHOLE_LEASE = LEASE_SECONDS + MARGIN_SECONDS


@dataclass
class Site:
    """A record, a cache that can be exchanged, and how long was waited."""

    cache: MemoryCache | NoCache = field(default_factory=MemoryCache)
    fences: MemoryFences = field(default_factory=MemoryFences)
    state: MemoryState = field(default_factory=MemoryState)
    waited: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    @property
    def fence(self) -> CacheFence:
        return CacheFence(
            fences=self.fences,
            cache=self.cache,
            erasures=MemoryErasures(self.state),
            subjects=MemorySubjectRequests(self.state),
            wait=self.wait,
        )

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.meanwhile()


@pytest.fixture
def site() -> Site:
    """A certified cache."""
    site = Site()
    assert site.fence.certify()
    return site


def test_the_first_certification_waits_for_nobody(site: Site) -> None:
    assert site.fences.read() == Fence(1, FenceState.CERTIFIED, site.cache.identity())
    assert site.waited == []


def test_certifying_again_changes_nothing(site: Site) -> None:
    before = site.fences.read()
    assert site.fence.certify()
    assert (site.fences.read(), site.waited) == (before, [])


@pytest.mark.parametrize("promise", [lambda fence: fence.bury(ADA), lambda fence: fence.forget([ADA])])
class TestAPromise:
    """Erasure or purchase: both are told and confirmed in the same way."""

    def test_that_the_certified_server_confirms_waits_for_nobody(
        self, site: Site, promise: Callable[[CacheFence], bool]
    ) -> None:
        before = site.fences.read()
        assert promise(site.fence)
        assert (site.fences.read(), site.waited) == (before, [])

    def test_that_no_server_confirms_raises_the_epoch_and_waits_for_every_lease(
        self, site: Site, promise: Callable[[CacheFence], bool]
    ) -> None:
        assert isinstance(site.cache, MemoryCache)
        site.cache.down = True
        states: list[Fence] = []
        site.meanwhile = lambda: states.append(site.fences.read())
        assert not promise(site.fence)
        assert site.waited == [WHOLE_LEASE]
        assert states == [Fence(2, FenceState.RAISED)]
        assert site.fences.read() == Fence(2, FenceState.SETTLED)

    def test_while_the_cache_stays_away_only_the_first_waits(
        self, site: Site, promise: Callable[[CacheFence], bool]
    ) -> None:
        assert isinstance(site.cache, MemoryCache)
        site.cache.down = True
        for _ in range(3):
            assert not promise(site.fence)
        assert site.waited == [WHOLE_LEASE]

    def test_that_another_run_of_the_server_confirms_is_not_confirmed(
        self, site: Site, promise: Callable[[CacheFence], bool]
    ) -> None:
        site.cache = MemoryCache()
        assert not promise(site.fence)
        assert site.waited == [WHOLE_LEASE]

    def test_of_a_process_without_a_cache_is_not_confirmed(
        self, site: Site, promise: Callable[[CacheFence], bool]
    ) -> None:
        site.cache = NoCache()
        assert not promise(site.fence)
        assert site.waited == [WHOLE_LEASE]

    def test_where_nobody_has_a_cache_waits_for_nobody(self, promise: Callable[[CacheFence], bool]) -> None:
        site = Site(cache=NoCache())
        assert not promise(site.fence)
        assert (site.waited, site.fences.read()) == ([], Fence())

    def test_that_finds_the_epoch_raised_by_another_waits_too(
        self, site: Site, promise: Callable[[CacheFence], bool]
    ) -> None:
        site.fences.swap(site.fences.read(), site.fences.read().raised())
        assert not promise(site.fence)
        assert site.waited == [WHOLE_LEASE]

    def test_that_is_not_confirmed_ends_a_certification_that_is_under_way(
        self, site: Site, promise: Callable[[CacheFence], bool]
    ) -> None:
        """It may have read who is suppressed before."""
        begun = site.fences.read().certifying("another server")
        site.fences.swap(site.fences.read(), begun)
        assert not promise(site.fence)
        assert not site.fences.swap(begun, begun.certified())


def test_nobody_to_forget_is_nothing_to_promise(site: Site) -> None:
    assert isinstance(site.cache, MemoryCache)
    site.cache.down = True
    assert site.fence.forget([])
    assert site.waited == []


def test_a_new_run_is_certified_after_every_lease_with_all_tombstones(site: Site) -> None:
    site.state.suppressed.update({ADA, BEN})
    site.cache = MemoryCache()
    assert site.fence.certify()
    assert site.waited == [WHOLE_LEASE]
    assert site.cache.headers([ADA, BEN]) == [TOMBSTONE, TOMBSTONE]
    assert site.fences.read() == Fence(3, FenceState.CERTIFIED, site.cache.identity())


def test_a_server_that_lost_its_epoch_is_certified_again(site: Site) -> None:
    assert isinstance(site.cache, MemoryCache)
    site.cache._epoch = None
    assert site.fence.certify()
    assert site.cache.permit() is not None
    assert site.waited == [WHOLE_LEASE]


def test_the_new_epoch_is_above_the_servers_too(site: Site) -> None:
    """After a backup of the record was put back, its epochs must not come twice."""
    site.fences._fence = Fence()
    assert site.fence.certify()
    assert site.fences.read().epoch == 2


OBJECTION = SubjectRequest(
    request_id="o", kind=SubjectKind.OBJECTION, received_at=datetime(2026, 1, 31, 12, tzinfo=UTC)
)


def test_a_tombstone_stays_as_long_as_something_in_the_record_holds(site: Site) -> None:
    subjects = MemorySubjectRequests(site.state)
    subjects.limit(OBJECTION, ADA)
    site.fence.bury(ADA)
    site.fence.unbury(ADA)
    assert site.cache.get(ADA) == TOMBSTONE
    subjects.lift(ADA, SubjectKind.OBJECTION)
    site.fence.unbury(ADA)
    assert site.cache.get(ADA) != TOMBSTONE


def test_a_promise_that_is_made_while_a_tombstone_is_taken_away_holds(site: Site) -> None:
    class Meanwhile(MemoryCache):
        def unbury(self, user_key: UserKey) -> None:
            MemorySubjectRequests(site.state).limit(OBJECTION, user_key)
            site.fence.bury(user_key)
            super().unbury(user_key)

    site.cache = Meanwhile()
    assert site.fence.certify()
    site.fence.unbury(ADA)
    assert site.cache.get(ADA) == TOMBSTONE


def test_without_a_cache_there_is_nothing_to_certify(site: Site) -> None:
    before = site.fences.read()
    site.cache = NoCache()
    assert not site.fence.certify()
    assert site.fences.read() == before


def test_a_cache_that_is_down_is_not_certified_and_costs_the_others_nothing(site: Site) -> None:
    assert isinstance(site.cache, MemoryCache)
    before, site.cache.down = site.fences.read(), True
    with pytest.raises(CacheUnavailableError):
        site.fence.certify()
    assert site.fences.read() == before


def test_a_certification_of_another_process_is_left_alone(site: Site) -> None:
    begun = site.fences.read().certifying(site.cache.identity())
    site.fences.swap(site.fences.read(), begun)
    site.meanwhile = lambda: site.fences.swap(begun, begun.certified())
    with pytest.raises(CacheUnavailableError, match="another process"):
        site.fence.certify()
    assert site.waited == [STALLED_SECONDS]
    assert site.fences.read() == begun.certified()


@pytest.mark.parametrize("turns", [1, 2])
def test_a_race_that_another_process_wins_ends_certified(site: Site, turns: int) -> None:
    """The other one is done while this one waits for leases, or only begins then and is done a moment later."""
    site.cache = MemoryCache()

    def win() -> None:
        fence = site.fences.read()
        begun = fence if fence.state is FenceState.CERTIFYING else fence.certifying(site.cache.identity())
        if fence.state is not FenceState.CERTIFIED:
            site.fences.swap(fence, begun)
        if len(site.waited) == turns:
            site.cache.certify(begun, [])
            site.fences.swap(begun, begun.certified())

    site.meanwhile = win
    assert site.fence.certify()
    assert site.fences.read() == Fence(3, FenceState.CERTIFIED, site.cache.identity())
    assert site.waited == [WHOLE_LEASE, RIVAL_SECONDS]


def test_a_certification_that_was_left_to_another_process_is_found(site: Site) -> None:
    begun = site.fences.read().certifying(site.cache.identity())
    site.fences.swap(site.fences.read(), begun)

    def finish() -> None:
        site.cache.certify(begun, [])
        site.fences.swap(begun, begun.certified())

    site.meanwhile = finish
    assert site.fence.certify()
    assert site.waited == [STALLED_SECONDS]


def test_a_certification_whose_process_died_is_done_again(site: Site) -> None:
    begun = site.fences.read().certifying(site.cache.identity())
    site.fences.swap(site.fences.read(), begun)
    assert site.fence.certify()
    assert site.waited == [STALLED_SECONDS, WHOLE_LEASE]
    assert site.fences.read().state is FenceState.CERTIFIED


def test_an_epoch_that_is_raised_while_tombstones_are_written_is_not_certified(site: Site) -> None:
    class Interrupted(MemoryCache):
        def certify(self, fence: Fence, buried: object) -> None:
            site.fences.swap(fence, fence.raised())

    site.cache = Interrupted()
    with pytest.raises(CacheUnavailableError, match="another process"):
        site.fence.certify()
    assert site.fences.read().state is FenceState.RAISED
