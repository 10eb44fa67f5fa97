"""A model in the place of one that an erased customer was in: from the sum, or, without one, from the purchases."""

import uuid

from recsys.models.customer import pack_term
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.fit import fit
from recsys.training.release import last_release, made_live, register, release_again, release_for, spends_of
from recsys.training.report import DataDigest
from recsys.training.stores import TrainingStores
from recsys.training.terms import Terms, TrainConfig
from recsys.training.train import snapshot
from recsys.types import ModelStatus, ModelVersion


def renew(stores: TrainingStores, sum_id: str, *, purpose: str, entropy: Entropy = OS_ENTROPY) -> ModelVersion:
    """A new live version without whom an erasure has taken out since.

    Where the trainer keeps a sum, it is released again. Where it keeps none, the model is trained again under the same
    terms, on all purchases there are now; that costs what its training cost, and is booked first. Repeating it for the
    same purpose gives the same version and costs nothing.

    Raises:
        BudgetExceededError: too little is left; nothing was drawn and the version before stays live.
        InputError: nobody is left to train on, the trainer needs packages that are not installed, or what it finds
            cannot be certified.
        NotFoundError: no such sum, or none that a version was released from.
    """
    parent = last_release(stores, sum_id)
    if Terms.of(parent).keeps_sum:
        return release_again(stores, sum_id, purpose=purpose, entropy=entropy)
    return release_for(stores, sum_id, purpose) or _train_again(stores, parent, purpose, entropy)


def _train_again(stores: TrainingStores, parent: ModelVersion, purpose: str, entropy: Entropy) -> ModelVersion:
    """The parent's successor: booked, drawn, and registered with the terms of the customers that are in it."""
    terms, sum_id = Terms.of(parent), uuid.uuid4().hex
    TrainConfig(trainer=terms.trainer).require_packages()
    keys, log = snapshot(stores)
    PrivacyLedger(stores.ledger_log, stores.clock).book(spends_of(terms, sum_id, purpose))
    interactions = log.interactions()
    live = parent.status is ModelStatus.LIVE
    before = stores.registry.load(parent.version)[0] if parent.certificate and live else None
    fitted = fit(interactions.matrix, log.items, terms, entropy=entropy, before=before)
    stores.sums.create_sum(sum_id, b"", ((key, pack_term(interactions.items_of(row))) for row, key in enumerate(keys)))
    data, name = DataDigest(of="purchases", digest=interactions.digest), parent.version
    version = register(stores, fitted, terms, sum_id=sum_id, purpose=purpose, data=data, parent=name)
    return made_live(stores, version)
