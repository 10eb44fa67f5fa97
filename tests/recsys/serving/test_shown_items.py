"""A finished answer is known by its items: each of them in the shop, under its name."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.serving.rendered import item_starts, render_answer
from recsys.serving.shown_items import ShownItems
from recsys.store.memory import MemoryCatalogue
from recsys.types import CatalogueItem, Reason

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TRICKY = ['"', "\\", '\\"', ',"score":', '{"item_id":', "ü", "\u2028", "a", "b", ""]


def answer_with(*items: CatalogueItem) -> bytes:
    starts = item_starts([(item.item_id, item.name or item.item_id) for item in items])
    rows = [(position, 0.5, Reason.MODEL) for position in range(len(items))]
    return render_answer(rows, starts, version="v", generated_at=NOON, recommendation_id="r")


texts = st.lists(st.sampled_from(TRICKY), min_size=1, max_size=4).map("".join)


@given(items=st.lists(st.builds(CatalogueItem, item_id=texts, name=texts), unique_by=lambda item: item.item_id))
def test_an_answer_as_it_would_be_made_now_is_covered(items: list[CatalogueItem]) -> None:
    catalogue = MemoryCatalogue()
    shown = ShownItems(catalogue)
    catalogue.add_items(items)
    shown.refresh()
    assert shown.covers(answer_with(*items))


@given(
    items=st.lists(
        st.builds(CatalogueItem, item_id=texts, name=texts), min_size=1, unique_by=lambda item: item.item_id
    ),
    change=st.sampled_from(["delete", "rename"]),
    data=st.data(),
)
def test_an_answer_with_a_changed_item_is_not_covered(
    items: list[CatalogueItem], change: str, data: st.DataObject
) -> None:
    catalogue = MemoryCatalogue()
    shown = ShownItems(catalogue)
    catalogue.add_items(items)
    shown.refresh()
    item = data.draw(st.sampled_from(items))
    new = replace(item, deleted=True) if change == "delete" else replace(item, name=item.name + "x")
    catalogue.change_item(item.item_id, lambda _: new)
    shown.refresh()
    others = [other for other in items if other != item]
    assert not shown.covers(answer_with(*items))
    assert shown.covers(answer_with(*others))
    catalogue.put_item(item)
    shown.refresh()
    assert shown.covers(answer_with(*items))


def test_before_the_first_refresh_no_item_is_known() -> None:
    catalogue = MemoryCatalogue()
    item = CatalogueItem(item_id="tea", name="Tea")
    catalogue.add_items([item])
    assert not ShownItems(catalogue).covers(answer_with(item))


def test_an_unchanged_catalogue_is_not_collected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = MemoryCatalogue()
    item = CatalogueItem(item_id="tea", name="Tea", price=1.0)
    catalogue.add_items([item])
    shown = ShownItems(catalogue)
    shown.refresh()
    before = shown._shown
    shown.refresh()
    catalogue.put_item(replace(item, price=2.0))
    shown.refresh()
    assert shown._shown is before
