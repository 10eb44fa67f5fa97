import numpy as np

from recsys.data.split import split_at
from recsys.data.worlds import DAY_MS, OPENING_MS, checkerboard, tiny_shop


def test_a_tiny_shop_is_what_its_generator_says() -> None:
    one, same, other = (tiny_shop(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.purchases.tobytes() == same.purchases.tobytes() != other.purchases.tobytes()
    assert one.users == other.users
    assert one.users[:2] == ("u00", "u01")
    assert len(one.items) == 40


def test_every_customer_of_a_tiny_shop_buys_within_its_year(rng: np.random.Generator) -> None:
    log = tiny_shop(rng, purchases_per_customer=1)
    assert np.diff(log.offsets).min() >= 1
    assert log.purchases["timestamp"].min() >= OPENING_MS
    assert log.purchases["timestamp"].max() < OPENING_MS + 365 * DAY_MS
    assert log.purchases["quantity"].min() >= 1
    assert len(np.unique(log.purchases["event"])) == len(log)


def test_customers_of_a_tiny_shop_are_loyal_to_the_group_of_their_taste(rng: np.random.Generator) -> None:
    log = tiny_shop(rng, n_customers=200, n_groups=4, loyalty=0.8)
    own = log.purchases["item"] % 4 == log.user_index % 4
    # 0.8 from the own group, and a quarter of the rest by chance
    assert abs(own.mean() - 0.85) < 0.03


def test_loyalty_and_skew_have_their_ends(rng: np.random.Generator) -> None:
    loyal = tiny_shop(rng, loyalty=1.0)
    assert (loyal.purchases["item"] % 4 == loyal.user_index % 4).all()
    flat, skewed = (
        np.bincount(tiny_shop(rng, n_customers=400, skew=skew).purchases["item"], minlength=40) for skew in (0.0, 1.0)
    )
    assert flat.max() < 1.5 * flat.min()
    assert skewed[:4].min() > 4 * skewed[-4:].max()


def test_on_the_checkerboard_likes_and_answers_are_known() -> None:
    world = checkerboard(n_customers=10, n_items=20, n_groups=2, gap=5)
    split = split_at(world.log, world.cut_ms)
    before, after = split.train.interactions().matrix.toarray(), split.test.interactions().matrix.toarray()
    likes = np.arange(10)[:, None] % 2 == np.arange(20) % 2
    assert ((before + after) == likes).all()
    assert (after.sum(axis=1) == 2).all()
    assert (before.sum(axis=1) == 8).all()
    assert np.flatnonzero(after[0]).tolist() == [0, 10]
    assert np.flatnonzero(after[3]).tolist() == [9, 19]


def test_what_a_customer_of_the_checkerboard_lacks_the_others_of_the_group_have() -> None:
    world = checkerboard()
    split = split_at(world.log, world.cut_ms)
    before, after = split.train.interactions().matrix.toarray(), split.test.interactions().matrix.toarray()
    for user in range(len(world.log.users)):
        others = before[user % 2 :: 2].sum(axis=0)
        missing = (others > 0) & (before[user] == 0)
        assert (missing == (after[user] > 0)).all()


def test_the_names_of_a_world_are_sorted(rng: np.random.Generator) -> None:
    for log in (tiny_shop(rng, n_customers=101), checkerboard(n_items=11).log):
        assert list(log.users) == sorted(log.users)
        assert list(log.items) == sorted(log.items)
