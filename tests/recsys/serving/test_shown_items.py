"""A finished answer has the items of its list that are in the shop, under the names that they have now."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import isoformat
from recsys.serving.lists import DEFAULT_LENGTH, KEPT_LENGTH, CachedLists, Row
from recsys.serving.packed_lists import to_document
from recsys.serving.rendered import version_part
from recsys.serving.shown_items import ShownItems
from recsys.store.memory import MemoryCatalogue
from recsys.types import CatalogueItem, Reason, Task

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TRICKY = ['"', "\\", '\\"', ',"score":', '{"item_id":', "ü", "\u2028", "a", "b", ""]
PART = version_part("v")

texts = st.lists(st.sampled_from(TRICKY), max_size=4).map("".join)


def shelf(n_items: int) -> tuple[MemoryCatalogue, ShownItems]:
    catalogue = MemoryCatalogue()
    catalogue.add_items([CatalogueItem(item_id=f"item {place}") for place in range(n_items)])
    shown = ShownItems(catalogue)
    shown.refresh()
    return catalogue, shown


def document(items: list[int]) -> bytes:
    rows: tuple[Row, ...] = tuple((item, 0.5, Reason.MODEL) for item in items)
    return to_document(
        CachedLists(
            version="v", revision=1, recommendation_id="r" * 40, generated_at=NOON, lists=dict.fromkeys(Task, rows)
        )
    )


def answered(shown: ShownItems, items: list[int]) -> dict[str, object] | None:
    body = shown.answer(document(items), PART)
    return None if body is None else json.loads(body)


@given(
    st.integers(0, KEPT_LENGTH).flatmap(lambda n: st.permutations(range(n))),
    st.dictionaries(st.integers(0, KEPT_LENGTH - 1), texts | st.none()),
)
def test_an_answer_has_the_items_and_names_of_now(items: list[int], changes: dict[int, str | None]) -> None:
    """Each change is a new name; None deletes."""
    catalogue, shown = shelf(KEPT_LENGTH)
    for place, name in changes.items():
        item = CatalogueItem(item_id=f"item {place}", name=name or "", deleted=name is None)
        catalogue.put_items([item])
    shown.refresh()
    on_sale = [
        (item.item_id, item.name or item.item_id)
        for item in map(catalogue.items().__getitem__, items)
        if not item.deleted
    ]
    found = answered(shown, items)
    if len(items) == KEPT_LENGTH and len(on_sale) < DEFAULT_LENGTH:
        assert found is None
        return
    assert found == {
        "items": [
            {"item_id": item_id, "name": name, "score": 0.5, "reason": "model"}
            for item_id, name in on_sale[:DEFAULT_LENGTH]
        ],
        "task": "any",
        "personalized": True,
        "version": "v",
        "generated_at": isoformat(NOON),
        "degraded": False,
        "recommendation_id": "r" * 40,
    }


def test_an_item_that_came_back_is_shown_again() -> None:
    catalogue, shown = shelf(2)
    whole = answered(shown, [0, 1])
    catalogue.change_item("item 0", lambda item: replace(item, deleted=True))
    shown.refresh()
    assert answered(shown, [0, 1]) != whole
    catalogue.put_item(CatalogueItem(item_id="item 0"))
    shown.refresh()
    assert answered(shown, [0, 1]) == whole


def test_a_list_with_an_item_that_came_after_the_last_refresh_is_left_to_the_route() -> None:
    catalogue, shown = shelf(1)
    assert answered(shown, [0, 1]) is None
    catalogue.add_items([CatalogueItem(item_id="new")])
    assert answered(shown, [0, 1]) is None
    shown.refresh()
    assert answered(shown, [0, 1]) is not None


def test_before_the_first_refresh_no_item_is_known() -> None:
    catalogue, _ = shelf(1)
    assert answered(ShownItems(catalogue), [0]) is None
