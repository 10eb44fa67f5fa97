"""Items that are the same for everybody: what goes with an item, and what sells."""

from dataclasses import replace
from typing import Annotated

from fastapi import Path, Query

from api.auth import guarded_router
from api.errors import documented
from api.list_schemas import ItemList
from api.paths import ITEM_PATH
from api.services import Serving
from api.wishes import ItemsWish
from recsys.identifiers import check_item_id
from recsys.serving.filters import And, Category
from recsys.types import Scope

router = guarded_router(Scope.RECOMMEND, tag="recommendations")

ItemId = Annotated[str, Path(description="An item of the catalogue.", examples=["sku-7"])]
OfCategory = Annotated[str | None, Query(description="Only items of this category.", examples=["tea"])]


@router.get(
    f"{ITEM_PATH}/similar",
    summary="Show what goes with an item",
    responses=documented([401, 403, 404, 422, 500, 503]),
)
def similar_items(serving: Serving, item_id: ItemId, wish: ItemsWish) -> ItemList:
    """What the model would show somebody who bought this item alone, best first.

    It is made from the released model, never from purchases. For an item that the model does not know it is what is
    popular in the item's category, and the reasons say `popular`.
    """
    return ItemList.model_validate(serving.storefront.similar(check_item_id(item_id), wish))


@router.get(
    "/v1/popular",
    summary="Show what sells",
    responses=documented([401, 403, 422, 500, 503]),
)
def popular_items(serving: Serving, wish: ItemsWish, category: OfCategory = None) -> ItemList:
    """The items that most customers bought, by the model's released counts, best first."""
    if category is not None:
        inside = Category(category)
        wish = replace(wish, where=inside if wish.where is None else And((inside, wish.where)))
    return ItemList.model_validate(serving.storefront.popular(wish))
