"""What the erasure benchmark computes for itself: metrics, attacks, shards, downdates and sweeps."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import erasure_attacks, erasure_bases, erasure_shards
from benchmarks.erasure_data import Shop, distance, recall_and_ndcg
from benchmarks.erasure_peers import Base, Comparison, compared, from_nothing, with_ours


def shop(n_customers: int = 120, n_items: int = 40) -> sp.csr_matrix:
    """Customers of four tastes."""
    rng = np.random.default_rng(0)
    taste = rng.random((4, n_items)) ** 3
    return sp.csr_matrix((rng.random((n_customers, n_items)) < taste[rng.integers(4, size=n_customers)]), dtype="f4")


@pytest.fixture
def comparison() -> Comparison:
    bought = shop()
    erased = {1: np.array([7]), 10: np.arange(20, 30)}
    return Comparison(train=bought, valid=shop(), test=shop(), erased=erased, n_factors=16, sweeps=5)


def test_recall_and_ndcg_are_those_worked_out_by_hand() -> None:
    scores = np.array([[9.0, 8, 7, 6], [4, 3, 2, 1], [1, 2, 3, 4]])
    known = sp.csr_matrix([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    wanted = sp.csr_matrix([[0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    found = recall_and_ndcg(scores, known, wanted)
    # The first customer's item is second of those left; both of the second's are first; of the third none is wanted.
    assert found["recall20"] == 1
    assert found["ndcg20"] == pytest.approx((1 / np.log2(3) + 1) / 2)


def test_a_wanted_item_beyond_the_twentieth_place_is_no_hit() -> None:
    scores = -np.arange(30.0)[None]
    wanted = sp.csr_matrix(np.isin(np.arange(30), [19, 20])[None].astype(float))
    found = recall_and_ndcg(scores, sp.csr_matrix((1, 30)), wanted)
    assert found["recall20"] == 0.5
    assert found["ndcg20"] == pytest.approx(1 / np.log2(21) / (1 + 1 / np.log2(3)))


def test_auc_is_the_chance_that_a_member_is_above_another() -> None:
    assert erasure_attacks.auc(np.array([3.0, 4, 1, 2]), 2) == 1
    assert erasure_attacks.auc(np.array([1.0, 2, 3, 4]), 2) == 0
    assert erasure_attacks.auc(np.array([1.0, 1, 1]), 1) == 0.5
    rng = np.random.default_rng(0)
    members, others = rng.integers(5, size=30).astype(float), rng.integers(5, size=20).astype(float)
    pairs = (members[:, None] > others).mean() + (members[:, None] == others).mean() / 2
    assert erasure_attacks.auc(np.concatenate([members, others]), 30) == pytest.approx(pairs)


def test_the_membership_attack_finds_members_and_not_those_who_were_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure_attacks, "ASKED", 30)
    found = erasure_attacks.membership(shop(), 16)
    assert found["membership.auc_before"] > 0.7
    assert found["membership.auc_after"] < 0.55
    assert found["membership.auc_gap"] == 0


def test_planted_customers_have_every_target_and_lift_it_until_they_are_erased() -> None:
    bought = shop()
    counts, rng = np.asarray(bought.sum(axis=0)).ravel(), np.random.default_rng(0)
    targets = np.argsort(counts)[:5]
    planted = erasure_attacks.planted(counts, targets, rng)
    assert planted.shape == (erasure_attacks.PROFILES, bought.shape[1])
    assert (planted[:, targets].toarray() == 1).all()
    assert np.diff(planted.indptr).max() <= erasure_attacks.TARGETS + erasure_attacks.FILLERS

    found = erasure_attacks.poison(bought, 16, rare=(0, 60))
    assert found["poison.hit20_before"] > found["poison.hit20_clean"]
    assert found["poison.exposure_gap"] == 0
    assert found["poison.digest_equal"] == 1


def test_no_cluster_holds_more_than_there_is_room_for_and_nobody_is_left_out() -> None:
    # Nearly all points in one place: the nearest centre alone would put them in one cluster.
    points = np.concatenate([np.zeros((90, 2)), np.random.default_rng(0).normal(size=(10, 2))])
    assigned = erasure_shards.balanced_clusters(points, 5, np.random.default_rng(1))
    sizes = np.bincount(assigned, minlength=5)
    assert assigned.min() == 0
    assert sizes.max() <= np.ceil(erasure_shards.ROOM * 100 / 5)


def test_points_that_lie_together_are_in_one_cluster_where_there_is_room() -> None:
    centres = 100 * np.eye(5)
    points = np.repeat(centres, 8, axis=0) + np.random.default_rng(0).normal(size=(40, 5))
    assigned = erasure_shards._nearest_with_room(points, centres, 8)
    assert assigned.tolist() == np.repeat(np.arange(5), 8).tolist()


def test_random_shards_are_of_equal_size() -> None:
    sizes = np.bincount(erasure_shards.sisa(shop()).assigned)
    assert sizes.tolist() == [12] * erasure_shards.SHARDS


def test_a_shard_scores_as_ease_does() -> None:
    bought = shop()
    whole, shard = erasure_bases.train_ease(bought, 5.0), erasure_shards.train_shard(bought, 5.0)
    assert np.allclose(whole.scores(bought), shard.scores(bought), atol=1e-9)


def test_an_erased_customer_was_never_in_their_shard_and_the_others_are_not_touched() -> None:
    bought, erased = shop(), np.array([3, 50])
    before = erasure_shards.sisa(bought)
    after = before.without(bought, erased)
    assigned = before.assigned.copy()
    assigned[erased] = -1
    never = erasure_shards.Shards.trained(bought, assigned)
    assert distance(after, never, bought) == 0
    touched = {int(before.assigned[3]), int(before.assigned[50])}
    kept = [shard for shard in range(erasure_shards.SHARDS) if after.models[shard] is before.models[shard]]
    assert set(kept) == set(range(erasure_shards.SHARDS)) - touched


def test_a_downdate_gives_the_model_of_a_training_without_the_customers() -> None:
    bought, erased = shop(), np.arange(9)
    after = erasure_bases.downdate(erasure_bases.train_ease(bought, 5.0), bought, erased)
    assert np.allclose(after.inverse, erasure_bases.train_ease(bought[9:], 5.0).inverse, atol=1e-12)


def test_sweeps_come_to_rest_where_no_customer_and_no_item_can_do_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(erasure_bases, "ALS_FACTORS", 8)
    bought = shop()
    model = erasure_bases.train_als(bought, 300)
    assert distance(model, erasure_bases.swept(model, bought, 1), bought) < 1e-6
    customers, dense = model.customers(bought), bought.toarray()
    background = erasure_bases.ALS_BACKGROUND
    scores = customers @ model.items.T
    ridge = erasure_bases.ALS_REGULARIZATION * (dense.sum(axis=0) + background * len(dense))
    slope = (dense * (scores - 1) + background * scores).T @ customers + ridge[:, None] * model.items
    assert np.abs(slope).max() < 1e-6


def test_doing_nothing_is_as_far_as_before_and_a_downdate_is_no_distance(comparison: Comparison) -> None:
    base = Base.trained(erasure_bases.train_ease, comparison)
    nothing = compared("nothing", base.before, lambda model, _: model, base, comparison)
    assert nothing["peers.nothing.residual1"] == nothing["peers.nothing.residual10"] == 1
    exact = compared(
        "exact", base.before, lambda model, who: erasure_bases.downdate(model, comparison.train, who), base, comparison
    )
    assert exact["peers.exact.residual10"] < 1e-9
    assert exact["peers.exact.after10.recall20"] == base.itself("ease", comparison)["peers.ease.retrained10.recall20"]


def test_ours_is_no_distance_from_a_training_without_the_customer_though_an_item_was_never_bought(
    comparison: Comparison,
) -> None:
    unsold = sp.csr_matrix(sp.hstack([comparison.train, sp.csr_matrix((comparison.train.shape[0], 1))]))
    found = with_ours(replace(comparison, train=unsold, valid=unsold, test=unsold))
    assert found["peers.gram.residual1"] == found["peers.gram.residual10"] == 0


def test_an_erasure_that_keeps_a_partition_made_with_the_customer_is_not_exact(comparison: Comparison) -> None:
    before = erasure_shards.receraser_model(comparison.train, comparison.valid)
    found = from_nothing(before, comparison)
    assert found["peers.receraser.own_residual10"] > 1e-3


def test_the_shop_without_a_customer_is_the_shop_that_never_had_them() -> None:
    found = Shop.of(shop(), 16)
    erased = np.array([5, 6])
    assert found.without(erased).digest == found.never_with(erased, np.random.default_rng(0)).digest
    assert found.without(erased).digest != found.model().factors.digest
