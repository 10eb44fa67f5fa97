"""A model version and its promise: registered after a training, or released again from a sum that has changed."""

import math
from collections.abc import Mapping
from dataclasses import replace

from recsys.errors import InputError, NotFoundError
from recsys.evidence.manifest import name_version
from recsys.models.factors import ItemFactors
from recsys.models.gram import GramSum
from recsys.privacy.accounting import compose, epsilon_of
from recsys.privacy.ledger import PrivacyLedger, epsilon_json
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.fit import fit_again
from recsys.training.stores import TrainingStores
from recsys.training.terms import Terms
from recsys.types import Json, ModelStatus, ModelVersion

NOT_COVERED = (
    "the list of items, which is taken to be public",
    "metrics computed on customers' purchases without noise: internal, not private",
    "settings chosen by looking at private data, if somebody did",
    "that an erasure happened, to an observer who compares two versions",
)
"""What no entry of the ledger accounts for: printed with every version."""
EXACT = "Gaussian differential privacy, exact"
ON_SAMPLES = "privacy loss distribution of Gaussian releases on Poisson samples; mu is an upper bound"


def register(
    stores: TrainingStores,
    factors: ItemFactors,
    terms: Terms,
    *,
    sum_id: str,
    purpose: str,
    parent: str | None = None,
    config: Mapping[str, Json] | None = None,
) -> ModelVersion:
    """The version of these factors, saved and made live."""
    version = name_version(
        ModelVersion(
            version="",
            trainer=terms.trainer,
            created_at=stores.clock(),
            model_digest=factors.digest,
            config={**(config or {}), "purpose": purpose, "terms": terms.to_json()},
            privacy=privacy_statement(stores, terms),
            sum_id=sum_id,
            parent=parent,
        )
    )
    stores.registry.save(factors, version)
    stores.registry.promote(version.version)
    return replace(version, status=ModelStatus.LIVE)


def privacy_statement(stores: TrainingStores, terms: Terms) -> dict[str, Json]:
    """The guarantee in full: of the releases that make this version, and of everything booked so far."""
    own = compose(terms.noise_multipliers)
    spent = PrivacyLedger(stores.ledger_log, stores.clock).summary().mu_spent
    return {
        "private": math.isfinite(own),
        "unit": "customer",
        "neighboring_relation": "add_or_remove_one",
        "delta": terms.delta,
        "epsilon": epsilon_json(terms.epsilon),
        "mu": epsilon_json(own),
        "epsilon_of_all_releases": epsilon_json(epsilon_of(spent, terms.delta)),
        "accounting": EXACT if terms.sampling_probability == 1 else ON_SAMPLES,
        "not_covered": list(NOT_COVERED),
    }


def last_release(stores: TrainingStores, sum_id: str) -> ModelVersion:
    """The version of this sum that is live, or else the newest.

    Raises:
        NotFoundError: no version was released from such a sum.
    """
    line = [version for version in stores.registry.versions() if version.sum_id == sum_id]
    if not line:
        msg = "expected a sum that a version was released from, got another; train a model to make one"
        raise NotFoundError(msg)
    return next((version for version in line if version.status is ModelStatus.LIVE), line[-1])


def release_for(stores: TrainingStores, sum_id: str, purpose: str) -> ModelVersion | None:
    """The version that was made for this purpose, from this sum or in the place of one from it; None if none was.

    A worker that died may have left it unpromoted: it is promoted now.
    """
    versions = stores.registry.versions()
    line = {version.version for version in versions if version.sum_id == sum_id}
    made = (version for version in versions if version.version in line or version.parent in line)
    done = next((version for version in made if version.config["purpose"] == purpose), None)
    if done is not None and done.status is ModelStatus.CANDIDATE:
        stores.registry.promote(done.version)
    return done


def release_again(stores: TrainingStores, sum_id: str, *, purpose: str, entropy: Entropy = OS_ENTROPY) -> ModelVersion:
    """A new live version from a sum that has changed, with fresh noise, booked first.

    The rule of the sum (head, weights, popularity) stays as it was released with the sum's first version. If a version
    for this purpose is there already, it comes back and nothing is spent: the step can be repeated after a crash.

    Raises:
        BudgetExceededError: too little is left; nothing was drawn and the version before stays live.
        InputError: the trainer keeps no sum; nothing was booked.
        NotFoundError: no such sum, or none that a version was released from.
    """
    parent = last_release(stores, sum_id)
    done = release_for(stores, sum_id, purpose)
    if done is not None:
        return done
    terms = Terms.of(parent)
    if terms.step_noise_multiplier is not None:
        msg = (
            f"expected a version whose trainer keeps a sum, got one of {terms.trainer}; "
            f"train again instead: privrec train --trainer {terms.trainer}"
        )
        raise InputError(msg)
    content = GramSum.from_bytes(stores.sums.load_sum(sum_id))
    PrivacyLedger(stores.ledger_log, stores.clock).book([terms.next_spend(sum_id, purpose)])
    factors = fit_again(content, terms, entropy=entropy)
    return register(stores, factors, terms, sum_id=sum_id, purpose=purpose, parent=parent.version)
