"""Train a model from the histories in the store, and register it.

snapshot -> budget checked -> spends booked -> noise drawn, model made -> sum sealed -> version live
"""

import uuid
from collections.abc import Callable, Sequence

from recsys.data.attributes import AttributeTable
from recsys.data.interactions import PurchaseLog
from recsys.errors import InputError
from recsys.models.customer import pack_term
from recsys.privacy.accounting import check_parameters
from recsys.privacy.ledger import PrivacyLedger
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.described import item_attributes
from recsys.training.fit import fit
from recsys.training.held_out import Group, hold_out, metric_values
from recsys.training.held_out_plan import HeldOutPlan
from recsys.training.published_metrics import release_metrics
from recsys.training.release import Beside, made_live, register
from recsys.training.report import DataDigest
from recsys.training.selection import fit_selected
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
    publish_metrics: bool = False,
    select_factors: Sequence[int] = (),
    attributes: AttributeTable | None = None,
    entropy: Entropy = OS_ENTROPY,
    step: Step = lambda _: None,
) -> ModelVersion:
    """The new live version, trained on purchases up to `until` (milliseconds since 1970, UTC; None: all of them).

    The first training of an installation sets the ledger's budget to its own; `set_budget` before it sets a larger one.
    With `publish_metrics` a tenth of the customers is held out, and how well the model does on them is released with
    noise. With `select_factors` the number of factors is chosen among these, by how well each does on another tenth,
    with noise. Both are within the same epsilon. `attributes` are public, and given if `config.attributes` says so.
    If `config.candidate` says so, it is registered beside the live version, which stays.

    Raises:
        PrivacyParameterError: epsilon or delta make no promise, or something is to be released about a model without
            noise; nothing was booked.
        BudgetExceededError: the ledger has too little left; nothing was booked or drawn.
        InputError: there is no purchase to train on, nothing to select from, or no use for the attributes, which may
            also be those of other items; nothing was booked.
    """
    config.require_packages()
    sum_id = uuid.uuid4().hex
    plan = HeldOutPlan.within(config, sum_id, publish_metrics=publish_metrics, select_factors=select_factors)
    step("reading histories")
    keys, log = snapshot(stores, until=until)
    described = item_attributes(config, attributes, log.items)
    config.require_catalogue(len(log.items))
    terms = Terms.under(plan.model)
    check_parameters(config.epsilon, config.delta, len(keys))
    ledger = PrivacyLedger(stores.ledger_log, stores.clock)
    if ledger.summary().budget is None:
        ledger.set_budget(config.plan.budget, note="set by the first training")
    step("booking the releases")
    ledger.book([*terms.first_spends(sum_id), *plan.spends])
    step("adding the customers up, releasing, factorising")
    keys, log, held_out = hold_out(keys, log, plan.groups)
    interactions = log.interactions()
    if plan.selection:
        asked = held_out[Group.SELECTION]
        fitted, terms = fit_selected(
            interactions.matrix, log.items, terms, plan.selection, asked, attributes=described, entropy=entropy
        )
    else:
        fitted = fit(interactions.matrix, log.items, terms, attributes=described, entropy=entropy, seed=config.seed)
    published = None
    if plan.metrics:
        step("measuring the model on customers who were held out")
        published = release_metrics(metric_values(fitted.factors, held_out[Group.METRICS]), plan.metrics, entropy)
    step("sealing the sum")
    content = fitted.content.to_bytes() if fitted.content else b""
    packed = ((key, pack_term(interactions.items_of(row))) for row, key in enumerate(keys))
    stores.sums.create_sum(sum_id, content, packed)
    step("registering the version")
    data = DataDigest(of="purchases", digest=interactions.digest)
    candidates = plan.selection.candidates if plan.selection else ()
    beside = Beside(spends=plan.spends, metrics=published, candidates=candidates)
    version = register(stores, fitted, terms, sum_id=sum_id, purpose="train", data=data, beside=beside)
    return version if config.candidate else made_live(stores, version)


def refuse_early(
    stores: TrainingStores,
    config: TrainConfig,
    *,
    n_customers: int | None = None,
    publish_metrics: bool = False,
    select_factors: Sequence[int] = (),
    attributes: AttributeTable | None = None,
    items: Sequence[str] = (),
) -> None:
    """Return if a training under this configuration is not bound to be refused: for asking before anything is read in.

    Args:
        stores: where the ledger is
        config: what to train
        n_customers: as many as there are at least, if that is known
        publish_metrics: as for `train`
        select_factors: as for `train`
        attributes: as for `train`
        items: the catalogue as it will be

    Raises:
        PrivacyParameterError: epsilon or delta make no promise, for at least this many customers, or something is to
            be released about a model without noise.
        InputError: there is nothing to select from, no use for the attributes, or they are those of other items.
        BudgetExceededError: the ledger has too little left.
    """
    config.require_packages()
    check_parameters(config.epsilon, config.delta, n_customers)
    item_attributes(config, attributes, items)
    config.require_catalogue(len(items))
    HeldOutPlan.within(config, "not drawn", publish_metrics=publish_metrics, select_factors=select_factors)
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
