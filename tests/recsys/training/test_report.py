"""The privacy report of a version: what is booked is what it states, and it says nothing else about the customers."""

import hashlib
import json
import math
import secrets
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent, pld
from scipy.stats import norm

from recsys.data.interactions import PurchaseLog
from recsys.errors import StateError
from recsys.evidence.chain import head, link
from recsys.evidence.privacy_report import verify_report
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.keys import KeyRing
from recsys.store.workspace import Workspace
from recsys.training.fit import Fitted
from recsys.training.release import NOT_COVERED, register, release_again
from recsys.training.report import BY_DEFAULT, BY_OPERATOR, DELTAS, DataDigest, code_digest, signed_report
from recsys.training.terms import Terms, TrainConfig
from recsys.training.train import snapshot, train
from recsys.types import Json, ModelVersion, PrivacyBudget, PrivacySpend, Trainer
from tests.recsys.training.shop import EVERY_TRAINER, LOUD, open_shop, seeded, small_log

TWO_RELEASES = TrainConfig(epsilon=LOUD, releases=2)
NOTHING = DataDigest(of="purchases", digest="00" * 32)


def report_of(shop: Workspace, version: ModelVersion) -> dict[str, Any]:
    return verify_report(shop.registry.report(version.version), shop.public_key)


def trained(shop: Workspace, config: TrainConfig | None = None) -> dict[str, Any]:
    return report_of(shop, train(shop, config or TrainConfig(), entropy=seeded()))


def balle_wang_delta(epsilon: float, mu: float) -> float:
    return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon + norm.logcdf(-mu / 2 - epsilon / mu)))


def test_a_version_is_registered_with_a_signed_report_of_its_own(shop: Workspace) -> None:
    version = train(shop, TrainConfig(), entropy=seeded())
    body = report_of(shop, version)
    assert (body["version"], body["model_digest"]) == (version.version, version.model_digest)
    assert body["private"] is True
    assert body["statement"].startswith("Private: ")
    assert body["unit"] == "a customer, with everything under one user id"
    assert body["neighboring_relation"] == "add_or_remove_one"
    assert body["not_covered"] == list(NOT_COVERED)
    assert any(line.startswith("tuning") for line in body["not_covered"])


def test_the_curve_is_that_of_the_closed_form_and_passes_the_promise(shop: Workspace) -> None:
    guarantee = trained(shop)["guarantee"]
    assert [point["delta"] for point in guarantee["curve"]] == list(DELTAS)
    for point in guarantee["curve"]:
        assert balle_wang_delta(point["epsilon"], guarantee["mu"]) == pytest.approx(point["delta"], rel=1e-3)
    at = {point["delta"]: point["epsilon"] for point in guarantee["curve"]}
    assert at[guarantee["delta"]] == guarantee["epsilon"] == pytest.approx(4.0, rel=1e-6)
    assert list(at.values()) == sorted(at.values())


def test_the_events_are_what_was_booked_at_the_places_they_name(shop: Workspace) -> None:
    body, entries = trained(shop), shop.ledger_log.entries()
    assert [event["statistic"] for event in body["events"]] == ["customers", "counts", "gram"]
    for event in body["events"]:
        entry = entries[event["ledger_index"]]
        for name in ("statistic", "purpose", "sensitivity", "noise_multiplier"):
            assert event[name] == entry[name]
        assert event["noise_standard_deviation"] == pytest.approx(entry["noise_multiplier"] * entry["sensitivity"])
        assert (event["mechanism"], event["count"], event["sampling_probability"]) == ("gaussian", 1, 1.0)
    assert body["ledger"] == {"entries": len(entries), "head": head(entries)}
    assert body["guarantee"]["mu"] == pytest.approx(math.hypot(*(1 / e["noise_multiplier"] for e in body["events"])))


def test_a_second_version_states_its_own_cost_and_that_of_everything_so_far(shop: Workspace) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=8.0, delta=1e-6))
    first, second = (trained(shop, TrainConfig(epsilon=2.0)) for _ in range(2))
    assert second["guarantee"] == first["guarantee"]
    assert first["all_releases"]["curve"] == first["guarantee"]["curve"]
    assert (first["all_releases"]["releases"], second["all_releases"]["releases"]) == (3, 6)
    assert second["all_releases"]["mu"] == pytest.approx(first["guarantee"]["mu"] * math.sqrt(2))
    assert [event["ledger_index"] for event in second["events"]] == [4, 5, 6]


def test_a_release_from_a_changed_sum_is_reported_with_the_statistics_of_the_first_one(shop: Workspace) -> None:
    first = train(shop, TWO_RELEASES, entropy=seeded(1))
    second = report_of(shop, release_again(shop, str(first.sum_id), purpose="more", entropy=seeded(2)))
    assert [(event["statistic"], event["purpose"]) for event in second["events"]] == [
        ("customers", "train"),
        ("counts", "train"),
        ("gram", "more"),
    ]
    assert [event["ledger_index"] for event in second["events"]] == [1, 2, 4]
    assert (second["parent"], second["data"]["of"]) == (first.version, "sum")
    assert second["guarantee"] == report_of(shop, first)["guarantee"]
    assert second["all_releases"]["mu"] > second["guarantee"]["mu"]


def test_after_a_crash_the_report_names_the_booking_whose_noise_is_in_the_model(shop: Workspace) -> None:
    def power_cut(_: int) -> bytes:
        msg = "power cut"
        raise OSError(msg)

    first = train(shop, replace(TWO_RELEASES, releases=3), entropy=seeded(1))
    with pytest.raises(OSError, match="power cut"):
        release_again(shop, str(first.sum_id), purpose="more", entropy=power_cut)
    second = report_of(shop, release_again(shop, str(first.sum_id), purpose="more", entropy=seeded(2)))
    assert [event["ledger_index"] for event in second["events"]] == [1, 2, 5]
    assert second["all_releases"]["releases"] == 5


def test_a_version_whose_releases_are_not_booked_is_not_registered(shop: Workspace) -> None:
    factors, _ = shop.registry.load(train(shop, TrainConfig(), entropy=seeded()).version)
    before, terms = shop.registry.versions(), Terms.under(TrainConfig())
    with pytest.raises(StateError, match=r"in the privacy ledger, got no such entry"):
        register(shop, Fitted(factors, None), terms, sum_id="another sum", purpose="train", data=NOTHING)
    assert shop.registry.versions() == before


def test_one_booking_does_not_stand_for_two_releases(shop: Workspace) -> None:
    version = train(shop, TrainConfig(), entropy=seeded())
    spends = Terms.of(version).first_spends(str(version.sum_id))
    signed_report(shop, version, spends, NOTHING)
    with pytest.raises(StateError, match="gram"):
        signed_report(shop, version, [*spends, spends[-1]], NOTHING)


@pytest.mark.parametrize("config", [TrainConfig(trainer=Trainer.ALS), TrainConfig(epsilon=math.inf)])
def test_a_version_without_privacy_says_so_in_plain_words_and_promises_no_epsilon(
    shop: Workspace, config: TrainConfig
) -> None:
    body = trained(shop, config)
    assert body["private"] is False
    assert body["statement"].startswith("NOT private, no guarantee")
    assert body["guarantee"]["epsilon"] == body["guarantee"]["mu"] == "infinity"
    assert {point["epsilon"] for point in body["guarantee"]["curve"]} == {"infinity"}
    assert {event["mechanism"] for event in body["events"]} == {"none"}


def test_a_release_on_samples_is_accounted_by_its_loss_distribution(shop: Workspace) -> None:
    version = train(shop, TrainConfig(), entropy=seeded())
    spend = PrivacySpend(
        purpose="train",
        statistic="gradients",
        sensitivity=1.0,
        noise_multiplier=1.1,
        sum_id="sum",
        sampling_probability=0.02,
        count=200,
    )
    entry: dict[str, Json] = {
        "type": "spend",
        "mechanism": "poisson_sampled_gaussian",
        "at": "2026-01-31T12:00:00.000Z",
    }
    shop.ledger_log.append(link(shop.ledger_log.entries(), {**entry, **asdict(spend)}))
    found: dict[str, Any] = verify_report(signed_report(shop, version, [spend], NOTHING), shop.public_key)
    accountant = pld.PLDAccountant()
    accountant.compose(SelfComposedDpEvent(PoissonSampledDpEvent(0.02, GaussianDpEvent(1.1)), 200))
    for point in found["guarantee"]["curve"]:
        assert point["epsilon"] == pytest.approx(accountant.get_epsilon(point["delta"]), rel=1e-2)
    assert found["guarantee"]["mu"] is None
    assert "loss distributions" in found["guarantee"]["accounting"]
    event = found["events"][0]
    assert (event["count"], event["sampling_probability"]) == (200, 0.02)
    assert event["mechanism"] == "poisson_sampled_gaussian"


@pytest.mark.parametrize("trainer", EVERY_TRAINER)
def test_the_report_says_nothing_about_the_customers_but_what_was_released(trainer: Trainer) -> None:
    """The same configuration on another number of other customers leaves everything but names and commitment as is."""
    bodies = []
    for n_customers in (40, 37):
        body = trained(open_shop(small_log(n_customers)), TrainConfig(trainer=trainer))
        assert body["data"].keys() == {"of", "commitment", "salt", "method"}
        del body["version"], body["model_digest"], body["data"], body["ledger"]["head"]
        bodies.append(body)
    assert bodies[0] == bodies[1]


def test_no_id_and_no_key_of_a_customer_is_in_the_report(shop: Workspace, log: PurchaseLog) -> None:
    report = shop.registry.report(train(shop, TrainConfig(), entropy=seeded()).version)
    for user in log.users:
        key = shop.pseudonyms.user_key(user)
        assert all(name not in report for name in (user.encode(), key, key.hex().encode()))


def test_the_installation_can_show_which_data_it_committed_to(shop: Workspace) -> None:
    data = trained(shop)["data"]
    digest = bytes.fromhex(snapshot(shop)[1].interactions().digest)
    assert data["commitment"] == shop.keys.commitment(digest, bytes.fromhex(data["salt"]))


def test_the_same_data_under_other_keys_give_another_commitment(shop: Workspace) -> None:
    data = trained(shop)["data"]
    digest, salt = bytes.fromhex(snapshot(shop)[1].interactions().digest), bytes.fromhex(data["salt"])
    assert KeyRing.ephemeral().commitment(digest, salt) != data["commitment"]


def test_two_reports_do_not_tell_that_the_data_are_the_same(shop: Workspace) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=8.0, delta=1e-6))
    first, second = (trained(shop, TrainConfig(epsilon=2.0))["data"] for _ in range(2))
    assert first["salt"] != second["salt"]
    assert first["commitment"] != second["commitment"]


def test_who_knows_all_customers_but_one_learns_about_that_one_from_a_digest_and_not_from_the_report() -> None:
    def finds_the_last_customer(commit: Callable[[bytes, bytes], str]) -> bool:
        """The attacker tries both worlds and sees which one the published value is of."""
        salt, worlds = secrets.token_bytes(16), [small_log(n).interactions().digest for n in (40, 39)]
        published = commit(bytes.fromhex(worlds[0]), salt)
        tried = [hashlib.sha256(salt + bytes.fromhex(world)).hexdigest() for world in worlds]
        tried += [KeyRing.ephemeral().commitment(bytes.fromhex(world), salt) for world in worlds]
        return published in tried

    assert not finds_the_last_customer(KeyRing.ephemeral().commitment)
    assert finds_the_last_customer(lambda data, salt: hashlib.sha256(salt + data).hexdigest())


def test_a_number_of_factors_that_the_operator_chose_is_disclosed(shop: Workspace) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=8.0, delta=1e-6))
    sources = []
    for config in (TrainConfig(epsilon=2.0), TrainConfig(epsilon=2.0, n_factors=7)):
        settings = trained(shop, config)["settings"]
        sources.append({setting["name"]: setting["source"] for setting in settings}["n_factors"])
    assert sources == [BY_DEFAULT, BY_OPERATOR]
    assert "not covered" in BY_OPERATOR


def test_equal_code_has_an_equal_digest_wherever_it_lies_and_one_byte_more_another(tmp_path: Path) -> None:
    for name in ("one", "same", "other"):
        (tmp_path / name / "room").mkdir(parents=True)
        (tmp_path / name / "room" / "code.py").write_text("a = 1\n")
        (tmp_path / name / "notes.txt").write_text(name)
    (tmp_path / "other" / "room" / "code.py").write_text("a = 2\n")
    one, same, other = (code_digest(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same != other
    assert code_digest() == code_digest()


def test_the_report_names_the_versions_that_noise_and_accounting_depend_on(shop: Workspace) -> None:
    code = trained(shop)["code"]
    assert code["digest"] == code_digest()
    assert {"python", "numpy", "scipy", "dp-accounting"} <= code["packages"].keys()
    assert json.dumps(code["packages"])
