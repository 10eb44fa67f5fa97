"""The demo's own promises: what it deletes, what it plans, and that its seven steps hold on a small shop."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import demo
from pipelines.demo import DemoConfig, start_fresh
from recsys.clock import utc_now
from recsys.data.readers import Columns, read_purchases
from recsys.errors import BudgetExceededError, StateError, StateLockedError
from recsys.privacy.accounting import epsilon_of
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.lock import StateLock
from recsys.store.memory import MemoryLedgerLog
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.training.terms import Terms
from recsys.types import Trainer
from tests.pipelines.shell import (
    ADA,
    FIRST_RELEASE,
    MAIL,
    assert_refused,
    contents,
    done,
    privrec,
    shop_rows,
    spends,
    write_csv,
)


def test_starting_fresh_deletes_a_state_directory(trained: Path) -> None:
    start_fresh(trained)
    assert not trained.exists()


def test_starting_fresh_takes_a_missing_or_an_empty_directory(tmp_path: Path) -> None:
    start_fresh(tmp_path / "missing")
    empty = tmp_path / "empty"
    empty.mkdir()
    start_fresh(empty)
    assert not empty.exists()


@pytest.mark.parametrize("name", ["photos/ada.jpg", "keys/other.key", "privrec.sqlite"])
def test_starting_fresh_refuses_any_other_directory(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"dear to me")
    with pytest.raises(StateError, match=r"expected .* to be a state directory of privrec, got .*; delete it yourself"):
        start_fresh(tmp_path / "mine")
    assert file.read_bytes() == b"dear to me"
    assert_refused(privrec("demo", "--fresh", "--state-dir", tmp_path / "mine"), 5, "delete it yourself")


def test_starting_fresh_takes_nothing_from_under_a_running_process(trained: Path) -> None:
    with StateLock(trained), pytest.raises(StateLockedError):
        start_fresh(trained)
    assert (trained / "keys" / "store.key").exists()


@given(epsilon=st.floats(0.05, 50), delta=st.floats(1e-12, 1e-3))
def test_the_budget_covers_the_training_and_the_erasure_and_nothing_more(epsilon: float, delta: float) -> None:
    config = DemoConfig(epsilon=epsilon, delta=delta)
    terms, ledger = Terms.under(config.training), PrivacyLedger(MemoryLedgerLog(), utc_now)
    ledger.set_budget(config.training.plan.budget)
    ledger.book(terms.first_spends("sum"))
    ledger.book(terms.next_spends("sum", "erasure"))
    summary = ledger.summary()
    assert epsilon_of(summary.mu_spent, delta) == pytest.approx(epsilon, rel=1e-6)
    with pytest.raises(BudgetExceededError):
        ledger.book(terms.next_spends("sum", "another erasure"))


def test_the_demo_trains_the_private_model() -> None:
    assert (DemoConfig().training.trainer, DemoConfig().training.epsilon) == (Trainer.GRAM, 4.0)


@pytest.mark.parametrize("words", [("--epsilon", "0"), ("--epsilon", "nan"), ("--delta", "1")])
def test_a_senseless_promise_is_refused_before_anything_is_deleted_or_read(
    words: tuple[str, str], trained: Path
) -> None:
    before = contents(trained)
    assert_refused(privrec("demo", "--fresh", *words), 4, words[0].strip("-"))
    assert contents(trained) == before


@pytest.mark.slow
@pytest.mark.service
def test_the_whole_demo_runs_on_a_small_shop(fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(user, item, when.replace("2025", "2017", 1), quantity) for user, item, when, quantity in shop_rows()]
    read = read_purchases(write_csv(tmp_path / "journey.csv", rows), Columns())
    monkeypatch.setattr(demo, "read_complete_journey", lambda: read)

    shown = done("demo", "--household", ADA, "--epsilon", "8").out
    assert [line.split(".")[0] for line in shown.splitlines() if line[:1].isdigit() and ". " in line[:3]] == [
        str(step) for step in range(1, 9)
    ]
    for words in ("simulated", "gets its own list", "the very next answer is the popular list", "0 purchases of"):
        assert words in shown
    assert "it is no longer suggested as new" in shown
    assert "superseded by a release from the sum without the customer" in shown
    assert [line.split(":")[0].strip() for line in shown.splitlines() if "  exit " in line] == ["exit 0", "exit 6"]
    assert "STILL" not in shown
    assert spends(fresh) == [*FIRST_RELEASE, "gram"]
    files = {path.name: path.read_bytes() for path in fresh.rglob("*") if path.is_file()}
    assert [name for name, content in files.items() if MAIL.encode() in content] == []


def test_running_it_again_trains_nothing_and_spends_nothing(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(trained)
    with open_workspace(Settings.load(), start_cache=False) as workspace:
        demo._train(workspace, DemoConfig())
    assert "is live already" in capsys.readouterr().out
    assert contents(trained) == before
