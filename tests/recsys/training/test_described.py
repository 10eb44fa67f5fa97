"""Training with public attributes: used where they help, refused where nothing would use them, named in the report."""

import math
from typing import cast

import pytest

from recsys.data.attributes import AttributeTable
from recsys.errors import BudgetExceededError, InputError
from recsys.evidence.privacy_report import verify_report
from recsys.privacy.accounting import mu_of, mu_of_spends
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.workspace import Workspace
from recsys.training.release import ATTRIBUTES_NOT_COVERED, release_again
from recsys.training.terms import Terms, TrainConfig
from recsys.training.train import refuse_early, train
from recsys.types import Json, ModelVersion, Trainer
from tests.recsys.training.shop import LOUD, latest_sum, never, seeded, small_log, spends

ITEMS = small_log().items
KINDS = AttributeTable(
    source="kinds.csv",
    labels={"kind": {item: frozenset({f"kind {place % 3}"}) for place, item in enumerate(ITEMS[:-2])}},
    numbers={"size": {item: float(place) for place, item in enumerate(ITEMS)}},
)
OTHERS = AttributeTable(source="others.csv", labels={"kind": {"no such item": frozenset({"kind"})}}, numbers={})
DESCRIBED = TrainConfig(epsilon=LOUD, attributes=True)
STATISTICS = ["customers", "counts", "latent", "cross", "gram"]


def not_covered(version: ModelVersion) -> list[Json]:
    """What the version's promise is not about."""
    return cast("list[Json]", version.privacy["not_covered"])


def test_what_directions_add_is_booked_before_the_first_random_byte_is_drawn(shop: Workspace) -> None:
    booked_at_each_draw = []
    random = seeded()

    def entropy(size: int) -> bytes:
        booked_at_each_draw.append(spends(shop))
        return random(size)

    train(shop, DESCRIBED, attributes=KINDS, entropy=entropy)
    assert booked_at_each_draw[0] == booked_at_each_draw[-1] == STATISTICS
    assert latest_sum(shop).rule.n_directions > 0


@pytest.mark.parametrize("metrics", [False, True])
@pytest.mark.parametrize("candidates", [(), (1, 2)])
def test_a_training_with_attributes_costs_what_was_asked_for(
    shop: Workspace, metrics: bool, candidates: tuple[int, ...]
) -> None:
    train(shop, DESCRIBED, publish_metrics=metrics, select_factors=candidates, attributes=KINDS, entropy=seeded())
    assert spends(shop)[: len(STATISTICS)] == STATISTICS
    ledger = PrivacyLedger(shop.ledger_log, shop.clock).summary()
    assert ledger.mu_spent == pytest.approx(mu_of(LOUD, 1e-6), rel=1e-9)


def test_the_report_says_that_attributes_are_taken_to_be_public_only_where_they_were_used(shop: Workspace) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(TrainConfig(epsilon=4 * LOUD).plan.budget)
    for config, table in ((DESCRIBED, KINDS), (TrainConfig(epsilon=LOUD), None)):
        version = train(shop, config, attributes=table, entropy=seeded())
        report = verify_report(shop.registry.report(version.version), shop.signing_key.public_key())
        assert report["not_covered"] == version.privacy["not_covered"]
        assert (ATTRIBUTES_NOT_COVERED in not_covered(version)) is (table is not None)
        assert (Terms.of(version).latent_noise_multiplier is not None) is (table is not None)


def test_a_sum_with_directions_is_released_again_without_the_attributes(shop: Workspace) -> None:
    first = train(shop, TrainConfig(epsilon=LOUD, releases=2, attributes=True), attributes=KINDS, entropy=seeded())
    assert PrivacyLedger(shop.ledger_log, shop.clock).summary().releases_left == 1
    again = release_again(shop, str(first.sum_id), purpose="erasure", entropy=seeded(1))
    assert spends(shop) == [*STATISTICS, "latent", "cross", "gram"]
    assert ATTRIBUTES_NOT_COVERED in not_covered(again)
    assert PrivacyLedger(shop.ledger_log, shop.clock).summary().releases_left == 0
    with pytest.raises(BudgetExceededError):
        release_again(shop, str(first.sum_id), purpose="another erasure", entropy=never)


ALONE = AttributeTable(source="names.csv", labels={"name": {item: frozenset({item}) for item in ITEMS}}, numbers={})
LEVEL = AttributeTable(source="ones.csv", labels={}, numbers={"one": dict.fromkeys(ITEMS, 1.0)})
REFUSED = [
    (TrainConfig(attributes=True), ALONE, "names.csv, got none that two items have"),
    (TrainConfig(attributes=True), LEVEL, "ones.csv, got none that two items have or differ in"),
    (TrainConfig(attributes=True), None, "got none"),
    (TrainConfig(), KINDS, "those of kinds.csv"),
    (TrainConfig(attributes=True), OTHERS, "none of its 24 items"),
    (TrainConfig(attributes=True, epsilon=math.inf), KINDS, "at epsilon inf; leave --attributes out"),
    (TrainConfig(attributes=True, trainer=Trainer.POPULARITY), KINDS, "got popularity .*leave --attributes out"),
    (TrainConfig(attributes=True, trainer=Trainer.DP_ALS), KINDS, "got dp_als"),
    (TrainConfig(attributes=True, trainer=Trainer.ALS), KINDS, "got als"),
]


@pytest.mark.parametrize(("config", "table", "found"), REFUSED)
def test_attributes_that_nothing_would_use_are_refused_before_anything_is_booked(
    shop: Workspace, config: TrainConfig, table: AttributeTable | None, found: str
) -> None:
    with pytest.raises(InputError, match=found):
        refuse_early(shop, config, attributes=table, items=ITEMS)
    with pytest.raises(InputError, match=found):
        train(shop, config, attributes=table, entropy=never)
    assert spends(shop) == []
    assert shop.registry.versions() == ()


def test_the_statistics_of_an_erasure_cost_less_than_those_of_a_training() -> None:
    terms = Terms.under(DESCRIBED)
    assert mu_of_spends(terms.next_spends("s", "erasure")) < mu_of_spends(terms.first_spends("s"))
