"""The catalogue: what the shop sells, at what price, and how much of it there is."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Path, Response

from api.auth import guarded_router
from api.errors import documented
from api.item_schemas import ItemBody, ItemChanges, ShownItem
from api.paths import ITEM_PATH
from api.services import Serving
from recsys.identifiers import check_item_id
from recsys.types import Scope

reading = guarded_router(Scope.RECOMMEND, tag="catalogue")
writing = guarded_router(Scope.WRITE, tag="catalogue")

ItemId = Annotated[
    str,
    Path(description="The shop's own id: at most 256 bytes in UTF-8, without control characters.", examples=["sku-7"]),
]
CREATED: dict[int | str, dict[str, Any]] = {201: {"model": ShownItem, "description": "The item is new."}}


@reading.get(ITEM_PATH, summary="Show an item", responses=documented([401, 403, 404, 422, 500, 503]))
def show_item(serving: Serving, item_id: ItemId) -> ShownItem:
    """What the catalogue says of the item now; 404 for one that was deleted."""
    return ShownItem.model_validate(serving.storefront.item(check_item_id(item_id)))


@writing.put(
    ITEM_PATH,
    summary="Add or replace an item",
    responses={**CREATED, **documented([400, 401, 403, 413, 422, 500, 503])},
)
def put_item(serving: Serving, item_id: ItemId, body: Annotated[ItemBody, Body()], response: Response) -> ShownItem:
    """The item as it is kept; the next list counts with it. An item that was deleted is in the shop again."""
    item = body.item(item_id)
    response.status_code = 201 if serving.workspace.catalogue.put_item(item) else 200
    serving.shown.refresh()
    return ShownItem.model_validate(item)


@writing.patch(
    ITEM_PATH,
    summary="Change price, stock or words of an item",
    responses=documented([400, 401, 403, 404, 413, 422, 500, 503]),
)
def change_item(serving: Serving, item_id: ItemId, body: Annotated[ItemChanges, Body()]) -> ShownItem:
    """The item as it is kept; the next list counts with it. Fields that are left out stay as they are."""
    changes = body.changes()
    item = serving.workspace.catalogue.change_item(check_item_id(item_id), lambda before: replace(before, **changes))
    serving.shown.refresh()
    return ShownItem.model_validate(item)


@writing.delete(ITEM_PATH, summary="Take an item out of the shop", responses=documented([401, 403, 404, 422, 500, 503]))
def delete_item(serving: Serving, item_id: ItemId) -> ShownItem:
    """The item as it was. It is in no list from now on; purchases of it stay in their customers' histories."""
    catalogue = serving.workspace.catalogue
    item = catalogue.change_item(check_item_id(item_id), lambda before: replace(before, deleted=True))
    serving.shown.refresh()
    return ShownItem.model_validate(item)
