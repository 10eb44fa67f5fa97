"""What travels over HTTP about the items of the catalogue."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from api.schemas import Incoming, Line, Outgoing
from recsys.data.imported import MAX_ATTRIBUTES, MAX_LABEL, MAX_NAME, MAX_PRICE, MAX_STOCK
from recsys.identifiers import check_item_id
from recsys.types import CatalogueItem

Name = Annotated[Line, Field(max_length=MAX_NAME, description="What customers read; empty: the id is shown.")]
Label = Annotated[Line, Field(max_length=MAX_LABEL)]
Price = Annotated[
    float | None, Field(ge=0, le=MAX_PRICE, allow_inf_nan=False, description="In the shop's one currency.")
]
Stock = Annotated[
    int | None, Field(ge=0, le=MAX_STOCK, description="Pieces that can be sold; null: not counted, as if in stock.")
]
Attributes = Annotated[
    dict[Annotated[Label, Field(min_length=1)], Label],
    Field(max_length=MAX_ATTRIBUTES, description="Names with values, for filters."),
]
EXAMPLE: dict[str, Any] = {
    "name": "Green tea",
    "category": "tea",
    "price": 4.5,
    "stock": 12,
    "attributes": {"brand": "Finest"},
}


def sorted_pairs(attributes: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The attributes as the catalogue keeps them."""
    return tuple(sorted(attributes.items()))


class ItemBody(Incoming):
    """Everything about an item; what is left out is empty."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    name: Name = ""
    category: Label = ""
    price: Price = None
    stock: Stock = None
    attributes: Attributes = Field(default={})

    def item(self, item_id: str) -> CatalogueItem:
        """The item under its id.

        Raises:
            InputError: the id cannot be one.
        """
        fields = {**dict(self), "attributes": sorted_pairs(self.attributes)}
        return CatalogueItem(item_id=check_item_id(item_id), **fields)


class ItemChanges(Incoming):
    """What changes about an item; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"price": 3.9, "stock": 11}})

    name: Name = ""
    category: Label = ""
    price: Price = None
    stock: Stock = None
    attributes: Attributes = Field(default={}, description="Replace all attributes there were.")

    def changes(self) -> dict[str, Any]:
        """The fields that were sent, as the catalogue keeps them."""
        fields = {name: value for name, value in self if name in self.model_fields_set}
        if "attributes" in fields:
            fields["attributes"] = sorted_pairs(self.attributes)
        return fields


class ShownItem(Outgoing):
    """An item of the catalogue."""

    model_config = ConfigDict(json_schema_extra={"example": {"item_id": "sku-7", **EXAMPLE}})

    item_id: str
    name: str
    category: str
    price: float | None
    stock: int | None
    attributes: Annotated[dict[str, str], BeforeValidator(dict)]
