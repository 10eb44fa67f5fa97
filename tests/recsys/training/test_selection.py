"""Choosing among candidates: what one customer can change, what noise covers it, and what it costs."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from recsys.data.worlds import tiny_shop
from recsys.errors import BudgetExceededError, InputError, PrivacyParameterError
from recsys.evidence.privacy_report import verify_report
from recsys.models.customer import GRID
from recsys.privacy.accounting import mu_of, mu_of_spends
from recsys.privacy.ledger import PrivacyLedger
from recsys.store.workspace import Workspace
from recsys.training import held_out
from recsys.training.fit import fit, fit_candidates
from recsys.training.held_out import Group, group_of, hold_out, metric_values
from recsys.training.held_out_plan import HeldOutPlan
from recsys.training.release import release_again
from recsys.training.report import BY_SELECTION
from recsys.training.selection import (
    METRIC,
    SelectionPlan,
    comparison,
    fit_selected,
    release_comparison,
    selection_sensitivity,
)
from recsys.training.terms import Terms, TrainConfig
from recsys.training.train import snapshot, train
from recsys.types import PrivacyBudget, Trainer
from tests.recsys.training.asked import is_gaussian, squared_norm
from tests.recsys.training.shop import LOUD, never, open_shop, seeded, small_log, spends

CANDIDATES = (1, 2, 4)
STATISTICS = ["customers", "counts", "gram", "comparison of candidates"]

Values = NDArray[np.float64]
VALUES = st.integers(2, 6).flatmap(
    lambda n: st.integers(1, 8).flatmap(lambda rows: arrays(np.float64, (rows, n), elements=st.floats(0, 1)))
)


def limit(n_candidates: int) -> float:
    """The squared sensitivity, in the units of a comparison."""
    return n_candidates**2 // 4 / n_candidates * (n_candidates * GRID) ** 2


def not_centred(values: Values) -> NDArray[np.int64]:
    """A broken twin: what all candidates share is left in."""
    return (values.shape[1] * np.floor(values * GRID)).astype(np.int64).sum(axis=0)


@given(values=VALUES)
def test_one_customer_moves_the_comparison_by_at_most_the_stated_bound(values: Values) -> None:
    difference = comparison(values) - comparison(values[1:])
    assert squared_norm(difference) <= limit(values.shape[1])


@pytest.mark.parametrize("n_candidates", [2, 3, 4, 5, 16])
def test_a_customer_to_whom_half_of_the_candidates_are_perfect_attains_the_bound(n_candidates: int) -> None:
    perfect = np.zeros((1, n_candidates))
    perfect[0, : n_candidates // 2] = 1
    assert squared_norm(comparison(perfect)) == pytest.approx(limit(n_candidates), rel=1e-12)
    assert selection_sensitivity(n_candidates) <= math.sqrt(n_candidates) / 2


def test_a_comparison_that_is_not_centred_is_found() -> None:
    everything = np.ones((1, 4))
    assert squared_norm(comparison(everything)) == 0
    assert squared_norm(not_centred(everything)) > limit(4)


def test_the_comparison_is_in_the_order_of_the_sums() -> None:
    values = np.random.default_rng(1).random((50, 5))
    assert comparison(values).argsort().tolist() == values.sum(axis=0).argsort().tolist()
    assert comparison(values).sum() == 0


def test_the_comparison_is_released_at_the_stated_scale(rng: np.random.Generator) -> None:
    n, noise_multiplier = 20_000, 3.7
    compared = rng.integers(-(10**9), 10**9, n)

    def keeps_its_word(drawn_with: float) -> bool:
        residual = release_comparison(compared, drawn_with, rng.bytes) - compared / (n * GRID)
        return is_gaussian(residual, noise_multiplier * selection_sensitivity(n))

    assert keeps_its_word(noise_multiplier)
    assert not keeps_its_word(0.9 * noise_multiplier)
    assert not keeps_its_word(1.1 * noise_multiplier)


def test_candidates_from_one_release_are_the_models_of_that_release() -> None:
    """Each is what a training with that number of factors gives under the same noise: one release, looked at twice."""
    log = small_log()
    terms = Terms.under(TrainConfig(epsilon=LOUD))
    candidates = fit_candidates(log.interactions().matrix, log.items, terms, (2, terms.n_factors), entropy=seeded())
    alone = fit(log.interactions().matrix, log.items, terms, entropy=seeded())
    assert candidates[1].factors.digest == alone.factors.digest
    assert candidates[0].factors.n_factors < candidates[1].factors.n_factors


def test_the_best_candidate_is_chosen_where_the_noise_lets_see_it() -> None:
    log = tiny_shop(np.random.default_rng(5), n_customers=500, n_items=24, purchases_per_customer=8)
    matrix, asked = log.of_users(np.arange(250)).interactions().matrix, log.of_users(np.arange(250, 500))
    plan = SelectionPlan.within(TrainConfig(epsilon=1000.0), "sum", CANDIDATES)
    terms = Terms.under(plan.rest)
    models = fit_candidates(matrix, log.items, terms, CANDIDATES, entropy=seeded())
    ndcg = [metric_values(each.factors, asked)[:, METRIC].mean() for each in models]
    fitted, chosen = fit_selected(matrix, log.items, terms, plan, asked, entropy=seeded())
    best = int(np.argmax(ndcg))
    assert chosen.n_factors == CANDIDATES[best]
    assert fitted.factors.digest == models[best].factors.digest
    assert max(ndcg) - min(ndcg) > 0.01


@given(epsilon=st.floats(0.1, 50), metrics=st.booleans(), releases=st.integers(1, 9))
def test_model_choice_and_metrics_together_cost_what_was_asked_for(
    epsilon: float, metrics: bool, releases: int
) -> None:
    config = TrainConfig(epsilon=epsilon, releases=releases)
    plan = HeldOutPlan.within(config, "sum", publish_metrics=metrics, select_factors=CANDIDATES)
    terms = Terms.under(plan.model)
    everything = [*terms.first_spends("sum"), *plan.spends, *terms.next_spends("sum", "more") * (releases - 1)]
    assert mu_of_spends(everything) == pytest.approx(mu_of(epsilon, 1e-6), rel=1e-10)
    assert plan.groups == ((Group.METRICS, Group.SELECTION) if metrics else (Group.SELECTION,))


def test_nothing_is_held_out_and_nothing_set_aside_unless_it_is_asked_for() -> None:
    config = TrainConfig()
    plan = HeldOutPlan.within(config, "sum", publish_metrics=False, select_factors=())
    assert (plan.model, plan.spends, plan.groups) == (config, (), ())


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three tenths of the customers are in each group, so that even a small shop has some everywhere."""
    monkeypatch.setattr(held_out, "HELD_OUT", 0.3)


@pytest.mark.usefixtures("third")
def test_everything_is_booked_before_the_first_random_byte_is_drawn(shop: Workspace) -> None:
    booked_at_each_draw = []
    random = seeded()

    def entropy(size: int) -> bytes:
        booked_at_each_draw.append(spends(shop))
        return random(size)

    train(shop, TrainConfig(epsilon=LOUD), select_factors=CANDIDATES, entropy=entropy)
    assert booked_at_each_draw[0] == spends(shop) == STATISTICS


@pytest.mark.usefixtures("third")
def test_over_budget_nothing_is_drawn_booked_or_registered(shop: Workspace) -> None:
    PrivacyLedger(shop.ledger_log, shop.clock).set_budget(PrivacyBudget(epsilon=3.99, delta=1e-6))
    with pytest.raises(BudgetExceededError, match="nothing was drawn"):
        train(shop, TrainConfig(), select_factors=CANDIDATES, entropy=never)
    assert spends(shop) == []
    assert shop.registry.versions() == ()


@pytest.mark.usefixtures("third")
def test_neither_the_model_nor_the_metrics_see_the_customers_that_it_was_selected_on(shop: Workspace) -> None:
    train(shop, TrainConfig(), select_factors=CANDIDATES, publish_metrics=True, entropy=seeded())
    keys, log = snapshot(shop)
    assert [bool(shop.sums.terms_of(key)) for key in keys] == [group_of(key) is None for key in keys]
    asked = hold_out(keys, log, tuple(Group))[2]
    assert set(asked[Group.METRICS].users).isdisjoint(asked[Group.SELECTION].users)


@pytest.mark.usefixtures("third")
def test_the_report_says_that_the_choice_is_covered_and_among_what(shop: Workspace) -> None:
    version = train(shop, TrainConfig(epsilon=LOUD), select_factors=CANDIDATES, entropy=seeded())
    body: dict[str, Any] = verify_report(shop.registry.report(version.version), shop.public_key)
    settings = {setting["name"]: setting for setting in body["settings"]}
    assert settings["n_factors"]["source"] == f"{BY_SELECTION}: [1, 2, 4]"
    assert settings["n_factors"]["value"] == Terms.of(version).n_factors
    assert Terms.of(version).n_factors in CANDIDATES
    assert [event["statistic"] for event in body["events"]] == STATISTICS
    assert body["guarantee"]["epsilon"] == pytest.approx(LOUD, rel=1e-6)


@pytest.mark.usefixtures("third")
def test_a_release_from_the_same_sum_depends_on_the_choice_and_says_so(shop: Workspace) -> None:
    first = train(shop, TrainConfig(epsilon=LOUD, releases=2), select_factors=CANDIDATES, entropy=seeded(1))
    second = release_again(shop, str(first.sum_id), purpose="more", entropy=seeded(2))
    assert Terms.of(second) == Terms.of(first)
    assert second.privacy["epsilon"] == first.privacy["epsilon"]
    reports: list[Any] = [verify_report(shop.registry.report(v.version), shop.public_key) for v in (first, second)]
    assert reports[1]["settings"] == reports[0]["settings"]
    assert [event["statistic"] for event in reports[1]["events"]] == STATISTICS
    assert spends(shop) == [*STATISTICS, "gram"]


@pytest.mark.parametrize("candidates", [(4,), (4, 4), (0, 4), tuple(range(1, 18))])
def test_what_is_no_choice_is_refused(candidates: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="different numbers of factors"):
        SelectionPlan.within(TrainConfig(), "sum", candidates)


def test_what_has_no_factors_or_no_privacy_is_refused() -> None:
    for trainer in (Trainer.POPULARITY, Trainer.ALS):
        with pytest.raises(InputError, match="trainer gram"):
            SelectionPlan.within(TrainConfig(trainer=trainer), "sum", CANDIDATES)
    with pytest.raises(PrivacyParameterError, match="without noise"):
        SelectionPlan.within(TrainConfig(epsilon=math.inf), "sum", CANDIDATES)


@pytest.mark.usefixtures("third")
def test_a_shop_without_anybody_to_ask_still_gets_a_model() -> None:
    log = small_log(12)
    single = log.where(np.concatenate([[True], np.diff(log.user_index) > 0]))
    version = train(open_shop(single), TrainConfig(delta=1e-3), select_factors=CANDIDATES, entropy=seeded())
    assert Terms.of(version).n_factors in CANDIDATES
