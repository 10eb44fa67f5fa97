"""kill -9 at every step of an erasure, and a new process that goes on.

A crash between a booking and the version that it pays for costs that booking: the noise may have been drawn, so it
counts as drawn. Nothing else is ever paid for twice.
"""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from recsys.errors import StateLockedError
from recsys.evidence.chain import verify_chain
from recsys.models.gram import GramSum
from recsys.types import ErasureState, ModelStatus, UserKey
from tests.recsys.erasure.killed import AFTER, BEFORE, WITHIN, Moment, ask, cancel, in_a_process, work_in_a_process
from tests.recsys.erasure.shop import ADA, BEN, Shop, assert_forgotten, open_sqlite, sum_without, with_cache
from tests.recsys.erasure.test_restored import DATABASE, put_back
from tests.recsys.training.shop import seeded

pytestmark = [pytest.mark.slow, pytest.mark.service]

KILLED = -9


@dataclass(frozen=True)
class Asked:
    """A state directory with one request, and what was true when it was handed in."""

    state_dir: Path
    request_id: str
    live: str | None
    booked: int
    key: UserKey


PAID_IN_VAIN = {Moment("ledger_log", "append", AFTER), Moment("registry", "save", WITHIN)}
"""Booked, and no version to show for it."""

MOMENTS = [
    Moment("erasures", "erase_customers", BEFORE),
    Moment("erasures", "erase_customers", WITHIN),
    Moment("erasures", "erase_customers", AFTER),
    Moment("ledger_log", "append", WITHIN),
    Moment("ledger_log", "append", AFTER),
    Moment("registry", "save", WITHIN),
    Moment("registry", "save", AFTER),
    Moment("registry", "promote", WITHIN),
    Moment("registry", "promote", AFTER),
    Moment("cache", "put", AFTER),
    Moment("erasures", "advance", WITHIN),
    Moment("erasures", "advance", AFTER),
    Moment("cache", "bury", AFTER),
    Moment("erasures", "advance", WITHIN, call=2),
    Moment("erasures", "advance", AFTER, call=2),
    Moment("erasures", "advance", WITHIN, call=3),
    Moment("erasures", "advance", AFTER, call=3),
    Moment("erasures", "finish", WITHIN),
    Moment("erasures", "finish", AFTER),
]
"""In the order of the steps. What a process leaves behind after one of them is what it leaves before the next."""


@pytest.fixture(scope="module")
def asked(trained_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The shop once ada has asked to be forgotten; to be copied, not to be used."""
    state_dir = Path(shutil.copytree(trained_directory, tmp_path_factory.mktemp("asked") / "state"))
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(workspace, seeded())
        request, _ = shop.ask(ADA, release=True)
        return Asked(state_dir, request.request_id, shop.live(), len(shop.spends()), shop.key(ADA))


def sealed_bytes(state_dir: Path, key: bytes) -> list[bytes]:
    """Pieces of the customer's sealed record, data key and term, as they lie in the database."""
    with closing(sqlite3.connect(state_dir / "privrec.sqlite")) as database:
        [(data_key, record)] = database.execute("SELECT data_key, record FROM customers WHERE user_key = ?", [key])
        [(term,)] = database.execute("SELECT term FROM terms WHERE user_key = ?", [key])
    return [piece for blob in (data_key, record, term) for piece in (blob[:24], blob[-24:])]


def files_with(state_dir: Path, pieces: list[bytes]) -> list[str]:
    """The files that hold one of the pieces."""
    contents = {path: path.read_bytes() for path in state_dir.rglob("*") if path.is_file()}
    return [path.name for path, content in contents.items() if any(piece in content for piece in pieces)]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_worker_that_was_killed_is_followed_by_one_that_finishes(
    asked: Asked, tmp_path: Path, moment: Moment
) -> None:
    state_dir = Path(shutil.copytree(asked.state_dir, tmp_path / "state"))
    pieces = sealed_bytes(state_dir, asked.key)
    assert files_with(state_dir, pieces) == ["privrec.sqlite"]

    assert work_in_a_process(state_dir, 2, moment) == KILLED
    assert work_in_a_process(state_dir, 3) == 0

    assert files_with(state_dir, pieces) == []
    assert list(state_dir.rglob(".tmp-*")) == []
    with open_sqlite(state_dir, day=4) as workspace:
        shop = Shop(with_cache(workspace), seeded())
        assert shop.workspace.erasures.request(asked.request_id).state is ErasureState.RECEIPTED
        assert_forgotten(shop, ADA)
        assert_the_receipt_tells_what_happened(shop, asked)
        assert_the_sum_never_had_the_customer(shop)
        assert len(shop.spends()) == asked.booked + 1 + (moment in PAID_IN_VAIN)
        verify_chain(workspace.ledger_log.entries())
        assert shop.recommender.recommend(BEN).version == shop.live()


def assert_the_receipt_tells_what_happened(shop: Shop, asked: Asked) -> None:
    """One receipt, and in it the one version that the customer was in, superseded by the one that is live."""
    receipt = shop.workspace.erasures.receipt(asked.request_id)
    [(version, outcome)] = shop.outcomes(shop.workspace.erasures.request(asked.request_id)).items()
    assert (version, outcome["superseded_by"]) == (asked.live, shop.live())
    assert shop.statuses() == {version: ModelStatus.RETIRED, outcome["superseded_by"]: ModelStatus.LIVE}
    assert shop.work() == ()
    assert shop.workspace.erasures.receipt(asked.request_id) == receipt


def assert_the_sum_never_had_the_customer(shop: Shop) -> None:
    sum_id = shop.workspace.sums.latest_sum()
    assert sum_id is not None
    content = GramSum.from_bytes(shop.workspace.sums.load_sum(sum_id))
    assert content.to_bytes() == sum_without(content, [ADA]).to_bytes()


def test_a_worker_that_nobody_kills_finishes_at_once(asked: Asked, tmp_path: Path) -> None:
    """Else the tests above could pass without the first worker."""
    state_dir = Path(shutil.copytree(asked.state_dir, tmp_path / "state"))
    assert work_in_a_process(state_dir, 2) == 0
    with open_sqlite(state_dir, day=3) as workspace:
        assert workspace.erasures.request(asked.request_id).state is ErasureState.RECEIPTED
        assert Shop(workspace, seeded()).spends() == ["customers", "counts", "gram", "gram"]


@pytest.mark.parametrize("port", ["erasures", "journal"])
def test_a_desk_that_was_killed_leaves_the_customer_suppressed_and_in_the_journal_at_the_next_request(
    trained_directory: Path, tmp_path: Path, port: str
) -> None:
    state_dir = Path(shutil.copytree(trained_directory, tmp_path / "state"))
    moment = Moment(port, "suppress" if port == "erasures" else "note", AFTER)
    assert in_a_process(ask, state_dir, 1, moment) == KILLED
    with open_sqlite(state_dir, day=2) as workspace:
        shop = Shop(with_cache(workspace), seeded())
        assert not shop.recommender.recommend(ADA).personalized
        request, _ = shop.ask(ADA)
        assert len(workspace.erasures.requests()) == 1
        entries, _ = workspace.journal.entries()
        assert {(entry.user_key, entry.request.request_id) for entry in entries} == {
            (shop.key(ADA), request.request_id)
        }


@pytest.mark.parametrize("moment", [Moment("journal", "note", AFTER), Moment("erasures", "cancel", WITHIN)], ids=str)
def test_a_cancel_that_was_killed_lets_nobody_in_who_is_erased_then(
    trained_directory: Path, asked: Asked, tmp_path: Path, moment: Moment
) -> None:
    state_dir = Path(shutil.copytree(asked.state_dir, tmp_path / "state"))
    assert in_a_process(cancel, state_dir, 2, moment) == KILLED
    assert work_in_a_process(state_dir, 3) == 0
    put_back(state_dir, trained_directory / DATABASE)
    with open_sqlite(state_dir, day=4) as workspace:
        shop = Shop(with_cache(workspace), seeded(4))
        assert not shop.recommender.recommend(ADA).personalized
        shop.work()
        assert_forgotten(shop, ADA)


def test_two_workers_at_once_finish_everything_once(asked: Asked, tmp_path: Path) -> None:
    """Of two that start at the same time one does the work, and the other finds it done, or is told to leave it."""
    state_dir = Path(shutil.copytree(asked.state_dir, tmp_path / "state"))
    with open_sqlite(state_dir, day=2) as workspace:
        shop = Shop(with_cache(workspace), seeded())
        other = Shop(replace(shop.workspace, cache=shop.cache), seeded(1))
        with ThreadPoolExecutor(2) as pool:
            done = [pool.submit(each.work) for each in (shop, other)]
        errors = [each.exception() for each in done]
        assert all(error is None or isinstance(error, StateLockedError) for error in errors)
        assert None in errors
        assert_forgotten(shop, ADA)
        assert_the_receipt_tells_what_happened(shop, asked)
        assert_the_sum_never_had_the_customer(shop)
        assert len(shop.spends()) == asked.booked + 1
        assert workspace.receipt_log.latest()[0] == 1
