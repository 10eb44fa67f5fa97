"""`privrec evaluate`: every protocol, every trainer, and figures that mean what they say."""

import re
from pathlib import Path

import pytest

from recsys.data.worlds import checkerboard
from tests.pipelines.shell import QUANTITIES, assert_refused, contents, done, privrec, rows_of, write_csv
from tests.recsys.training.shop import NEEDS_TORCH

TASKS = ("any", "discover")
PROTOCOLS = ("temporal", "heldout-customers")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "trainer", ["popularity", "gram", "als", "als_certified", "dp_als", pytest.param("dp_sgd", marks=NEEDS_TORCH)]
)
def test_every_trainer_is_measured_under_every_protocol(protocol: str, trainer: str, purchases: Path) -> None:
    found = done("evaluate", "--data", purchases, *QUANTITIES, "--trainer", trainer, "--protocol", protocol, "--json")
    assert found.json.keys() == {"protocol", "core", "note", "rows"}
    assert found.json["protocol"] == protocol
    assert "not private" in found.json["note"]
    names = [(row["ranker"], row["task"]) for row in found.json["rows"]]
    assert names == [(trainer, "any"), (trainer, "discover"), (f"{trainer} with own repeats", "any")]
    for row in found.json["rows"]:
        assert row["metrics"].keys() == {"recall@20", "ndcg@20"}
        for metric in row["metrics"].values():
            assert metric.keys() == {"mean", "low", "high", "n"}
            assert 0 <= metric["low"] <= metric["mean"] <= metric["high"] <= 1
            assert metric["n"] > 0


def test_by_default_three_trainers_are_compared_and_nothing_is_kept(trained: Path) -> None:
    before = contents(trained)
    rows = done("evaluate", "--json").json["rows"]
    assert {row["ranker"].split()[0] for row in rows} == {"popularity", "gram", "als"}
    assert contents(trained) == before


def test_one_task_and_one_length_can_be_chosen(purchases: Path) -> None:
    words = ("--trainer", "gram", "--task", "discover", "--k", "5", "--core", "2", "--json")
    found = done("evaluate", "--data", purchases, *QUANTITIES, *words).json
    assert [(row["ranker"], row["task"], sorted(row["metrics"])) for row in found["rows"]] == [
        ("gram", "discover", ["ndcg@5", "recall@5"])
    ]
    assert found["core"] == 2


def test_where_the_answer_is_known_the_model_without_noise_finds_it(tmp_path: Path) -> None:
    """Like-minded customers bought exactly what is asked for; popularity cannot tell the two tastes apart."""
    file = write_csv(tmp_path / "board.csv", rows_of(checkerboard().log))
    words = ("--trainer", "gram", "--trainer", "popularity", "--epsilon", "inf", "--task", "discover", "--k", "2")
    rows = done("evaluate", "--data", file, *words, "--json").json["rows"]
    recall = {row["ranker"]: row["metrics"]["recall@2"]["mean"] for row in rows}
    assert recall["gram"] == 1.0
    assert recall["popularity"] < 0.8


def test_the_same_seed_gives_the_same_figures_without_noise(purchases: Path) -> None:
    words = ("--trainer", "gram", "--epsilon", "inf", "--protocol", "heldout-customers", "--json")
    first, second, other = (
        done("evaluate", "--data", purchases, *words, "--seed", seed).json["rows"] for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_people_get_one_table_with_both_tasks_and_a_word_of_warning(purchases: Path) -> None:
    shown = done("evaluate", "--data", purchases, "--trainer", "popularity").out
    assert re.search(r"repeats count.*│ any +│ popularity.*├─.*│ discover +│ popularity", shown, re.DOTALL)
    assert shown.count("ranker") == 1
    assert "Recall@20" in shown
    assert "do not publish them" in shown


def test_a_delta_above_one_over_the_customers_is_refused_here_too(purchases: Path) -> None:
    assert_refused(privrec("evaluate", "--data", purchases, "--delta", "0.1"), 4, "number of customers")


def test_purchases_that_cannot_be_divided_are_refused_with_the_reason(tmp_path: Path) -> None:
    rows = [(f"u{user}", "i", "2026-01-31", 1) for user in range(5)]
    assert_refused(privrec("evaluate", "--data", write_csv(tmp_path / "one-day.csv", rows)), 3, "after the cut")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_training_also_measures_its_trainer(protocol: str, purchases: Path, fresh: Path) -> None:
    found = done("train", "--data", purchases, "--protocol", protocol, "--json").json["evaluation"]
    assert found["protocol"] == protocol
    assert {row["task"] for row in found["rows"]} == set(TASKS)


def test_a_training_on_purchases_that_cannot_be_divided_says_so_and_goes_on(tmp_path: Path, fresh: Path) -> None:
    rows = [(f"u{user}", "i", "2026-01-31", 1) for user in range(5)]
    found = done("train", "--data", write_csv(tmp_path / "one-day.csv", rows), "--json").json
    assert found["evaluation"]["rows"] == []
    assert "after the cut" in found["evaluation"]["note"]
    assert contents(fresh)["live"] == found["version"]
