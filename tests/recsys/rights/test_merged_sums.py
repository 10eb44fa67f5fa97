"""The sum after merges has the bytes of that of a shop in which the accounts were always one, whatever they bought."""

from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.erase import desk, subject_desk
from recsys.data.history import event_digest, purchases_array
from recsys.erasure.workflow import ErasureWorker
from recsys.models.customer import SumRule, pack_term, unpack_term
from recsys.models.gram import GramSum
from recsys.rights.worker import SubjectWorker
from recsys.store.workspace import Workspace, memory_workspace
from recsys.types import CatalogueItem, ModelVersion

N_ITEMS = 6
NAMES = ("a", "b", "c", "d")
ITEMS = tuple(f"item-{number}" for number in range(N_ITEMS))
RULE = SumRule(released_counts=np.arange(1.0, N_ITEMS + 1), head_size=4)

Baskets = Mapping[str, set[int]]
baskets = st.dictionaries(st.sampled_from(NAMES), st.sets(st.integers(0, N_ITEMS - 1), min_size=1), min_size=1)
merges = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda pair: pair[0] != pair[1]), max_size=4
)


def sum_of(bought: Baskets) -> GramSum:
    total = GramSum.empty(ITEMS, RULE)
    for items in bought.values():
        total = total.add(unpack_term(pack_term(np.array(sorted(items), np.int32)), N_ITEMS))
    return total


def shop_with(histories: Baskets, sums: Mapping[str, Baskets]) -> Workspace:
    """A shop whose customers bought all this, and sums of some of them at some time before."""
    workspace = memory_workspace(wait=lambda _: None)
    workspace.catalogue.add_items([CatalogueItem(item_id=item) for item in ITEMS])
    for name, items in histories.items():
        events = np.array([event_digest(f"{name} {item}") for item in sorted(items)], np.uint64)
        bought = purchases_array(timestamp=np.arange(len(items)), item=sorted(items), quantity=1.0, event=events)
        workspace.histories.append({workspace.keys.user_key(name): bought})
    for sum_id, of in sums.items():
        terms = [(workspace.keys.user_key(name), pack_term(np.array(sorted(of[name]), np.int32))) for name in of]
        workspace.sums.create_sum(sum_id, sum_of(of).to_bytes(), terms)
    return workspace


def never(sum_id: str, purpose: str) -> ModelVersion:
    raise AssertionError((sum_id, purpose))


def work(workspace: Workspace) -> None:
    SubjectWorker(workspace, release_again=never, publish=lambda: 0).run()


def merged(bought: Baskets, pairs: list[tuple[str, str]]) -> dict[str, set[int]]:
    """What each bought, once accounts are merged in this order."""
    after = {name: set(items) for name, items in bought.items()}
    for old, into in pairs:
        if old in after:
            after[into] = after.get(into, set()) | after.pop(old)
    return after


def used_once(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the merges that name no account which went before: an erasure reaches ids that are used anew, too."""
    kept: list[tuple[str, str]] = []
    for pair in pairs:
        if not {old for old, _ in kept} & set(pair):
            kept.append(pair)
    return kept


@given(histories=baskets, first=baskets, second=baskets, pairs=merges, at_once=st.booleans())
def test_a_sum_after_merges_has_the_bytes_of_a_sum_of_the_merged_histories(
    histories: Baskets, first: Baskets, second: Baskets, pairs: list[tuple[str, str]], at_once: bool
) -> None:
    workspace = shop_with(histories, {"first": first, "second": second})
    for old, into in pairs:
        subject_desk(workspace).merge(old, into)
        if not at_once:
            work(workspace)
    work(workspace)
    for sum_id, of in (("first", first), ("second", second)):
        assert workspace.sums.load_sum(sum_id) == sum_of(merged(of, pairs)).to_bytes()
    for name, items in merged(histories, pairs).items():
        assert set(workspace.histories.history(workspace.keys.user_key(name)).items) == items


@given(bought=baskets, pairs=merges, gone=st.sampled_from(NAMES))
def test_an_erasure_after_merges_takes_every_account_out_and_nobody_else(
    bought: Baskets, pairs: list[tuple[str, str]], gone: str
) -> None:
    pairs = used_once(pairs)
    workspace = shop_with(bought, {"first": bought})
    for old, into in pairs:
        subject_desk(workspace).merge(old, into)
    if gone not in merged(bought, pairs):
        return
    desk(workspace).request(gone)
    ErasureWorker(workspace, release_again=never, publish=lambda: 0).run()
    left = {name: items for name, items in merged(bought, pairs).items() if name != gone}
    work(workspace)
    assert workspace.sums.load_sum("first") == sum_of(left).to_bytes()
