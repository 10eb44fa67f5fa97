"""Whatever happens in whatever order: from the acknowledgement on, nothing personal is served and nothing is taken."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from recsys.errors import CacheUnavailableError, InputError, PrivrecError, StorageError
from recsys.models.gram import GramSum
from recsys.store.memory import MemoryErasures, MemoryState
from recsys.store.workspace import memory_workspace
from recsys.training.terms import TrainConfig
from recsys.types import SLOTS, ErasureState, EventStatus, Json, ModelStatus, Permit, Task
from tests.recsys.erasure.shop import LOG, NOBODY, assert_forgotten, stock, with_cache
from tests.recsys.serving.shop import nameless, purchase
from tests.recsys.training.shop import TickingClock

CUSTOMERS = LOG.users[:4]
CHEAP = TrainConfig(epsilon=0.5)
PLENTY = 200.0

customers = st.sampled_from(CUSTOMERS)
items = st.sampled_from(LOG.items)


class TiringErasures(MemoryErasures):
    """A queue that refuses after some writes, as a database does whose disk is full."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__(state)
        self.writes_left = 0

    def erase_customers(self, details: Mapping[str, Mapping[str, Json]], sums: Mapping[str, bytes]) -> None:
        self._tire()
        super().erase_customers(details, sums)

    def advance(self, request_id: str, state: ErasureState, details: Mapping[str, Json]) -> None:
        self._tire()
        super().advance(request_id, state, details)

    def _tire(self) -> None:
        if not self.writes_left:
            msg = "the disk is full"
            raise StorageError(msg)
        self.writes_left -= 1


class ShopLife(RuleBasedStateMachine):
    """A shop in memory with four customers of interest among thirty."""

    def __init__(self) -> None:
        super().__init__()
        workspace = memory_workspace(clock=TickingClock(), wait=lambda _: None)
        erasures = TiringErasures(workspace.erasures._state)  # type: ignore[attr-defined]
        self.queue = erasures
        self.shop = stock(replace(workspace, erasures=erasures), None)
        self.shop.budget(PLENTY)
        self.shop.train(CHEAP)
        self.acknowledged: dict[str, str] = {}
        self.slow: dict[str, tuple[Permit | None, bytes]] = {}
        self.n_events = 0

    @rule(user=customers, item=items)
    def post_an_event(self, user: str, item: str) -> None:
        self.n_events += 1
        expected = EventStatus.SUPPRESSED if user in self.acknowledged else EventStatus.ACCEPTED
        assert self.shop.recommender.record({user: [purchase(f"new {self.n_events}", item)]}) == {user: [expected]}

    @rule(user=customers, task=st.sampled_from(Task), n=st.integers(1, 100))
    def recommend(self, user: str, task: Task, n: int) -> None:
        answer = self.shop.recommender.recommend(user, n=n, task=task)
        if user in self.acknowledged:
            unknown = self.shop.recommender.recommend(NOBODY, n=n, task=task)
            assert nameless(answer) == replace(nameless(unknown), generated_at=answer.generated_at)
        else:
            assert answer.personalized

    @rule(user=customers, release=st.booleans())
    def request_an_erasure(self, user: str, release: bool) -> None:
        request, salt = self.shop.ask(user, release=release)
        assert bool(salt) == (user not in self.acknowledged)
        assert self.acknowledged.setdefault(user, request.request_id) == request.request_id

    @rule(writes=st.integers(0, 9))
    def work(self, writes: int) -> None:
        """As far as the disk lets the worker come."""
        self.queue.writes_left = writes
        try:
            self.shop.work()
        except PrivrecError as error:
            assert isinstance(error, StorageError | CacheUnavailableError)  # noqa: PT017 - any other is a failure
        self.queue.writes_left = 0

    @rule()
    def finish_everything(self) -> None:
        self.shop.cache.down = False
        self.queue.writes_left = 1000
        self.shop.work()
        assert self.shop.workspace.erasures.pending() == ()

    @rule()
    def publish(self) -> None:
        if self.shop.cache.down:
            with pytest.raises(CacheUnavailableError):
                self.shop.recommender.publish()
        else:
            assert self.shop.recommender.publish() == len(LOG.users) - len(self.acknowledged)

    @rule()
    def lose_the_cache(self) -> None:
        self.shop.workspace = with_cache(self.shop.workspace)

    @rule(down=st.booleans())
    def cut_or_mend_the_line_to_the_cache(self, down: bool) -> None:
        self.shop.cache.down = down

    @precondition(lambda self: not self.shop.cache.down)
    @rule(user=customers, slot=st.sampled_from(SLOTS))
    def a_slow_request_computes_its_list(self, user: str, slot: int) -> None:
        if value := self.shop.cache.get(self.shop.key(user), slot):
            self.slow[user] = (self.shop.cache.permit(), value)

    @precondition(lambda self: self.slow and not self.shop.cache.down)
    @rule(slot=st.sampled_from(SLOTS))
    def a_slow_request_keeps_its_list(self, slot: int) -> None:
        """Computed before the acknowledgement perhaps, and kept after it."""
        user, (permit, value) = self.slow.popitem()
        if permit is not None:
            self.shop.cache.put(permit, [(self.shop.key(user), value)], slot)

    @rule()
    def train(self) -> None:
        self.shop.train(CHEAP)

    @precondition(lambda self: self.acknowledged)
    @rule()
    def try_to_seal_a_sum_with_a_forgotten_customer(self) -> None:
        user = next(iter(self.acknowledged))
        with pytest.raises(InputError, match="not suppressed"):
            self.shop.workspace.sums.create_sum("late", b"", [(self.shop.key(user), b"")])

    def finished(self, user: str) -> bool:
        request_id = self.acknowledged.get(user)
        return request_id is not None and self.queue.request(request_id).state is ErasureState.RECEIPTED

    @invariant()
    def whoever_asked_to_be_forgotten_is_suppressed(self) -> None:
        for user in CUSTOMERS:
            assert self.shop.workspace.histories.state(self.shop.key(user)).suppressed == (user in self.acknowledged)

    @invariant()
    def nothing_is_left_of_whoever_has_a_receipt(self) -> None:
        for user in CUSTOMERS:
            if self.finished(user):
                down, self.shop.cache.down = self.shop.cache.down, False
                assert_forgotten(self.shop, user)
                self.shop.cache.down = down

    @invariant()
    def every_sum_holds_those_who_have_a_term_in_it(self) -> None:
        for version in self.shop.workspace.registry.versions():
            terms = [self.shop.workspace.sums.terms_of(self.shop.key(user)) for user in LOG.users]
            content = GramSum.from_bytes(self.shop.workspace.sums.load_sum(str(version.sum_id)))
            assert content.n_added == sum(version.sum_id in held for held in terms)

    @invariant()
    def a_model_is_live(self) -> None:
        statuses = [version.status for version in self.shop.workspace.registry.versions()]
        assert statuses.count(ModelStatus.LIVE) == 1

    def teardown(self) -> None:
        """Whatever state things are in, one run of the worker finishes them."""
        self.finish_everything()
        for user in self.acknowledged:
            assert_forgotten(self.shop, user)


# Each example trains and erases for real: fewer of them than of the small properties.
ShopLife.TestCase.settings = settings(max_examples=settings().max_examples // 4, stateful_step_count=25)
TestAnyOrder = ShopLife.TestCase
