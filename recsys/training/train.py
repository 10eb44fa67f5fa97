"""Train a model from the histories in the store, and register it.

snapshot -> budget checked -> spends booked -> noise drawn, model made -> sum sealed -> version live
"""

import uuid
from collections.abc import Callable

import scipy.sparse as sp

from recsys.data.interactions import PurchaseLog
from recsys.errors import InputError
from recsys.models.customer import pack_term
from recsys.privacy.accounting import check_parameters
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.fit import fit
from recsys.training.release import register
from recsys.training.stores import TrainingStores
from recsys.training.terms import Terms, TrainConfig
from recsys.types import ModelVersion, UserKey

Step = Callable[[str], None]
"""Told what is done next."""


def train(
    stores: TrainingStores,
    config: TrainConfig,
    *,
    until: int | None = None,
    entropy: Entropy = OS_ENTROPY,
    step: Step = lambda _: None,
) -> ModelVersion:
    """The new live version, trained on purchases up to `until` (milliseconds since 1970, UTC; None: all of them).

    The first training of an installation sets the ledger's budget to its own; `set_budget` before it sets a larger one.

    Raises:
        PrivacyParameterError: epsilon or delta make no promise; nothing was booked.
        BudgetExceededError: the ledger has too little left; nothing was booked or drawn.
        InputError: there is no purchase to train on.
    """
    config.require_packages()
    step("reading histories")
    keys, log = snapshot(stores, until=until)
    terms, sum_id = Terms.under(config), uuid.uuid4().hex
    check_parameters(config.epsilon, config.delta, len(keys))
    ledger = PrivacyLedger(stores.ledger_log, stores.clock)
    if ledger.summary().budget is None:
        ledger.set_budget(config.plan.budget, note="set by the first training")
    step("booking the releases")
    ledger.book(terms.first_spends(sum_id))
    step("adding the customers up, releasing, factorising")
    purchased = log.interactions().matrix
    fitted = fit(purchased, log.items, terms, entropy=entropy, seed=config.seed)
    step("sealing the sum")
    content = fitted.content.to_bytes() if fitted.content else b""
    stores.sums.create_sum(sum_id, content, ((key, pack_term(_items(purchased, row))) for row, key in enumerate(keys)))
    step("registering the version")
    return register(stores, fitted.factors, terms, sum_id=sum_id, purpose="train")


def refuse_early(stores: TrainingStores, config: TrainConfig, *, n_customers: int | None = None) -> None:
    """Return if a training under this configuration is not bound to be refused: for asking before anything is read in.

    Raises:
        PrivacyParameterError: epsilon or delta make no promise, for at least this many customers.
        BudgetExceededError: the ledger has too little left.
    """
    config.require_packages()
    check_parameters(config.epsilon, config.delta, n_customers)
    ledger = PrivacyLedger(stores.ledger_log, stores.clock)
    if ledger.summary().budget is not None:
        ledger.require(Terms.under(config).first_spends("not drawn"))


def snapshot(stores: TrainingStores, *, until: int | None = None) -> tuple[list[UserKey], PurchaseLog]:
    """Every customer's key and purchases up to a moment; who bought nothing by then is left out.

    Raises:
        InputError: nobody bought anything.
    """
    keys, histories = [], []
    for key, _, everything in stores.histories.scan():
        history = everything if until is None else everything.until(until)
        if len(history):
            keys.append(key)
            histories.append(history)
    if not keys:
        msg = "expected purchases to train on, got none; ingest some first: privrec ingest FILE"
        raise InputError(msg)
    items = [item.item_id for item in stores.catalogue.items()]
    return keys, PurchaseLog.from_histories([key.hex() for key in keys], items, histories)


def _items(purchased: sp.csr_matrix, row: int) -> "sp.csr_matrix":
    return purchased.indices[purchased.indptr[row] : purchased.indptr[row + 1]]
