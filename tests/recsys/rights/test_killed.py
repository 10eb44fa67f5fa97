"""Who dies over objections, rectifications or merges is followed by somebody who finishes; and a desk by a start."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.erase import subject_desk
from recsys.data.subject_request import SubjectKind, SubjectState
from recsys.rights.desk import Wanted
from recsys.types import ModelStatus, Purchase
from tests.pipelines.test_imports import run_in_a_process
from tests.recsys.erasure.killed import AFTER, BEFORE, WITHIN, Moment, arm
from tests.recsys.erasure.shop import ADA, BEN, LOG, Shop, content, open_sqlite, stock, sum_without, with_cache
from tests.recsys.erasure.test_restored import DATABASE, put_back
from tests.recsys.rights.test_merge import sum_as_one
from tests.recsys.rights.test_worker import EXACT, work
from tests.recsys.training.shop import OPENING, seeded

MOMENTS = [
    Moment("subjects", "apply", BEFORE),
    Moment("subjects", "apply", WITHIN),
    Moment("subjects", "apply", AFTER, call=2),
    Moment("registry", "promote", AFTER),
    Moment("registry", "withdraw", BEFORE),
    Moment("registry", "withdraw", AFTER),
    Moment("subjects", "finish", WITHIN),
    Moment("subjects", "finish", AFTER),
]


def run(state_dir: Path, moment: Moment | None) -> None:
    """The worker on the state directory, to the moment or to the end."""
    with open_sqlite(state_dir, day=1) as opened:
        workspace = with_cache(opened)
        if moment is not None:
            arm(workspace, moment)
        work(Shop(workspace, seeded(1)))


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_killed_at_any_moment_the_sum_is_right_and_one_model_is_live(tmp_path: Path, moment: Moment) -> None:
    with open_sqlite(tmp_path / "s") as opened:
        shop = stock(with_cache(opened), None)
        wrong = Purchase(item_id=LOG.items[0], timestamp=OPENING, event_id="wrong")
        shop.recommender.record({"zoe": [wrong]})
        shop.train(EXACT)
        whole = content(shop)
        desk = subject_desk(shop.workspace)
        desk.limit(ADA, SubjectKind.OBJECTION)
        desk.rectify("zoe", [Wanted(event_id="wrong", delete=True)])
    assert run_in_a_process(run, tmp_path / "s", moment) == -signal.SIGKILL
    assert run_in_a_process(run, tmp_path / "s", None) == 0

    with open_sqlite(tmp_path / "s", day=2) as workspace:
        shop = Shop(workspace, seeded(2))
        assert workspace.subjects.pending() == ()
        assert content(shop).to_bytes() == sum_without(whole, [ADA]).to_bytes()
        statuses = sorted(shop.statuses().values())
        assert statuses.count(ModelStatus.LIVE) == 1
        assert set(statuses) == {ModelStatus.LIVE, ModelStatus.WITHDRAWN}
        [request] = workspace.subjects.of_customer(shop.key(ADA))
        assert request.state is SubjectState.DONE
        assert shop.recommender.recommend(BEN).personalized


def merge(state_dir: Path, moment: Moment | None) -> None:
    """The desk takes the merge, to the moment or to the end."""
    with open_sqlite(state_dir, day=1) as opened:
        workspace = with_cache(opened)
        if moment is not None:
            arm(workspace, moment)
        subject_desk(workspace).merge(ADA, BEN)


MERGING = [
    (merge, Moment("subjects", "merge", WITHIN)),
    (merge, Moment("subjects", "merge", AFTER)),
    (merge, Moment("cache", "forget", AFTER)),
    (run, Moment("subjects", "apply", BEFORE)),
    (run, Moment("subjects", "apply", WITHIN)),
    (run, Moment("subjects", "apply", AFTER)),
    (run, Moment("registry", "promote", AFTER)),
    (run, Moment("subjects", "finish", WITHIN)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("job", "moment"), MERGING, ids=[f"{job.__name__} {moment}" for job, moment in MERGING])
def test_a_merge_that_was_killed_at_any_moment_is_made_by_making_it_again(
    tmp_path: Path, job: Callable[[Path, Moment | None], None], moment: Moment
) -> None:
    with open_sqlite(tmp_path / "s") as opened:
        shop = stock(with_cache(opened), EXACT)
        whole = content(shop)
    if job is run:
        merge(tmp_path / "s", None)
    assert run_in_a_process(job, tmp_path / "s", moment) == -signal.SIGKILL
    for again in (merge, run):
        assert run_in_a_process(again, tmp_path / "s", None) == 0

    with open_sqlite(tmp_path / "s", day=2) as workspace:
        shop = Shop(workspace, seeded(2))
        assert workspace.subjects.pending() == ()
        assert content(shop).to_bytes() == sum_as_one(whole, BEN, ADA).to_bytes()
        assert not workspace.histories.state(shop.key(ADA)).known
        assert sorted(shop.statuses().values()) == [ModelStatus.LIVE, ModelStatus.WITHDRAWN]


def object_to(state_dir: Path, moment: Moment | None) -> None:
    """The desk takes an objection, to the moment or to the end."""
    with open_sqlite(state_dir, day=1) as workspace:
        if moment is not None:
            arm(workspace, moment)
        subject_desk(workspace).limit(ADA, SubjectKind.OBJECTION)


def take_back(state_dir: Path, moment: Moment | None) -> None:
    """The desk takes it back, to the moment or to the end."""
    with open_sqlite(state_dir, day=2) as workspace:
        if moment is not None:
            arm(workspace, moment)
        subject_desk(workspace).lift(ADA, SubjectKind.OBJECTION)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [Moment("subjects", "limit", AFTER), Moment("journal", "note", AFTER)], ids=str)
def test_a_desk_that_was_killed_over_an_objection_leaves_it_in_force_and_in_the_journal_once_it_is_made_again(
    state_dir: Path, tmp_path: Path, moment: Moment
) -> None:
    backup = shutil.copy(state_dir / DATABASE, tmp_path / "backup")
    assert run_in_a_process(object_to, state_dir, moment) == -signal.SIGKILL
    with open_sqlite(state_dir, day=2) as workspace:
        assert not Shop(workspace, seeded()).recommender.recommend(ADA).personalized
    assert run_in_a_process(object_to, state_dir, None) == 0
    put_back(state_dir, Path(backup))
    with open_sqlite(state_dir, day=3) as workspace:
        assert not Shop(workspace, seeded()).recommender.recommend(ADA).personalized


@pytest.mark.slow
@pytest.mark.parametrize("moment", [Moment("journal", "note", AFTER), Moment("subjects", "lift", AFTER)], ids=str)
def test_a_desk_that_was_killed_over_the_end_of_an_objection_has_it_ended_by_the_next_start(
    state_dir: Path, tmp_path: Path, moment: Moment
) -> None:
    assert run_in_a_process(object_to, state_dir, None) == 0
    backup = shutil.copy(state_dir / DATABASE, tmp_path / "backup")
    assert run_in_a_process(take_back, state_dir, moment) == -signal.SIGKILL
    for is_old in (False, True):
        if is_old:
            put_back(state_dir, Path(backup))
        with open_sqlite(state_dir, day=3) as workspace:
            assert Shop(workspace, seeded()).recommender.recommend(ADA).personalized
