"""A shop in memory that sells teas and coffees, with a model that knows which go together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from recsys.data.history import History
from recsys.evidence.manifest import name_version
from recsys.models.factors import ItemFactors
from recsys.ports import Cache
from recsys.serving.lists import CachedLists
from recsys.serving.recommender import Recommender
from recsys.serving.sealed_lists import open_lists
from recsys.serving.storefront import Storefront
from recsys.store.keys import KeyRing
from recsys.store.memory import MemoryCache, MemoryErasures, MemoryFences, MemoryHistories, MemoryState, MemorySums
from recsys.store.workspace import Workspace, memory_workspace
from recsys.types import (
    CatalogueItem,
    ErasureRequest,
    ErasureState,
    EventStatus,
    ModelVersion,
    Purchase,
    Recommendations,
    Task,
    UserKey,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEAS = tuple(f"tea-{number}" for number in range(6))
COFFEES = tuple(f"coffee-{number}" for number in range(6))
POPULAR = tuple(item for pair in zip(COFFEES, TEAS, strict=True) for item in pair)
"""Every item, the most popular first."""


class CountingHistories(MemoryHistories):
    """Histories that know how often one was read."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__(state)
        self.reads = 0

    def history(self, user_key: UserKey) -> History:
        self.reads += 1
        return super().history(user_key)


def tea_and_coffee(strength: float = 1.0) -> ItemFactors:
    """Teas go with teas, and coffees with coffees; the first of a kind fits best."""
    tables = np.zeros((12, 2), dtype=np.float32)
    tables[:6, 0] = tables[6:, 1] = strength * np.linspace(1.0, 0.5, 6)
    rank = [POPULAR.index(item) for item in TEAS + COFFEES]
    return ItemFactors(
        item_ids=TEAS + COFFEES,
        encoder=tables,
        factors=tables,
        item_weights=np.ones(12, dtype=np.float32),
        popularity=np.array([12 - place for place in rank], dtype=np.float32),
    )


def asked_to_be_forgotten(number: int) -> ErasureRequest:
    return ErasureRequest(
        request_id=f"request {number}",
        subject="ab" * 32,
        reason="customer request",
        received_at=NOON,
        due_at=NOON + timedelta(days=30),
        state=ErasureState.SUPPRESSED,
        release=False,
    )


@dataclass
class Shop:
    """The stores, and a recommender over them."""

    histories: CountingHistories
    workspace: Workspace
    now: datetime = NOON
    recommender: Recommender = field(init=False)

    def __post_init__(self) -> None:
        self.recommender = Recommender(
            pseudonyms=self.workspace.pseudonyms,
            catalogue=self.workspace.catalogue,
            histories=self.histories,
            registry=self.workspace.registry,
            cache=self.workspace.cache,
            seals=self.workspace.keys,
            fence=self.workspace.fence,
            clock=lambda: self.now,
        )

    @property
    def cache(self) -> MemoryCache:
        """The cache, where it is one that a test can switch off."""
        assert isinstance(self.workspace.cache, MemoryCache)
        return self.workspace.cache

    def key(self, user_id: str) -> UserKey:
        return self.workspace.pseudonyms.user_key(user_id)

    def cached(self, user_id: str) -> CachedLists | None:
        """The customer's lists in the cache, of the version that is live."""
        served = self.workspace.registry.served()
        if served.live is None:
            return None
        value = self.workspace.cache.get(self.key(user_id), served.slot_of(served.live) or 0)
        return None if value is None else open_lists(self.workspace.keys, self.key(user_id), value, served.live)

    def release(self, factors: ItemFactors) -> str:
        """Make the model live; its version."""
        version = self.register(factors)
        self.workspace.registry.promote(version)
        return version

    def register(self, factors: ItemFactors) -> str:
        """Keep the model as a candidate; its version."""
        version = name_version(
            ModelVersion(
                version="",
                trainer="gram",
                created_at=NOON,
                model_digest=factors.digest,
                config={},
                privacy={"private": True},
            )
        )
        self.workspace.registry.save(factors, version)
        return version.version

    def buy(self, user_id: str, *items: str) -> list[EventStatus]:
        """Post one purchase of each item, on days of their own, none of which was posted before."""
        revision = self.histories.state(self.key(user_id)).revision
        events = [
            purchase(f"{revision}-{place}", item, timestamp=NOON + timedelta(days=place))
            for place, item in enumerate(items)
        ]
        return self.recommender.record({user_id: events})[user_id]

    def forget(self, user_id: str) -> None:
        """Acknowledge the customer's request to be forgotten."""
        number = len(self.workspace.erasures.requests())
        self.workspace.erasures.suppress(asked_to_be_forgotten(number), self.key(user_id))

    def recommend(self, user_id: str, *, n: int = 20, task: Task = Task.ANY) -> Recommendations:
        return self.recommender.recommend(user_id, n=n, task=task)


def storefront(shop: Shop) -> Storefront:
    """The pages of the shop."""
    return Storefront(
        recommender=shop.recommender,
        pseudonyms=shop.workspace.pseudonyms,
        catalogue=shop.workspace.catalogue,
        histories=shop.histories,
        clock=lambda: shop.now,
    )


def nameless(answer: Recommendations) -> Recommendations:
    """The answer without its id: each list has its own."""
    return replace(answer, recommendation_id=None)


def purchase(event_id: str, item_id: str = "tea-0", quantity: float = 1.0, timestamp: datetime = NOON) -> Purchase:
    return Purchase(item_id=item_id, timestamp=timestamp, quantity=quantity, event_id=event_id)


def open_shop(cache: Callable[[KeyRing], Cache] = lambda _: MemoryCache()) -> Shop:
    """A shop with a catalogue, and neither customers nor a model; the cache may be any, under the shop's keys."""
    state, workspace = MemoryState(), memory_workspace(wait=lambda _: None)
    histories = CountingHistories(state)
    workspace = replace(
        workspace,
        histories=histories,
        sums=MemorySums(state),
        erasures=MemoryErasures(state),
        fences=MemoryFences(),
        cache=cache(workspace.keys),
    )
    workspace.fence.certify()
    workspace.catalogue.add_items([CatalogueItem(item_id=item, name=f"Finest {item}") for item in TEAS + COFFEES])
    return Shop(histories=histories, workspace=workspace)


def ids(answer: Recommendations) -> list[str]:
    """The items of a list, best first."""
    return [item.item_id for item in answer.items]


def unlike(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two lists have nothing in common."""
    return not set(first) & set(second)
