"""Mistakes that others have made with differential privacy, and that nothing else here is about: docs/pitfalls.md."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.evidence.manifest import manifest
from recsys.models import gram
from recsys.models.customer import GRID, SumRule, counts_terms, customer_vectors
from recsys.models.gram import GRAM_SENSITIVITY, GramSum, release_counts, release_gram
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from recsys.training.fit import fit
from recsys.training.terms import Terms, TrainConfig
from recsys.training.train import train
from recsys.types import Json, Trainer
from tests.recsys.models.shops import Basket, baskets, catalogue, purchases_of, rules, shops
from tests.recsys.training.shop import EVERY_TRAINER, fill, open_shop, seeded, small_log

PRIVATE = (Trainer.GRAM, Trainer.POPULARITY)
WINDOW = 64
"""Bytes that do not agree by chance."""


@pytest.mark.parametrize("trainer", PRIVATE)
def test_every_item_of_the_catalogue_is_in_the_model_bought_or_not(trainer: Trainer) -> None:
    """An item that is left out for want of buyers tells that it has none."""
    bought, items = purchases_of([{0, 1}, {1, 2}], 30), catalogue(30)
    nobody_bought = sp.csr_matrix((2, 30), dtype=np.float32)
    for purchased in (bought, nobody_bought):
        factors = fit(purchased, items, Terms.under(TrainConfig(trainer=trainer)), entropy=seeded()).factors
        assert factors.item_ids == items


def term_of(customer: Basket, others: list[Basket], rule: SumRule, n_items: int) -> list[list[int]]:
    """By how much one customer moves counts, Gram and number of customers, where the others are these."""
    without = GramSum.empty(catalogue(n_items), rule).add(purchases_of(others, n_items))
    neighbour = GramSum.empty(catalogue(n_items), rule).add(purchases_of([*others, customer], n_items))
    return [
        (neighbour.counts - without.counts).tolist(),
        (neighbour.gram - without.gram).ravel().tolist(),
        [neighbour.n_added - without.n_added],
    ]


@given(shop=shops(), data=st.data())
def test_a_customers_term_is_the_same_whoever_else_is_there(
    shop: tuple[list[Basket], SumRule, int], data: st.DataObject
) -> None:
    """No mean is taken out, and nothing is divided by a number of customers or by what others buy."""
    others, rule, n_items = shop
    customer = data.draw(baskets(n_items))
    assert term_of(customer, others, rule, n_items) == term_of(customer, [], rule, n_items)


def test_a_mean_that_is_taken_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def centred(purchased: sp.csr_matrix, rule: SumRule) -> NDArray[np.float64]:
        vectors = customer_vectors(purchased, rule)
        return np.trunc(vectors - vectors.mean(axis=0, keepdims=True)) if len(vectors) else vectors

    rule, customer, others = SumRule(released_counts=np.arange(1.0, 9.0), head_size=8), frozenset({0, 3}), [{1, 2}, {5}]
    monkeypatch.setattr(gram, "customer_vectors", centred)
    crowd = [frozenset(other) for other in others]
    assert term_of(customer, crowd, rule, 8) != term_of(customer, [], rule, 8)


@pytest.mark.parametrize("trainer", PRIVATE)
def test_metrics_are_in_no_manifest_and_the_promise_names_what_it_does_not_cover(trainer: Trainer) -> None:
    """Metrics and the choice of settings are releases too: they are kept out, or named."""
    version = train(open_shop(small_log()), TrainConfig(trainer=trainer), entropy=seeded())
    assert manifest(version)["metrics"] == {}
    not_covered = " ".join(cast("list[str]", version.privacy["not_covered"]))
    for words in ("metrics", "settings chosen by looking at private data", "list of items"):
        assert words in not_covered


@pytest.mark.parametrize("trainer", EVERY_TRAINER)
def test_every_promise_names_its_unit_and_its_neighbouring_relation(trainer: Trainer) -> None:
    shop = open_shop(small_log())
    version = train(shop, TrainConfig(trainer=trainer), entropy=seeded())
    budget: dict[str, Json] = next(entry for entry in shop.ledger_log.entries() if entry["type"] == "budget")
    for promise in (version.privacy, budget):
        assert (promise["unit"], promise["neighboring_relation"]) == ("customer", "add_or_remove_one")


def test_exchanging_a_customer_moves_the_gram_by_more_than_adding_one() -> None:
    """What is booked is for adding or removing; a reader who replaces a customer must count twice."""
    rule = SumRule(released_counts=np.ones(40), head_size=40)
    nobody = GramSum.empty(catalogue(40), rule)
    one, other = (nobody.add(purchases_of([basket], 40)).gram / GRID**2 for basket in ({0, 1}, {2, 3}))
    assert np.linalg.norm(one) <= GRAM_SENSITIVITY
    assert GRAM_SENSITIVITY < np.linalg.norm(one - other) <= 2 * GRAM_SENSITIVITY


@given(rule=rules(12), basket=baskets(12), value=st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 1e30, 1e-30]))
def test_whatever_number_is_stored_with_a_purchase_it_counts_once(rule: SumRule, basket: Basket, value: float) -> None:
    """A quantity of a thousand or not a number must not reach the sum."""
    once = purchases_of([basket], 12)
    odd = once.copy()
    odd.data[:] = value
    assert counts_terms(odd).tolist() == counts_terms(once).tolist()
    assert customer_vectors(odd, rule).tobytes() == customer_vectors(once, rule).tobytes()


@given(shop=shops())
def test_an_empty_batch_adds_nothing(shop: tuple[list[Basket], SumRule, int]) -> None:
    customers, rule, n_items = shop
    content = GramSum.empty(catalogue(n_items), rule).add(purchases_of(customers, n_items))
    nobody = sp.csr_matrix((0, n_items), dtype=np.float32)
    assert content.add(nobody).to_bytes() == content.to_bytes()


@pytest.mark.parametrize("trainer", PRIVATE)
def test_the_seed_of_a_training_does_not_reach_its_noise(trainer: Trainer) -> None:
    log, terms = small_log(), Terms.under(TrainConfig(trainer=trainer))
    one, other = (fit(log.interactions().matrix, log.items, terms, seed=7).factors for _ in range(2))
    assert one.popularity.tolist() != other.popularity.tolist()


@given(shop=shops())
def test_partial_sums_carry_no_noise_and_what_is_merged_is_released_once(
    shop: tuple[list[Basket], SumRule, int],
) -> None:
    """Noise per part would add up, or be the same in each part if the parts share a seed."""
    customers, rule, n_items = shop
    whole, *parts = (
        GramSum.empty(catalogue(n_items), rule).add(purchases_of(some, n_items))
        for some in (customers, customers[::2], customers[1::2])
    )
    merged = parts[0].merge(parts[1])
    for one, other in (
        (release_counts(merged.counts, 1.0, seeded()), release_counts(whole.counts, 1.0, seeded())),
        (release_gram(merged.gram, 1.0, seeded()), release_gram(whole.gram, 1.0, seeded())),
    ):
        assert one.tolist() == other.tolist()


def windows(content: GramSum) -> Iterator[bytes]:
    """Stretches of the sum before noise that nothing else has."""
    for numbers in (content.counts, content.gram):
        data = numbers.tobytes()
        yield from (data[start : start + WINDOW] for start in range(0, len(data) - WINDOW, WINDOW))


def test_the_sum_before_noise_is_in_no_file(tmp_path: Path) -> None:
    """It is as sensitive as the histories: on disk it is sealed."""
    with open_workspace(Settings.load(state_dir=tmp_path / "state"), start_cache=False) as workspace:
        version = train(fill(workspace, small_log()), TrainConfig(), entropy=seeded())
        content = GramSum.from_bytes(workspace.sums.load_sum(str(version.sum_id)))
        files = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    telling = [window for window in windows(content) if any(window)]
    assert len(telling) > 20
    assert all(window in content.to_bytes() for window in telling)
    assert sum(map(len, files)) > len(content.to_bytes())
    assert not any(window in data for window in telling for data in files)
