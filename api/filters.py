"""A filter as JSON: what the text form says, one condition a level."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from api.schemas import Incoming
from recsys.serving.filters import (
    MAX_CONDITIONS,
    And,
    Attribute,
    Category,
    Comparison,
    Filter,
    InStock,
    Not,
    Or,
    Price,
    check_size,
)

COMPARISONS = {
    "lt": Comparison.BELOW,
    "lte": Comparison.AT_MOST,
    "gt": Comparison.ABOVE,
    "gte": Comparison.AT_LEAST,
}
"""How a price is compared, by the field of the body."""

Amount = Annotated[float | None, Field(allow_inf_nan=False)]
Parts = Annotated[list["FilterBody"] | None, Field(min_length=1, max_length=MAX_CONDITIONS)]


class PriceBody(Incoming):
    """Bounds of the price, all of which must hold. An item without a price is within none."""

    lt: Amount = None
    lte: Amount = None
    gt: Amount = None
    gte: Amount = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if not self.bounds():
            msg = "a price has at least one of lt, lte, gt and gte"
            raise ValueError(msg)
        return self

    def bounds(self) -> tuple[Price, ...]:
        """The bounds that are set."""
        given = ((COMPARISONS[name], value) for name, value in self)
        return tuple(Price(comparison, amount) for comparison, amount in given if amount is not None)


class AttributeBody(Incoming):
    """An attribute has exactly this value."""

    name: str
    value: str


class FilterBody(Incoming):
    """One condition, or several that are joined."""

    model_config = ConfigDict(
        json_schema_extra={
            "minProperties": 1,
            "maxProperties": 1,
            "example": {"and": [{"in_stock": True}, {"category": "tea"}, {"not": {"price": {"gt": 20}}}]},
        }
    )

    in_stock: Literal[True] | None = None
    category: str | None = None
    price: PriceBody | None = None
    attribute: AttributeBody | None = None
    every: Parts = Field(default=None, alias="and")
    some: Parts = Field(default=None, alias="or")
    negated: "FilterBody | None" = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (given := sum(value is not None for _, value in self)) != 1:
            msg = f"a level of a filter has one condition, this one has {given}; join conditions with `and` or `or`"
            raise ValueError(msg)
        return self

    def filter(self) -> Filter:
        """The filter.

        Raises:
            InputError: it is deeper or has more conditions than allowed.
        """
        return check_size(self._converted())

    def _converted(self) -> Filter:
        if self.every is not None:
            return _joined(And, self.every)
        if self.some is not None:
            return _joined(Or, self.some)
        return Not(self.negated._converted()) if self.negated is not None else self._condition()  # noqa: SLF001 - its own class

    def _condition(self) -> Filter:
        if self.category is not None:
            return Category(self.category)
        if self.attribute is not None:
            return Attribute(self.attribute.name, self.attribute.value)
        if self.price is not None:
            bounds = self.price.bounds()
            return bounds[0] if len(bounds) == 1 else And(bounds)
        return InStock()


def _joined(kind: type[And] | type[Or], parts: list[FilterBody]) -> Filter:
    converted = tuple(part._converted() for part in parts)  # noqa: SLF001 - its own module
    return converted[0] if len(converted) == 1 else kind(converted)
