"""Sums and models after objections, restrictions and rectifications; in memory and on SQLite."""

from dataclasses import dataclass

import numpy as np
import pytest

from pipelines.erase import subject_desk
from recsys.data.corrections import Corrected, CorrectionStatus, moves_between
from recsys.data.history import History, event_digest
from recsys.data.subject_request import LIMITS, SubjectKind, SubjectRequest, SubjectState
from recsys.erasure.lineage import roster_proof
from recsys.errors import StateLockedError
from recsys.models.customer import pack_term, unpack_term
from recsys.rights.desk import Wanted
from recsys.rights.worker import SubjectWorker
from recsys.store.workspace import Workspace, memory_workspace
from recsys.training.renew import renew
from recsys.training.terms import TrainConfig
from recsys.types import CatalogueItem, ModelStatus, Purchase
from tests.recsys.erasure.shop import ADA, BEN, Shop, content, live, stock, sum_without
from tests.recsys.training.shop import OPENING, TickingClock

EXACT = TrainConfig(epsilon=float("inf"), erasable=True, n_factors=4)


def work(shop: Shop) -> None:
    SubjectWorker(
        shop.workspace,
        release_again=lambda sum_id, purpose: renew(shop.workspace, sum_id, purpose=purpose, entropy=shop.entropy),
        publish=shop.recommender.publish,
    ).run()


def limit(shop: Shop, user_id: str, kind: SubjectKind = SubjectKind.OBJECTION) -> None:
    subject_desk(shop.workspace).limit(user_id, kind)


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_the_live_model_is_that_of_a_shop_which_never_had_the_customer(shop: Shop, kind: SubjectKind) -> None:
    before, whole = live(shop), content(shop)
    limit(shop, ADA, kind)
    work(shop)
    after = live(shop)
    assert content(shop).to_bytes() == sum_without(whole, [ADA]).to_bytes()
    assert shop.statuses() == {before: ModelStatus.WITHDRAWN, after: ModelStatus.LIVE}
    [request] = shop.workspace.subjects.of_customer(shop.key(ADA))
    assert request.state is SubjectState.DONE
    assert request.details["versions"] == [
        {
            "version": before,
            "outcome": "withdrawn, and superseded by the model of the corrected sum",
            "superseded_by": after,
        }
    ]
    assert shop.recommender.recommend(BEN).personalized
    assert not shop.recommender.recommend(ADA).personalized


def test_the_history_is_kept_and_the_next_training_has_the_customer_once_it_is_taken_back(shop: Shop) -> None:
    history = shop.workspace.histories.history(shop.key(ADA))
    whole = content(shop).to_bytes()
    limit(shop, ADA)
    work(shop)
    assert shop.workspace.histories.history(shop.key(ADA)) == history
    subject_desk(shop.workspace).lift(ADA, SubjectKind.OBJECTION)
    assert shop.recommender.recommend(ADA).personalized
    shop.train(EXACT)
    assert content(shop).to_bytes() == whole


def test_one_model_serves_everybody_who_objected_before(shop: Shop) -> None:
    whole = content(shop)
    for user in (ADA, BEN):
        limit(shop, user)
    work(shop)
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()
    assert len(shop.workspace.registry.versions()) == 2


def test_working_again_changes_nothing(shop: Shop) -> None:
    limit(shop, ADA)
    work(shop)
    before = (shop.statuses(), content(shop).to_bytes())
    work(shop)
    assert (shop.statuses(), content(shop).to_bytes()) == before


def test_a_worker_that_died_after_the_release_is_followed_by_one_that_withdraws(shop: Shop) -> None:
    before = live(shop)
    limit(shop, ADA)

    @dataclass(frozen=True)
    class Dying:
        workspace: Workspace

        def __getattr__(self, name: str) -> object:
            if name == "withdraw":
                raise KeyboardInterrupt
            return getattr(self.workspace.registry, name)

    class Stores:
        erasures, subjects, sums = shop.workspace.erasures, shop.workspace.subjects, shop.workspace.sums
        registry = Dying(shop.workspace)

    with pytest.raises(KeyboardInterrupt):
        SubjectWorker(
            Stores(),  # type: ignore[arg-type]
            release_again=lambda sum_id, purpose: renew(shop.workspace, sum_id, purpose=purpose, entropy=shop.entropy),
            publish=shop.recommender.publish,
        ).run()
    made = live(shop)
    assert made != before
    work(shop)
    assert shop.statuses() == {before: ModelStatus.WITHDRAWN, made: ModelStatus.LIVE}
    assert shop.workspace.subjects.pending() == ()


def test_an_erasure_after_an_objection_subtracts_nobody_twice(shop: Shop) -> None:
    whole, first = content(shop), live(shop)
    limit(shop, ADA)
    work(shop)
    request = shop.erase(ADA)
    assert content(shop).to_bytes() == sum_without(whole, [ADA]).to_bytes()
    assert first in shop.outcomes(request)
    assert shop.workspace.subjects.of_customer(shop.key(ADA)) == ()
    assert shop.receipt(request)["steps"]["erased"]["requests"].startswith("destroyed")


def test_who_objected_before_a_version_was_made_is_on_its_roster_and_after_their_erasure_too(shop: Shop) -> None:
    limit(shop, ADA)
    work(shop)
    for _ in range(2):
        for version in shop.workspace.registry.versions()[:2]:
            assert roster_proof(shop.workspace, version, shop.key(ADA))["is_in"] is True
        shop.erase(ADA)
    assert roster_proof(shop.workspace, shop.workspace.registry.versions()[-1], shop.key(ADA))["is_in"] is False


def test_while_a_worker_of_erasures_is_at_it_no_sum_is_changed(shop: Shop) -> None:
    whole = content(shop)
    limit(shop, ADA)
    with shop.workspace.erasures.working(), pytest.raises(StateLockedError):
        work(shop)
    assert content(shop).to_bytes() == whole.to_bytes()
    work(shop)
    shop.erase(BEN)  # the lock is free again
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()


def test_a_private_model_stays_and_its_sum_is_without_the_customer() -> None:
    shop = stock(memory_workspace(clock=TickingClock(), wait=lambda _: None))
    before, whole = live(shop), content(shop)
    limit(shop, ADA)
    work(shop)
    assert live(shop) == before
    assert content(shop).to_bytes() == sum_without(whole, [ADA]).to_bytes()
    [request] = shop.workspace.subjects.of_customer(shop.key(ADA))
    [outcome] = request.details["versions"]  # type: ignore[misc, str-unpack]
    assert outcome["outcome"].startswith("kept: bounded")  # type: ignore[index, call-overload, union-attr]


def test_a_rectified_purchase_is_put_right_in_the_sum_and_its_model(shop: Shop) -> None:
    workspace, key = shop.workspace, shop.key(ADA)
    items = [item.item_id for item in workspace.catalogue.items()]
    term = np.unique(workspace.histories.history(key).purchases["item"])
    new = next(place for place in range(len(items)) if place not in term)
    bought = Purchase(item_id=items[new], timestamp=OPENING, event_id="wrong")
    shop.recommender.record({ADA: [bought]})
    shop.train(EXACT)
    before, sum_before = live(shop), content(shop)
    other = next(place for place in range(len(items)) if place not in term and place != new)
    statuses = subject_desk(workspace).rectify(ADA, [Wanted(event_id="wrong", item_id=items[other])])
    work(shop)

    right = np.unique([*term, other]).astype(np.int32)
    wrong = np.unique([*term, new]).astype(np.int32)
    expected = sum_before.subtract(unpack_term(pack_term(wrong), len(items)))
    expected = expected.add(unpack_term(pack_term(right), len(items)))
    assert statuses == (CorrectionStatus.CORRECTED,)
    assert content(shop).to_bytes() == expected.to_bytes()
    assert live(shop) != before
    digest = shop.workspace.registry.load(live(shop))[1].model_digest
    shop.train(EXACT)
    assert content(shop).to_bytes() == expected.to_bytes()
    assert shop.workspace.registry.load(live(shop))[1].model_digest == digest
    assert event_digest("wrong") in workspace.histories.history(key).purchases["event"]


def test_who_has_no_purchase_left_is_out_of_the_sum() -> None:
    shop = stock(memory_workspace(clock=TickingClock(), wait=lambda _: None), None)
    items = [item.item_id for item in shop.workspace.catalogue.items()]
    shop.recommender.record({"zoe": [Purchase(item_id=items[0], timestamp=OPENING, event_id="1")]})
    shop.train(EXACT)
    added = content(shop).n_added
    subject_desk(shop.workspace).rectify("zoe", [Wanted(event_id="1", delete=True)])
    work(shop)
    assert content(shop).n_added == added - 1
    assert not shop.recommender.recommend("zoe").personalized


def test_a_corrected_item_that_is_newer_than_the_sum_is_in_none_of_it(shop: Shop) -> None:
    key, whole = shop.key(ADA), content(shop)
    [old] = list(shop.workspace.sums.terms_of(key).values())
    shop.workspace.catalogue.add_items([CatalogueItem(item_id="newer")])
    shop.recommender.record({ADA: [Purchase(item_id="newer", timestamp=OPENING, event_id="first")]})
    history = shop.workspace.histories.history(key)
    events = [event for event in history.purchases["event"].tolist() if event != event_digest("first")]

    def change(before: History) -> Corrected:
        purchases = before.purchases.copy()
        purchases["item"][purchases["event"] == events[0]] = len(whole.items)
        after = History(purchases)
        return Corrected(after, (CorrectionStatus.CORRECTED,), moves_between(before, after))

    shop.workspace.subjects.rectify(
        SubjectRequest(request_id="r", kind=SubjectKind.RECTIFICATION, received_at=OPENING), key, change
    )
    work(shop)
    [term] = shop.workspace.sums.terms_of(key).values()
    assert set(np.frombuffer(term, "<i4")) <= set(np.frombuffer(old, "<i4"))
    shop.erase(ADA)
    assert content(shop).to_bytes() == sum_without(whole, [ADA]).to_bytes()
