"""A version made once more by whoever has the export: the same bytes, or it was not made as its manifest says."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from recsys.data.worlds import tiny_shop
from recsys.errors import InputError, VerificationError
from recsys.evidence.manifest import name_version
from recsys.store.workspace import Workspace
from recsys.training.audit_export import EXPORT_DIGEST, AuditExport, export_lines, read_export
from recsys.training.retrain import NOISE, ROUNDING, check_export, check_retrained, not_repeatable, retrain
from recsys.training.terms import TrainConfig
from recsys.training.train import train
from recsys.types import Json, ModelVersion, Trainer
from tests.recsys.training.shop import never, open_shop, seeded, small_log

ERASABLE = TrainConfig(epsilon=math.inf, erasable=True, n_factors=8)
CERTIFIED = TrainConfig(trainer=Trainer.ALS_CERTIFIED)


def export_of(shop: Workspace, version: ModelVersion) -> AuditExport:
    items = shop.registry.load(version.version)[0].item_ids
    purpose = str(version.config["purpose"])
    return read_export(b"".join(export_lines(shop, items, str(version.sum_id), purpose)))


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 12))
@settings(max_examples=25)
def test_an_honest_version_is_repeated_to_the_byte(seed: int, n_customers: int, n_factors: int) -> None:
    """No false alarm in shops of any kind."""
    log = tiny_shop(np.random.default_rng(seed), n_customers=n_customers, n_items=16, purchases_per_customer=5)
    shop = open_shop(log)
    try:
        version = train(shop, replace(ERASABLE, n_factors=n_factors), entropy=never)
    except InputError:  # a shop whose spectrum has no gap there: it has no such model
        reject()
    export = export_of(shop, version)
    check_export(version, export)
    check_retrained(version, export)
    assert retrain(version, export).to_bytes() == shop.registry.load(version.version)[0].to_bytes()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (ERASABLE, None),
        (CERTIFIED, None),
        (TrainConfig(), NOISE),
        (TrainConfig(trainer=Trainer.POPULARITY), NOISE),
        (TrainConfig(trainer=Trainer.DP_ALS), NOISE),
        (TrainConfig(trainer=Trainer.ALS), ROUNDING),
        (TrainConfig(epsilon=math.inf), ROUNDING),
    ],
)
def test_what_cannot_be_repeated_says_why(config: TrainConfig, reason: str | None) -> None:
    assert not_repeatable(train(open_shop(small_log()), config, entropy=seeded())) == reason


def test_als_at_its_optimum_is_repeated_to_the_byte_from_another_seed() -> None:
    shop = open_shop(small_log())
    version = train(shop, replace(CERTIFIED, seed=5), entropy=never)
    check_retrained(version, export_of(shop, version))


def test_other_settings_than_those_of_the_manifest_give_another_model() -> None:
    shop = open_shop(small_log())
    version = train(shop, ERASABLE, entropy=never)
    terms = {**version.config["terms"], "n_factors": 4}  # type: ignore[dict-item]
    claimed = name_version(replace(version, config={**version.config, "terms": terms}))
    with pytest.raises(VerificationError, match="other settings"):
        check_retrained(claimed, export_of(shop, version))


def test_a_manifest_from_before_there_were_exports_says_so() -> None:
    shop = open_shop(small_log())
    version = train(shop, ERASABLE, entropy=never)
    config = {name: value for name, value in version.config.items() if name != EXPORT_DIGEST}
    with pytest.raises(VerificationError, match="before there were any"):
        check_export(replace(version, config=config), export_of(shop, version))


@pytest.mark.parametrize("config", [{}, {"terms": {}}, {"terms": {"n_factors": 3}}, {"terms": []}])
def test_a_manifest_without_terms_is_no_evidence(config: dict[str, Json]) -> None:
    version = train(open_shop(small_log()), ERASABLE, entropy=never)
    with pytest.raises(VerificationError, match="terms"):
        not_repeatable(replace(version, config=config))


def test_an_export_that_no_model_can_be_made_of_is_no_evidence() -> None:
    """Two groups of customers who are alike to the last item: their spectrum has no gap between the two."""
    shop = open_shop(small_log())
    version = train(shop, ERASABLE, entropy=never)
    terms = {**version.config["terms"], "n_factors": 1}  # type: ignore[dict-item]
    export = AuditExport(items=("a", "b"), purchased=sp.csr_matrix(np.eye(2, dtype=np.float32)), digest="")
    with pytest.raises(VerificationError, match="no such version can be"):
        check_retrained(replace(version, config={"terms": terms}), export)
