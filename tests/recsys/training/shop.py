"""A small shop in a workspace, with time and randomness that repeat."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import numpy as np
import pytest

from recsys.data.history import Purchases
from recsys.data.interactions import PurchaseLog
from recsys.data.worlds import tiny_shop
from recsys.models.attributes import ItemAttributes
from recsys.models.customer import pack_term
from recsys.models.gram import GramSum
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.noise import Entropy
from recsys.store.workspace import Workspace, memory_workspace
from recsys.training.fit import fit
from recsys.training.release import made_live, register
from recsys.training.report import DataDigest
from recsys.training.terms import Terms, TrainConfig
from recsys.training.train import snapshot
from recsys.types import CatalogueItem, ErasureRequest, ErasureState, Json, ModelVersion, Trainer, UserKey

OPENING = datetime(2026, 1, 31, 12, tzinfo=UTC)
LOUD = 200.0
"""An epsilon at which what so few customers have in common rises above the noise."""
PLENTY = 1000.0
"""A budget for several releases of that kind."""
NEEDS_TORCH = pytest.mark.skipif(
    not (find_spec("torch") and find_spec("opacus")), reason="torch is not installed: pip install 'privrec[dp]'"
)
DP_SGD = pytest.param(Trainer.DP_SGD, marks=NEEDS_TORCH)
EVERY_TRAINER = [*(trainer for trainer in Trainer if trainer is not Trainer.DP_SGD), DP_SGD]
"""The trainers, the one that needs torch only where that is installed."""


@dataclass
class TickingClock:
    """A clock that is a second later with every look, so that the order of versions is never in doubt."""

    now: datetime = field(default=OPENING)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def seeded(seed: int = 0) -> Entropy:
    """Randomness that repeats."""
    return np.random.default_rng(seed).bytes


def never(_: int) -> bytes:
    """Randomness that must not be asked for."""
    pytest.fail("noise was drawn")


def small_log(n_customers: int = 40) -> PurchaseLog:
    """Some three hundred purchases; the ids are too long to occur in a file by chance."""
    log = tiny_shop(np.random.default_rng(7), n_customers=n_customers, n_items=24, purchases_per_customer=8)
    return replace(log, users=tuple(f"customer-{user}@mail.example" for user in log.users))


def fill(workspace: Workspace, log: PurchaseLog) -> Workspace:
    """The workspace with the log's items and purchases."""
    workspace.catalogue.add_items([CatalogueItem(item_id=item, name=f"Item {item}") for item in log.items])
    workspace.histories.append(dict(by_key(workspace, log)))
    return workspace


def open_shop(log: PurchaseLog) -> Workspace:
    """A new shop in memory with these purchases."""
    return fill(memory_workspace(clock=TickingClock()), log)


def described(n_items: int = 24) -> ItemAttributes:
    """What is publicly known of the shop's items: the group that each belongs to, and a size."""
    groups = [[f"group {index % 4}"] for index in range(n_items)]
    return ItemAttributes(labels={"group": groups}, numbers={"size": [float(index // 4) for index in range(n_items)]})


def train_beside_directions(workspace: Workspace, config: TrainConfig, entropy: Entropy) -> ModelVersion:
    """The live version of a training with attributes, step by step: booked, drawn, sealed, registered."""
    sum_id, terms = uuid.uuid4().hex, Terms.under(replace(config, attributes=True))
    keys, log = snapshot(workspace)
    ledger = PrivacyLedger(workspace.ledger_log, workspace.clock)
    if ledger.summary().budget is None:
        ledger.set_budget(config.plan.budget)
    ledger.book(terms.first_spends(sum_id))
    interactions = log.interactions()
    fitted = fit(interactions.matrix, log.items, terms, attributes=described(len(log.items)), entropy=entropy)
    assert fitted.content is not None
    packed = ((key, pack_term(interactions.items_of(row))) for row, key in enumerate(keys))
    workspace.sums.create_sum(sum_id, fitted.content.to_bytes(), packed)
    data = DataDigest(of="purchases", digest=interactions.digest)
    version = register(workspace, fitted, terms, sum_id=sum_id, purpose="train", data=data)
    return made_live(workspace, version)


def by_key(workspace: Workspace, log: PurchaseLog) -> Iterator[tuple[UserKey, Purchases]]:
    """Each customer's key and purchases."""
    for index, user in enumerate(log.users):
        yield workspace.pseudonyms.user_key(user), log.history(index).purchases


def suppress(workspace: Workspace, user_id: str) -> None:
    """Acknowledge the customer's request to be forgotten."""
    asked = ErasureRequest(
        request_id=f"request {len(workspace.erasures.requests())}",
        subject="ab" * 32,
        reason="customer request",
        received_at=OPENING,
        due_at=OPENING + timedelta(days=30),
        state=ErasureState.SUPPRESSED,
        release=False,
    )
    workspace.erasures.suppress(asked, workspace.pseudonyms.user_key(user_id))


def spends(workspace: Workspace) -> list[Json]:
    """The statistics that were booked, oldest first."""
    return [entry["statistic"] for entry in workspace.ledger_log.entries() if entry["type"] == "spend"]


def latest_sum(workspace: Workspace) -> GramSum:
    """The sum that was created last."""
    sum_id = workspace.sums.latest_sum()
    assert sum_id is not None
    return GramSum.from_bytes(workspace.sums.load_sum(sum_id))
