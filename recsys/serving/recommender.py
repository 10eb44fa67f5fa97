"""Recommendations for a customer.

Rules:
    1. SQL says who is suppressed (erased, restricted, or objecting to profiling) and which revision a history has; the
       live pointer says which model is served, and which other one to whom. Both are read with every request.
    2. A cached list counts only if its version is live and its revision is the history's: the cache is never trusted to
       be new. Lists are written under a permit that is older than all that they were computed from (recsys/fence.py),
       so that a process with a lease may serve them without asking SQL.
    3. Without a usable cached list the list is computed from the customer's own history; a cache that is down costs
       time only.
    4. Unknown and suppressed customers get the same popular list, in the same form.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from recsys.clock import Clock
from recsys.data.history import History
from recsys.errors import CacheUnavailableError, InputError, StateError
from recsys.fence import CacheFence
from recsys.ports import Cache, Catalogue, Histories, Pseudonyms, Registry, Seals
from recsys.serving.lists import KEPT_LENGTH, LIST_LENGTH, CachedLists, Row, grown_habits, personal_lists, told
from recsys.serving.loaded import LoadedModel
from recsys.serving.publisher import Progress, Published, Publisher
from recsys.serving.purchases import PurchaseDesk
from recsys.serving.recommendation_ids import make_id, new_serial
from recsys.serving.sealed_lists import open_lists, seal_lists
from recsys.types import (
    CustomerState,
    EventStatus,
    Permit,
    Purchase,
    Recommendation,
    Recommendations,
    Served,
    Task,
    UserKey,
)


class Recommender:
    """Answers for customers, over any stores that satisfy the ports. Safe to share between threads."""

    def __init__(
        self,
        *,
        pseudonyms: Pseudonyms,
        catalogue: Catalogue,
        histories: Histories,
        registry: Registry,
        cache: Cache,
        seals: Seals,
        fence: CacheFence,
        clock: Clock,
    ) -> None:
        """A recommender over these stores."""
        self._pseudonyms = pseudonyms
        self._catalogue = catalogue
        self._histories = histories
        self._registry = registry
        self._cache = cache
        self._seals = seals
        self._clock = clock
        self._publisher = Publisher(histories=histories, cache=cache, seals=seals, fence=fence, clock=clock)
        self._purchases = PurchaseDesk(pseudonyms=pseudonyms, catalogue=catalogue, histories=histories, fence=fence)
        self._loaded: Mapping[str, LoadedModel] = {}
        self._items: tuple[tuple[str, str], ...] = ()

    def recommend(self, user_id: str, *, n: int = 20, task: Task = Task.ANY) -> Recommendations:
        """The customer's list; popular items, not personalised, for a customer who is unknown or was erased.

        Raises:
            InputError: n is not within 1 to 100, or the id cannot be one.
        """
        if not 1 <= n <= LIST_LENGTH:
            msg = f"expected n between 1 and {LIST_LENGTH}, got {n}; ask for fewer items"
            raise InputError(msg)
        user_key = self._pseudonyms.user_key(user_id)
        state = self._histories.state(user_key)
        model = self.model_for(user_key)
        if model is None:
            return self._everybodys((), task=task, version=None)
        found = self._personal(user_key, state, model, n) if state.known and not state.suppressed else None
        if found is None:
            return self._everybodys(model.popular[:n], task=task, version=model.version)
        lists, degraded = found
        return Recommendations(
            items=self._shown(lists.lists[task][:n]),
            task=task,
            personalized=True,
            version=lists.version,
            generated_at=lists.generated_at,
            degraded=degraded,
            recommendation_id=lists.recommendation_id,
        )

    def live(self) -> LoadedModel | None:
        """The model that is served to whom no experiment is shown; None while there is none."""
        return self._served(self._registry.served())

    def model_for(self, user_key: UserKey) -> LoadedModel | None:
        """The model that is served to the customer; None while there is none.

        It is a matter of the key alone: who is unknown or was erased is in an arm like everybody else.
        """
        served = self._registry.served()
        experiment = served.experiment
        shown = experiment is not None and experiment.shows(self._pseudonyms.draw(user_key, experiment.salt))
        return self._served(served, experiment.version if experiment and shown else None)

    def new_id(self, version: str | None, made: datetime) -> str | None:
        """The id of a new list that the version made at this moment; None where no model made it."""
        return None if version is None else self._id(version, made)

    def record(self, events: Mapping[str, Sequence[Purchase]]) -> dict[str, list[EventStatus]]:
        """Take purchases; one status per purchase, in order. The next answer counts them: see `PurchaseDesk.record`."""
        return self._purchases.record(events)

    def publish(self, progress: Progress = lambda _: None, *, version: str | None = None) -> int:
        """Compute and cache a version's lists of all customers who have none yet; returns how many have them now.

        It can be stopped and run again at any moment: lists that are up to date are not computed twice. Purchases and
        erasures that come meanwhile win over the lists that are being written. Lists of a version that is not live
        lie beside those of the live one, which serve on.

        Args:
            progress: told of customers who were finished
            version: one that has a slot of the cache; the live one if none is named

        Raises:
            InputError: no version was named, and no model is live.
            StateError: the version has no slot.
            CacheUnavailableError: the cache went away; what was written stays valid, run it again.
        """
        served = self._registry.served()
        model = self._served(served) if version is None else self._model(version, served)
        if model is None:
            msg = "expected a live model to publish, got none; train one first: privrec train"
            raise InputError(msg)
        return self._publisher.publish(model, progress)

    def published(self, version: str) -> Published | None:
        """How many customers there are, and how many have lists of the version in the cache; None without a cache.

        Raises:
            CacheUnavailableError: the cache does not answer.
        """
        return self._publisher.published(version, self._registry.served().slot_of(version))

    def _personal(
        self, user_key: UserKey, state: CustomerState, model: LoadedModel, n: int
    ) -> tuple[CachedLists, bool] | None:
        """The customer's lists, of n items or more where there are so many, and whether the cache is down.

        None if the customer was suppressed a moment ago, or every purchase was deleted.
        """
        permit, degraded = None, False
        try:
            cached = self._cached(user_key, model) if n <= KEPT_LENGTH else None
            if cached and cached.revision == state.revision:
                return cached, False
            permit = self._cache.permit()
        except CacheUnavailableError:
            degraded = True
        # Read again, for a permit must be older than all that is read under it.
        state = self._histories.state(user_key)
        history = self._histories.history(user_key)
        if state.suppressed or not len(history):
            return None
        fresh = self._fresh(state, history, model)
        return fresh, degraded or not self._keep(user_key, fresh, permit, model.slot)

    def _cached(self, user_key: UserKey, model: LoadedModel) -> CachedLists | None:
        value = self._cache.get(user_key, model.slot)
        return None if value is None else open_lists(self._seals, user_key, value, model.version)

    def _keep(self, user_key: UserKey, lists: CachedLists, permit: Permit | None, slot: int) -> bool:
        """Whether the cache answered; a cache that is not certified keeps nothing, and that is no fault."""
        if permit is None:
            return True
        try:
            self._cache.put(permit, [(user_key, self._seal(user_key, lists, permit))], slot)
        except CacheUnavailableError:
            return False
        return True

    def _seal(self, user_key: UserKey, lists: CachedLists, permit: Permit) -> bytes:
        return seal_lists(self._seals, user_key, epoch=permit.epoch, stamp=permit.stamp, lists=lists.kept())

    def _fresh(self, state: CustomerState, history: History, model: LoadedModel) -> CachedLists:
        """The customer's lists, computed; the catalogue may have grown since the model was made."""
        own = grown_habits([history], len(model.factors.item_ids))
        now = self._clock()
        [lists] = personal_lists(model.factors, own, model.ranker)
        return CachedLists(
            version=model.version,
            revision=state.revision,
            recommendation_id=self._id(model.version, now),
            generated_at=now,
            lists=lists,
        )

    def _served(self, served: Served, version: str | None = None) -> LoadedModel | None:
        """The version's model, or the live one, loaded when the pointer has moved; kept are those in the slots."""
        wanted = version or served.live
        if wanted is None:
            return None
        model = self._loaded.get(wanted)
        if model is None or model.slot != served.slot_of(wanted):
            model = self._model(wanted, served)
            others = {each: other for each, other in self._loaded.items() if each in served.slots}
            self._loaded = {**others, wanted: model}
        return model

    def _model(self, version: str, served: Served) -> LoadedModel:
        slot = served.slot_of(version)
        if slot is None:
            msg = (
                f"expected a version with a slot of the cache, {version} has none; give it one: privrec models publish"
            )
            raise StateError(msg)
        factors, _ = self._registry.load(version)
        self._refresh_items()
        return LoadedModel.of(version, factors, slot)

    def _know(self, rows: Sequence[Row]) -> None:
        """Read the catalogue again if it has grown by one of the rows' items."""
        if any(item >= len(self._items) for item, _, _ in rows):
            self._refresh_items()

    def _id(self, version: str, made: datetime) -> str:
        return make_id(self._seals, new_serial(), version=version, made=made)

    def _refresh_items(self) -> None:
        items = self._catalogue.items()
        self._items = tuple((item.item_id, item.name or item.item_id) for item in items)

    def _everybodys(self, rows: Sequence[Row], *, task: Task, version: str | None) -> Recommendations:
        """The answer for whoever has no list."""
        now = self._clock()
        return Recommendations(
            items=self._shown(rows),
            task=task,
            personalized=False,
            version=version,
            generated_at=now,
            recommendation_id=self.new_id(version, now),
        )

    def _shown(self, rows: Sequence[Row]) -> tuple[Recommendation, ...]:
        self._know(rows)
        return tuple(
            Recommendation(item_id=self._items[item][0], name=self._items[item][1], score=told(score), reason=reason)
            for item, score, reason in rows
        )
