"""A database that was put back from a backup of before an erasure, and customers who come back themselves."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipelines.erase import desk
from recsys.erasure.restored import WHY, keep_out
from recsys.errors import ErasureConflictError, StorageError
from recsys.serving.sealed_lists import TOMBSTONE
from recsys.store.memory import MemoryCache, MemoryErasures
from recsys.store.memory_journal import MemoryJournal
from recsys.training.terms import TrainConfig
from recsys.types import ErasureState, EventStatus, JournalEntry
from tests.recsys.erasure.shop import (
    ADA,
    BEN,
    EVE,
    LOG,
    NOBODY,
    Shop,
    assert_forgotten,
    content,
    open_sqlite,
    sum_without,
    with_cache,
)
from tests.recsys.serving.shop import purchase
from tests.recsys.training.shop import LOUD, seeded

DATABASE = "privrec.sqlite"


def test_an_old_database_serves_nobody_who_was_erased_since(state_dir: Path, tmp_path: Path) -> None:
    backup = Path(shutil.copy(state_dir / DATABASE, tmp_path / "backup"))
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        first = shop.erase(ADA, release=True)
        shop.erase(BEN)
        assert shop.recommender.recommend(EVE).personalized

    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=2) as workspace:
        shop = Shop(with_cache(workspace), seeded(2))
        for user in (ADA, BEN):
            assert not shop.recommender.recommend(user).personalized
            assert shop.recommender.record({user: [purchase("new", "i00")]}) == {user: [EventStatus.SUPPRESSED]}
        assert shop.recommender.recommend(EVE).personalized
        assert shop.key(ADA) not in [key for key, _, _ in workspace.histories.scan()]

        done = shop.work()
        assert len(done) == 2
        assert_forgotten(shop, ADA)
        assert_forgotten(shop, BEN)
        assert content(shop).to_bytes() == sum_without(content(shop), [ADA, BEN]).to_bytes()
        again = next(each for each in done if each.subject == first.subject)
        assert again.request_id != first.request_id
        assert (again.received_at, again.release) == (first.received_at, False)
        said: Any = shop.receipt(again)["steps"]["restored"]
        assert (said["request"], said["why"]) == (first.request_id, WHY)

    with open_sqlite(state_dir, day=3) as workspace:  # and nobody is erased a third time
        assert [request.state for request in workspace.erasures.requests()] == [ErasureState.RECEIPTED] * 2


def test_an_old_database_is_not_trained_with_who_was_erased_since(state_dir: Path, tmp_path: Path) -> None:
    backup = Path(shutil.copy(state_dir / DATABASE, tmp_path / "backup"))
    with open_sqlite(state_dir, day=1) as workspace:
        Shop(with_cache(workspace), seeded(1)).erase(ADA)
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=2) as workspace:
        shop = Shop(with_cache(workspace), seeded(2))
        shop.budget(10 * LOUD)
        shop.train(TrainConfig(epsilon=LOUD))
        assert len(list(workspace.sums.terms_in(str(workspace.sums.latest_sum())))) == len(LOG.users) - 1


def test_a_database_from_between_two_steps_goes_on_with_the_same_request(state_dir: Path, tmp_path: Path) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        request, _ = Shop(with_cache(workspace), seeded(1)).ask(ADA)
    backup = Path(shutil.copy(state_dir / DATABASE, tmp_path / "backup"))
    with open_sqlite(state_dir, day=2) as workspace:
        Shop(with_cache(workspace), seeded(1)).work()
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=3) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        assert [done.request_id for done in shop.work()] == [request.request_id]
        assert_forgotten(shop, ADA)


def test_who_cancelled_is_not_erased_by_the_journal(state_dir: Path, tmp_path: Path) -> None:
    backup = Path(shutil.copy(state_dir / DATABASE, tmp_path / "backup"))
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        request, _ = shop.ask(ADA)
        desk(workspace).cancel(request.request_id)
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=2) as workspace:
        assert workspace.erasures.requests() == ()
        assert Shop(with_cache(workspace), seeded(1)).recommender.recommend(ADA).personalized


def test_who_was_suppressed_before_there_was_a_journal_is_in_it_from_the_first_start_on(state_dir: Path) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        request = shop.erase(ADA)
    (state_dir / "suppressions.journal").unlink()
    with open_sqlite(state_dir, day=2) as workspace:
        [entry], _ = workspace.journal.entries()
        assert (entry.user_key, entry.request.request_id) == (shop.key(ADA), request.request_id)


def test_an_old_database_is_held_against_the_whole_of_a_journal_that_was_made_anew(
    state_dir: Path, tmp_path: Path
) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        Shop(workspace, seeded(1)).ask(EVE)
    with open_sqlite(state_dir, day=2):
        pass  # the database knows the journal up to here
    backup = Path(shutil.copy(state_dir / DATABASE, tmp_path / "backup"))
    with open_sqlite(state_dir, day=3) as workspace:
        shop = Shop(workspace, seeded(3))
        for user in LOG.users[:6]:
            shop.ask(user)
    (state_dir / "suppressions.journal").unlink()
    with open_sqlite(state_dir, day=4):
        pass  # the journal is made anew, in the order of keys
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=5) as workspace:
        shop = Shop(workspace, seeded(5))
        assert all(workspace.histories.state(shop.key(user)).suppressed for user in (*LOG.users[:6], EVE))


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_journal_whose_beginning_was_cut_short_is_completed(state_dir: Path, *, is_marked: bool) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(workspace, seeded(1))
        for user in (ADA, BEN, EVE):
            shop.ask(user)
    if is_marked:
        with open_sqlite(state_dir, day=2):
            pass
    journal = state_dir / "suppressions.journal"
    journal.unlink()
    with open_sqlite(state_dir, day=3) as workspace:
        assert len(workspace.journal.entries()[0]) == 3
    # As the power leaves it that goes between the lines, before the database has its mark.
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:1]))
    with open_sqlite(state_dir, day=4) as workspace:
        shop = Shop(workspace, seeded(4))
        entries, _ = workspace.journal.entries()
        assert sorted(each.user_key for each in entries) == sorted(map(shop.key, (ADA, BEN, EVE)))


def test_a_request_is_not_acknowledged_before_it_is_in_the_journal(memory_shop: Shop) -> None:
    class Full(MemoryJournal):
        def note(self, *entries: object) -> None:
            msg = "full"
            raise StorageError(msg)

    with pytest.raises(StorageError):
        Shop(replace(memory_shop.workspace, journal=Full()), memory_shop.entropy).ask(ADA)
    request, _ = memory_shop.ask(ADA)
    [entry], _ = memory_shop.workspace.journal.entries()
    assert entry.request.request_id == request.request_id


def test_the_same_journal_again_changes_nothing(memory_shop: Shop) -> None:
    workspace = memory_shop.workspace
    memory_shop.erase(ADA)
    before = workspace.erasures.requests()
    _, end = workspace.journal.entries()
    for _ in range(2):
        kept = keep_out(workspace.erasures, workspace.journal, workspace.fence, now=workspace.clock())
        assert kept == (end, 0)
    assert workspace.erasures.requests() == before


def test_who_is_kept_out_again_is_buried_in_the_cache(memory_shop: Shop) -> None:
    workspace, key = memory_shop.workspace, memory_shop.key(ADA)
    other = replace(workspace, erasures=MemoryErasures())  # of before the restoration
    desk(replace(other, cache=MemoryCache())).request(ADA)
    assert memory_shop.cached(ADA) is not None
    _, again = keep_out(workspace.erasures, workspace.journal, workspace.fence, now=workspace.clock())
    assert again == 1
    assert memory_shop.cache.get(key) == TOMBSTONE


@pytest.mark.parametrize("way", ["cancel", "consent"])
def test_who_is_let_in_while_a_process_starts_is_not_suppressed_again(memory_shop: Shop, way: str) -> None:
    workspace = memory_shop.workspace
    let_in: Callable[[], object]
    if way == "consent":
        memory_shop.erase(ADA)
        let_in = partial(desk(workspace).consent, ADA)
    else:
        let_in = partial(desk(workspace).cancel, memory_shop.ask(ADA)[0].request_id)
    memory_shop.ask(BEN)
    journal: Any = After(workspace.journal, "entries", let_in)
    keep_out(workspace.erasures, journal, workspace.fence, now=workspace.clock())
    assert workspace.erasures.holding(memory_shop.key(ADA)) is None
    assert not workspace.histories.state(memory_shop.key(ADA)).suppressed
    assert workspace.histories.state(memory_shop.key(BEN)).suppressed


def test_who_cancels_while_a_process_suppresses_them_again_is_let_in_at_the_next_start_too(memory_shop: Shop) -> None:
    workspace = memory_shop.workspace
    journal, key = MemoryJournal(), memory_shop.key(ADA)
    request, _ = memory_shop.ask(ADA)
    desk(workspace).cancel(request.request_id)
    journal.note(JournalEntry(user_key=key, request=request))

    def let_in() -> None:
        [(again, _)] = workspace.erasures.pending()
        desk(replace(workspace, journal=journal)).cancel(again.request_id)

    erasures: Any = After(workspace.erasures, "suppress", let_in)
    for _ in range(2):
        keep_out(erasures, journal, workspace.fence, now=workspace.clock())
        assert workspace.erasures.holding(key) is None


class After:
    """A port, after whose first call of a method another process does something."""

    def __init__(self, port: object, method: str, then: Callable[[], object]) -> None:
        self._port, self._method, self._then = port, method, [then]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if self._then:
                self._then.pop()()
            return result

        return called if name == self._method else method


# A fresh consent.


def test_who_comes_back_is_a_new_customer_and_the_old_request_stays_on_record(shop: Shop) -> None:
    request = shop.erase(ADA)
    assert desk(shop.workspace).consent(ADA) == request
    assert shop.recommender.record({ADA: [purchase("new", "i00")]}) == {ADA: [EventStatus.ACCEPTED]}
    assert len(shop.workspace.histories.history(shop.key(ADA))) == 1
    assert shop.recommender.recommend(ADA).personalized
    assert shop.cached(ADA) is not None
    assert shop.workspace.erasures.request(request.request_id) == request
    assert shop.receipt(request)["request_id"] == request.request_id

    again, salt = shop.ask(ADA)
    assert (again.request_id != request.request_id, bool(salt)) == (True, True)
    shop.work()
    assert_forgotten(shop, ADA)


def test_a_consent_before_the_receipt_is_refused_and_one_of_somebody_who_was_not_erased_changes_nothing(
    memory_shop: Shop,
) -> None:
    shop = memory_shop
    assert desk(shop.workspace).consent(NOBODY) is None
    shop.ask(ADA)
    with pytest.raises(ErasureConflictError, match="wait for its receipt"):
        desk(shop.workspace).consent(ADA)
    assert shop.workspace.histories.state(shop.key(ADA)).suppressed


def test_who_came_back_stays_when_the_service_starts_again(state_dir: Path) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        shop.erase(ADA)
        desk(workspace).consent(ADA)
        shop.recommender.record({ADA: [purchase("new", "i00")]})
    with open_sqlite(state_dir, day=2) as workspace:
        assert not workspace.histories.state(shop.key(ADA)).suppressed
        assert workspace.histories.state(shop.key(ADA)).known


def put_back(state_dir: Path, backup: Path) -> None:
    """The database of before, with nothing of the one that was there."""
    for path in state_dir.glob(f"{DATABASE}*"):
        path.unlink()
    shutil.copy(backup, state_dir / DATABASE)
