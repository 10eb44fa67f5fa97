"""Two accounts of one customer become one: what is served, and the sums and models that follow."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sqlalchemy import Engine, event

from pipelines.erase import preview_merge, subject_desk
from pipelines.exports import Exporter
from recsys.data.account_merge import MergeStatus
from recsys.data.corrections import CorrectionStatus
from recsys.data.export_job import ExportState
from recsys.data.subject_request import SubjectKind, SubjectState
from recsys.errors import InputError
from recsys.fence import CacheFence
from recsys.models.gram import GramSum
from recsys.rights.desk import Wanted
from recsys.rights.files import SubjectFiles
from recsys.rights.holding import gather
from recsys.serving.sealed_lists import TOMBSTONE
from recsys.store.memory import MemoryCache
from recsys.types import CatalogueItem, ModelStatus, Purchase
from tests.recsys.erasure.shop import (
    ADA,
    BEN,
    EVE,
    LOG,
    NOBODY,
    Shop,
    content,
    live,
    open_sqlite,
    stock,
    sum_without,
    with_cache,
)
from tests.recsys.erasure.test_restored import DATABASE, put_back
from tests.recsys.rights.test_worker import EXACT, limit, work
from tests.recsys.training.shop import OPENING, seeded


def merge(shop: Shop, user_id: str = ADA, into: str = BEN) -> MergeStatus:
    return subject_desk(shop.workspace).merge(user_id, into)


def sum_as_one(whole: GramSum, *accounts: str) -> GramSum:
    """The sum under the same rule of a shop in which these accounts were always one."""
    bought = LOG.interactions().matrix.toarray() > 0
    first, *others = (LOG.users.index(user) for user in accounts)
    bought[first] |= bought[others].any(axis=0)
    return GramSum.empty(whole.items, whole.rule).add(sp.csr_matrix(np.delete(bought, others, axis=0)))


def test_the_live_model_is_that_of_a_shop_in_which_they_were_always_one(shop: Shop) -> None:
    before, whole = live(shop), content(shop)
    assert merge(shop) is MergeStatus.ACKNOWLEDGED
    work(shop)
    assert content(shop).to_bytes() == sum_as_one(whole, BEN, ADA).to_bytes()
    assert shop.statuses() == {before: ModelStatus.WITHDRAWN, live(shop): ModelStatus.LIVE}
    [request] = shop.workspace.subjects.of_customer(shop.key(BEN))
    assert (request.kind, request.state) == (SubjectKind.MERGE, SubjectState.DONE)
    digest = shop.workspace.registry.load(live(shop))[1].model_digest
    shop.train(EXACT)
    assert content(shop).to_bytes() == sum_as_one(whole, BEN, ADA).to_bytes()
    assert shop.workspace.registry.load(live(shop))[1].model_digest == digest


def test_a_private_model_stays_and_its_sum_follows(memory_shop: Shop) -> None:
    before, whole = live(memory_shop), content(memory_shop)
    merge(memory_shop)
    work(memory_shop)
    assert live(memory_shop) == before
    assert content(memory_shop).to_bytes() == sum_as_one(whole, BEN, ADA).to_bytes()


def test_working_again_changes_nothing(shop: Shop) -> None:
    merge(shop)
    work(shop)
    before = shop.statuses(), content(shop).to_bytes()
    merge(shop)
    work(shop)
    assert (shop.statuses(), content(shop).to_bytes()) == before


def test_where_one_of_them_is_in_the_sum_it_stays_as_it_is(shop: Shop) -> None:
    before, whole = live(shop), content(shop).to_bytes()
    merge(shop, into=NOBODY)
    work(shop)
    assert (live(shop), content(shop).to_bytes()) == (before, whole)


def test_three_accounts_end_as_one_in_whatever_order_they_came(shop: Shop) -> None:
    whole = content(shop)
    merge(shop, EVE, ADA)
    merge(shop, ADA, NOBODY)
    merge(shop, BEN, NOBODY)
    work(shop)
    assert content(shop).to_bytes() == sum_as_one(whole, EVE, ADA, BEN).to_bytes()
    limit(shop, NOBODY)
    work(shop)
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN, EVE]).to_bytes()


def test_a_new_customer_under_the_old_id_is_another(shop: Shop) -> None:
    whole = content(shop)
    merge(shop)
    work(shop)
    assert not shop.recommender.recommend(ADA).personalized
    shop.recommender.record({ADA: [Purchase(item_id=LOG.items[0], timestamp=OPENING, event_id="new")]})
    shop.train(EXACT)
    assert content(shop).n_added == sum_as_one(whole, BEN, ADA).n_added + 1
    limit(shop, BEN)
    work(shop)
    assert content(shop).n_added == sum_as_one(whole, BEN, ADA).n_added
    assert shop.recommender.recommend(ADA).personalized


def test_lists_of_before_are_served_no_more(shop: Shop) -> None:
    assert shop.cached(ADA) is not None
    assert shop.cached(BEN) is not None
    merge(shop)
    assert shop.cached(ADA) is None
    assert shop.cached(BEN) is None
    assert not shop.recommender.recommend(ADA).personalized
    assert shop.recommender.recommend(BEN).personalized


def test_a_merge_that_was_cut_off_is_told_to_the_cache_when_it_is_made_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(CacheFence, "forget", die)
        with pytest.raises(KeyboardInterrupt):
            merge(shop)
    assert shop.cached(ADA) is not None
    merge(shop)
    assert shop.cached(ADA) is None
    assert shop.cached(BEN) is None


def test_an_objection_of_the_account_holds_for_the_other(memory_shop: Shop) -> None:
    shop, whole = memory_shop, content(memory_shop)
    limit(shop, ADA)
    merge(shop)
    assert shop.cache.get(shop.key(BEN)) == TOMBSTONE
    empty = with_cache(replace(shop.workspace, cache=MemoryCache()))  # flushed, restarted or failed over
    assert Shop(empty, shop.entropy).cache.get(shop.key(BEN)) == TOMBSTONE
    assert not shop.recommender.recommend(BEN).personalized
    work(shop)
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()


def test_an_old_database_profiles_neither_account_of_who_objected(state_dir: Path, tmp_path: Path) -> None:
    backup = Path(shutil.copy(state_dir / DATABASE, tmp_path / "backup"))
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        limit(shop, ADA)
        merge(shop)
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=2) as workspace:
        shop = Shop(with_cache(workspace), seeded(2))
        assert [shop.recommender.recommend(user).personalized for user in (ADA, BEN, EVE)] == [False, False, True]


def test_who_objected_long_ago_takes_nothing_of_an_account_into_a_sum(shop: Shop) -> None:
    whole = content(shop)
    limit(shop, BEN)
    work(shop)
    merge(shop)
    work(shop)
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()


def test_a_correction_after_the_merge_reaches_the_sums_of_both(shop: Shop) -> None:
    bought = Purchase(item_id=LOG.items[0], timestamp=OPENING, event_id="wrong")
    shop.workspace.catalogue.add_items([CatalogueItem(item_id="only")])
    shop.recommender.record({ADA: [replace(bought, item_id="only")]})
    shop.train(EXACT)
    merge(shop, into=NOBODY)
    statuses = subject_desk(shop.workspace).rectify(NOBODY, [Wanted(event_id="wrong", delete=True)])
    assert statuses == (CorrectionStatus.DELETED,)
    assert merge(shop, BEN, NOBODY) is MergeStatus.UNSETTLED
    work(shop)
    assert content(shop).counts[-1] == 0
    assert merge(shop, BEN, NOBODY) is MergeStatus.ACKNOWLEDGED


def test_what_is_held_is_that_of_both(shop: Shop) -> None:
    expected = {LOG.items[item] for user in (ADA, BEN) for item in LOG.history(LOG.users.index(user)).items}
    nothing = gather(shop.workspace, shop.workspace.keys, shop.key(NOBODY)).summary()
    merge(shop, into=NOBODY)
    merge(shop, BEN, NOBODY)
    for _ in range(2):
        held = gather(shop.workspace, shop.workspace.keys, shop.key(NOBODY))
        assert {purchase.item_id for purchase in held.purchases} == expected
        work(shop)
    assert gather(shop.workspace, shop.workspace.keys, shop.key(ADA)).summary() == nothing
    [term] = held.terms
    assert set(term.item_ids) == expected
    assert [request.kind for request in held.requests] == [SubjectKind.MERGE] * 2
    assert shop.key(ADA).hex() not in str(held.summary())


def test_a_file_of_the_account_is_withdrawn(memory_shop: Shop) -> None:
    workspace = memory_shop.workspace
    files = SubjectFiles(
        exports=workspace.exports, histories=workspace.histories, pseudonyms=workspace.keys, clock=workspace.clock
    )
    old, other = files.ask(ADA), files.ask(BEN)
    Exporter(workspace).run()
    merge(memory_shop)
    assert files.job(old.export_id).state is ExportState.WITHDRAWN
    assert files.job(other.export_id).state is ExportState.DONE


@pytest.mark.parametrize("finished", [False, True])
def test_nothing_tells_an_unknown_account_from_one_that_was_erased(memory_shop: Shop, finished: bool) -> None:
    shop = memory_shop
    shop.ask(ADA)
    if finished:
        shop.work()
    answers = [merge(shop, user) for user in (ADA, NOBODY)]
    previews = [preview_merge(shop.workspace, user, BEN) for user in (ADA, NOBODY)]
    assert answers[0] is answers[1] is MergeStatus.ACKNOWLEDGED
    assert previews[0] == previews[1]
    assert shop.workspace.subjects.of_customer(shop.key(BEN)) == ()
    assert len(shop.workspace.histories.history(shop.key(BEN))) == len(LOG.history(LOG.users.index(BEN)))


def test_an_erased_account_is_looked_up_with_the_statements_of_an_unknown_one(tmp_path: Path) -> None:
    """So that time does not tell either."""
    with open_sqlite(tmp_path / "shop") as workspace:
        shop = stock(with_cache(workspace), None)
        shop.ask(ADA)
        asked: list[str] = []
        engine: Engine = workspace.subjects._engine  # type: ignore[attr-defined]
        event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
        merge(shop, ADA)
        of_erased, asked[:] = [*asked], []
        merge(shop, NOBODY)
    assert of_erased == asked


def test_a_preview_counts_and_changes_nothing(memory_shop: Shop) -> None:
    before = [memory_shop.workspace.histories.history(memory_shop.key(user)) for user in (ADA, BEN)]
    found = preview_merge(memory_shop.workspace, ADA, BEN)
    assert (found["account"], found["into"]) == tuple(map(len, before))
    merge(memory_shop)
    assert found["together"] == len(memory_shop.workspace.histories.history(memory_shop.key(BEN)))


@pytest.mark.parametrize(("user_id", "into"), [(ADA, ADA), ("é", "e\u0301"), ("", ADA), (ADA, "")])
def test_what_is_not_two_accounts_is_refused(memory_shop: Shop, user_id: str, into: str) -> None:
    with pytest.raises(InputError):
        merge(memory_shop, user_id, into)
    with pytest.raises(InputError):
        preview_merge(memory_shop.workspace, user_id, into)
