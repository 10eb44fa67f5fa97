"""A database that was put back from a backup of before an objection or a restriction, or of before its end."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.erase import desk, subject_desk
from recsys.data.export_job import ExportJob, ExportKind, ExportState
from recsys.data.subject_request import LIMITS, LimitEntry, SubjectKind, SubjectRequest
from recsys.errors import StorageError
from recsys.rights.restored import WHY, Kept, keep_limits
from recsys.serving.sealed_lists import TOMBSTONE
from recsys.store.memory_journal import MemoryJournal
from recsys.store.workspace import Workspace
from recsys.types import EventStatus, FileFormat
from tests.recsys.erasure.shop import ADA, BEN, EVE, Shop, content, open_sqlite, sum_without, with_cache
from tests.recsys.erasure.test_restored import DATABASE, After, put_back
from tests.recsys.rights.test_worker import EXACT, work
from tests.recsys.serving.shop import purchase
from tests.recsys.training.shop import OPENING, seeded

OBJECTION, RESTRICTION = SubjectKind.OBJECTION, SubjectKind.RESTRICTION
JOURNAL = "suppressions.journal"


def saved(state_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(state_dir / DATABASE, tmp_path / "backup"))


def kinds(workspace: Workspace, user_id: str = ADA) -> list[str]:
    """What holds of the customer, by the record."""
    found = workspace.subjects.of_customer(workspace.pseudonyms.user_key(user_id))
    return [request.kind.value for request in found]


def said(err: str) -> list[dict[str, Any]]:
    """What a start said that it restored."""
    lines = [json.loads(line) for line in err.splitlines()]
    return [line for line in lines if line["event"] == "the record was older than the journal"]


def test_an_old_database_serves_and_trains_nobody_who_objected_since(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = saved(state_dir, tmp_path)
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        whole = content(shop)
        subject_desk(shop.workspace).limit(ADA, OBJECTION)
        subject_desk(shop.workspace).limit(BEN, RESTRICTION)
        [first] = workspace.subjects.of_customer(shop.key(ADA))
        work(shop)

    put_back(state_dir, backup)
    capsys.readouterr()
    with open_sqlite(state_dir, day=2) as workspace:
        [line] = said(capsys.readouterr().err)
        assert (line["limits_again"], line["limits_lifted_again"], line["erasures_again"]) == (2, 0, 0)
        shop = Shop(with_cache(workspace), seeded(2))
        for user, status in ((ADA, EventStatus.ACCEPTED), (BEN, EventStatus.SUPPRESSED)):
            assert not shop.recommender.recommend(user).personalized
            assert shop.recommender.record({user: [purchase("new", "i00")]}) == {user: [status]}
        assert shop.recommender.recommend(EVE).personalized

        assert content(shop).to_bytes() == whole.to_bytes(), "as the backup has it"
        work(shop)
        assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()
        [again] = workspace.subjects.of_customer(shop.key(ADA))
        assert (again.request_id, again.received_at) == (first.request_id, first.received_at)
        restored: Any = again.details["restored"]
        assert restored["why"] == WHY
        shop.train(EXACT)
        assert content(shop).to_bytes() == sum_without(whole, [ADA, BEN]).to_bytes()

    with open_sqlite(state_dir, day=3) as workspace:
        assert said(capsys.readouterr().err) == []
        assert workspace.subjects.of_customer(shop.key(ADA))[0].request_id == first.request_id


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_an_old_database_limits_nobody_who_took_it_back_since(
    state_dir: Path, tmp_path: Path, kind: SubjectKind, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        subject_desk(workspace).limit(ADA, kind)
        subject_desk(workspace).limit(BEN, kind)
    backup = saved(state_dir, tmp_path)
    with open_sqlite(state_dir, day=2) as workspace:
        subject_desk(workspace).lift(ADA, kind)
    put_back(state_dir, backup)
    capsys.readouterr()
    with open_sqlite(state_dir, day=3) as workspace:
        [line] = said(capsys.readouterr().err)
        assert (line["limits_again"], line["limits_lifted_again"]) == (0, 1)
        shop = Shop(with_cache(workspace), seeded(3))
        assert shop.recommender.recommend(ADA).personalized
        assert shop.cached(ADA) is not None
        assert (kinds(workspace), kinds(workspace, BEN)) == ([], [kind.value])


def test_of_several_objections_of_one_customer_the_last_counts(state_dir: Path, tmp_path: Path) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        subject_desk(workspace).limit(ADA, OBJECTION)
    backup = saved(state_dir, tmp_path)
    with open_sqlite(state_dir, day=2) as workspace:
        subject_desk(workspace).lift(ADA, OBJECTION)
        last = subject_desk(workspace).limit(ADA, OBJECTION)
        subject_desk(workspace).limit(ADA, RESTRICTION)
        subject_desk(workspace).lift(ADA, RESTRICTION)
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=3) as workspace:
        [request] = workspace.subjects.of_customer(workspace.pseudonyms.user_key(ADA))
        assert (request.request_id, request.kind) == (last.request_id, OBJECTION)


def test_who_comes_back_after_an_erasure_is_limited_no_more(state_dir: Path, tmp_path: Path) -> None:
    before = saved(state_dir, tmp_path)
    with open_sqlite(state_dir, day=1) as workspace:
        subject_desk(workspace).limit(ADA, OBJECTION)
    between = Path(shutil.copy(state_dir / DATABASE, tmp_path / "between"))
    with open_sqlite(state_dir, day=2) as workspace:
        shop = Shop(with_cache(workspace), seeded(2))
        shop.erase(ADA)
        desk(shop.workspace).consent(ADA)
        subject_desk(shop.workspace).limit(ADA, RESTRICTION)
    for backup in (before, between):
        put_back(state_dir, backup)
        with open_sqlite(state_dir, day=3) as workspace:
            assert kinds(workspace) == ["restriction"]


def test_an_erasure_that_is_taken_back_leaves_the_objection_in_force(state_dir: Path, tmp_path: Path) -> None:
    backup = saved(state_dir, tmp_path)
    with open_sqlite(state_dir, day=1) as workspace:
        subject_desk(workspace).limit(ADA, OBJECTION)
        request, _ = Shop(workspace, seeded(1)).ask(ADA)
        desk(workspace).cancel(request.request_id)
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=2) as workspace:
        assert kinds(workspace) == ["objection"]
        assert workspace.erasures.holding(workspace.pseudonyms.user_key(ADA)) is None


def test_who_objected_and_was_erased_then_is_erased_again_whole(state_dir: Path, tmp_path: Path) -> None:
    backup = saved(state_dir, tmp_path)
    with open_sqlite(state_dir, day=1) as workspace:
        subject_desk(workspace).limit(ADA, OBJECTION)
        Shop(with_cache(workspace), seeded(1)).erase(ADA)
    put_back(state_dir, backup)
    with open_sqlite(state_dir, day=2) as workspace:
        shop = Shop(with_cache(workspace), seeded(2))
        assert workspace.histories.state(shop.key(ADA)).suppressed
        shop.work()
        assert kinds(workspace) == []
        noted = workspace.journal.entries()
    with open_sqlite(state_dir, day=3) as workspace:
        assert kinds(workspace) == []
        assert workspace.journal.entries() == noted


def test_limits_from_before_the_journal_had_any_are_in_it_from_the_first_start_on(state_dir: Path) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        request = subject_desk(workspace).limit(ADA, OBJECTION)
        subject_desk(workspace).limit(BEN, RESTRICTION)
        subject_desk(workspace).lift(BEN, RESTRICTION)
    (state_dir / JOURNAL).unlink()
    for day in (2, 3):
        with open_sqlite(state_dir, day=day) as workspace:
            [entry], _ = workspace.journal.entries()
            came = SubjectRequest(request_id=request.request_id, kind=OBJECTION, received_at=request.received_at)
            assert entry == LimitEntry(user_key=workspace.pseudonyms.user_key(ADA), request=came)


def test_a_start_with_a_mark_from_before_the_journal_had_limits_completes_it(state_dir: Path) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        Shop(workspace, seeded(1)).ask(EVE)
    with open_sqlite(state_dir, day=2) as workspace:
        workspace.subjects.limit(objection("r"), workspace.pseudonyms.user_key(ADA))  # as it was: nothing is noted
    with closing(sqlite3.connect(state_dir / DATABASE)) as database:
        database.execute("UPDATE installation SET name = 'journal_mark' WHERE name = 'journal_compared'")
        database.commit()
    for day in (3, 4):
        with open_sqlite(state_dir, day=day) as workspace:
            assert [entry.request.request_id for entry in workspace.journal.entries()[0]][1:] == ["r"]


def test_what_was_taken_back_is_dug_up_again(memory_shop: Shop) -> None:
    workspace = memory_shop.workspace
    request = subject_desk(workspace).limit(ADA, OBJECTION)
    workspace.journal.note(LimitEntry(user_key=memory_shop.key(ADA), request=request, lifted=True))
    assert keep_limits(workspace, now=OPENING) == Kept(limited=0, lifted=1)
    assert memory_shop.recommender.recommend(ADA).personalized
    assert memory_shop.cached(ADA) is not None


def test_what_holds_again_is_buried_and_files_with_lists_are_withdrawn(memory_shop: Shop) -> None:
    workspace, key = memory_shop.workspace, memory_shop.key(ADA)
    job = ExportJob(
        export_id="e", kind=ExportKind.RECOMMENDATIONS, format=FileFormat.CSV, n=1, erasures=0, created_at=OPENING
    )
    workspace.exports.create(job, b"")
    workspace.journal.note(LimitEntry(user_key=key, request=objection("r")))
    assert memory_shop.cached(ADA) is not None
    assert keep_limits(workspace, now=OPENING) == Kept(limited=1, lifted=0)
    assert memory_shop.cache.get(key) == TOMBSTONE
    assert workspace.exports.job("e").state is ExportState.WITHDRAWN
    assert keep_limits(workspace, now=OPENING) == Kept(limited=0, lifted=0)


def test_a_customer_of_whom_something_was_destroyed_is_not_limited(memory_shop: Shop) -> None:
    memory_shop.erase(ADA)
    memory_shop.workspace.journal.note(LimitEntry(user_key=memory_shop.key(ADA), request=objection("r")))
    assert keep_limits(memory_shop.workspace, now=OPENING) == Kept(limited=0, lifted=0)
    assert kinds(memory_shop.workspace) == []


def test_who_takes_it_back_while_a_process_starts_is_not_limited_again(memory_shop: Shop) -> None:
    workspace, subjects = memory_shop.workspace, subject_desk(memory_shop.workspace)
    for user in (ADA, BEN):
        subjects.limit(user, OBJECTION)
    workspace.subjects.lift(memory_shop.key(BEN), OBJECTION)  # as in an old database
    journal: Any = After(workspace.journal, "entries", lambda: subjects.lift(ADA, OBJECTION))
    assert keep_limits(replace(workspace, journal=journal), now=OPENING) == Kept(limited=1, lifted=0)
    assert (kinds(workspace), kinds(workspace, BEN)) == ([], ["objection"])


def test_who_objects_again_while_a_process_starts_stays_limited(memory_shop: Shop) -> None:
    workspace, subjects = memory_shop.workspace, subject_desk(memory_shop.workspace)
    subjects.limit(ADA, OBJECTION)
    subjects.lift(ADA, OBJECTION)
    journal: Any = After(workspace.journal, "entries", lambda: subjects.limit(ADA, OBJECTION))
    assert keep_limits(replace(workspace, journal=journal), now=OPENING) == Kept(limited=0, lifted=0)
    assert kinds(workspace) == ["objection"]


class Full(MemoryJournal):
    """A journal whose disk is full."""

    def note(self, *entries: object) -> None:
        if entries:
            msg = "full"
            raise StorageError(msg)


def test_nothing_is_acknowledged_before_it_is_in_the_journal(memory_shop: Shop) -> None:
    workspace = memory_shop.workspace
    full = subject_desk(replace(workspace, journal=Full()))
    with pytest.raises(StorageError):
        full.limit(ADA, OBJECTION)
    request = subject_desk(workspace).limit(ADA, OBJECTION)
    [entry], _ = workspace.journal.entries()
    assert (entry.request.request_id, entry.lifted) == (request.request_id, False)
    with pytest.raises(StorageError):
        full.lift(ADA, OBJECTION)
    assert kinds(workspace) == ["objection"]


def test_what_the_record_does_not_take_back_holds_in_the_journal_too(memory_shop: Shop) -> None:
    workspace = memory_shop.workspace
    subject_desk(workspace).limit(ADA, OBJECTION)

    class Down:
        def __getattr__(self, name: str) -> object:
            if name == "lift":
                msg = "the database is down"
                raise StorageError(msg)
            return getattr(workspace.subjects, name)

    subjects: Any = Down()
    with pytest.raises(StorageError):
        subject_desk(replace(workspace, subjects=subjects)).lift(ADA, OBJECTION)
    assert [entry.lifted for entry in workspace.journal.entries()[0]] == [False, True, False]
    assert keep_limits(workspace, now=OPENING) == Kept(limited=0, lifted=0)


def test_of_an_erased_customer_nothing_is_noted(memory_shop: Shop) -> None:
    memory_shop.erase(ADA)
    _, end = memory_shop.workspace.journal.entries()
    subject_desk(memory_shop.workspace).limit(ADA, OBJECTION)
    subject_desk(memory_shop.workspace).lift(ADA, OBJECTION)
    assert memory_shop.workspace.journal.entries(end) == ((), end)


def objection(request_id: str) -> SubjectRequest:
    return SubjectRequest(request_id=request_id, kind=OBJECTION, received_at=OPENING)
