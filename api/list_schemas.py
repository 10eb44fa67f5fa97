"""What travels with lists of items over HTTP, beside a customer's own list."""

from typing import Annotated

from pydantic import ConfigDict, Field

from api.filters import FilterBody
from api.schemas import (
    Incoming,
    ItemId,
    Moment,
    Outgoing,
    RecommendationId,
    RecommendationList,
    RecommendedItem,
    UserId,
)
from recsys.serving.lists import LIST_LENGTH
from recsys.serving.storefront import MAX_BASKET
from recsys.types import Purpose, Task

MAX_CUSTOMERS = 100
"""Lists in one answer: a megabyte at most, with the longest lists and usual names."""
MAX_EXCLUDED = 100
"""Items that one request can leave out: what a page shows already."""

CONTEXT = (
    "The item whose page the list is for: the list is moved toward it, and does not show it. An item that the model "
    "does not know moves nothing, and `context_used` says so."
)


class ItemList(Outgoing):
    """Items, best first, that are the same for everybody who asks."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [{"item_id": "sku-7", "name": "Green tea", "score": 0.81, "reason": "model"}],
                "version": "4f2a",
                "generated_at": "2026-01-31T12:00:00.000Z",
                "recommendation_id": "Qm9vIXQhZS1saX4B0lYAq3Yx0vH8b1c2d3e4f5g6",
            }
        }
    )

    items: list[RecommendedItem]
    version: str | None = Field(description="The model that made the list; null while no model is live.")
    generated_at: Moment
    recommendation_id: RecommendationId


class Wanted(Incoming):
    """What a list is to be like."""

    n: int = Field(default=20, ge=1, le=LIST_LENGTH, description="How many items.")
    exclude: list[ItemId] = Field(default=[], max_length=MAX_EXCLUDED, description="Items to leave out.")
    context: ItemId | None = Field(default=None, description=CONTEXT, examples=["sku-3"])
    filter: FilterBody | None = Field(default=None, description="Which items may be in the list.")


class BasketBody(Wanted):
    """A basket that is nobody's."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": ["sku-7", "sku-9"], "n": 5}})

    items: list[ItemId] = Field(
        max_length=MAX_BASKET, description="What is in the basket; items that the model does not know do not count."
    )
    task: Annotated[Task, Field(strict=False)] = Field(
        default=Task.DISCOVER, description="`discover` leaves out what is in the basket, `any` does not."
    )


class BatchBody(Wanted):
    """Customers, each of whom gets a list."""

    model_config = ConfigDict(json_schema_extra={"example": {"user_ids": ["customer-42", "customer-43"], "n": 5}})

    user_ids: list[UserId] = Field(max_length=MAX_CUSTOMERS)
    task: Annotated[Purpose, Field(strict=False)] = Purpose.ANY


class BatchAnswer(Outgoing):
    """One list a customer, in the order they were asked for; ids are not repeated."""

    results: list[RecommendationList]
