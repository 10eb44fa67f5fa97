"""Public attributes of items, as the command line names them, and how much of the catalogue they are about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.console import console
from recsys.data.attributes import AttributeTable, catalogue_attributes, read_attributes
from recsys.types import CatalogueItem, Json

CATALOGUE = "catalogue"
"""In the place of a file: its name would have to end in .csv, .jsonl or .parquet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How many items have attributes, and what each column was taken for. About the public catalogue alone."""

    n_items: int
    n_described: int
    columns: Mapping[str, str]

    @classmethod
    def of(cls, table: AttributeTable | None, items: Sequence[str]) -> "Coverage | None":
        """The coverage of these items; None where no attributes are used."""
        if table is None:
            return None
        return cls(n_items=len(items), n_described=table.of(items).n_described, columns=table.kinds)

    def to_json(self) -> dict[str, Json]:
        """The coverage for a script."""
        return {"items": self.n_items, "described": self.n_described, "columns": dict[str, Json](self.columns)}

    def show(self) -> None:
        """Print it."""
        columns = ", ".join(f"{name}: {kind}" for name, kind in self.columns.items())
        line = f"attributes: {self.n_described:,} of {self.n_items:,} items have some ({columns})"
        # Columns go by any name; one in brackets is no markup.
        console.print(line, markup=False)


def named_attributes(source: str | None, item_column: str, catalogue: Iterable[CatalogueItem]) -> AttributeTable | None:
    """What --attributes names: nothing, what the catalogue says of its items, or a file.

    Raises:
        InputError: the file, or the catalogue, has no attributes that can be used.
    """
    if source is None:
        return None
    return catalogue_attributes(catalogue) if source == CATALOGUE else read_attributes(Path(source), item_column)
