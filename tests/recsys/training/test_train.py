"""Training: booked first, drawn second, registered last."""

import importlib.util
import json
import math

import numpy as np
import pytest

from recsys.data.attributes import AttributeTable
from recsys.data.interactions import PurchaseLog
from recsys.data.worlds import DAY_MS, OPENING_MS
from recsys.errors import BudgetExceededError, InputError, PrivacyParameterError
from recsys.evidence.manifest import write_manifest
from recsys.models import dp_als, dp_sgd
from recsys.models.customer import unpack_term
from recsys.privacy.accounting import mu_of
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.workspace import Workspace, memory_workspace
from recsys.training.audit_export import EXPORT_DIGEST
from recsys.training.terms import TrainConfig
from recsys.training.train import refuse_early, snapshot, train
from recsys.types import ModelStatus, PrivacyBudget, Trainer
from tests.recsys.training.shop import (
    EVERY_TRAINER,
    LOUD,
    NEEDS_TORCH,
    latest_sum,
    never,
    open_shop,
    seeded,
    small_log,
    spends,
    suppress,
)

MIDSUMMER_MS = OPENING_MS + 180 * DAY_MS
AUDIBLE = TrainConfig(epsilon=LOUD)


def ledger(workspace: Workspace) -> PrivacyLedger:
    return PrivacyLedger(workspace.ledger_log, workspace.clock)


def assert_nothing_was_released(workspace: Workspace) -> None:
    assert workspace.registry.versions() == ()
    assert workspace.registry.live() is None
    assert workspace.sums.latest_sum() is None


def test_both_releases_are_booked_before_the_first_random_byte_is_drawn(shop: Workspace) -> None:
    booked_at_each_draw = []
    random = seeded()

    def entropy(size: int) -> bytes:
        booked_at_each_draw.append(spends(shop))
        return random(size)

    train(shop, TrainConfig(), entropy=entropy)
    assert len(booked_at_each_draw) > 1
    assert booked_at_each_draw[0] == ["customers", "counts", "gram"]
    assert spends(shop) == ["customers", "counts", "gram"]


def test_with_attributes_all_five_releases_are_booked_before_the_first_random_byte_is_drawn(shop: Workspace) -> None:
    booked_at_each_draw = []
    random = seeded()
    items = [item.item_id for item in shop.catalogue.items()]
    groups = {item: frozenset({f"group {index % 4}"}) for index, item in enumerate(items)}

    def entropy(size: int) -> bytes:
        booked_at_each_draw.append(spends(shop))
        return random(size)

    table = AttributeTable(source="groups.csv", labels={"group": groups}, numbers={})
    version = train(shop, TrainConfig(attributes=True), attributes=table, entropy=entropy)
    assert booked_at_each_draw[0] == ["customers", "counts", "latent", "cross", "gram"]
    assert booked_at_each_draw[-1] == booked_at_each_draw[0]
    assert version.privacy["epsilon"] == pytest.approx(TrainConfig().epsilon)


@pytest.mark.parametrize(
    ("trainer", "statistics"),
    [
        (Trainer.DP_ALS, ["counts", *dp_als.STATISTICS]),
        pytest.param(Trainer.DP_SGD, ["counts", dp_sgd.STATISTIC], marks=NEEDS_TORCH),
    ],
)
def test_every_step_is_booked_before_the_first_random_byte_is_drawn(
    shop: Workspace, trainer: Trainer, statistics: list[str]
) -> None:
    booked_at_each_draw = []
    random = seeded()

    def entropy(size: int) -> bytes:
        booked_at_each_draw.append(spends(shop))
        return random(size)

    train(shop, TrainConfig(trainer=trainer), entropy=entropy)
    assert len(booked_at_each_draw) > 1
    assert booked_at_each_draw[0] == booked_at_each_draw[-1] == statistics


def test_without_torch_dp_sgd_is_refused_before_anything_is_booked(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    config = TrainConfig(trainer=Trainer.DP_SGD)
    with pytest.raises(InputError, match=r"pip install 'privrec\[dp\]'"):
        refuse_early(shop, config)
    with pytest.raises(InputError, match=r"pip install 'privrec\[dp\]'"):
        train(shop, config, entropy=never)
    assert shop.ledger_log.entries() == []
    assert_nothing_was_released(shop)


@NEEDS_TORCH
def test_a_model_from_samples_states_the_epsilon_of_its_samples(shop: Workspace) -> None:
    version = train(shop, TrainConfig(trainer=Trainer.DP_SGD, epsilon=2.0), entropy=seeded())
    epsilon = version.privacy["epsilon"]
    assert isinstance(epsilon, float)
    assert 1.98 < epsilon <= 2.0
    assert "privacy loss distribution" in str(version.privacy["accounting"])


def test_nothing_is_drawn_booked_or_registered_over_budget(shop: Workspace) -> None:
    ledger(shop).set_budget(PrivacyBudget(epsilon=1.0, delta=1e-6))
    with pytest.raises(BudgetExceededError, match="nothing was drawn"):
        train(shop, TrainConfig(epsilon=4.0), entropy=never)
    assert spends(shop) == []
    assert_nothing_was_released(shop)


def test_a_delta_above_one_over_the_number_of_customers_is_refused_and_not_booked(shop: Workspace) -> None:
    with pytest.raises(PrivacyParameterError, match="one over the number of customers"):
        train(shop, TrainConfig(delta=1 / 39), entropy=never)
    assert shop.ledger_log.entries() == []
    assert_nothing_was_released(shop)


def test_a_delta_of_one_over_the_number_of_customers_is_the_largest_that_is_taken(shop: Workspace) -> None:
    assert train(shop, TrainConfig(delta=1 / 40), entropy=seeded()).privacy["delta"] == 1 / 40


def test_the_number_of_customers_is_not_in_the_refusal_of_a_delta(shop: Workspace) -> None:
    with pytest.raises(PrivacyParameterError) as caught:
        train(shop, TrainConfig(delta=0.5), entropy=never)
    assert "40" not in str(caught.value)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan])
def test_an_epsilon_that_promises_nothing_is_refused_and_not_booked(shop: Workspace, epsilon: float) -> None:
    with pytest.raises(PrivacyParameterError):
        train(shop, TrainConfig(epsilon=epsilon), entropy=never)
    assert shop.ledger_log.entries() == []


def test_a_crash_between_booking_and_release_leaves_the_booking_and_no_version(shop: Workspace) -> None:
    def power_cut(_: int) -> bytes:
        msg = "power cut"
        raise OSError(msg)

    with pytest.raises(OSError, match="power cut"):
        train(shop, TrainConfig(), entropy=power_cut)
    assert spends(shop) == ["customers", "counts", "gram"]
    assert_nothing_was_released(shop)
    with pytest.raises(BudgetExceededError):
        train(shop, TrainConfig(), entropy=never)


def test_the_first_training_sets_the_budget_and_uses_it_up(shop: Workspace) -> None:
    train(shop, TrainConfig(epsilon=2.0, delta=1e-5), entropy=seeded())
    summary = ledger(shop).summary()
    assert summary.budget == PrivacyBudget(epsilon=2.0, delta=1e-5)
    assert summary.mu_spent == pytest.approx(mu_of(2.0, 1e-5), rel=1e-9)
    with pytest.raises(BudgetExceededError):
        train(shop, TrainConfig(epsilon=2.0, delta=1e-5), entropy=never)


def test_a_budget_that_was_set_before_is_kept(shop: Workspace) -> None:
    budget = PrivacyBudget(epsilon=8.0, delta=1e-6)
    ledger(shop).set_budget(budget, note="decided by the board")
    train(shop, TrainConfig(epsilon=2.0), entropy=seeded())
    train(shop, TrainConfig(epsilon=2.0), entropy=seeded())
    assert ledger(shop).summary().budget == budget
    assert [entry["type"] for entry in shop.ledger_log.entries()].count("budget") == 1
    assert ledger(shop).summary().mu_spent == pytest.approx(mu_of(2.0, 1e-6) * math.sqrt(2), rel=1e-9)


def test_the_new_version_is_live_and_is_the_model_that_was_made(shop: Workspace) -> None:
    version = train(shop, TrainConfig(), entropy=seeded())
    factors, kept = shop.registry.load(version.version)
    assert shop.registry.live() == version.version
    assert (kept.status, kept.parent, kept.trainer) == (ModelStatus.LIVE, None, "gram")
    assert factors.digest == version.model_digest
    assert factors.item_ids == tuple(item.item_id for item in shop.catalogue.items())


def test_the_model_has_learnt_more_than_popularity_where_the_noise_allows_it(shop: Workspace) -> None:
    version = train(shop, AUDIBLE, entropy=seeded())
    assert shop.registry.load(version.version)[0].n_factors > 1


def test_a_second_training_retires_the_first(shop: Workspace) -> None:
    ledger(shop).set_budget(PrivacyBudget(epsilon=8.0, delta=1e-6))
    first, second = (train(shop, TrainConfig(epsilon=1.0), entropy=seeded(seed)) for seed in (1, 2))
    statuses = {version.version: version.status for version in shop.registry.versions()}
    assert statuses == {first.version: ModelStatus.RETIRED, second.version: ModelStatus.LIVE}
    assert first.sum_id != second.sum_id


def test_every_customer_has_a_term_in_the_sum(shop: Workspace, log: PurchaseLog) -> None:
    version = train(shop, TrainConfig(), entropy=seeded())
    for index, user in enumerate(log.users):
        [(sum_id, term)] = shop.sums.terms_of(shop.pseudonyms.user_key(user)).items()
        assert sum_id == version.sum_id
        assert unpack_term(term, len(log.items)).indices.tolist() == log.history(index).items.tolist()


def test_the_sum_is_over_the_customers_of_the_shop(shop: Workspace, log: PurchaseLog) -> None:
    train(shop, TrainConfig(), entropy=seeded())
    content = latest_sum(shop)
    again = type(content).empty(content.items, content.rule).add(log.interactions().matrix)
    assert content.to_bytes() == again.to_bytes()


def test_training_up_to_a_moment_gives_the_model_of_what_was_bought_by_then(log: PurchaseLog) -> None:
    early = log.where(log.purchases["timestamp"] <= MIDSUMMER_MS)
    assert 0 < len(early) < len(log)
    model_of_all = train(open_shop(log), AUDIBLE, until=MIDSUMMER_MS, entropy=seeded())
    model_of_early = train(open_shop(early), AUDIBLE, entropy=seeded())
    assert model_of_all.model_digest == model_of_early.model_digest
    assert model_of_all.model_digest != train(open_shop(log), AUDIBLE, entropy=seeded()).model_digest


def test_a_purchase_at_the_moment_itself_is_trained_on(shop: Workspace, log: PurchaseLog) -> None:
    last = int(log.purchases["timestamp"].max())
    assert len(snapshot(shop, until=last)[1]) == len(log)
    assert len(snapshot(shop, until=last - 1)[1]) < len(log)


def test_who_bought_nothing_by_the_moment_has_no_term(log: PurchaseLog) -> None:
    shop = open_shop(log)
    first_day = np.array([log.history(index).purchases["timestamp"].min() for index in range(len(log.users))])
    newcomer = int(first_day.argmax())
    train(shop, TrainConfig(), until=int(first_day[newcomer]) - 1, entropy=seeded())
    assert shop.sums.terms_of(shop.pseudonyms.user_key(log.users[newcomer])) == {}
    assert shop.sums.terms_of(shop.pseudonyms.user_key(log.users[int(first_day.argmin())]))


def test_suppressed_customers_are_left_out(shop: Workspace, log: PurchaseLog) -> None:
    others = [index for index in range(len(log.users)) if index != 3]
    suppress(shop, log.users[3])
    version = train(shop, AUDIBLE, entropy=seeded())
    without = open_shop(log.of_users(np.array(others)))
    assert version.model_digest == train(without, AUDIBLE, entropy=seeded()).model_digest
    assert latest_sum(shop).to_bytes() == latest_sum(without).to_bytes()
    assert shop.sums.terms_of(shop.pseudonyms.user_key(log.users[3])) == {}


def test_a_customer_who_asks_to_be_forgotten_during_the_training_stops_it(shop: Workspace, log: PurchaseLog) -> None:
    random = seeded()

    def entropy(size: int) -> bytes:
        if not shop.erasures.requests():
            suppress(shop, log.users[0])
        return random(size)

    with pytest.raises(InputError, match="not suppressed"):
        train(shop, TrainConfig(), entropy=entropy)
    assert_nothing_was_released(shop)


def test_without_a_purchase_there_is_nothing_to_train_on() -> None:
    shop = memory_workspace()
    with pytest.raises(InputError, match="privrec ingest"):
        train(shop, TrainConfig(), entropy=never)
    assert shop.ledger_log.entries() == []


def test_before_the_first_purchase_there_is_nothing_to_train_on(shop: Workspace) -> None:
    with pytest.raises(InputError, match="privrec ingest"):
        train(shop, TrainConfig(), until=OPENING_MS - 1, entropy=never)
    assert shop.ledger_log.entries() == []


def test_the_popularity_trainer_spends_everything_on_the_counts(shop: Workspace) -> None:
    version = train(shop, TrainConfig(trainer=Trainer.POPULARITY), entropy=seeded())
    factors, _ = shop.registry.load(version.version)
    assert spends(shop) == ["counts"]
    assert factors.n_factors == 0
    assert ledger(shop).summary().mu_spent == pytest.approx(mu_of(4.0, 1e-6), rel=1e-9)


def test_als_is_booked_as_not_private_and_keeps_terms_but_no_sum(shop: Workspace, log: PurchaseLog) -> None:
    version = train(shop, TrainConfig(trainer=Trainer.ALS), entropy=never)
    assert spends(shop) == ["the whole model"]
    assert (version.privacy["private"], version.privacy["epsilon"]) == (False, "infinity")
    assert math.isinf(ledger(shop).summary().epsilon_spent)
    assert shop.sums.load_sum(str(version.sum_id)) == b""
    assert list(shop.sums.terms_of(shop.pseudonyms.user_key(log.users[0]))) == [version.sum_id]


def test_als_is_refused_under_a_budget(shop: Workspace) -> None:
    ledger(shop).set_budget(PrivacyBudget(epsilon=100.0, delta=1e-6))
    with pytest.raises(BudgetExceededError):
        train(shop, TrainConfig(trainer=Trainer.ALS))
    assert_nothing_was_released(shop)


def test_without_privacy_no_noise_is_drawn_and_the_version_says_so(shop: Workspace) -> None:
    version = train(shop, TrainConfig(epsilon=math.inf), entropy=never)
    assert (version.privacy["private"], version.privacy["epsilon"]) == (False, "infinity")


@pytest.mark.parametrize("trainer", EVERY_TRAINER)
def test_the_manifest_says_nothing_about_the_customers_but_the_digest_of_the_model(trainer: Trainer) -> None:
    """The same configuration on another number of other customers leaves the rest as it is.

    But for a certificate: it is of a model without noise, and says how near that is to the exact one.
    The root of the roster is keyed and salted: it is another one even for the same customers.
    """
    manifests = []
    for n_customers in (40, 37):
        shop = open_shop(small_log(n_customers))
        fields = json.loads(write_manifest(train(shop, TrainConfig(trainer=trainer), entropy=seeded())))
        roster = fields["config"].pop("roster")
        assert [len(bytes.fromhex(roster[part])) for part in ("root", "salt")] == [32, 16]
        assert len(fields["config"].pop(EXPORT_DIGEST)) == 64  # under a secret salt: it tells nothing by itself
        manifests.append({name: fields[name] for name in fields.keys() - {"model_digest", "sum_id"}})
        assert (manifests[-1]["config"].pop("certificate", None) is None) == (trainer is not Trainer.ALS_CERTIFIED)
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize("trainer", EVERY_TRAINER)
def test_neither_ids_nor_keys_are_in_the_manifest_or_the_model(log: PurchaseLog, trainer: Trainer) -> None:
    shop = open_shop(log)
    version = train(shop, TrainConfig(trainer=trainer), entropy=seeded())
    published = write_manifest(version) + shop.registry.load(version.version)[0].to_bytes()
    for user in log.users:
        key = shop.pseudonyms.user_key(user)
        assert all(name not in published for name in (user.encode(), key, key.hex().encode()))


def test_the_version_states_its_guarantee_and_that_of_everything_booked_so_far(shop: Workspace) -> None:
    ledger(shop).set_budget(PrivacyBudget(epsilon=8.0, delta=1e-6))
    first = train(shop, TrainConfig(epsilon=2.0), entropy=seeded())
    second = train(shop, TrainConfig(epsilon=2.0), entropy=seeded())
    assert first.privacy["epsilon"] == pytest.approx(2.0, rel=1e-6)
    assert second.privacy["epsilon"] == first.privacy["epsilon"]
    assert first.privacy["epsilon_of_all_releases"] == first.privacy["epsilon"]
    assert second.privacy["epsilon_of_all_releases"] == pytest.approx(ledger(shop).summary().epsilon_spent)
    assert first.privacy["private"] is True
    assert first.privacy["unit"] == "customer"


def test_the_steps_are_told_in_their_order(shop: Workspace) -> None:
    told: list[tuple[str, int]] = []
    train(shop, TrainConfig(), entropy=seeded(), step=lambda name: told.append((name.split()[0], len(spends(shop)))))
    assert told == [("reading", 0), ("booking", 0), ("adding", 3), ("sealing", 3), ("registering", 3)]
