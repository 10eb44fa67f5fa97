"""A shop with a model from `train`, customers who are in it, and everything that an erasure goes through."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipelines.erase import desk, recommender
from recsys.data.history import EMPTY_HISTORY
from recsys.erasure.workflow import ErasureWorker
from recsys.evidence.receipt import fitting, verify_receipt
from recsys.models.gram import GramSum
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.noise import Entropy
from recsys.serving.lists import CachedLists
from recsys.serving.recommender import Recommender
from recsys.serving.sealed_lists import TOMBSTONE, open_lists
from recsys.store.memory import MemoryCache
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace
from recsys.training.renew import renew
from recsys.training.terms import TrainConfig
from recsys.training.train import train
from recsys.types import SLOTS, ErasureRequest, ModelStatus, ModelVersion, PrivacyBudget, UserKey
from tests.recsys.training.shop import LOUD, OPENING, TickingClock, fill, seeded, small_log, spends

THREE_RELEASES = TrainConfig(epsilon=LOUD, releases=3)
"""The training, and two erasures that release at once."""
LOG = small_log(30)
ADA, BEN, EVE = LOG.users[3], LOG.users[4], LOG.users[29]
"""Three of the thirty customers."""
NOBODY = "nobody@mail.example"


@dataclass
class Shop:
    """A workspace with what works on it."""

    workspace: Workspace
    entropy: Entropy

    def key(self, user_id: str) -> UserKey:
        return self.workspace.pseudonyms.user_key(user_id)

    def cached(self, user_id: str) -> CachedLists | None:
        """The customer's lists in the cache, of the version that is live."""
        value = self.cache.get(self.key(user_id), self.workspace.registry.served().slot_of(live(self)) or 0)
        return open_lists(self.workspace.keys, self.key(user_id), value or b"", live(self))

    @property
    def recommender(self) -> Recommender:
        return recommender(self.workspace)

    @property
    def cache(self) -> MemoryCache:
        assert isinstance(self.workspace.cache, MemoryCache)
        return self.workspace.cache

    def ask(self, user_id: str, *, release: bool = False) -> tuple[ErasureRequest, str]:
        """Hand in a request at the desk."""
        return desk(self.workspace).request(user_id, release=release)

    def work(self) -> tuple[ErasureRequest, ...]:
        """Let a new worker finish what is pending."""
        return worker(self.workspace, self.entropy).run(waiting=True)

    def erase(self, user_id: str, *, release: bool = False) -> ErasureRequest:
        """From the desk to the receipt."""
        request, _ = self.ask(user_id, release=release)
        self.work()
        return self.workspace.erasures.request(request.request_id)

    def train(self, config: TrainConfig) -> ModelVersion:
        return train(self.workspace, config, entropy=self.entropy)

    def budget(self, epsilon: float) -> None:
        """Raise or lower what all releases may cost."""
        ledger = PrivacyLedger(self.workspace.ledger_log, self.workspace.clock)
        ledger.set_budget(PrivacyBudget(epsilon=epsilon, delta=1e-6), note="decided by the board")

    def receipt(self, request: ErasureRequest) -> dict[str, Any]:
        """The body of the receipt, verified."""
        data = self.workspace.erasures.receipt(request.request_id)
        return verify_receipt(data, self.workspace.public_key)

    def outcomes(self, request: ErasureRequest) -> dict[str, dict[str, Any]]:
        """What the request says about each affected version, which its receipt confirms."""
        details: Any = self.workspace.erasures.request(request.request_id).details
        assert self.receipt(request)["steps"] == fitting(details)
        return {entry["version"]: entry for entry in details["released"]["versions"]}

    def statuses(self) -> dict[str, ModelStatus]:
        return {version.version: version.status for version in self.workspace.registry.versions()}

    def live(self) -> str | None:
        return self.workspace.registry.live()

    def spends(self) -> list[object]:
        return list(spends(self.workspace))


def worker(workspace: Workspace, entropy: Entropy) -> ErasureWorker:
    return ErasureWorker(
        workspace,
        release_again=lambda sum_id, purpose: renew(workspace, sum_id, purpose=purpose, entropy=entropy),
        publish=recommender(workspace).publish,
    )


def open_sqlite(state_dir: Path, *, day: int = 0) -> AbstractContextManager[Workspace]:
    """The workspace in the directory, without a cache server, in a process that starts on a later day than others."""
    clock = TickingClock(OPENING + timedelta(days=day))
    return open_workspace(Settings(state_dir=state_dir), clock=clock, start_cache=False)


def stock(workspace: Workspace, config: TrainConfig | None = THREE_RELEASES) -> Shop:
    """The shop over an empty workspace, filled, trained and published."""
    shop = Shop(fill(workspace, LOG), seeded())
    if config is not None:
        shop.train(config)
        shop.recommender.publish()
    return shop


def with_cache(workspace: Workspace) -> Workspace:
    """The workspace with a certified cache in memory."""
    filled = replace(workspace, cache=MemoryCache(), wait=lambda _: None)
    filled.fence.certify()
    return filled


def sum_without(content: GramSum, user_ids: Sequence[str]) -> GramSum:
    """The sum under the same rule over customers who never were these."""
    rows = [index for index, user in enumerate(LOG.users) if user not in user_ids]
    return GramSum.empty(content.items, content.rule).add(LOG.interactions().matrix[rows])


def assert_forgotten(shop: Shop, user_id: str) -> None:
    """Nothing of the customer is in any store."""
    key = shop.key(user_id)
    assert shop.workspace.histories.history(key) == EMPTY_HISTORY
    assert not shop.workspace.histories.state(key).known
    assert shop.workspace.histories.state(key).suppressed
    assert shop.workspace.sums.terms_of(key) == {}
    assert shop.workspace.subjects.of_customer(key) == ()
    assert {shop.workspace.cache.get(key, slot) for slot in SLOTS} <= {None, TOMBSTONE}
    assert key not in [scanned for scanned, _, _ in shop.workspace.histories.scan()]


def content(shop: Shop) -> GramSum:
    """The live model's sum."""
    sum_id = shop.workspace.sums.latest_sum()
    assert sum_id is not None
    return GramSum.from_bytes(shop.workspace.sums.load_sum(sum_id))


def live(shop: Shop) -> str:
    version = shop.live()
    assert version is not None
    return version
