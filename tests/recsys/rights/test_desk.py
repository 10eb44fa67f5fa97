"""An acknowledged objection or restriction holds, whatever becomes of the cache."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.erase import desk, recommender, subject_desk
from recsys.data.corrections import CorrectionStatus
from recsys.data.subject_request import LIMITS, SubjectKind
from recsys.errors import InputError
from recsys.fence import CacheFence
from recsys.rights.desk import Wanted
from recsys.serving.sealed_lists import TOMBSTONE
from recsys.store.memory import MemoryCache
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, memory_workspace, open_workspace
from recsys.types import EventStatus, Purchase
from tests.recsys.erasure.shop import ADA, BEN, LOG, NOBODY, Shop, stock, with_cache
from tests.recsys.training.shop import OPENING, TickingClock


@pytest.fixture
def shop() -> Shop:
    return stock(memory_workspace(clock=TickingClock(), wait=lambda _: None))


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_an_objection_holds_whatever_becomes_of_the_cache(shop: Shop, kind: SubjectKind) -> None:
    assert shop.cached(ADA) is not None
    subject_desk(shop.workspace).limit(ADA, kind)
    assert shop.cache.get(shop.key(ADA)) == TOMBSTONE
    empty = with_cache(replace(shop.workspace, cache=MemoryCache()))  # flushed, restarted or failed over
    after = Shop(empty, shop.entropy)
    assert after.cache.get(shop.key(ADA)) == TOMBSTONE
    after.recommender.publish()
    assert after.cache.get(shop.key(ADA)) == TOMBSTONE
    assert not after.recommender.recommend(ADA).personalized
    assert after.recommender.recommend(BEN).personalized


def test_an_objection_holds_while_the_cache_is_down(shop: Shop) -> None:
    shop.cache.down = True
    epoch = shop.workspace.fences.read().epoch
    subject_desk(shop.workspace).limit(ADA, SubjectKind.OBJECTION)
    shop.cache.down = False
    assert shop.workspace.fences.read().epoch > epoch
    assert not shop.recommender.recommend(ADA).personalized


def test_an_objection_holds_in_a_process_that_starts_later(tmp_path: Path) -> None:
    def opened() -> AbstractContextManager[Workspace]:
        return open_workspace(Settings(state_dir=tmp_path / "shop"), clock=TickingClock(), start_cache=False)

    with opened() as workspace:
        stock(workspace)
        subject_desk(workspace).limit(ADA, SubjectKind.OBJECTION)
    with opened() as workspace:
        served = recommender(workspace)
        assert not served.recommend(ADA).personalized
        assert served.recommend(BEN).personalized


def test_the_list_is_that_of_a_stranger(shop: Shop) -> None:
    subject_desk(shop.workspace).limit(ADA, SubjectKind.OBJECTION)
    ada, stranger = shop.recommender.recommend(ADA), shop.recommender.recommend(NOBODY)
    same = {"recommendation_id": "", "generated_at": OPENING}
    assert replace(ada, **same) == replace(stranger, **same)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_lists_are_served_and_cached_again_once_it_is_taken_back(shop: Shop, kind: SubjectKind) -> None:
    desk = subject_desk(shop.workspace)
    desk.limit(ADA, kind)
    desk.lift(ADA, kind)
    assert shop.recommender.recommend(ADA).personalized
    assert shop.cached(ADA) is not None


def test_while_another_limit_holds_nothing_is_served(shop: Shop) -> None:
    desk = subject_desk(shop.workspace)
    desk.limit(ADA, SubjectKind.OBJECTION)
    desk.limit(ADA, SubjectKind.RESTRICTION)
    desk.lift(ADA, SubjectKind.OBJECTION)
    assert shop.cache.get(shop.key(ADA)) == TOMBSTONE
    assert not shop.recommender.recommend(ADA).personalized


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_an_erasure_that_is_taken_back_leaves_a_limit_as_it_was(shop: Shop, kind: SubjectKind) -> None:
    subject_desk(shop.workspace).limit(ADA, kind)
    request, _ = shop.ask(ADA)
    desk(shop.workspace).cancel(request.request_id)
    assert shop.cache.get(shop.key(ADA)) == TOMBSTONE
    assert not shop.recommender.recommend(ADA).personalized
    subject_desk(shop.workspace).lift(ADA, kind)
    assert shop.recommender.recommend(ADA).personalized


def test_an_erased_customer_is_not_dug_up_again(shop: Shop) -> None:
    shop.ask(ADA)
    desk = subject_desk(shop.workspace)
    desk.limit(ADA, SubjectKind.OBJECTION)
    desk.lift(ADA, SubjectKind.OBJECTION)
    assert shop.cache.get(shop.key(ADA)) == TOMBSTONE


def test_what_is_taken_back_while_the_cache_is_down_is_served_and_cached_once_it_is_done_again(shop: Shop) -> None:
    desk = subject_desk(shop.workspace)
    desk.limit(ADA, SubjectKind.OBJECTION)
    shop.cache.down = True
    desk.lift(ADA, SubjectKind.OBJECTION)
    shop.cache.down = False
    assert shop.recommender.recommend(ADA).personalized
    desk.lift(ADA, SubjectKind.OBJECTION)
    shop.recommender.recommend(ADA)
    assert shop.cached(ADA) is not None


def test_a_restricted_customer_buys_nothing_and_one_who_objects_does(shop: Shop) -> None:
    desk = subject_desk(shop.workspace)
    desk.limit(ADA, SubjectKind.RESTRICTION)
    desk.limit(BEN, SubjectKind.OBJECTION)
    bought = [Purchase(item_id=LOG.items[0], timestamp=OPENING, event_id="new")]
    assert shop.recommender.record({ADA: bought, BEN: bought}) == {
        ADA: [EventStatus.SUPPRESSED],
        BEN: [EventStatus.ACCEPTED],
    }


def test_a_correction_says_what_became_of_it_and_the_next_list_goes_by_it(shop: Shop) -> None:
    desk = subject_desk(shop.workspace)
    shop.recommender.record({ADA: [Purchase(item_id=LOG.items[0], timestamp=OPENING, event_id="new")]})
    shop.recommender.recommend(ADA)
    statuses = desk.rectify(
        ADA,
        [
            Wanted(event_id="new", quantity=2.0),
            Wanted(event_id="new", item_id="no such item"),
            Wanted(event_id="new", quantity=0.0),
            Wanted(event_id="never", delete=True),
            Wanted(event_id="new", delete=True),
        ],
    )
    unknown, invalid = CorrectionStatus.UNKNOWN, CorrectionStatus.INVALID
    assert statuses == (CorrectionStatus.CORRECTED, invalid, invalid, unknown, CorrectionStatus.DELETED)
    assert shop.cached(ADA) is None
    desk.limit(ADA, SubjectKind.RESTRICTION)
    assert desk.rectify(ADA, [Wanted(event_id="new")]) == (CorrectionStatus.RESTRICTED,)


def test_a_correction_that_was_cut_off_is_told_to_the_cache_when_it_is_made_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = subject_desk(shop.workspace)
    shop.recommender.record({ADA: [Purchase(item_id=LOG.items[0], timestamp=OPENING, event_id="new")]})
    shop.recommender.recommend(ADA)

    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(CacheFence, "forget", die)
        with pytest.raises(KeyboardInterrupt):
            desk.rectify(ADA, [Wanted(event_id="new", delete=True)])
    assert shop.cached(ADA) is not None
    assert desk.rectify(ADA, [Wanted(event_id="new", delete=True)]) == (CorrectionStatus.UNKNOWN,)
    assert shop.cached(ADA) is None


def test_nothing_tells_an_unknown_customer_from_one_who_was_erased(shop: Shop) -> None:
    desk = subject_desk(shop.workspace)
    shop.erase(ADA)
    wanted = [Wanted(event_id="1", delete=True), Wanted(event_id="2", item_id="no such item")]
    assert desk.rectify(ADA, wanted) == desk.rectify(NOBODY, wanted)


def test_an_id_that_cannot_be_one_is_refused(shop: Shop) -> None:
    with pytest.raises(InputError):
        subject_desk(shop.workspace).limit("", SubjectKind.OBJECTION)
    with pytest.raises(InputError):
        subject_desk(shop.workspace).rectify(ADA, [Wanted(event_id="")])
