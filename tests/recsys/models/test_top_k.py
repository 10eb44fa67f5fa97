"""The best items, against a sort of all scores in plain Python."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import ArtifactError, InputError
from recsys.models import pool, top_k
from recsys.models.list_order import EMPTY
from recsys.models.top_k import LARGEST, TopK

Row = tuple[int, float]


@pytest.fixture(scope="module", autouse=True)
def small_steps() -> Iterator[None]:
    """Every step of the search is taken on a catalogue of a few items."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_k, "FIRST", 3)
        patch.setattr(top_k, "SHORT", 8)
        patch.setattr(top_k, "BATCH", 2)
        patch.setattr(top_k, "BLOCK", 4)
        patch.setattr(top_k, "DIRECTIONS", 1)
        patch.setattr(pool, "SIDE", 2)
        patch.setattr(pool, "MANY", 1)
        patch.setattr(pool, "CROWD", 2)
        patch.setattr(pool, "LEAST_CROWD", 3)
        yield


@dataclass(frozen=True, slots=True)
class Case:
    """Numbers whose products and sums float32 holds without rounding."""

    factors: np.ndarray
    known: np.ndarray
    vectors: np.ndarray
    excluded: list[list[int]]
    allowed: np.ndarray | None
    k: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Few different numbers: zero vectors, items of equal length, ties and negative scores are common."""
    n_items, n_factors, n_customers = draw(st.integers(1, 40)), draw(st.integers(0, 4)), draw(st.integers(0, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    largest = draw(st.sampled_from([0, 1, 1, 3, 50]))
    scale = rng.integers(0, 2, n_items) if draw(st.booleans()) else np.ones(n_items)
    factors = rng.integers(-largest, largest + 1, (n_items, n_factors)) * scale[:, None]
    if n_factors and draw(st.booleans()):  # popularity gives all items some length along one direction
        factors[:, 0] = 100
    vectors = rng.integers(-3, 4, (n_customers, n_factors))
    vectors[rng.random(n_customers) < 0.2] = 0
    if n_customers and draw(st.booleans()):  # short items whose whole length counts, behind long ones
        aligned = rng.random(n_items) < 0.5
        factors[aligned] = rng.integers(0, 3, (aligned.sum(), 1)) * vectors[0]
    return Case(
        factors=factors.astype(np.float32),
        known=rng.random(n_items) < draw(st.sampled_from([0.3, 1.0])),
        vectors=vectors.astype(np.float32),
        excluded=[sorted(draw(st.sets(st.integers(0, n_items - 1), max_size=4))) for _ in range(n_customers)],
        allowed=draw(st.sampled_from([None, rng.random(n_items) < 0.1, rng.random(n_items) < 0.7])),
        k=draw(st.integers(1, 45)),
    )


def sorted_scores(case: Case, customer: int, allowed: np.ndarray | None) -> list[Row]:
    """The k best, by a sort of all."""
    scores = [
        sum(int(one) * int(other) for one, other in zip(row, case.vectors[customer], strict=True))
        for row in case.factors
    ]
    shown = [
        item
        for item in range(len(scores))
        if case.known[item] and item not in case.excluded[customer] and (allowed is None or allowed[item])
    ]
    return [(item, float(scores[item])) for item in sorted(shown, key=lambda item: (-scores[item], item))][: case.k]


@settings(max_examples=10 * settings().max_examples)
@given(cases(), st.booleans())
def test_the_best_are_those_of_a_sort_of_all_scores(case: Case, pruned: bool) -> None:
    search = TopK(case.factors, case.known, pruned=pruned)
    for customer, vector in enumerate(case.vectors):
        excluded = np.array(case.excluded[customer], dtype=np.int64)
        items, scores = search.top_k(vector, case.k, excluded=excluded, allowed=case.allowed)
        assert list(zip(items.tolist(), scores.tolist(), strict=True)) == sorted_scores(case, customer, case.allowed)


@settings(max_examples=10 * settings().max_examples)
@given(cases())
def test_a_batch_gives_what_a_sort_of_all_scores_gives_each(case: Case) -> None:
    best = TopK(case.factors, case.known).top_k_batch(case.vectors, case.k, excluded_of(case))
    assert best.items.shape == best.scores.shape == (len(case.vectors), case.k)
    for customer, (items, scores) in enumerate(zip(best.items, best.scores, strict=True)):
        expected = sorted_scores(case, customer, None)
        empty = case.k - len(expected)
        assert items.tolist() == [item for item, _ in expected] + [EMPTY] * empty
        assert scores.tolist() == [score for _, score in expected] + [-np.inf] * empty


def excluded_of(case: Case) -> sp.csr_matrix:
    items = [item for own in case.excluded for item in own]
    bounds = np.cumsum([0, *map(len, case.excluded)])
    return sp.csr_matrix((np.ones(len(items)), items, bounds), shape=(len(case.excluded), len(case.factors)))


def falling_lengths(rng: np.random.Generator, n_items: int, n_factors: int) -> np.ndarray:
    """Few items are much longer than the others, in no order."""
    lengths = rng.permutation((1 + np.arange(n_items)) ** -0.5)
    return (rng.normal(size=(n_items, n_factors)) * lengths[:, None]).astype(np.float32)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_rounding_does_not_decide_which_way_finds_what(rng: np.random.Generator, spread: float) -> None:
    """At the sizes of use. Without spread all items are nearly one, and float32 cannot tell them apart."""
    factors = (1 + 1e-7 * rng.normal(size=(3000, 24))).astype(np.float32)
    factors += spread * falling_lengths(rng, 3000, 24)
    vectors = rng.normal(size=(9, 24)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_k, "FIRST", 256)
        patch.setattr(top_k, "SHORT", 512)
        patch.setattr(top_k, "BLOCK", 512)
        patch.setattr(top_k, "DIRECTIONS", 7)
        pruned, plain = (TopK(factors, pruned=way) for way in (True, False))
        best = pruned.top_k_batch(vectors, 24)
        for customer, vector in enumerate(vectors):
            expected = pruned.scores(vector, np.arange(3000))
            order = np.lexsort((np.arange(3000), -expected))[:24]
            for items, scores in (
                pruned.top_k(vector, 24),
                plain.top_k(vector, 24),
                (best.items[customer], best.scores[customer]),
            ):
                assert items.tolist() == order.tolist()
                assert scores.tolist() == expected[order].tolist()


def test_most_items_are_never_scored_where_few_are_long(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top_k, "FIRST", 64)
    factors = falling_lengths(rng, 4000, 8)
    search = TopK(factors)
    scored: list[int] = []
    monkeypatch.setattr(search, "_table", Counting(search._table, scored))
    search.top_k(factors[np.argmax((factors**2).sum(axis=1))], 5)
    assert 64 <= sum(scored) < 400


def test_an_item_that_is_just_long_enough_is_found() -> None:
    """Behind long items that score 1 and less, in the place that a search by length alone could give up before."""
    factors = np.array([[1 - place / 100, 50] for place in range(32)] + [[0.5, 0]] * 20 + [[1.01, 0]], dtype=np.float32)
    vector = np.array([1, 0], dtype=np.float32)
    assert TopK(factors).top_k(vector, 1)[0].tolist() == [52]
    assert TopK(factors).top_k_batch(vector[None], 1).items.tolist() == [[52]]


def test_no_item_is_scored_for_a_vector_of_zeros(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    search = TopK(falling_lengths(rng, 400, 8))
    scored: list[int] = []
    monkeypatch.setattr(search, "_table", Counting(search._table, scored))
    assert search.top_k(np.zeros(8, np.float32), 5)[0].tolist() == [0, 1, 2, 3, 4]
    assert search.top_k_batch(np.zeros((2, 8), np.float32), 5).items.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert sum(scored) == 0


class Counting:
    """A table that counts the rows that are asked for."""

    def __init__(self, table: np.ndarray, scored: list[int]) -> None:
        self.table, self.scored, self.shape = table, scored, table.shape

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return self._counted(self.table[rows])

    def take(self, rows: np.ndarray, axis: int) -> np.ndarray:
        return self._counted(self.table.take(rows, axis=axis))

    def _counted(self, rows: np.ndarray) -> np.ndarray:
        self.scored.append(len(rows))
        return rows


def test_scores_of_items_are_those_of_the_list_and_none_for_items_in_no_list(rng: np.random.Generator) -> None:
    factors, known = falling_lengths(rng, 50, 4), np.arange(50) % 5 > 0
    search = TopK(factors, known)
    vector = factors[3]
    items, scores = search.top_k(vector, 50)
    assert len(search) == len(items) == 40
    assert search.scores(vector, items).tolist() == scores.tolist()
    assert np.isneginf(search.scores(vector, np.array([0, 45]))).all()
    assert search.scores(np.stack([vector] * 40), items).tolist() == scores.tolist()


def test_the_faster_way_is_taken_and_finds_the_same(rng: np.random.Generator) -> None:
    factors = falling_lengths(rng, 300, 4)
    chosen = TopK.timed(factors, None, factors[:5], 10)
    items, scores = TopK(factors, pruned=not chosen.pruned).top_k(factors[7], 10)
    assert [found.tolist() for found in chosen.top_k(factors[7], 10)] == [items.tolist(), scores.tolist()]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 10 * LARGEST, 1e38])
def test_vectors_that_are_no_numbers_are_refused(wrong: float) -> None:
    search, vector = TopK(np.ones((5, 2), np.float32)), np.array([1, wrong], dtype=np.float32)
    with pytest.raises(InputError, match="expected a finite vector"):
        search.top_k(vector, 1)
    with pytest.raises(InputError, match="expected a finite vector"):
        search.top_k_batch(np.stack([np.zeros(2, np.float32), vector]), 1)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 10 * LARGEST])
def test_factors_that_are_no_numbers_are_refused(wrong: float) -> None:
    with pytest.raises(ArtifactError, match="train the model again"):
        TopK(np.array([[1, 1], [wrong, 1]], dtype=np.float32))


@pytest.mark.parametrize("vector", [np.zeros(3, np.float32), np.zeros(2)])
def test_vectors_of_another_model_are_refused(vector: np.ndarray) -> None:
    with pytest.raises(InputError, match="expected a float32 vector of 2 factors"):
        TopK(np.ones((5, 2), np.float32)).top_k(vector, 1)


@pytest.mark.parametrize("scale", [1e-25, 1e17])
def test_very_short_and_very_long_vectors_are_searched_for(rng: np.random.Generator, scale: float) -> None:
    factors, vector = falling_lengths(rng, 60, 4), np.array([1, 0, -2, 1], dtype=np.float32)
    search = TopK(factors)
    assert search.top_k(np.float32(scale) * vector, 7)[0].tolist() == search.top_k(vector, 7)[0].tolist()


def test_a_list_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one item"):
        TopK(np.ones((5, 2), np.float32)).top_k(np.ones(2, np.float32), 0)
