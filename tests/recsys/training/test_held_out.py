"""Who is held out, what each of them is asked, and that nobody else has a part in the answer."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.data.split import heldout_customers_split
from recsys.data.worlds import tiny_shop
from recsys.privacy.accounting import mu_of
from recsys.store.workspace import Workspace
from recsys.training import held_out
from recsys.training.held_out import Group, group_of, hold_out, metric_values, set_aside
from recsys.training.terms import TrainConfig
from recsys.training.train import snapshot
from recsys.types import UserKey
from tests.recsys.training.asked import FALSE_ALARM, HISTORIES, by_popularity, model_of, shop_of


@given(histories=HISTORIES, seed=st.integers(0, 1000), data=st.data())
def test_a_customers_metrics_are_the_same_bits_alone_together_and_in_any_order(
    histories: list[list[tuple[int, int]]], seed: int, data: st.DataObject
) -> None:
    model, order = model_of(seed), data.draw(st.permutations(range(len(histories))))
    together = metric_values(model, shop_of(histories))
    alone = [metric_values(model, shop_of([history])) for history in histories]
    assert together.tobytes() == np.concatenate(alone).tobytes()
    moved = metric_values(model, shop_of([histories[row] for row in order]))
    assert moved.tobytes() == np.concatenate([alone[row] for row in order]).tobytes()


def test_the_metrics_are_those_of_the_customers_list() -> None:
    """First bought h, then g, f, e and at last a; the model shows a first, and what was bought before not at all."""
    history = [(7, 0), (6, 1), (5, 2), (4, 3), (0, 4)]
    assert metric_values(by_popularity(), shop_of([history])).tolist() == [[1.0, 1.0]]
    later = [(7, 0), (6, 1), (5, 2), (4, 3), (1, 4)]
    assert metric_values(by_popularity(), shop_of([later])).tolist() == [[1.0, pytest.approx(1 / math.log2(3))]]


def test_who_bought_one_thing_only_is_not_measured() -> None:
    log = shop_of([[(0, 0), (0, 3)], [(1, 1)], [(1, 0), (2, 1)]])
    assert metric_values(model_of(1), log).shape == (1, 2)
    assert metric_values(model_of(1), shop_of([[(0, 0)]])).shape == (0, 2)
    assert metric_values(model_of(1), log.of_users(np.array([], dtype=np.int64))).shape == (0, 2)


@given(keys=st.lists(st.binary(min_size=16, max_size=16), min_size=2, max_size=40, unique=True), data=st.data())
def test_one_customer_more_moves_nobody_to_another_group(keys: list[bytes], data: st.DataObject) -> None:
    newcomer = data.draw(st.integers(0, len(keys) - 1))
    others = keys[:newcomer] + keys[newcomer + 1 :]
    before, after = ({key: group_of(UserKey(key)) for key in each} for each in (others, keys))
    assert before.items() <= after.items()


def test_a_choice_among_all_customers_would_move_others_and_be_found() -> None:
    """A broken twin: as many as a tenth, drawn by a generator. With one customer less it is another tenth."""
    log = tiny_shop(np.random.default_rng(1), n_customers=60)
    without = log.of_users(np.arange(59))
    chosen, again = (
        set(heldout_customers_split(each, n_or_fraction=0.1, rng=np.random.default_rng(2)).target.users)
        for each in (log, without)
    )
    assert (chosen ^ again) - {"u59"}


def test_a_tenth_is_in_each_group_and_always_the_same_customers() -> None:
    rng = np.random.default_rng(3)
    keys = [UserKey(rng.bytes(16)) for _ in range(20_000)]
    chosen = [group_of(key) for key in keys]
    for group in Group:
        assert stats.binomtest(chosen.count(group), len(keys), 0.1).pvalue > FALSE_ALARM
    assert chosen == [group_of(key) for key in keys]


@pytest.mark.parametrize("groups", [(Group.METRICS,), (Group.SELECTION,), tuple(Group)])
def test_every_customer_is_either_trained_on_or_asked(
    shop: Workspace, groups: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "HELD_OUT", 0.3)
    keys, log = snapshot(shop)
    kept, trained_on, asked = hold_out(keys, log, groups)
    assert [key.hex() for key in kept] == list(trained_on.users)
    assert asked.keys() == set(groups)
    parts = [set(part.users) for part in (trained_on, *asked.values())]
    assert set().union(*parts) == set(log.users)
    assert sum(map(len, parts)) == len(log.users)
    assert len(trained_on) + sum(map(len, asked.values())) == len(log)
    assert all(group_of(UserKey(bytes.fromhex(user))) is group for group in groups for user in asked[group].users)


def test_without_a_group_everybody_is_trained_on(shop: Workspace) -> None:
    keys, log = snapshot(shop)
    assert hold_out(keys, log, ()) == (keys, log, {})


@given(epsilon=st.floats(0.1, 50), exponent=st.floats(-12, -3), share=st.floats(0.01, 0.5))
def test_what_is_set_aside_and_what_is_left_are_the_whole(epsilon: float, exponent: float, share: float) -> None:
    rest, mu = set_aside(TrainConfig(epsilon=epsilon, delta=10**exponent), share)
    total = mu_of(epsilon, 10**exponent)
    assert math.hypot(mu_of(rest.epsilon, rest.delta), mu) == pytest.approx(total, rel=1e-12)
    assert mu**2 == pytest.approx(share * total**2, rel=1e-4)
