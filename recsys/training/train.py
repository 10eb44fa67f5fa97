"""Train a model from the histories in the store, and register it.

snapshot -> budget checked -> spends booked -> noise drawn, model made -> sum sealed -> version live
"""

import uuid
from collections.abc import Callable
from dataclasses import replace

import scipy.sparse as sp

from recsys.data.interactions import PurchaseLog
from recsys.errors import InputError
from recsys.models.customer import pack_term
from recsys.privacy.accounting import check_parameters
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.fit import fit, require
from recsys.training.release import last_release, register, release_again, release_for
from recsys.training.stores import TrainingStores
from recsys.training.terms import STEPPING, Terms, TrainConfig
from recsys.types import ModelVersion, Trainer, UserKey

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
        InputError: there is no purchase to train on, or the trainer needs packages that are not installed.
    """
    require(config.trainer)
    step("reading histories")
    keys, log = snapshot(stores, until=until)
    terms = Terms.under(config)
    check_parameters(config.epsilon, config.delta, len(keys))
    ledger = PrivacyLedger(stores.ledger_log, stores.clock)
    if ledger.summary().budget is None:
        ledger.set_budget(config.plan.budget, note="set by the first training")
    return _release(stores, terms, (keys, log), seed=config.seed, entropy=entropy, step=step)


def renew(stores: TrainingStores, sum_id: str, *, purpose: str, entropy: Entropy = OS_ENTROPY) -> ModelVersion:
    """A new live version without whom an erasure has taken out since: from the sum, or from the purchases.

    Where the trainer keeps a sum, it is released again. Where it keeps none, the model is trained again under the same
    terms, on all purchases there are now; that costs what its training cost, and is booked first. Repeating it for the
    same purpose gives the same version and costs nothing.

    Raises:
        BudgetExceededError: too little is left; nothing was drawn and the version before stays live.
        InputError: nobody is left to train on, or the trainer needs packages that are not installed.
        NotFoundError: no such sum, or none that a version was released from.
    """
    parent = last_release(stores, sum_id)
    if Trainer(parent.trainer) not in STEPPING:
        return release_again(stores, sum_id, purpose=purpose, entropy=entropy)
    done = release_for(stores, sum_id, purpose)
    if done is not None:
        return done
    require(Trainer(parent.trainer))
    customers = snapshot(stores)
    return _release(stores, Terms.of(parent), customers, purpose=purpose, parent=parent.version, entropy=entropy)


def refuse_early(stores: TrainingStores, config: TrainConfig, *, n_customers: int | None = None) -> None:
    """Return if a training under this configuration is not bound to be refused: for asking before anything is read in.

    Raises:
        PrivacyParameterError: epsilon or delta make no promise, for at least this many customers.
        BudgetExceededError: the ledger has too little left.
        InputError: the trainer needs packages that are not installed.
    """
    require(config.trainer)
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


def _release(
    stores: TrainingStores,
    terms: Terms,
    customers: tuple[list[UserKey], PurchaseLog],
    *,
    purpose: str = "train",
    parent: str | None = None,
    seed: int = 0,
    entropy: Entropy,
    step: Step = lambda _: None,
) -> ModelVersion:
    """The new live version of these customers under these terms, booked before its noise is drawn."""
    (keys, log), sum_id = customers, uuid.uuid4().hex
    step("booking the releases")
    spends = [replace(spend, purpose=purpose) for spend in terms.first_spends(sum_id)]
    PrivacyLedger(stores.ledger_log, stores.clock).book(spends)
    step("adding the customers up, releasing, factorising")
    purchased = log.interactions().matrix
    fitted = fit(purchased, log.items, terms, entropy=entropy, seed=seed)
    step("sealing the sum")
    content = fitted.content.to_bytes() if fitted.content else b""
    stores.sums.create_sum(sum_id, content, ((key, pack_term(_items(purchased, row))) for row, key in enumerate(keys)))
    step("registering the version")
    return register(stores, fitted.factors, terms, sum_id=sum_id, purpose=purpose, parent=parent)


def _items(purchased: sp.csr_matrix, row: int) -> "sp.csr_matrix":
    return purchased.indices[purchased.indptr[row] : purchased.indptr[row + 1]]
