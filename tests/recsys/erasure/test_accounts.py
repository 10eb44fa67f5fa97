"""An erasure of a customer is one of every account that was merged into theirs."""

import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.audit_export import export_audit
from pipelines.erase import desk, preview, prove_roster, subject_desk
from pipelines.exports import Exporter
from recsys.data.account_merge import MergeStatus
from recsys.data.export_job import ExportState
from recsys.data.subject_request import Noted
from recsys.erasure.lineage import lineage, roster_of
from recsys.erasure.promotion import warm
from recsys.errors import StateError, StorageError, VersionConflictError
from recsys.evidence.roster import verify_roster_proof
from recsys.rights.files import SubjectFiles
from recsys.store.memory_journal import MemoryJournal
from recsys.store.settings import Settings
from recsys.types import ErasureRequest, ErasureState, EventStatus, Purchase
from tests.recsys.erasure.killed import AFTER, BEFORE, WITHIN, Moment, work_in_a_process
from tests.recsys.erasure.shop import (
    ADA,
    BEN,
    EVE,
    LOG,
    NOBODY,
    THREE_RELEASES,
    Shop,
    assert_forgotten,
    content,
    live,
    open_sqlite,
    sum_without,
    with_cache,
)
from tests.recsys.erasure.test_restored import DATABASE, put_back
from tests.recsys.training.shop import LOUD, OPENING, seeded


def merge(shop: Shop, user_id: str = ADA, into: str = BEN) -> None:
    assert subject_desk(shop.workspace).merge(user_id, into) is MergeStatus.ACKNOWLEDGED


def requests_of(shop: Shop, user_id: str) -> list[ErasureRequest]:
    return [request for request, key in shop.workspace.erasures.customers() if key == shop.key(user_id)]


def bought(event_id: str = "late") -> list[Purchase]:
    return [Purchase(item_id=LOG.items[0], timestamp=OPENING, event_id=event_id)]


def test_nothing_of_either_is_left(shop: Shop) -> None:
    whole = content(shop)
    merge(shop)
    shop.erase(BEN)
    assert_forgotten(shop, ADA)
    assert_forgotten(shop, BEN)
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()
    assert shop.recommender.record({ADA: bought(), BEN: bought()}) == {
        ADA: [EventStatus.SUPPRESSED],
        BEN: [EventStatus.SUPPRESSED],
    }


def test_where_the_account_alone_was_in_the_sum_it_is_taken_out(shop: Shop) -> None:
    whole = content(shop)
    merge(shop, into=NOBODY)
    shop.erase(NOBODY)
    assert_forgotten(shop, ADA)
    assert_forgotten(shop, NOBODY)
    assert content(shop).to_bytes() == sum_without(whole, [ADA]).to_bytes()


def test_accounts_of_accounts_go_along(shop: Shop) -> None:
    whole = content(shop)
    merge(shop, EVE, ADA)
    merge(shop, ADA, BEN)
    shop.erase(BEN)
    for user in (ADA, BEN, EVE):
        assert_forgotten(shop, user)
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN, EVE]).to_bytes()


def test_accounts_that_went_into_an_id_which_was_used_anew_go_along(shop: Shop) -> None:
    whole = content(shop)
    merge(shop, ADA, BEN)
    merge(shop, EVE, ADA)
    shop.erase(BEN)
    for user in (ADA, BEN, EVE):
        assert_forgotten(shop, user)
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN, EVE]).to_bytes()


def test_what_came_late_under_the_old_id_goes_too_and_files_with_it(memory_shop: Shop) -> None:
    shop, workspace = memory_shop, memory_shop.workspace
    merge(shop)
    shop.recommender.record({ADA: bought()})
    files = SubjectFiles(
        exports=workspace.exports, histories=workspace.histories, pseudonyms=workspace.keys, clock=workspace.clock
    )
    job = files.ask(ADA)
    Exporter(workspace).run()
    shop.erase(BEN)
    assert_forgotten(shop, ADA)
    assert files.job(job.export_id).state is ExportState.WITHDRAWN


def test_each_account_has_a_receipt_that_the_same_salt_opens(memory_shop: Shop) -> None:
    shop = memory_shop
    merge(shop)
    request, _ = shop.ask(BEN)
    assert {done.request_id for done in shop.work()} == {
        each.request_id for user in (ADA, BEN) for each in requests_of(shop, user)
    }
    [beside] = requests_of(shop, ADA)
    assert shop.receipt(request)["steps"]["erased"]["accounts"] == [beside.request_id]
    receipt = shop.receipt(beside)
    assert receipt["steps"]["merged"] == {"into": request.request_id}
    assert receipt["subject"] == request.subject
    assert shop.key(ADA).hex() not in str(receipt)


def test_a_customer_without_accounts_has_the_receipt_of_ever(memory_shop: Shop) -> None:
    request = memory_shop.erase(BEN)
    assert "accounts" not in memory_shop.receipt(request)["steps"]["erased"]
    assert len(memory_shop.workspace.erasures.requests()) == 1


def test_a_release_with_the_erasure_is_without_either(memory_shop: Shop) -> None:
    first = live(memory_shop)
    merge(memory_shop, into=NOBODY)
    memory_shop.erase(NOBODY, release=True)
    assert live(memory_shop) != first
    assert len(memory_shop.workspace.registry.versions()) == 2


def test_what_is_cancelled_in_time_leaves_the_account_alone(memory_shop: Shop) -> None:
    merge(memory_shop)
    request, _ = memory_shop.ask(BEN)
    desk(memory_shop.workspace).cancel(request.request_id)
    memory_shop.work()
    assert requests_of(memory_shop, ADA) == []
    assert memory_shop.recommender.recommend(BEN).personalized
    assert memory_shop.recommender.record({ADA: bought()}) == {ADA: [EventStatus.ACCEPTED]}


def test_what_is_in_the_way_of_an_account_holds_up_its_customer_and_nobody_else(memory_shop: Shop) -> None:
    class Refusing(MemoryJournal):
        def note(self, *entries: Noted) -> None:
            if any(entry.user_key == memory_shop.key(ADA) for entry in entries):
                msg = "expected room on the disk, got none; make some"
                raise StorageError(msg)
            super().note(*entries)

    shop = memory_shop
    merge(shop)
    for user in (BEN, EVE):
        shop.ask(user)
    full = Shop(replace(shop.workspace, journal=Refusing()), shop.entropy)
    with pytest.raises(StorageError):
        full.work()
    assert_forgotten(shop, EVE)
    [held] = requests_of(shop, BEN)
    assert (held.state, held.attempts) == (ErasureState.SUPPRESSED, 1)
    assert len(shop.workspace.histories.history(shop.key(BEN))) > 0
    shop.work()
    assert_forgotten(shop, BEN)
    assert_forgotten(shop, ADA)


def test_an_account_whose_own_erasure_waits_out_its_days_of_grace_waits_no_longer(memory_shop: Shop) -> None:
    """Cancelled later, it would leave the customer's terms in sums."""
    shop = memory_shop
    merge(shop)
    late = replace(shop.workspace, settings=Settings(erasure_grace_hours=48))
    waiting, _ = desk(late).request(ADA)
    request, _ = shop.ask(BEN)
    assert {done.request_id for done in shop.work()} == {request.request_id, waiting.request_id}


def test_an_account_that_was_erased_before_the_merge_brings_nothing(shop: Shop) -> None:
    whole = content(shop)
    shop.erase(ADA)
    merge(shop)
    assert_forgotten(shop, ADA)
    shop.erase(BEN)
    assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()
    assert len(requests_of(shop, ADA)) == 1


def test_an_account_does_not_go_into_one_that_was_erased(shop: Shop) -> None:
    history = shop.workspace.histories.history(shop.key(ADA))
    shop.ask(BEN)
    merge(shop)
    shop.work()
    assert_forgotten(shop, BEN)
    assert shop.workspace.histories.history(shop.key(ADA)) == history
    assert shop.recommender.recommend(ADA).personalized


def test_versions_of_a_merged_account_are_found_before_and_after_the_erasure(shop: Shop) -> None:
    first = live(shop)
    merge(shop, into=NOBODY)
    shop.budget(10 * LOUD)
    shop.train(THREE_RELEASES)
    made: dict[str, Any] = {version.version: version for version in shop.workspace.registry.versions()}
    for _ in range(2):
        found: Any = lineage(shop.workspace, shop.key(NOBODY))
        assert [version["version"] for version in found["versions"]] == list(made)
        assert found["merged_accounts"] == 1
        for name, version in made.items():
            proof: Any = prove_roster(shop.workspace, name, NOBODY)["proof"]
            root = version.config["roster"]["root"]
            assert roster_of(shop.workspace, version).root == root
            assert verify_roster_proof(proof, root) is True
        shop.erase(NOBODY)
    assert first in made
    assert preview(shop.workspace, NOBODY)["terms"] == 0


def test_rosters_are_found_again_after_sums_followed_a_merge(shop: Shop) -> None:
    [version] = shop.workspace.registry.versions()
    committed: Any = version.config["roster"]
    merge(shop)
    assert roster_of(shop.workspace, version).root == committed["root"]
    shop.erase(BEN)
    assert roster_of(shop.workspace, version).root == committed["root"]


def test_a_version_with_the_account_is_not_promoted_once_the_erasure_is_acknowledged(memory_shop: Shop) -> None:
    first = live(memory_shop)
    merge(memory_shop, into=NOBODY)
    memory_shop.budget(10 * LOUD)
    memory_shop.train(THREE_RELEASES)
    memory_shop.ask(NOBODY)
    with pytest.raises(VersionConflictError, match="train again"):
        warm(first, memory_shop.workspace)


def test_an_audit_export_waits_for_the_erasure_of_who_is_in_it_under_a_merged_account(
    memory_shop: Shop, tmp_path: Path
) -> None:
    merge(memory_shop, into=NOBODY)
    memory_shop.ask(NOBODY)
    with pytest.raises(StateError, match="wait for their erasure"):
        export_audit(memory_shop.workspace, live(memory_shop), tmp_path / "export")


def test_a_database_of_before_the_merge_brings_back_neither(state_dir: Path, tmp_path: Path) -> None:
    backup = Path(shutil.copy(state_dir / DATABASE, tmp_path / "backup"))
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        merge(shop)
        shop.erase(BEN)
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=2) as workspace:
        shop = Shop(with_cache(workspace), seeded(2))
        assert not shop.recommender.recommend(ADA).personalized
        shop.work()
        assert_forgotten(shop, ADA)
        assert_forgotten(shop, BEN)


MOMENTS = [
    Moment("erasures", "suppress", BEFORE),
    Moment("erasures", "suppress", WITHIN),
    Moment("journal", "note", BEFORE),
    Moment("erasures", "erase_customers", BEFORE),
    Moment("erasures", "erase_customers", WITHIN),
    Moment("erasures", "erase_customers", AFTER),
    Moment("erasures", "finish", AFTER),
]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_killed_at_any_moment_the_next_worker_leaves_nothing(state_dir: Path, moment: Moment) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        whole = content(shop)
        merge(shop)
        shop.ask(BEN)
    assert work_in_a_process(state_dir, 2, moment) == -signal.SIGKILL
    assert work_in_a_process(state_dir, 3) == 0
    with open_sqlite(state_dir, day=4) as workspace:
        shop = Shop(with_cache(workspace), seeded(4))
        assert_forgotten(shop, ADA)
        assert_forgotten(shop, BEN)
        assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()
        requests = [*requests_of(shop, ADA), *requests_of(shop, BEN)]
        assert [request.state for request in requests] == [ErasureState.RECEIPTED] * 2
