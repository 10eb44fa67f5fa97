"""The privacy budget through the command line: by the year, planned, and checked against a head kept elsewhere."""

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recsys.privacy.accounting import epsilon_of, mu_of
from tests.pipelines.shell import FIRST_RELEASE, QUANTITIES, assert_refused, contents, done, privrec


def test_a_yearly_budget_says_what_the_years_add_up_to(trained: Path) -> None:
    said = done("ledger", "budget", "--epsilon", "9", "--per", "year").out
    two_years = epsilon_of(mu_of(9.0, 1e-6) * 2**0.5, 1e-6)
    assert f"2 years {two_years:.3f}" in said
    found = done("ledger", "--json").json
    assert found["budget"]["period"] == "year"
    assert found["epsilon_of_years"]["2"] == pytest.approx(two_years)
    assert found["epsilon_of_years"]["1"] == pytest.approx(9)
    assert found["epsilon_in_all"] == found["epsilon_spent"]
    shown = done("ledger").out
    assert f"2 years {two_years:.3f}" in shown
    assert "within any 366 days" in shown
    assert "the oldest release of the last 366 days leaves them at 20" in shown
    assert "epsilon in the last 366 days" in shown


def test_a_budget_for_the_lifetime_says_nothing_of_years(trained: Path) -> None:
    assert done("ledger", "--json").json["epsilon_of_years"] == {}
    assert "366" not in done("ledger").out


def test_the_ledger_tells_how_many_trainings_and_releases_are_left(trained: Path) -> None:
    found = done("ledger", "--json").json
    assert (found["trainings_left"], found["releases_left"]) == (0, 1)
    shown = done("ledger").out
    assert "trainings left like the last one, weekly ones say: 0" in shown
    assert "releases left like the last one, erasures say: 1" in shown


def test_the_commands_of_a_plan_keep_its_budget_and_not_one_training_more_fits(fresh: Path, purchases: Path) -> None:
    planned = done("ledger", "plan", "--epsilon", "8", "--every", "26w", "--json").json
    assert planned["trainings"] == 3
    budget, train = (shlex.split(command)[1:] for command in planned["commands"])
    done(*budget)
    done("ingest", purchases, *QUANTITIES)
    for _ in range(3):
        done(*train, "--no-evaluate")
    refused = privrec(*train, "--no-evaluate")
    assert_refused(refused, 4, "wait until", "from when on it fits", "nothing was drawn", "privrec ledger plan")
    found = done("ledger", "--json").json
    assert found["epsilon_spent"] == pytest.approx(8, rel=1e-4)
    assert found["epsilon_spent"] <= 8
    assert len(found["entries"]) == 1 + 3 * len(FIRST_RELEASE)


def test_a_plan_is_shown_with_its_commands_and_what_the_mechanisms_assume(fresh: Path) -> None:
    shown = done("ledger", "plan", "--epsilon", "8").out
    assert "53 trainings, one every 7 days" in shown
    assert "privrec ledger budget --epsilon 8 --delta 1e-06 --per year    # once" in shown
    assert "privrec train --epsilon 0.8807" in shown
    assert "may move no further than the path" in shown
    noise = done("ledger", "plan", "--epsilon", "8", "--json").json["noise_in_the_gram"]
    assert noise["toeplitz, path 2"]["largest"] < noise["toeplitz, path 3"]["largest"] < noise["plain"]["largest"]


def test_what_is_left_can_be_planned(trained: Path) -> None:
    left = done("ledger", "--json").json["epsilon_left"]
    planned = done("ledger", "plan", "--for", "4w", "--extra", "2", "--json").json
    assert planned["trainings"] == 4
    assert planned["extra"] == 2
    assert planned["budget"]["epsilon"] == pytest.approx(left, rel=1e-4)
    each = mu_of(planned["epsilon_of_one"], 1e-6)
    assert each * 6**0.5 == pytest.approx(mu_of(left, 1e-6), rel=1e-4)
    assert len(planned["commands"]) == 1
    assert "what is left now" in done("ledger", "plan", "--for", "4w").out


def test_a_plan_books_nothing(trained: Path) -> None:
    before = contents(trained)["ledger"]
    done("ledger", "plan", "--epsilon", "8")
    done("ledger", "plan")
    assert contents(trained)["ledger"] == before


def test_without_a_budget_there_is_nothing_to_plan(fresh: Path) -> None:
    assert_refused(privrec("ledger", "plan"), 4, "privrec ledger plan --epsilon 8")


@pytest.mark.parametrize("words", [("--every", "1m"), ("--for", "0w"), ("--every", "weekly")])
def test_a_duration_that_is_none_is_bad_input(fresh: Path, words: tuple[str, str]) -> None:
    assert_refused(privrec("ledger", "plan", "--epsilon", "8", *words), 3, "expected a duration")


def test_a_plan_of_too_many_releases_is_refused(fresh: Path) -> None:
    words = ("--epsilon", "8", "--every", "1d", "--for", "20y", "--per", "lifetime")
    assert_refused(privrec("ledger", "plan", *words), 4, "release less often")
    assert done("ledger", "plan", "--epsilon", "8", "--every", "1d", "--for", "5y", "--per", "lifetime").exit_code == 0


def test_a_head_kept_elsewhere_finds_an_end_that_was_cut_off(trained: Path) -> None:
    kept = done("ledger", "verify", "--json").json["head"]
    done("ledger", "budget", "--epsilon", "20")
    after = done("ledger", "verify", "--head", kept, "--json").json
    assert after["entries_since_head"] == 1
    assert "1 entries follow the head that you kept" in done("ledger", "verify", "--head", kept.upper()).out
    with closing(sqlite3.connect(trained / "privrec.sqlite")) as database, database:
        database.execute('DELETE FROM ledger WHERE "index" = (SELECT max("index") FROM ledger)')
    done("ledger", "verify")
    done("ledger", "verify", "--head", kept)
    assert_refused(privrec("ledger", "verify", "--head", after["head"]), 5, "cut off")
