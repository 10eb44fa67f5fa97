"""What kind of list a request asks for: the parameters that the routes with lists share."""

from typing import Annotated

from fastapi import Depends, Query

from api.list_schemas import CONTEXT, MAX_EXCLUDED, Wanted
from recsys.identifiers import check_item_id
from recsys.serving.filters import MAX_TEXT, Filter, parse_filter
from recsys.serving.storefront import Wish
from recsys.types import Purpose

Length = Annotated[int, Query(ge=1, le=100, description="How many items.")]
FilterText = Annotated[
    str | None,
    Query(
        alias="filter",
        max_length=MAX_TEXT,
        description="Which items may be in the list, such as "
        '`in_stock and category = "tea" and (price < 20 or attribute "brand" = "Finest")`. '
        "Conditions on `in_stock`, `category`, `price` (`<`, `<=`, `>`, `>=`) and attributes, with `and`, `or`, `not` "
        "and parentheses; texts are in double quotes.",
        examples=['in_stock and category = "tea" and not price > 20'],
    ),
]
Excluded = Annotated[
    list[str], Query(alias="exclude", max_length=MAX_EXCLUDED, description="Items to leave out; one parameter each.")
]
ContextItem = Annotated[str | None, Query(alias="context", description=CONTEXT, examples=["sku-3"])]
Asked = Annotated[
    Purpose,
    Query(
        description="`any`: what was bought before may come back. `discover`: first purchases only. "
        "`buy_again`: only what was bought before."
    ),
]


# A plain function would cost every request a hop through the thread pool.
async def items_wish(n: Length = 20, where: FilterText = None, exclude: Excluded = []) -> Wish:  # noqa: B006 - never changed
    """The wish of a request that is about items."""
    return Wish(n=n, where=where_of(where), exclude=ids(exclude))


async def customers_wish(
    n: Length = 20,
    task: Asked = Purpose.ANY,
    where: FilterText = None,
    exclude: Excluded = [],  # noqa: B006 - never changed
    context: ContextItem = None,
) -> Wish:
    """The wish of a request that is about a customer."""
    item = None if context is None else check_item_id(context)
    return Wish(n=n, purpose=task, where=where_of(where), exclude=ids(exclude), context=item)


def where_of(text: str | None) -> Filter | None:
    """The filter in the text, if there is one.

    Raises:
        InputError: the text is no filter; the message says at which character.
    """
    return None if text is None else parse_filter(text)


def ids(texts: list[str]) -> frozenset[str]:
    """The item ids in normal form.

    Raises:
        InputError: one of them cannot be one.
    """
    return frozenset(map(check_item_id, texts))


def wish_of(body: Wanted, purpose: Purpose) -> Wish:
    """The wish in a body."""
    where = None if body.filter is None else body.filter.filter()
    return Wish(n=body.n, purpose=purpose, where=where, exclude=frozenset(body.exclude), context=body.context)


ItemsWish = Annotated[Wish, Depends(items_wish)]
CustomersWish = Annotated[Wish, Depends(customers_wish)]
