"""The tables of the Complete Journey as checked arrays. Of its table of promotions (21 million rows) nothing is read.

This module imports pyarrow, which takes a quarter of a second: import it inside the function that needs it.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from recsys.data.rows import UNMAPPED, Indices, Rows, event_digests, occurrences, python_rows
from recsys.data.tables import numbered, plain, quantities
from recsys.data.timestamps import milliseconds
from recsys.identifiers import check_item_id, check_user_id
from recsys.types import CatalogueItem

TRANSACTIONS = "transactions.parquet"
PRODUCTS = "products.parquet"


def read_rows(folder: Path) -> Rows:
    """The transactions with product types as items."""
    names = ["household_id", "product_id", "quantity", "transaction_timestamp", "basket_id"]
    transactions = pa.parquet.read_table(folder / TRANSACTIONS, columns=names)
    household, product, quantity, moment, basket = (plain(transactions.column(name)) for name in names)
    users, user_index = numbered(household, "customer", check_user_id)
    items, item_index = _types(folder, product)
    return Rows(
        users=users,
        items=items,
        user_index=user_index,
        item_index=item_index,
        timestamp=milliseconds(moment),
        quantity=quantities(quantity),
        event=_events(np.asarray(basket), np.asarray(product)),
    )


def read_catalogue(folder: Path, items: tuple[str, ...]) -> tuple[CatalogueItem, ...]:
    """The product types, each with the category that most of its products are in."""
    names = ["product_type", "product_category"]
    products = pa.parquet.read_table(folder / PRODUCTS, columns=names)
    counts = products.group_by(names).aggregate([([], "count_all")])
    most_last = counts.sort_by([("count_all", "ascending"), ("product_category", "descending")]).to_pylist()
    category = {row["product_type"]: row["product_category"] or "" for row in most_last}
    return tuple(
        CatalogueItem(item_id=item, name=item.capitalize(), category=category[item].capitalize()) for item in items
    )


def _types(folder: Path, product: pa.Array) -> tuple[tuple[str, ...], Indices]:
    """The product types, and (n_rows,) that of each row: UNMAPPED where the product is not listed or has no type."""
    products = pa.parquet.read_table(folder / PRODUCTS, columns=["product_id", "product_type"])
    types, type_of_product = numbered(plain(products.column("product_type")), "item", check_item_id)
    listed = pc.index_in(product, products.column("product_id")).fill_null(len(products))
    return types, np.asarray(np.append(type_of_product, UNMAPPED)[np.asarray(listed)])


def _events(basket: Indices, product: Indices) -> NDArray[np.uint64]:
    """(n_rows,): the digests of the event ids."""
    rows = python_rows(basket, product, occurrences(basket, product))
    return event_digests(f"{basket_id}-{product_id}-{count}" for basket_id, product_id, count in rows)
