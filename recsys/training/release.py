"""A model version and its promise: registered after a training, or released again from a sum that has changed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from recsys.errors import InputError, NotFoundError
from recsys.evidence.manifest import name_version
from recsys.models.gram import GramSum
from recsys.privacy.accounting import epsilon_of_spends, mu_of_spends
from recsys.privacy.ledger import PrivacyLedger, epsilon_json
from recsys.privacy.noise import OS_ENTROPY, Entropy
from recsys.training.audit_export import EXPORT_DIGEST, digest_of, export_lines
from recsys.training.fit import Fitted, fit_again
from recsys.training.published_metrics import PublishedMetrics
from recsys.training.report import SELECTED, DataDigest, accounting_of, booked, mu_json, signed_report
from recsys.training.roster import roster_of_sum
from recsys.training.selection import COMPARISON
from recsys.training.stores import TrainingStores
from recsys.training.terms import Terms
from recsys.types import Json, ModelStatus, ModelVersion, PrivacySpend

NOT_COVERED = (
    "the list of items, which is taken to be public",
    "metrics computed on customers' purchases without noise: internal, not private",
    "tuning: settings chosen by looking at private data, unless by a booked selection",
    "that an erasure happened, to an observer who compares two versions",
)
"""What no entry of the ledger accounts for: printed with every version."""
ATTRIBUTES_NOT_COVERED = "the attributes of the items, which are taken to be public"
"""Printed beside it where directions were made from attributes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """What a training released about held-out customers, beside its model."""

    spends: tuple[PrivacySpend, ...] = ()
    """What was booked for it."""
    metrics: PublishedMetrics | None = None
    candidates: tuple[int, ...] = ()
    """The numbers of factors that one was selected from; which one stands in the terms."""

    @classmethod
    def of(cls, parent: ModelVersion, everything: Sequence[PrivacySpend]) -> "Beside":
        """What a further release from the parent's sum depends on: the choice of its setting, and not its metrics."""
        selected = cast("dict[str, list[int]]", parent.config.get(SELECTED, {}))
        compared = [spend for spend in everything if (spend.sum_id, spend.statistic) == (parent.sum_id, COMPARISON)]
        return cls(spends=tuple(compared[-1:]), candidates=tuple(selected["n_factors"])) if selected else cls()

    @property
    def config(self) -> dict[str, Json]:
        """The candidates, for a manifest."""
        return {SELECTED: {"n_factors": list(self.candidates)}} if self.candidates else {}


NOTHING_BESIDE = Beside()


def register(
    stores: TrainingStores,
    fitted: Fitted,
    terms: Terms,
    *,
    sum_id: str,
    purpose: str,
    data: DataDigest,
    parent: str | None = None,
    beside: Beside = NOTHING_BESIDE,
) -> ModelVersion:
    """The version of this model, saved with its privacy report: a candidate.

    Args:
        stores: where everything is
        fitted: the model
        terms: its noise
        sum_id: the sum that it was released from
        purpose: what the release is for
        data: what the model was made from
        parent: the version before it in its line
        beside: what else was released with it

    Raises:
        StateError: one of its releases is not in the ledger; nothing was saved.
    """
    spends = [*spends_of(terms, sum_id, purpose), *beside.spends]
    rows = digest_of(export_lines(stores, fitted.factors.item_ids, sum_id, purpose))
    version = name_version(
        ModelVersion(
            version="",
            trainer=terms.trainer,
            created_at=stores.clock(),
            model_digest=fitted.factors.digest,
            config={
                "purpose": purpose,
                "terms": terms.to_json(),
                "roster": roster_of_sum(stores, sum_id),
                EXPORT_DIGEST: rows,
                **beside.config,
                **_certified(fitted),
            },
            privacy=privacy_statement(stores, terms.delta, spends),
            sum_id=sum_id,
            parent=parent,
            metrics=beside.metrics.to_json() if beside.metrics else {},
        )
    )
    stores.registry.save(fitted.factors, version, signed_report(stores, version, spends, data))
    return version


def _certified(fitted: Fitted) -> dict[str, Json]:
    """How far the model can be from that of the exact sum, for a manifest."""
    return {"certificate": fitted.certificate.to_json()} if fitted.certificate else {}


def made_live(stores: TrainingStores, version: ModelVersion) -> ModelVersion:
    """The version, live from now on."""
    stores.registry.promote(version.version)
    return replace(version, status=ModelStatus.LIVE)


def spends_of(terms: Terms, sum_id: str, purpose: str) -> list[PrivacySpend]:
    """The releases that make one version: those of the training, with what was drawn anew for this purpose."""
    if not terms.keeps_sum:
        return [replace(spend, purpose=purpose) for spend in terms.first_spends(sum_id)]
    anew = {spend.statistic: spend for spend in terms.next_spends(sum_id, purpose)}
    return [anew.get(spend.statistic, spend) for spend in terms.first_spends(sum_id)]


def privacy_statement(stores: TrainingStores, delta: float, spends: Sequence[PrivacySpend]) -> dict[str, Json]:
    """The guarantee in full: of the releases that make this version, and of everything booked so far."""
    everything = booked(PrivacyLedger(stores.ledger_log, stores.clock).summary().entries)
    return {
        "private": math.isfinite(mu_of_spends(spends)),
        "unit": "customer",
        "neighboring_relation": "add_or_remove_one",
        "delta": delta,
        "epsilon": epsilon_json(epsilon_of_spends(spends, delta)),
        "mu": mu_json(spends),
        "epsilon_of_all_releases": epsilon_json(epsilon_of_spends(everything, delta)),
        "accounting": accounting_of(spends),
        "not_covered": _not_covered(spends),
    }


def _not_covered(spends: Sequence[PrivacySpend]) -> list[Json]:
    """What the promise of these releases does not cover; only directions from attributes have a latent Gram."""
    described = any(spend.statistic == "latent" for spend in spends)
    return [*NOT_COVERED, *([ATTRIBUTES_NOT_COVERED] if described else [])]


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
    if not terms.keeps_sum:
        msg = (
            f"expected a version whose trainer keeps a sum, got one of {terms.trainer}; "
            f"train again instead: privrec train --trainer {terms.trainer}"
        )
        raise InputError(msg)
    content = GramSum.from_bytes(stores.sums.load_sum(sum_id))
    PrivacyLedger(stores.ledger_log, stores.clock).book(terms.next_spends(sum_id, purpose))
    fitted = fit_again(content, terms, entropy=entropy)
    data = DataDigest(of="sum", digest=content.digest)
    beside = Beside.of(parent, booked(stores.ledger_log.entries()))
    name = parent.version
    version = register(stores, fitted, terms, sum_id=sum_id, purpose=purpose, data=data, parent=name, beside=beside)
    return made_live(stores, version)
