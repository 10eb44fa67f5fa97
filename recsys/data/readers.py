"""Purchases from CSV, JSON Lines and Parquet files.

A row in a message is counted from 1, without the header. No message repeats what a row says.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

from recsys.data.rows import ReadResult, assemble
from recsys.errors import InputError
from recsys.types import CatalogueItem

__all__ = ["Columns", "NamedColumns", "ReadResult", "read_purchases"]


class NamedColumns(Protocol):
    """Which columns of a file are read, and what each is."""

    def by_field(self) -> dict[str, str]:
        """The names of the columns to read, by field."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a file is what.

    `quantity` None: every row is one purchase. `event` None: a purchase is known by its customer, item, time and
    quantity, and by how many equal rows come before it.
    """

    user: str = "user"
    item: str = "item"
    timestamp: str = "timestamp"
    quantity: str | None = None
    event: str | None = None

    def __post_init__(self) -> None:
        """Check that no column is two things.

        Raises:
            InputError: two fields name one column.
        """
        names = list(self.by_field().values())
        if len(set(names)) < len(names):
            options = ", ".join(option(field) for field in self.by_field())
            msg = f"expected a column for each field, no two the same, got {', '.join(names)}; name them with {options}"
            raise InputError(msg)

    def by_field(self) -> dict[str, str]:
        """The names of the columns to read, by field."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {field: name for field, name in named.items() if name is not None}


def option(field: str) -> str:
    """The option of the command line that names the column of a field."""
    return f"--{field}-column"


def read_purchases(path: Path, columns: Columns | None = None) -> ReadResult:
    """The purchases in a file, and what became of every row.

    Formats: .csv (UTF-8, comma, header), .jsonl (UTF-8, one object a line), both also as .gz, and .parquet.
    Ids are text or whole numbers (which become their decimal text), in Unicode normal form C. Times: see
    `recsys.data.timestamps.milliseconds`. Rows without an item are counted as unmapped, rows with a quantity of zero or
    less as returns. Reading the same rows again gives the same event ids.

    Args:
        path: the file; the ending of its name says which format it has
        columns: which column is what; default: user, item and timestamp under these names

    Raises:
        InputError: the file or a row cannot be used; the message says which row and what to do.
    """
    from recsys.data.tables import read_rows  # noqa: PLC0415 - pyarrow takes a quarter of a second to import

    log, report = assemble(read_rows(path, columns or Columns()))
    return ReadResult(log=log, report=report, catalogue=tuple(CatalogueItem(item_id=item) for item in log.items))
