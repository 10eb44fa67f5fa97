"""Publishing: every customer's lists in the cache, before anybody asks.

Rules:
    1. Lists are written under a permit that is older than all that they were computed from (recsys/fence.py).
    2. It can be stopped and run again at any moment: what is good under the present permit is not computed twice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from recsys.clock import Clock
from recsys.data.history import History
from recsys.errors import CacheUnavailableError
from recsys.fence import CacheFence
from recsys.ports import Cache, Histories, Seals
from recsys.serving.lists import KEPT_LENGTH, grown_habits
from recsys.serving.loaded import LoadedModel
from recsys.serving.published import Edition, sealed_values
from recsys.serving.sealed_lists import Header, Kind, generation_of, read_header
from recsys.types import Permit, UserKey

PUBLISH_BATCH = 500
"""Customers whose lists are computed and written at once."""

Customer = tuple[UserKey, int, History]
"""Key, revision, history."""

Progress = Callable[[int], None]
"""Told how many customers were finished since it was last told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """How far a version is published: exact, and so for the operator alone."""

    customers: int
    ready: int

    @property
    def share(self) -> float:
        """Of all customers, those whose lists are ready; 1 where there is nobody."""
        return self.ready / self.customers if self.customers else 1.0


class Publisher:
    """Publishes versions, over any stores that satisfy the ports. Safe to share between threads."""

    def __init__(self, *, histories: Histories, cache: Cache, seals: Seals, fence: CacheFence, clock: Clock) -> None:
        """A publisher over these stores."""
        self._histories = histories
        self._cache = cache
        self._seals = seals
        self._fence = fence
        self._clock = clock

    def publish(self, model: LoadedModel, progress: Progress) -> int:
        """Compute and cache the model's lists of all customers who have none yet; returns how many have them now.

        Raises:
            CacheUnavailableError: the cache went away; what was written stays valid, run it again.
        """
        if not self._fence.certify():
            return 0
        return sum(self._publish(batch, permit, model, progress) for batch, permit in self._batches())

    def published(self, version: str, slot: int | None) -> Published | None:
        """How many customers there are, and how many have lists of the version in the slot; None without a cache.

        Raises:
            CacheUnavailableError: the cache does not answer.
        """
        if not self._fence.certify():
            return None
        customers = ready = 0
        for batch, permit in self._batches():
            customers += len(batch)
            ready += len(batch) - len(self._missing(batch, permit, version, slot)) if slot is not None else 0
        return Published(customers=customers, ready=ready)

    def _batches(self) -> Iterator[tuple[list[Customer], Permit]]:
        """Every customer, with a permit that is older than what was read of them."""
        permit = self._permit()
        batch = list(islice(self._histories.scan(), PUBLISH_BATCH))
        while batch:
            yield batch, permit
            permit = self._permit()
            batch = list(islice(self._histories.scan(batch[-1][0]), PUBLISH_BATCH))

    def _permit(self) -> Permit:
        permit = self._cache.permit()
        if permit is None:
            msg = "expected a certified cache to publish to, got one that lost its epoch; run it again: privrec publish"
            raise CacheUnavailableError(msg)
        return permit

    def _publish(self, batch: list[Customer], permit: Permit, model: LoadedModel, progress: Progress) -> int:
        missing = self._missing(batch, permit, model.version, model.slot)
        kept = self._cache.put(permit, self._sealed(missing, permit, model), model.slot) if missing else 0
        progress(len(batch))
        return len(batch) - len(missing) + kept

    def _missing(self, batch: list[Customer], permit: Permit, version: str, slot: int) -> list[Customer]:
        """The customers without a list of the version that is good under the permit."""
        ready = Header(Kind.LISTS, permit.epoch, generation_of(version))
        headers = self._cache.headers([key for key, _, _ in batch], slot)
        return [customer for customer, header in zip(batch, headers, strict=True) if read_header(header) != ready]

    def _sealed(
        self, customers: Sequence[Customer], permit: Permit, model: LoadedModel
    ) -> Iterator[tuple[UserKey, bytes]]:
        own = grown_habits([history for _, _, history in customers], len(model.factors.item_ids))
        edition = Edition(version=model.version, permit=permit, generated_at=self._clock())
        keys = [(user_key, revision) for user_key, revision, _ in customers]
        return sealed_values(self._seals, edition, replace(model.ranker, length=KEPT_LENGTH), keys, own)
