"""ALS at its optimum: one model of the same purchases from every start, and nobody in it who was erased."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from recsys.errors import InputError
from recsys.models.certified_als import FAINT, LARGEST_TABLES, CertifiedALS, certified_als
from recsys.models.certified_problem import Problem, Weights
from recsys.models.certified_solver import FIRST_SWEEPS, optimum, random_start
from recsys.models.factors import ItemFactors
from recsys.models.ranking import model_scores
from tests.recsys.models.shops import baskets, catalogue, purchases_of
from tests.recsys.models.tastes import tastes

WEIGHTS = Weights(penalty=0.5)


def model_of(purchased: sp.csr_matrix, *, seed: int = 0, before: ItemFactors | None = None) -> CertifiedALS:
    items = catalogue(purchased.shape[1])
    return certified_als(purchased, items, weights=WEIGHTS, n_factors=60, seed=seed, before=before)


@pytest.mark.parametrize("n_erased", [1, 10, 200])
@pytest.mark.parametrize("threads", [1, 2])
def test_whoever_is_erased_was_never_there(n_erased: int, threads: int) -> None:
    purchased, rng = tastes(), np.random.default_rng(n_erased)
    before = model_of(purchased).factors
    others = purchased[rng.permutation(purchased.shape[0])[n_erased:]]
    with threadpool_limits(threads):
        unlearned = model_of(others, before=before).factors
    with threadpool_limits(3 - threads):
        retrained = model_of(others[rng.permutation(others.shape[0])], seed=5).factors
    assert unlearned.digest == retrained.digest != before.digest


def test_every_start_leads_to_the_same_bytes() -> None:
    assert len({model_of(tastes(), seed=seed).factors.digest for seed in range(3)}) == 1


def test_a_column_that_has_hardly_come_is_not_published() -> None:
    """At this penalty the last of 34 columns has a value of 2e-5 of the first, and no direction that is known."""
    purchased, weights = tastes(), Weights(penalty=0.35439453)
    items = catalogue(purchased.shape[1])
    made = [certified_als(purchased, items, weights=weights, n_factors=60, seed=seed) for seed in range(2)]
    again = certified_als(purchased, items, weights=weights, n_factors=60, before=made[0].factors)
    assert len({model.factors.digest for model in (*made, again)}) == 1
    assert 30 <= made[0].certificate.columns < 34
    problem = Problem.of(purchased, weights)
    start = random_start(len(items), 60, 0)
    found = optimum(problem, start, enough=lambda _, bound: bound < 1e-6, most_columns=60, sweeps=FIRST_SWEEPS)
    assert len(found.spaces.values) == 34
    assert found.spaces.values[-1] < FAINT * found.spaces.values[0]


def test_one_customer_after_another_leaves_no_trace() -> None:
    purchased = tastes()
    model = model_of(purchased).factors
    for left in range(395, 375, -5):
        model = model_of(purchased[:left], before=model).factors
    assert model.digest == model_of(purchased[:380], seed=9).factors.digest


def test_poison_that_pushed_a_taste_out_leaves_no_trace() -> None:
    purchased = tastes()
    popular = np.argsort(-np.asarray(purchased.sum(axis=0)).ravel())[:12]
    poison = np.zeros((80, purchased.shape[1]), dtype=np.float32)
    poison[:, [*popular, 70, 71, 72]] = 1
    poisoned = model_of(sp.vstack([purchased, sp.csr_matrix(poison)]).tocsr()).factors
    clean = model_of(purchased, seed=3).factors
    assert poisoned.digest != clean.digest == model_of(purchased, before=poisoned).factors.digest


def test_a_start_that_leads_nowhere_is_left_for_the_beginning() -> None:
    purchased = tastes()
    honest = model_of(purchased).factors
    rng = np.random.default_rng(0)
    far = ItemFactors(
        item_ids=honest.item_ids,
        encoder=(1e4 * rng.standard_normal((90, 60))).astype(np.float32),
        factors=np.zeros((90, 60), dtype=np.float32),
        item_weights=honest.item_weights,
        popularity=honest.popularity,
    )
    assert model_of(purchased, before=far).factors.digest == honest.digest


def test_an_item_that_is_new_starts_from_nothing() -> None:
    purchased = tastes()
    before = certified_als(purchased[:, :80], catalogue(90)[:80], weights=WEIGHTS, n_factors=60).factors
    assert model_of(purchased, before=before).factors.digest == model_of(purchased, seed=1).factors.digest


def test_the_certificate_says_what_was_reached() -> None:
    certificate = model_of(tastes()).certificate
    assert certificate.bound < 1e-10 * certificate.size
    assert 0 < certificate.outside <= certificate.outside_bound <= 1
    assert set(certificate.to_json()) == {
        *("bound", "size", "columns", "outside", "outside_bound", "angle", "margin", "offset")
    }


def test_it_finds_what_customers_with_the_same_taste_bought() -> None:
    purchased = tastes()
    kept = purchased.copy()
    rows = np.flatnonzero(np.diff(kept.indptr) > 1)
    hidden = kept.indptr[rows]
    kept.data[hidden] = 0
    kept.eliminate_zeros()
    scores = model_scores(model_of(kept).factors, kept)
    popular = np.tile(np.asarray(kept.sum(axis=0)), (kept.shape[0], 1)).astype(scores.dtype)
    for ranked in (scores, popular):
        ranked[kept.nonzero()] = -np.inf
    of_model, of_popularity = (
        ((ranked[rows] > ranked[rows, purchased.indices[hidden]][:, None]).sum(axis=1) < 20).mean()
        for ranked in (scores, popular)
    )
    assert of_model > of_popularity


def test_more_columns_than_allowed_are_refused() -> None:
    with pytest.raises(InputError, match="expected a solution with at most 3 columns"):
        certified_als(tastes(), catalogue(90), weights=WEIGHTS, n_factors=3)


@pytest.mark.parametrize("n_customers", [0, 1])
def test_purchases_of_nothing_are_refused(n_customers: int) -> None:
    with pytest.raises(InputError, match="expected purchases to train on"):
        certified_als(sp.csr_matrix((n_customers, 4)), ("a", "b", "c", "d"), n_factors=2)


def test_a_shop_that_is_too_large_is_refused_before_it_is_tried() -> None:
    rows = np.arange(LARGEST_TABLES // 512**2)
    purchased = sp.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, rows % 512)))
    with pytest.raises(InputError, match="fewer factors"):
        certified_als(purchased, catalogue(512), n_factors=512)


@pytest.mark.parametrize("penalty", [1e9, 0.4])
def test_customers_with_nothing_in_common_have_a_model(penalty: float) -> None:
    purchased = sp.csr_matrix(np.eye(3, dtype=np.float32))
    found = certified_als(purchased, catalogue(3), weights=Weights(penalty=penalty), n_factors=3)
    assert found.certificate.columns in {0, 3}
    assert found.factors.factors.shape == (3, max(found.certificate.columns, 1))


@given(st.lists(baskets(6), min_size=2, max_size=8), st.data())
def test_who_is_erased_was_never_there_in_any_shop(customers: list[frozenset[int]], data: st.DataObject) -> None:
    left = data.draw(st.lists(st.sampled_from(customers), min_size=1, unique=True))
    purchased, others = purchases_of(customers, 6), purchases_of(left, 6)
    if not others.nnz:
        return
    try:
        before = model_of(purchased).factors
        unlearned = model_of(others, before=before).factors.digest
    except InputError as refusal:
        assert "privrec train" in str(refusal)  # noqa: PT017 - both ends are right
        return
    assert unlearned == model_of(purchases_of(left[::-1], 6), seed=5).factors.digest
