import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recsys.data.history import purchases_array
from recsys.data.interactions import PurchaseLog
from recsys.data.split import heldout_customers_split, k_core, split_at, split_each_history, temporal_split
from recsys.data.worlds import tiny_shop
from recsys.errors import InputError

PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=50)
MOMENTS = st.lists(st.integers(0, 30), min_size=2, max_size=40)
Pairs = list[tuple[int, int]]


def log_of(pairs: Pairs, moments: list[int] | None = None) -> PurchaseLog:
    user, item = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    times = np.zeros(len(pairs), dtype=np.int64) if moments is None else np.array(moments)
    purchases = purchases_array(timestamp=times, item=item, quantity=np.ones(len(pairs)), event=np.arange(len(pairs)))
    names = tuple("abcdefgh")
    return PurchaseLog.build(names, names, user, purchases)


def pairs_of(log: PurchaseLog) -> set[tuple[str, str]]:
    return {(log.users[u], log.items[i]) for u, i in zip(log.user_index, log.purchases["item"], strict=True)}


@given(MOMENTS, st.floats(0.05, 0.95))
def test_the_temporal_split_puts_the_earliest_fraction_and_its_ties_into_train(
    moments: list[int], fraction: float
) -> None:
    assume(sorted(moments)[int(np.ceil(fraction * len(moments))) - 1] < max(moments))
    split = temporal_split(log_of([(0, 0)] * len(moments), moments), fraction=fraction)
    train, test = split.train.purchases["timestamp"], split.test.purchases["timestamp"]
    assert sorted([*train, *test]) == sorted(moments)
    assert train.max() < test.min()
    assert len(train) >= fraction * len(moments)
    assert (train < train.max()).sum() < fraction * len(moments)


def test_a_fraction_that_is_no_binary_number_cuts_where_it_says() -> None:
    split = temporal_split(log_of([(0, 0)] * 100, list(range(100))), fraction=0.55)
    assert (len(split.train), len(split.test)) == (55, 45)


def test_both_sides_of_a_split_agree_about_positions(rng: np.random.Generator) -> None:
    log = tiny_shop(rng)
    split = temporal_split(log)
    assert split.train.users == split.test.users == log.users
    assert split.train.items == split.test.items == log.items


def test_a_purchase_at_the_moment_of_the_cut_is_in_train() -> None:
    split = split_at(log_of([(0, 0), (0, 1), (0, 2)], [4, 5, 6]), 5)
    assert pairs_of(split.train) == {("a", "a"), ("a", "b")}
    assert pairs_of(split.test) == {("a", "c")}


@given(MOMENTS, st.integers(0, 30))
def test_the_train_side_of_a_split_is_each_history_until_the_cut(moments: list[int], cut: int) -> None:
    log = log_of([(moment % 3, 0) for moment in moments], moments)
    split = split_at(log, cut)
    for user in range(len(log.users)):
        assert split.train.history(user) == log.history(user).until(cut)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 80, float("nan")])
def test_a_fraction_outside_0_and_1_is_refused(fraction: float, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="expected a fraction between 0 and 1"):
        temporal_split(log_of([(0, 0), (0, 1)], [1, 2]), fraction=fraction)
    with pytest.raises(InputError, match="expected a fraction between 0 and 1"):
        heldout_customers_split(tiny_shop(rng), n_or_fraction=float(fraction), rng=rng)
    with pytest.raises(InputError, match="expected a fraction between 0 and 1"):
        heldout_customers_split(tiny_shop(rng), n_or_fraction=5, fold_in=fraction, rng=rng)


def test_a_log_that_cannot_be_split_by_time_is_refused() -> None:
    with pytest.raises(InputError, match="got none: too many have the latest time"):
        temporal_split(log_of([(0, 0), (0, 1)], [3, 3]))
    with pytest.raises(InputError, match="expected purchases to split by time, got none"):
        temporal_split(log_of([]))


def slow_core(pairs: set[tuple[str, str]], minimum: int) -> set[tuple[str, str]]:
    """Drops one customer or item at a time until none is left to drop."""
    for side in (0, 1):
        for name in {pair[side] for pair in pairs}:
            mine = {pair for pair in pairs if pair[side] == name}
            if len(mine) < minimum:
                return slow_core(pairs - mine, minimum)
    return pairs


@given(PAIRS, st.integers(1, 4))
def test_the_core_is_what_dropping_one_at_a_time_leaves(pairs: Pairs, minimum: int) -> None:
    log = log_of(pairs)
    expected = slow_core(pairs_of(log), minimum)
    if not expected:
        with pytest.raises(InputError, match=f"with at least {minimum}"):
            k_core(log, minimum)
        return
    core = k_core(log, minimum)
    assert pairs_of(core) == expected
    assert core.users == tuple(sorted({user for user, _ in expected}))
    assert core.items == tuple(sorted({item for _, item in expected}))
    assert len(core) == sum(("abcdefgh"[user], "abcdefgh"[item]) in expected for user, item in pairs)


def test_the_core_counts_distinct_partners_not_purchases() -> None:
    with pytest.raises(InputError):
        k_core(log_of([(0, 0)] * 10), 2)


@given(st.integers(0, 2**32), st.integers(1, 10), st.floats(0.1, 0.9))
def test_held_out_customers_are_not_in_train_and_their_items_are_divided(seed: int, number: int, part: float) -> None:
    rng = np.random.default_rng(seed)
    log = tiny_shop(rng, n_customers=20, n_items=12, purchases_per_customer=4)
    n_items = dict(zip(log.users, np.diff(log.interactions().matrix.indptr).tolist(), strict=True))
    assume(sum(count > 1 for count in n_items.values()) >= number)
    held_out = heldout_customers_split(log, n_or_fraction=number, fold_in=part, rng=rng)
    shown, target = pairs_of(held_out.fold_in), pairs_of(held_out.target)
    assert len(held_out.target.users) == number
    assert sorted([*held_out.train.users, *held_out.target.users]) == sorted(log.users)
    assert not shown & target
    assert pairs_of(held_out.train) | shown | target == pairs_of(log)
    assert len(held_out.train) + len(held_out.fold_in) + len(held_out.target) == len(log)
    for user in held_out.target.users:
        right = np.clip(np.rint(part * n_items[user]), 1, n_items[user] - 1)
        assert sum(name == user for name, _ in shown) == right


def test_the_three_logs_of_held_out_customers_agree_about_positions(rng: np.random.Generator) -> None:
    log = tiny_shop(rng)
    held_out = heldout_customers_split(log, n_or_fraction=0.25, rng=rng)
    assert held_out.fold_in.users == held_out.target.users
    assert len(held_out.target.users) == 15
    assert held_out.train.items == held_out.fold_in.items == held_out.target.items == log.items


def test_the_generator_makes_the_choice_of_customers_and_of_items(rng: np.random.Generator) -> None:
    log = tiny_shop(rng)
    one, same, other = (
        heldout_customers_split(log, n_or_fraction=10, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert one.target.users == same.target.users != other.target.users
    assert pairs_of(one.target) == pairs_of(same.target)


def test_each_item_of_a_held_out_customer_is_as_likely_to_be_a_target(rng: np.random.Generator) -> None:
    log = log_of([(user, item) for user in range(2) for item in range(4)])
    counts = np.zeros(4)
    for _ in range(400):
        target = heldout_customers_split(log, n_or_fraction=1, fold_in=0.75, rng=rng).target
        counts += np.bincount(target.purchases["item"], minlength=8)[:4]
    assert counts.sum() == 400
    # 100 each, standard deviation 8.7: five of them either way
    assert np.abs(counts - 100).max() < 44


@pytest.mark.parametrize("number", [0, -1, 3, 100])
def test_more_customers_than_can_be_held_out_are_refused(number: int, rng: np.random.Generator) -> None:
    log = log_of([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]).compact()
    with pytest.raises(InputError, match=f"hold out 1 to 2 customers .* got {number}"):
        heldout_customers_split(log, n_or_fraction=number, rng=rng)


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 9)), min_size=1, max_size=50),
    st.floats(0.05, 0.95),
)
def test_each_history_is_split_after_its_own_first_items(rows: list[tuple[int, int, int]], fraction: float) -> None:
    log = log_of([row[:2] for row in rows], [row[2] for row in rows])
    split = split_each_history(log, fraction=fraction)
    early, late = pairs_of(split.train), pairs_of(split.test)
    assert early | late == pairs_of(log)
    assert early.isdisjoint(late)
    assert len(split.train) + len(split.test) == len(log)
    for user in log.users:
        first = {
            item: min(moment for u, i, moment in rows if (log.users[u], log.items[i]) == (user, item))
            for owner, item in pairs_of(log)
            if owner == user
        }
        n_early = sum(owner == user for owner, _ in early)
        assert n_early == (max(min(round(fraction * len(first)), len(first) - 1), 1) if first else 0)
        before = [first[item] for owner, item in early if owner == user]
        after = [first[item] for owner, item in late if owner == user]
        assert max(before, default=0) <= min(after, default=10)


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 9)), min_size=1, max_size=50),
    st.integers(0, 7),
)
def test_a_history_is_split_alike_whoever_else_is_there(rows: list[tuple[int, int, int]], left_out: int) -> None:
    log = log_of([row[:2] for row in rows], [row[2] for row in rows])
    without = log.where(log.user_index != left_out)
    for side, rest in zip(
        (split_each_history(log).train, split_each_history(log).test),
        (split_each_history(without).train, split_each_history(without).test),
        strict=True,
    ):
        assert pairs_of(rest) == {pair for pair in pairs_of(side) if pair[0] != log.users[left_out]}


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_a_history_is_split_by_a_fraction(fraction: float) -> None:
    with pytest.raises(InputError):
        split_each_history(log_of([(0, 0)]), fraction=fraction)
